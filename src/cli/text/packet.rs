//! A line a packet, as tcpdump has it, and a line a change of a peer.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use wgd::packet::Header;

use super::change::missed;
use super::tame;
use crate::control::api::{Direction, Packet, PacketLine, PeerChange, PeerChangeKind, PeerLine, PeerState};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// Letters of TCP's flags, from the lowest bit on.
const FLAGS: [char; 8] = ['F', 'S', 'R', 'P', '.', 'U', 'E', 'W'];

pub(in crate::cli) fn packet(line: &PacketLine) -> String {
    let Packet { at, direction, peer, length, packet } = match line {
        PacketLine::Missed { missed } => return missed_packets(*missed),
        PacketLine::Change(packet) => packet,
    };
    let direction = match direction {
        Direction::In => "in ",
        Direction::Out => "out",
    };
    let octets = BASE64_STANDARD.decode(packet).unwrap_or_default();
    format!("{at}  {direction}  {}  {}, {length} octets", tame(peer), content(&octets, *length))
}

/// Packets that had no room.
pub(in crate::cli) fn missed_packets(count: u64) -> String {
    match count {
        1 => "1 packet was missed".to_owned(),
        count => format!("{count} packets were missed"),
    }
}

pub(in crate::cli) fn peer_change(line: &PeerLine) -> String {
    match line {
        PeerLine::Missed { missed: count } => missed(*count),
        PeerLine::Change(change) => format!("{}  {}  {}", change.at, tame(&change.name), what(change)),
    }
}

fn what(
    PeerChange { change, before, state, endpoint, our_public_key, their_public_key, mtu, .. }: &PeerChange,
) -> String {
    let key = |key: &Option<String>| tame(key.as_deref().unwrap_or_default());
    match change {
        PeerChangeKind::State => {
            let before = before.map(|before| format!("{} -> ", state_name(before))).unwrap_or_default();
            format!("{before}{}", state.map(state_name).unwrap_or_default())
        }
        PeerChangeKind::Endpoint => endpoint.map(|endpoint| format!("at {endpoint}")).unwrap_or_default(),
        PeerChangeKind::Handshake => "handshake complete".to_owned(),
        PeerChangeKind::Keys => format!("our public key {}, its {}", key(our_public_key), key(their_public_key)),
        PeerChangeKind::Mtu => mtu.map(|mtu| format!("mtu {mtu}")).unwrap_or_default(),
    }
}

fn state_name(state: PeerState) -> &'static str {
    match state {
        PeerState::Up => "up",
        PeerState::Suspect => "suspect",
        PeerState::Down => "down",
    }
}

/// Who to whom, and what. Of a packet that was cut its length says what the header's field says.
fn content(octets: &[u8], length: usize) -> String {
    let mut whole = octets.to_vec();
    whole.resize(length.max(octets.len()), 0); // the header's length is checked against it
    let Some(header) = Header::parse(&whole) else { return "malformed".to_owned() };
    let Header { source, destination, protocol, .. } = header;
    let payload = octets.get(header.payload..).unwrap_or_default();
    let port = |at: usize| Some(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]));
    match (protocol, port(0), port(2)) {
        _ if header.fragment => format!("{source} > {destination}: fragment of protocol {protocol}"),
        (TCP | UDP, Some(from), Some(to)) => {
            let ends = format!("{} > {}", end(source, from), end(destination, to));
            let flags = payload.get(13).map(|flags| format!(" [{}]", tcp_flags(*flags))).unwrap_or_default();
            if protocol == TCP { format!("{ends}: TCP{flags}") } else { format!("{ends}: UDP") }
        }
        (ICMP | ICMPV6, Some(_), _) => {
            format!("{source} > {destination}: {}", icmp(protocol, payload[0], payload[1]))
        }
        _ => format!("{source} > {destination}: protocol {protocol}"),
    }
}

fn end(address: IpAddr, port: u16) -> String {
    SocketAddr::new(address, port).to_string()
}

fn tcp_flags(flags: u8) -> String {
    FLAGS.iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0).map(|(_, letter)| letter).collect()
}

