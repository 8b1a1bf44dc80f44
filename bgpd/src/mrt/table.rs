//! TABLE_DUMP_V2 (RFC 6396 §4.3): who the neighbors are, and every path with the number of its own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use ipnet::IpNet;

use super::{Subtype, TABLE_DUMP_V2, write_address, write_record};
use crate::settings::Settings;
use crate::types::{Asn, BgpIdentifier, Family};
use crate::view::{NeighborView, PathView, RouteView};
use crate::wire::{AttrCode, prefix_octets, write_attributes};

/// Peer Type (RFC 6396 §4.3.1): its address is IPv6; its AS has four octets, as all have here.
const IPV6_ADDRESS: u8 = 1;
const FOUR_OCTET_AS: u8 = 2;
/// Flags of MP_REACH_NLRI (RFC 4760 §3).
const OPTIONAL: u8 = 0x80;

/// Who dumps, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Collector {
    /// Our AS.
    pub asn: Asn,
    /// Our identifier.
    pub router_id: BgpIdentifier,
    /// Since 1970.
    pub at: Duration,
}

impl Collector {
    /// The speaker with these settings.
    pub fn new(settings: &Settings, at: Duration) -> Self {
        Self { asn: settings.asn, router_id: settings.router_id, at }
    }

    /// Seconds since 1970, as MRT has them.
    fn seconds(&self, ago: Duration) -> u32 {
        self.at.saturating_sub(ago).as_secs() as u32 // until 2106
    }
}

/// A dump that is being written.
#[derive(Debug)]
pub struct TableDump {
    collector: Collector,
    /// Of the next prefix.
    sequence: u32,
    /// By the neighbors' names.
    peers: HashMap<String, u16>,
    out: BytesMut,
}

impl TableDump {
    /// Begins with the table of neighbors. Ourselves, for routes of our own, are number 0 and have no address.
    /// `sequence` is the number of the first prefix: 0, or what [`TableDump::finish`] gave back for the slice before.
    pub fn new(collector: Collector, neighbors: &[NeighborView], sequence: u32) -> Self {
        let mut dump = Self { collector, sequence, peers: HashMap::new(), out: BytesMut::new() };
        let (numbered, _) = neighbors.split_at(neighbors.len().min(usize::from(u16::MAX) - 1)); // 16 bits count them
        dump.peers = numbered.iter().map(|neighbor| neighbor.name.clone()).zip(1..).collect();
        dump.record(Subtype::PeerIndexTable, |out| {
            out.put_slice(&collector.router_id.address().octets());
            out.put_u16(0); // no view name
            out.put_u16(numbered.len() as u16 + 1);
            write_peer(out, Some(collector.router_id), Ipv4Addr::UNSPECIFIED.into(), Some(collector.asn));
            for neighbor in numbered {
                write_peer(out, neighbor.router_id, neighbor.address, neighbor.asn);
            }
        });
        dump
    }

    /// Adds a prefix with its paths; nothing where it has none. Those with a path identifier stand in a record of their
    /// own, so that several of a neighbor are kept apart (RFC 8050 §4).
    pub fn route(&mut self, route: &RouteView) {
        for path_ids in [false, true] {
            let of_kind = route.paths.iter().filter(|path| path.path_id.is_some() == path_ids);
            let numbered = of_kind.filter_map(|path| Some((self.peer(path)?, path)));
            let entries: Vec<_> = numbered.take(usize::from(u16::MAX)).collect();
            if !entries.is_empty() {
                self.entries(&route.prefix, &entries, path_ids);
            }
        }
    }

    fn entries(&mut self, prefix: &IpNet, entries: &[(u16, &PathView)], path_ids: bool) {
        let (sequence, collector) = (self.sequence, self.collector);
        self.sequence = sequence.wrapping_add(1);
        let family = Family::of(prefix);
        self.record(Subtype::of(family, path_ids), |out| {
            out.put_u32(sequence);
            let (octets, length) = prefix_octets(prefix);
            out.put_slice(&octets[..length]);
            out.put_u16(entries.len() as u16);
            for (peer, path) in entries {
                out.put_u16(*peer);
                out.put_u32(collector.seconds(path.age));
                if let Some(id) = path.path_id.filter(|_| path_ids) {
                    out.put_u32(id);
                }
                write_entry(out, path, family);
            }
        });
    }

    /// The dump, and the number of the prefix to come.
    pub fn finish(self) -> (BytesMut, u32) {
        (self.out, self.sequence)
    }

    /// The number of a path's neighbor; `None`: it has come since the table was written.
    fn peer(&self, path: &PathView) -> Option<u16> {
        if path.neighbor_address.is_none() { Some(0) } else { self.peers.get(&path.neighbor).copied() }
    }

    fn record(&mut self, subtype: Subtype, body: impl FnOnce(&mut BytesMut)) {
        write_record(&mut self.out, self.collector.seconds(Duration::ZERO), TABLE_DUMP_V2, subtype as u16, body);
    }
}

/// RFC 6396 §4.3.1. What is not known of a neighbor without session is zero.
fn write_peer(out: &mut BytesMut, router_id: Option<BgpIdentifier>, address: IpAddr, asn: Option<Asn>) {
    out.put_u8(if address.is_ipv6() { IPV6_ADDRESS | FOUR_OCTET_AS } else { FOUR_OCTET_AS });
    out.put_slice(&router_id.map_or([0; 4], |router_id| router_id.address().octets()));
    write_address(out, address);
    out.put_u32(asn.map_or(0, Asn::get));
}

/// RFC 6396 §4.3.4: of MP_REACH_NLRI only the next hop stands, and AS numbers have four octets.
fn write_entry(out: &mut BytesMut, path: &PathView, family: Family) {
    let length_at = out.len();
    out.put_u16(0);
    let attributes_at = out.len();
    let next_hop = path.next_hop.unwrap_or(match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    });
    match next_hop {
        IpAddr::V4(address) if family == Family::Ipv4 => write_attributes(&path.attributes, Some(address), true, out),
        address => {
            write_attributes(&path.attributes, None, true, out);
            let length = if address.is_ipv6() { 16 } else { 4 };
            out.put_slice(&[OPTIONAL, AttrCode::MP_REACH_NLRI.0, length + 1, length]);
            write_address(out, address);
        }
    }
    let length = (out.len() - attributes_at) as u16; // they came in a message, or are ours and short
    out[length_at..attributes_at].copy_from_slice(&length.to_be_bytes());
}
