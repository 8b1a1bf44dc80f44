//! Routes in the MRT format (RFC 6396), which collectors and bgpdump read: TABLE_DUMP_V2. Pure.
//!
//! A table leaves in slices. Each is a dump of its own, with the neighbors as they were when it was made, so that none
//! that comes or goes meanwhile is mistaken for another; [`records`] takes them apart again.

mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

pub use self::table::{Collector, TableDump};

/// The types of RFC 6396 §4.
const TABLE_DUMP_V2: u16 = 13;
/// Time, type, subtype, length.
const HEADER: usize = 12;

/// The subtypes of TABLE_DUMP_V2 that are written (RFC 6396 §4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
enum Subtype {
    PeerIndexTable = 1,
    RibIpv4Unicast = 2,
    RibIpv6Unicast = 4,
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
        let address = match self.subtype {
            subtype if subtype == Subtype::RibIpv4Unicast as u16 => IpAddr::V4(Ipv4Addr::from(padded(octets)?)),
            subtype if subtype == Subtype::RibIpv6Unicast as u16 => IpAddr::V6(Ipv6Addr::from(padded(octets)?)),
            _ => return None,
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