/// RFC 792 and RFC 4443, as far as they have a word in everyday language.
fn icmp(protocol: u8, kind: u8, code: u8) -> String {
    let (name, what) = match (protocol, kind) {
        (ICMP, 0) => ("ICMP", "echo reply"),
        (ICMP, 3) => ("ICMP", "unreachable"),
        (ICMP, 8) => ("ICMP", "echo request"),
        (ICMP, 11) => ("ICMP", "time exceeded"),
        (ICMP, _) => return format!("ICMP type {kind} code {code}"),
        (_, 1) => ("ICMPv6", "unreachable"),
        (_, 2) => ("ICMPv6", "packet too big"),
        (_, 3) => ("ICMPv6", "time exceeded"),
        (_, 128) => ("ICMPv6", "echo request"),
        (_, 129) => ("ICMPv6", "echo reply"),
        _ => return format!("ICMPv6 type {kind} code {code}"),
    };
    format!("{name} {what}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn line(octets: &[u8], length: usize) -> PacketLine {
        PacketLine::Change(Packet {
            at: "2026-11-21T10:11:12.000213001Z".to_owned(),
            direction: Direction::Out,
            peer: "far".to_owned(),
            length,
            packet: BASE64_STANDARD.encode(octets),
        })
    }

    fn ipv4(protocol: u8, length: u16, payload: &[u8]) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let header = [0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        [&header[..], payload].concat()
    }

    #[test]
    fn a_packet_is_a_line_that_says_who_and_what() {
        let tcp = [0x9c, 0x40, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0];
        for (octets, length, said) in [
            (ipv4(6, 40, &tcp), 40, "10.0.0.1:40000 > 10.0.0.2:443: TCP [S.], 40 octets"),
            (ipv4(6, 1400, &tcp[..4]), 1400, "10.0.0.1:40000 > 10.0.0.2:443: TCP, 1400 octets"),
            (ipv4(1, 28, &[8, 0, 0, 0, 0, 0, 0, 0]), 28, "10.0.0.1 > 10.0.0.2: ICMP echo request, 28 octets"),
            (ipv4(89, 22, &[2, 1]), 22, "10.0.0.1 > 10.0.0.2: protocol 89, 22 octets"),
            (vec![0x15, 0, 0, 5, 0], 5, "malformed, 5 octets"),
        ] {
            let text = packet(&line(&octets, length));
            assert_eq!(text, format!("2026-11-21T10:11:12.000213001Z  out  far  {said}"));
        }
        assert_eq!(packet(&PacketLine::Missed { missed: 2 }), "2 packets were missed");
    }

    #[test]
    fn a_change_of_a_peer_is_a_line() {
        let change = PeerChange {
            at: "2026-11-21T10:11:12.000213Z".to_owned(),
            name: "far".to_owned(),
            public_key: String::new(),
            change: PeerChangeKind::State,
            before: Some(PeerState::Up),
            state: Some(PeerState::Suspect),
            endpoint: None,
            our_public_key: None,
            their_public_key: None,
            mtu: None,
        };
        let at = |change: PeerChange| peer_change(&PeerLine::Change(change));
        assert_eq!(at(change.clone()), "2026-11-21T10:11:12.000213Z  far  up -> suspect");
        let endpoint = "192.0.2.7:51820".parse().ok();
        let moved = PeerChange { change: PeerChangeKind::Endpoint, endpoint, ..change.clone() };
        assert_eq!(at(moved), "2026-11-21T10:11:12.000213Z  far  at 192.0.2.7:51820");
        let keyed = PeerChange { change: PeerChangeKind::Handshake, ..change.clone() };
        assert_eq!(at(keyed), "2026-11-21T10:11:12.000213Z  far  handshake complete");
        let [our_public_key, their_public_key] = ["new=", "old="].map(|key| Some(key.to_owned()));
        let rotated = PeerChange { change: PeerChangeKind::Keys, our_public_key, their_public_key, ..change.clone() };
        assert_eq!(at(rotated), "2026-11-21T10:11:12.000213Z  far  our public key new=, its old=");
        let shorter = PeerChange { change: PeerChangeKind::Mtu, mtu: Some(1220), ..change };
        assert_eq!(at(shorter), "2026-11-21T10:11:12.000213Z  far  mtu 1220");
    }
}
