//! Properties of the tunnel's core: whatever arrives, nothing panics and nothing is let through unauthenticated.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ::wgd::batch::Batch;
use ::wgd::device::{Device, Output};
use ::wgd::mss;
use ::wgd::offload::{Accepts, Coalescer, Kind, NetHeader, fragment, split};
use ::wgd::packet::Header;
use ::wgd::settings::{Endpoint, Mtu, PeerSettings, PrivateKey, Settings};

/// Instants of one run are relative to this.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A device with one peer of which nothing is probed.
fn device(out: &mut Output) -> Device {
    with_mtu(1420, out)
}

/// A device with one peer, which everything is routed to and admitted from.
fn with_mtu(mtu: u16, out: &mut Output) -> Device {
    let peer = PeerSettings {
        endpoint: Some(Endpoint::Address(from())),
        allowed_ips: ["0.0.0.0/0", "::/0"].iter().filter_map(|prefix| prefix.parse().ok()).collect(),
        watched: true,
        ..PeerSettings::new("peer", PrivateKey([2; 32].into()).public_key())
    };
    let settings = Settings { mtu: Mtu::Octets(mtu), ..Settings::new(PrivateKey([1; 32].into()), vec![peer]) };
    Device::new(*START, settings, 1, out)
}

fn from() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 51820).into()
}

/// Datagrams of one who has no key: no packet comes out, and each is counted.
pub fn datagrams(data: &[u8]) {
    let mut out = Output::default();
    let mut device = device(&mut out);
    let mut count = 0;
    for datagram in pieces(data) {
        device.inbound(*START, from(), datagram, &mut out);
        count += 1;
    }
    assert!(out.packets.is_empty());
    let peers = device.peers(*START);
    let of_peers = peers.iter().flat_map(|peer| peer.drops.values());
    assert_eq!(of_peers.chain(device.drops().values()).sum::<u64>(), count);
}

/// Packets from the host: whole ones become datagrams or wait, all others are counted as malformed.
pub fn packets(data: &[u8]) {
    let mut out = Output::default();
    let mut device = device(&mut out);
    let mut malformed = 0;
    for packet in pieces(data) {
        malformed += u64::from(Header::parse(packet).is_none());
        let mut buffer = packet.to_vec();
        device.outbound(*START, &mut buffer, packet.len(), &mut out);
    }
    assert_eq!(device.drops().get("malformed").copied().unwrap_or(0), malformed);
    device.tick(*START + Duration::from_secs(30), &mut out);
}

/// A packet that may not fit: it waits whole or in fragments that fit, or its sender is told so by a packet that is one.
pub fn oversize(data: &[u8]) {
    let Some((mtu, packet)) = data.split_first_chunk() else { return };
    let mtu = u16::from_be_bytes(*mtu).max(576);
    let mut out = Output::default();
    let mut device = with_mtu(mtu, &mut out);
    let Some(header) = Header::parse(packet) else { return };
    let mut buffer = packet.to_vec();
    device.outbound(*START, &mut buffer, packet.len(), &mut out);
    let drops = device.peers(*START).iter().flat_map(|peer| peer.drops.get("too big").copied()).sum::<u64>();
    assert!(drops == 0 || header.length > usize::from(mtu));
    assert!(out.packets.len() as u64 <= drops, "an error about what was sent");
    for (error, ()) in out.packets.iter() {
        let told = Header::parse(error).map(|header| (header.length, header.destination));
        assert_eq!(told, Some((error.len(), header.source)));
        assert!(error.len() <= 1280);
    }
    let mut fragments = Vec::new();
    let mut buffer = packet.to_vec();
    if !fragment(&mut buffer, &header, mtu, |buffer, len| fragments.push(buffer[..len].to_vec())) {
        return;
    }
    let carried: Vec<u8> =
        fragments.iter().filter_map(|piece| piece.get(Header::parse(piece)?.payload..)).flatten().copied().collect();
    assert_eq!(carried, &packet[header.payload..header.length]);
    assert!(fragments.iter().all(|piece| piece.len() <= usize::from(mtu)));
}

/// The MSS clamp touches at most the option and the checksum, never grows a value, and is done after one pass.
pub fn clamp(data: &[u8]) {
    let Some((mtu, packet)) = data.split_first_chunk() else { return };
    let mtu = u16::from_be_bytes(*mtu);
    let Some(header) = Header::parse(packet) else { return };
    let mut once = packet.to_vec();
    mss::clamp(&mut once, &header, mtu);
    let changed = packet.iter().zip(&once).filter(|(before, after)| before != after).count();
    assert!(changed <= 4, "{changed} octets changed");
    let mut twice = once.clone();
    mss::clamp(&mut twice, &header, mtu);
    assert_eq!(once, twice);
}

