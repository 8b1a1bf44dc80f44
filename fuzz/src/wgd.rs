//! Properties of the tunnel's core: whatever arrives, nothing panics and nothing is let through unauthenticated.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ::wgd::device::{Device, Output};
use ::wgd::mss;
use ::wgd::packet::Header;
use ::wgd::settings::{Endpoint, PeerSettings, PrivateKey, Settings};

/// Instants of one run are relative to this.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A device with one peer, which everything is routed to and admitted from.
fn device(out: &mut Output) -> Device {
    let peer = PeerSettings {
        name: "peer".to_owned(),
        public_key: PrivateKey([2; 32].into()).public_key(),
        preshared_key: None,
        endpoint: Some(Endpoint::Address(from())),
        persistent_keepalive: None,
        allowed_ips: ["0.0.0.0/0", "::/0"].iter().filter_map(|prefix| prefix.parse().ok()).collect(),
        watched: true,
    };
    let settings = Settings { private_key: PrivateKey([1; 32].into()), peers: vec![peer], clamp_mss: true, mtu: 1420 };
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
