//! Network layer reachability information (RFC 4271 §4.3): prefixes as they stand in a message.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, BytesMut};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::types::Family;

/// Checked NLRI of one family; iterating yields prefixes with host bits cleared.
#[derive(Clone, Copy, Debug)]
pub struct Nlri<'a> {
    /// What the bytes are.
    pub family: Family,
    /// Before each prefix stands the identifier of its path (RFC 7911 §3).
    pub has_ids: bool,
    /// Checked: every length fits.
    bytes: &'a [u8],
}

impl<'a> Nlri<'a> {
    /// No prefixes.
    pub const fn empty(family: Family) -> Self {
        Self { family, has_ids: false, bytes: &[] }
    }

    /// `None` where a length is too long for the family or for what is left (RFC 7606 §5.3).
    pub(super) fn check(family: Family, has_ids: bool, bytes: &'a [u8]) -> Option<Self> {
        let longest = max_length(family);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (&length, after) = if has_ids { rest.get(ID..)? } else { rest }.split_first()?;
            if length > longest {
                return None;
            }
            rest = after.get(octets(length)..)?;
        }
        Some(Self { family, has_ids, bytes })
    }

    /// Whether there is nothing.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The prefixes in order.
    pub fn iter(&self) -> impl Iterator<Item = IpNet> + 'a {
        self.paths().map(|(_, prefix)| prefix)
    }

    /// The prefixes in order, each with its identifier where it has one.
    pub fn paths(&self) -> impl Iterator<Item = (Option<u32>, IpNet)> + 'a {
        let Self { family, has_ids, bytes: mut rest } = *self;
        std::iter::from_fn(move || {
            let mut id = None;
            if has_ids {
                let (octets, after) = rest.split_first_chunk()?;
                (id, rest) = (Some(u32::from_be_bytes(*octets)), after);
            }
            let (&length, after) = rest.split_first()?;
            rest = after.get(octets(length)..)?;
            Some((id, prefix(family, leading_bits(after), length)?))
        })
    }
}

/// Octets of a path identifier.
const ID: usize = 4;

/// What stands in NLRI: a prefix, or one with the identifier of its path (RFC 7911 §3).
pub trait Destination {
    /// The prefix.
    fn prefix(&self) -> &IpNet;

    /// The identifier.
    fn id(&self) -> Option<u32>;
}

impl Destination for IpNet {
    fn prefix(&self) -> &IpNet {
        self
    }

    fn id(&self) -> Option<u32> {
        None
    }
}

impl Destination for (u32, IpNet) {
    fn prefix(&self) -> &IpNet {
        &self.1
    }

    fn id(&self) -> Option<u32> {
        Some(self.0)
    }
}

/// Octets of one of them on the wire.
pub(super) fn encoded_len(destination: &impl Destination) -> usize {
    let id = if destination.id().is_some() { ID } else { 0 };
    id + 1 + octets(destination.prefix().prefix_len())
}

/// Octets of a prefix on the wire, without its length.
const fn octets(length: u8) -> usize {
    length.div_ceil(8) as usize
}

/// Appends one of them.
pub(super) fn write_destination(destination: &impl Destination, out: &mut BytesMut) {
    if let Some(id) = destination.id() {
        out.put_u32(id);
    }
    write_prefix(destination.prefix(), out);
}

/// Appends one prefix.
pub(crate) fn write_prefix(prefix: &IpNet, out: &mut BytesMut) {
    let length = prefix.prefix_len();
    let end = out.len() + 1 + octets(length);
    // All octets of the address, and back: a copy of a fixed length is a store.
    match prefix {
        IpNet::V4(net) => {
            let [a, b, c, d] = net.network().octets();
            out.put_slice(&[length, a, b, c, d]);
        }
        IpNet::V6(net) => {
            out.put_u8(length);
            out.put_slice(&net.network().octets());
        }
    }
    out.truncate(end);
}

const fn max_length(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 32,
        Family::Ipv6 => 128,
    }
}

/// The first 128 bits, zeros behind the end.
fn leading_bits(bytes: &[u8]) -> u128 {
    match bytes.first_chunk::<16>() {
        Some(bits) => u128::from_be_bytes(*bits),
        None => {
            let mut bits = [0; 16];
            bits[..bytes.len()].copy_from_slice(bytes);
            u128::from_be_bytes(bits)
        }
    }
}

/// The prefix that the first `length` bits make; `None` where the family has no such length.
fn prefix(family: Family, bits: u128, length: u8) -> Option<IpNet> {
    let bits = bits & !u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    match family {
        Family::Ipv4 => Ipv4Net::new(Ipv4Addr::from_bits((bits >> 96) as u32), length).ok().map(IpNet::V4),
        Family::Ipv6 => Ipv6Net::new(Ipv6Addr::from_bits(bits), length).ok().map(IpNet::V6),
    }
}