/// A packet behind the header that a TUN has before it: no packet that is made of it has another payload than it had, or
/// is longer than the MTU where it may be cut; and their checksums are right if its partial one was.
pub fn super_segments(data: &[u8]) {
    const MTU: u16 = 200;
    let Some((header, packet)) = data.split_first_chunk() else { return };
    let header = NetHeader::parse(header);
    let Some(length) = Header::parse(packet).map(|header| header.length) else { return };
    let mut buffer = packet.to_vec();
    if header.kind != Kind::Single && !with_partial_checksum(&mut buffer[..length], &header) {
        return;
    }
    let mut packets = Vec::new();
    let taken = split(&header, &mut buffer, length, MTU, |buffer, len| {
        packets.push(buffer[..len].to_vec());
        let padding = buffer.len().min(len + 15);
        buffer[len..padding].fill(0xee);
    });
    assert_eq!(taken, !packets.is_empty());
    if !taken || header.kind == Kind::Single {
        return;
    }
    let transport = usize::from(header.checksum_start);
    let headers = transport + if header.kind == Kind::Udp { 8 } else { usize::from(packet[transport + 12] >> 4) * 4 };
    let carried: Vec<u8> = packets.iter().flat_map(|packet| &packet[headers..]).copied().collect();
    assert_eq!(carried, &packet[headers..length]);
    for packet in packets {
        assert_eq!(Header::parse(&packet).map(|header| header.length), Some(packet.len()));
        assert!(header.kind == Kind::Udp || packet.len() <= usize::from(MTU));
        assert_eq!(naive(&[&pseudo(&packet, transport), &packet[transport..]]), 0);
    }
}

/// As the host would have written it. False: there is no place for it.
fn with_partial_checksum(packet: &mut [u8], header: &NetHeader) -> bool {
    let transport = usize::from(header.checksum_start);
    let at = transport + usize::from(header.checksum_offset);
    if transport < 20 || transport > packet.len() || at + 2 > packet.len() || (packet[0] >> 4 == 6 && transport < 40) {
        return false;
    }
    let sum = !naive(&[&pseudo(packet, transport)]);
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    true
}

/// Packets from the tunnel: what the host makes of what it is written is what came, in the order of each flow.
pub fn coalesced(data: &[u8]) {
    let packets: Vec<&[u8]> =
        pieces(data).map(|piece| Header::parse(piece).map_or(piece, |header| &piece[..header.length])).collect();
    let mut batch = Batch::default();
    for packet in &packets {
        batch.room()[..packet.len()].copy_from_slice(packet);
        batch.push(packet.len(), ());
    }
    let mut coalescer = Coalescer::default();
    coalescer.coalesce(&mut batch, Accepts { tcp: true, udp: true });
    let mut taken_apart = Vec::new();
    for run in coalescer.runs() {
        let mut octets = batch.get(run.first).unwrap_or_default().to_vec();
        for index in coalescer.others(run) {
            octets.extend(&batch.get(index).unwrap_or_default()[run.header_len()..]);
        }
        let len = octets.len();
        assert!(split(&run.header, &mut octets, len, u16::MAX, |buffer, len| taken_apart.push(buffer[..len].to_vec())));
    }
    let of_flow = |packet: &[u8]| Header::parse(packet).map_or(0, |header| header.flow(packet));
    let mut expected: Vec<Vec<u8>> = packets.into_iter().map(<[u8]>::to_vec).collect();
    for packets in [&mut taken_apart, &mut expected] {
        packets.iter_mut().for_each(|packet| comparable(packet));
        packets.sort_by_key(|packet| of_flow(packet)); // stable
    }
    assert_eq!(taken_apart, expected);
}

/// Without what may differ: an identification that says nothing, and of checksums which zero it is.
fn comparable(packet: &mut [u8]) {
    let Some(header) = Header::parse(packet) else { return };
    let is_ipv4 = header.source.is_ipv4();
    if is_ipv4 && packet[6] & 0x40 != 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    let checksum = header.payload + if header.protocol == 6 { 16 } else { 6 };
    if packet.get(checksum..checksum + 2) == Some(&[0xff; 2]) {
        packet[checksum..checksum + 2].fill(0);
    }
}

/// Addresses, protocol and length, as TCP and UDP sum them.
fn pseudo(packet: &[u8], transport: usize) -> Vec<u8> {
    let (addresses, protocol) = if packet[0] >> 4 == 6 { (&packet[8..40], 6) } else { (&packet[12..20], 9) };
    let length = ((packet.len() - transport) as u16).to_be_bytes();
    [addresses, &[0, packet[protocol]], &length].concat()
}

/// The Internet checksum, one word at a time.
fn naive(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for word in parts.concat().chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Pieces, each behind an octet with its length; 255 means 148, the length of an initiation.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first()?;
        let length = if *length == 255 { 148 } else { usize::from(*length) };
        let (piece, rest) = rest.split_at(length.min(rest.len()));
        data = rest;
        Some(piece)
    })
}
