//! The BGP Monitoring Protocol, version 3 (RFC 7854): its messages as octets. Pure; nothing is ever received.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use crate::types::{Asn, BgpIdentifier, Family};
use crate::wire::Notification;

/// RFC 7854 §4.1.
const VERSION: u8 = 3;

/// RFC 7854 §4.1, with the common header's length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    RouteMonitoring = 0,
    StatisticsReport = 1,
    PeerDown = 2,
    PeerUp = 3,
    Initiation = 4,
    Termination = 5,
}

/// Information TLVs (RFC 7854 §4.4).
const SYS_DESCR: u16 = 1;
const SYS_NAME: u16 = 2;
/// The reason of a Termination, and the one there is here: administratively closed (RFC 7854 §4.5).
const REASON: u16 = 1;
const ADMINISTRATIVELY_CLOSED: u16 = 0;
/// Why we closed a connection without a word: Event 8 of RFC 4271 §8.1.2.
const AUTOMATIC_STOP: u16 = 8;
/// Flags of the per-peer header (RFC 7854 §4.2): its address is IPv6; AS_PATH has two octets an AS.
const IPV6: u8 = 0x80;
const LEGACY_AS_PATH: u8 = 0x20;

/// A session as each message about it names it (RFC 7854 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) asn: Asn,
    pub(crate) router_id: BgpIdentifier,
    /// The session is one of RFC 6793's OLD speakers.
    pub(crate) two_octet_as: bool,
}

/// Why a session ended (RFC 7854 §4.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Down<'a> {
    /// We sent this.
    Sent(&'a Notification),
    /// The neighbor sent this.
    Received(&'a Notification),
    /// We closed the connection without a word.
    Left,
    /// The connection ended without a word.
    Closed,
}

/// A statistic of a session, now (RFC 7854 §4.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gauge {
    /// Routes in its Adj-RIB-In.
    Received(u64),
    /// Routes in the Loc-RIB.
    LocRib(u64),
    /// Routes of one family in its Adj-RIB-In.
    ReceivedOf(Family, u64),
}

/// Who we are.
pub(crate) fn initiation(name: &str, out: &mut BytesMut) {
    message(Kind::Initiation, out, |out| {
        information(SYS_DESCR, concat!("vpngw ", env!("CARGO_PKG_VERSION")).as_bytes(), out);
        information(SYS_NAME, name.as_bytes(), out);
    });
}

/// We stop.
pub(crate) fn termination(out: &mut BytesMut) {
    message(Kind::Termination, out, |out| information(REASON, &ADMINISTRATIVELY_CLOSED.to_be_bytes(), out));
}

/// A session is Established on these ends, local and remote, with these OPENs, sent and received.
pub(crate) fn peer_up(
    peer: &Peer,
    at: Duration,
    (local, remote): (SocketAddr, SocketAddr),
    opens: [&[u8]; 2],
    out: &mut BytesMut,
) {
    message(Kind::PeerUp, out, |out| {
        per_peer_header(peer, at, out);
        address(local.ip(), out);
        out.put_u16(local.port());
        out.put_u16(remote.port());
        opens.iter().for_each(|open| out.put_slice(open));
    });
}

/// A session has ended.
pub(crate) fn peer_down(peer: &Peer, at: Duration, down: Down<'_>, out: &mut BytesMut) {
    message(Kind::PeerDown, out, |out| {
        per_peer_header(peer, at, out);
        match down {
            Down::Sent(notification) => {
                out.put_u8(1);
                notification.write(out);
            }
            Down::Received(notification) => {
                out.put_u8(3);
                notification.write(out);
            }
            Down::Left => {
                out.put_u8(2);
                out.put_u16(AUTOMATIC_STOP);
            }
            Down::Closed => out.put_u8(4),
        }
    });
}

/// An UPDATE of a neighbor, before policy.
pub(crate) fn route_monitoring(peer: &Peer, at: Duration, update: &[u8], out: &mut BytesMut) {
    message(Kind::RouteMonitoring, out, |out| {
        per_peer_header(peer, at, out);
        out.put_slice(update);
    });
}

/// How much there is of a session.
pub(crate) fn statistics_report(peer: &Peer, at: Duration, gauges: &[Gauge], out: &mut BytesMut) {
    message(Kind::StatisticsReport, out, |out| {
        per_peer_header(peer, at, out);
        out.put_u32(gauges.len() as u32);
        for gauge in gauges {
            match *gauge {
                Gauge::Received(count) => information(7, &count.to_be_bytes(), out),
                Gauge::LocRib(count) => information(8, &count.to_be_bytes(), out),
                Gauge::ReceivedOf(family, count) => {
                    let (afi, safi) = family.afi_safi();
                    out.put_u16(9);
                    out.put_u16(11);
                    out.put_u16(afi);
                    out.put_u8(safi);
                    out.put_u64(count);
                }
            }
        }
    });
}

fn message(kind: Kind, out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u8(VERSION);
    let length_at = out.len();
    out.put_u32(0);
    out.put_u8(kind as u8);
    body(out);
    let length = (out.len() - start) as u32; // a BGP message or two, and little more
    out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
}

/// RFC 7854 §4.2: of the global instance, Adj-RIB-In before policy.
fn per_peer_header(peer: &Peer, at: Duration, out: &mut BytesMut) {
    let ipv6 = if peer.address.is_ipv6() { IPV6 } else { 0 };
    let legacy = if peer.two_octet_as { LEGACY_AS_PATH } else { 0 };
    out.put_u8(0); // Global Instance Peer
    out.put_u8(ipv6 | legacy);
    out.put_u64(0); // no distinguisher
    address(peer.address, out);
    out.put_u32(peer.asn.get());
    out.put_slice(&peer.router_id.address().octets());
    out.put_u32(at.as_secs() as u32); // until 2106
    out.put_u32(at.subsec_micros());
}

/// In sixteen octets; an IPv4 address in the last four.
fn address(address: IpAddr, out: &mut BytesMut) {
    match address {
        IpAddr::V4(address) => {
            out.put_bytes(0, 12);
            out.put_slice(&address.octets());
        }
        IpAddr::V6(address) => out.put_slice(&address.octets()),
    }
}

fn information(kind: u16, value: &[u8], out: &mut BytesMut) {
    out.put_u16(kind);
    out.put_u16(value.len() as u16); // ours, and short
    out.put_slice(value);
}
