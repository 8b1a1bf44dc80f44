//! What there is, as text.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::{Error, Sockets};
use crate::settings::{PeerSettings, PrivateKey, PublicKey, Settings};
use crate::view::PeerView;

/// No line but those of allowed IPs has more than 100 octets: of a tunnel, and of a peer.
const TUNNEL: usize = 256;
const PEER: usize = 1024;
const ALLOWED_IP: usize = 64;

/// The answer to `get=1`, with its end. `now` is since 1970. Allowed IPs are the static ones and those that the routing
/// table adds: what is shown is what is let in.
pub fn state(settings: &Settings, sockets: &Sockets, peers: &[PeerView], now: Duration) -> Zeroizing<String> {
    let views: HashMap<&PublicKey, &PeerView> = peers.iter().map(|view| (&view.public_key, view)).collect();
    let prefixes = |peer: &PeerSettings| {
        peer.allowed_ips.len() + views.get(&peer.public_key).map_or(0, |view| view.allowed_ips_from_bgp.len())
    };
    // It never grows, which would leave copies of keys behind.
    let room = TUNNEL + settings.peers.iter().map(|peer| PEER + ALLOWED_IP * prefixes(peer)).sum::<usize>();
    let mut text = Text(Zeroizing::new(String::with_capacity(room)));
    text.key("private_key", &clamped(leading(settings, now)));
    if sockets.listen_port != 0 {
        text.line("listen_port", sockets.listen_port);
    }
    if sockets.fwmark != 0 {
        text.line("fwmark", sockets.fwmark);
    }
    for peer in &settings.peers {
        text.peer(peer, views.get(&peer.public_key).copied(), now);
    }
    text.0.push_str(&errno(&Ok(())));
    text.0
}

/// How an answer ends; all there is of one to `set=1`. The number is negative, as `wg` expects it.
pub fn errno(done: &Result<(), Error>) -> String {
    let number = done.as_ref().map_or_else(|error| -(error.errno as i32), |()| 0);
    format!("errno={number}\n\n")
}

/// The private key that sessions are begun with now.
fn leading(settings: &Settings, now: Duration) -> &PrivateKey {
    let next = settings.next_private_key.as_ref().filter(|next| next.from <= UNIX_EPOCH + now);
    next.map_or(&settings.private_key, |next| &next.key)
}

/// Of the private keys that are one and the same on the curve, the one that every implementation shows: RFC 7748 §5.
fn clamped(key: &PrivateKey) -> Zeroizing<[u8; 32]> {
    let mut key = key.0.clone();
    key[0] &= 248;
    key[31] = key[31] & 127 | 64;
    key
}

struct Text(Zeroizing<String>);

impl Text {
    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{key}={value}");
    }

    fn key(&mut self, name: &str, key: &[u8; 32]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.0.push_str(name);
        self.0.push('=');
        for octet in key {
            for digit in [octet >> 4, octet & 15] {
                self.0.push(DIGITS[usize::from(digit)].into());
            }
        }
        self.0.push('\n');
    }

    fn peer(&mut self, peer: &PeerSettings, view: Option<&PeerView>, now: Duration) {
        self.key("public_key", &peer.public_key.0);
        self.key("preshared_key", peer.preshared_key.as_ref().map_or(&[0; 32], |key| &key.0));
        self.line("protocol_version", 1);
        if let Some(endpoint) = view.and_then(|view| view.endpoint) {
            self.line("endpoint", endpoint);
        }
        let handshake = view.and_then(|view| view.handshake_age).map(|age| now.saturating_sub(age)).unwrap_or_default();
        self.line("last_handshake_time_sec", handshake.as_secs());
        self.line("last_handshake_time_nsec", handshake.subsec_nanos());
        self.line("tx_bytes", view.map_or(0, |view| view.transmit_bytes));
        self.line("rx_bytes", view.map_or(0, |view| view.receive_bytes));
        self.line("persistent_keepalive_interval", peer.persistent_keepalive.map_or(0, seconds));
        let routed = view.map(|view| view.allowed_ips_from_bgp.as_slice()).unwrap_or_default();
        let mut shown = HashSet::new();
        for prefix in peer.allowed_ips.iter().chain(routed).map(ipnet::IpNet::trunc) {
            if shown.insert(prefix) {
                self.line("allowed_ip", prefix);
            }
        }
    }
}

/// Whole seconds, not fewer than there are: 0 would be none.
fn seconds(interval: Duration) -> u16 {
    let whole = interval.as_secs() + u64::from(interval.subsec_nanos() > 0);
    whole.min(u16::MAX.into()) as u16
}
