//! Network layer reachability information (RFC 4271 §4.3): prefixes as they stand in a message.

use std::net::{Ipv4Addr, Ipv6Addr};

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
            Some((id, prefix(family, after, length)?))
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

/// Octets of the longest of them on the wire.
pub(super) const LONGEST: usize = ID + PREFIX;

/// Octets of the longest prefix on the wire.
const PREFIX: usize = 17;

/// Writes one of them to the front of `out`, which has room for the [`LONGEST`]; how many octets it takes.
pub(super) fn write_destination(destination: &impl Destination, out: &mut [u8]) -> usize {
    let at = match destination.id() {
        None => 0,
        Some(id) => {
            out[..ID].copy_from_slice(&id.to_be_bytes());
            ID
        }
    };
    let (octets, length) = prefix_octets(destination.prefix());
    out[at..at + PREFIX].copy_from_slice(&octets); // a copy of a fixed length is a store
    at + length
}

/// A prefix on the wire, and how many octets of that count.
pub(crate) fn prefix_octets(prefix: &IpNet) -> ([u8; PREFIX], usize) {
    let mut out = [0; PREFIX];
    out[0] = prefix.prefix_len();
    match prefix {
        IpNet::V4(net) => out[1..5].copy_from_slice(&net.network().octets()),
        IpNet::V6(net) => out[1..].copy_from_slice(&net.network().octets()),
    }
    (out, 1 + octets(prefix.prefix_len()))
}

/// Octets of a prefix on the wire, without its length.
const fn octets(length: u8) -> usize {
    length.div_ceil(8) as usize
}

const fn max_length(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 32,
        Family::Ipv6 => 128,
    }
}

/// The first octets, zeros behind the end.
fn leading<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut leading = [0; N];
        leading[..bytes.len()].copy_from_slice(bytes);
        leading
    })
}

/// The prefix that the first `length` bits make; `None` where the family has no such length.
fn prefix(family: Family, bytes: &[u8], length: u8) -> Option<IpNet> {
    let mask = u32::from(length);
    match family {
        Family::Ipv4 => {
            let bits = u32::from_be_bytes(leading(bytes)) & !u32::MAX.checked_shr(mask).unwrap_or(0);
            Ipv4Net::new(Ipv4Addr::from_bits(bits), length).ok().map(IpNet::V4)
        }
        Family::Ipv6 => {
            let bits = u128::from_be_bytes(leading(bytes)) & !u128::MAX.checked_shr(mask).unwrap_or(0);
            Ipv6Net::new(Ipv6Addr::from_bits(bits), length).ok().map(IpNet::V6)
        }
    }
}
