//! The MRT format (RFC 6396, RFC 8050), which collectors and bgpdump read: routes as TABLE_DUMP_V2, what sessions say as
//! BGP4MP. Pure.
//!
//! A table leaves in slices. Each is a dump of its own, with the neighbors as they were when it was made, so that none
//! that comes or goes meanwhile is mistaken for another; [`records`] takes them apart again.

mod session;
mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, BytesMut};
use ipnet::IpNet;

pub(crate) use self::session::{Ends, MessageKind, write_message, write_state_change};
pub use self::table::{Collector, TableDump};
use crate::types::Family;

/// The types of RFC 6396 §4.
const TABLE_DUMP_V2: u16 = 13;
/// Time, type, subtype, length.
const HEADER: usize = 12;

/// The subtypes of TABLE_DUMP_V2 that are written (RFC 6396 §4.3, RFC 8050 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
enum Subtype {
    PeerIndexTable = 1,
    RibIpv4Unicast = 2,
    RibIpv6Unicast = 4,
    RibIpv4UnicastAddPath = 8,
    RibIpv6UnicastAddPath = 10,
}

impl Subtype {
    /// Of entries with or without path identifiers.
    const fn of(family: Family, path_ids: bool) -> Self {
        match (family, path_ids) {
            (Family::Ipv4, false) => Self::RibIpv4Unicast,
            (Family::Ipv4, true) => Self::RibIpv4UnicastAddPath,
            (Family::Ipv6, false) => Self::RibIpv6Unicast,
            (Family::Ipv6, true) => Self::RibIpv6UnicastAddPath,
        }
    }
}

/// A record of TABLE_DUMP_V2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record<'a> {
    subtype: u16,
    /// All of it.
    pub octets: &'a [u8],
}

impl<'a> Record<'a> {
    /// What follows the header.
    pub fn body(&self) -> &'a [u8] {
        &self.octets[HEADER..]
    }

    /// Whether it tells who the neighbors are.
    pub fn is_peer_index_table(&self) -> bool {
        self.subtype == Subtype::PeerIndexTable as u16
    }

    /// Of a RIB entry: its prefix, after four octets of sequence number (RFC 6396 §4.3.2).
    pub fn prefix(&self) -> Option<IpNet> {
        let (length, rest) = self.body().get(4..)?.split_first()?;
        let octets = rest.get(..usize::from(*length).div_ceil(8))?;
        let is_of = |family| [false, true].iter().any(|ids| self.subtype == Subtype::of(family, *ids) as u16);
        let address = if is_of(Family::Ipv4) {
            IpAddr::V4(Ipv4Addr::from(padded(octets)?))
        } else if is_of(Family::Ipv6) {
            IpAddr::V6(Ipv6Addr::from(padded(octets)?))
        } else {
            return None;
        };
        IpNet::new(address, *length).ok()
    }
}

fn padded<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    let mut all = [0; N];
    all.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(all)
}

/// The records of a dump, as far as they are whole and of its kind.
pub fn records(mut octets: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let header = octets.first_chunk::<HEADER>()?;
        let [_, _, _, _, kind @ .., a, b, c, d] = *header;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?.checked_add(HEADER)?;
        let (record, rest) = octets.split_at_checked(length)?;
        octets = rest;
        let [kind, subtype] = [[kind[0], kind[1]], [kind[2], kind[3]]].map(u16::from_be_bytes);
        (kind == TABLE_DUMP_V2).then_some(Record { subtype, octets: record })
    })
}

/// Appends a record (RFC 6396 §2) of this time, in seconds since 1970.
fn write_record(out: &mut BytesMut, seconds: u32, kind: u16, subtype: u16, body: impl FnOnce(&mut BytesMut)) {
    out.put_u32(seconds);
    out.put_u16(kind);
    out.put_u16(subtype);
    let length_at = out.len();
    out.put_u32(0);
    let body_at = out.len();
    body(out);
    let length = (out.len() - body_at) as u32; // 65535 entries of a message's length at most
    out[length_at..body_at].copy_from_slice(&length.to_be_bytes());
}

fn write_address(out: &mut BytesMut, address: IpAddr) {
    match address {
        IpAddr::V4(address) => out.put_slice(&address.octets()),
        IpAddr::V6(address) => out.put_slice(&address.octets()),
    }
}
