//! What makes two paths of one neighbor the same attribute set: family, next hop, and the attributes as they came.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::types::{Family, NextHop};
use crate::wire::{AttributeBytes, MpNextHop, ParsedAttributes};

use super::Source;

/// A set that a neighbor sent, as it is stored: all that is needed to read it again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    /// The family of the prefixes.
    pub(crate) family: Family,
    /// Which of the neighbor's paths to a prefix this is, where it tells several (RFC 7911).
    pub(crate) path_id: Option<u32>,
    /// The next hop of MP_REACH_NLRI; `None`: NEXT_HOP says.
    next_hop: Option<MpNextHop>,
    attributes: AttributeBytes<'a>,
}

impl<'a> Key<'a> {
    /// Of NLRI in an UPDATE.
    pub(crate) fn new(family: Family, next_hop: Option<MpNextHop>, attributes: AttributeBytes<'a>) -> Self {
        Self { family, path_id: None, next_hop, attributes }
    }

    /// The same for a path with this identifier.
    pub(crate) fn with_id(self, path_id: Option<u32>) -> Self {
        Self { path_id, ..self }
    }

    /// Writes the key over what is in `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        match self.path_id {
            None => out.push(self.family as u8),
            Some(id) => {
                out.push(self.family as u8 | HAS_ID);
                out.extend(id.to_be_bytes());
            }
        }
        match self.next_hop {
            None => out.push(0),
            Some(MpNextHop { address: IpAddr::V4(address), .. }) => {
                out.push(4);
                out.extend(address.octets());
            }
            Some(MpNextHop { address: IpAddr::V6(address), link_local }) => {
                out.push(if link_local.is_some() { 32 } else { 16 });
                out.extend(address.octets());
                out.extend(link_local.iter().flat_map(Ipv6Addr::octets));
            }
        }
        self.attributes.key(out);
    }

    /// Reads what [`Key::write`] wrote; `None` for anything else.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let path_id = path_id(bytes);
        let (&family, rest) = bytes.split_first()?;
        let rest = if path_id.is_some() { rest.get(4..)? } else { rest };
        let (&length, rest) = rest.split_first()?;
        let family = *Family::ALL.get(usize::from(family & !HAS_ID))?;
        let (next_hop, attributes) = rest.split_at_checked(usize::from(length))?;
        let next_hop = match length {
            0 => None,
            4 => next_hop
                .try_into()
                .ok()
                .map(|octets: [u8; 4]| MpNextHop { address: Ipv4Addr::from(octets).into(), link_local: None }),
            _ => next_hop.split_first_chunk::<16>().map(|(address, link_local)| MpNextHop {
                address: Ipv6Addr::from(*address).into(),
                link_local: <[u8; 16]>::try_from(link_local).ok().map(Ipv6Addr::from),
            }),
        };
        Some(Self { family, path_id, next_hop, attributes: AttributeBytes::from_key(attributes) })
    }

    /// Reads the attributes as the neighbor's session has agreed, over what is in `parsed`. What comes back is where the
    /// path leads; `None`: the neighbor did not say.
    pub(crate) fn parse(&self, source: &Source, parsed: &mut ParsedAttributes) -> Option<NextHop> {
        self.attributes.parse_into(&source.context, parsed);
        match self.next_hop {
            None => parsed.next_hop.map(|address| NextHop::from(IpAddr::V4(address))),
            Some(next_hop) => Some(effective(next_hop, source.scope)),
        }
    }
}

/// In the key's first octet: the path's identifier follows.
const HAS_ID: u8 = 0x80;

/// The identifier of the path in a key, without a look at the rest.
pub(super) fn path_id(key: &[u8]) -> Option<u32> {
    let (&[first, a, b, c, d], _) = key.split_first_chunk()?;
    (first & HAS_ID != 0).then(|| u32::from_be_bytes([a, b, c, d]))
}

/// Where packets go. An IPv4 address in IPv6 clothes is an IPv4 next hop: no kernel installs `::ffff:a.b.c.d`.
fn effective(next_hop: MpNextHop, scope: u32) -> NextHop {
    let IpAddr::V6(address) = next_hop.address else { return next_hop.address.into() };
    if let Some(mapped) = address.to_ipv4_mapped() {
        return IpAddr::V4(mapped).into();
    }
    match next_hop.link_local {
        // Neighbors without global addresses repeat the link-local one, or leave the first empty.
        Some(link_local) if address.is_unspecified() => NextHop { address: link_local.into(), scope },
        _ if address.is_unicast_link_local() => NextHop { address: address.into(), scope },
        _ => IpAddr::V6(address).into(),
    }
}

/// Addresses that lead nowhere: 0/8, 127/8, classes D and E (RFC 4271 §6.3), and what is like them in IPv6. Over a
/// session on the loopback interface, its addresses do lead to the neighbor.
pub(crate) fn is_martian(next_hop: &NextHop, source: &Source) -> bool {
    if next_hop.address.is_loopback() {
        return !source.address.is_loopback();
    }
    match next_hop.address {
        IpAddr::V4(address) => address.octets()[0] == 0 || address.octets()[0] >= 224,
        IpAddr::V6(address) => address.is_unspecified() || address.is_multicast(),
    }
}
