//! Properties of what `wg` says to a tunnel: whatever it is, it makes a tunnel that can be told and set again, or nothing.

use std::collections::HashSet;
use std::time::Duration;

use ::wgd::Settings;
use ::wgd::settings::{Endpoint, Mtu, PeerSettings, PrivateKey};
use ::wgd::uapi::{Changes, Error, Reader, Request, Sockets, differences, state};
use ::wgd::view::{PeerState, PeerView};

const SOCKETS: Sockets = Sockets { listen_port: 51820, fwmark: 0 };

/// Lines of requests, one after the other, each to the tunnel that the one before has made.
pub fn requests(data: &[u8]) {
    let configured = configured();
    let mut tunnel = configured.clone();
    for changes in read(data).into_iter().flatten() {
        let Ok(changed) = changes.apply(&tunnel, &configured, &SOCKETS) else { continue };
        holds(&changed);
        // Said twice it is said once; but for what goes and comes anew.
        let again = changes.apply(&changed, &configured, &SOCKETS);
        assert!(again.is_ok_and(|again| keys(&again) == keys(&changed)));
        tunnel = changed;
    }
}

/// A peer is there once and is not ourselves; what is told of the tunnel makes the same again.
fn holds(tunnel: &Settings) {
    let own = tunnel.private_key.public_key();
    let peers = keys(tunnel);
    assert!(peers.len() == tunnel.peers.len() && !peers.contains(&own));
    let views: Vec<PeerView> = tunnel.peers.iter().map(view).collect();
    let told = state(tunnel, &SOCKETS, &views, Duration::ZERO);
    let can_be_set = |line: &&str| !["last_", "tx_", "rx_", "errno"].iter().any(|key| line.starts_with(key));
    let lines: Vec<&str> = told.trim_end().lines().filter(can_be_set).collect();
    let empty = Settings { peers: Vec::new(), ..tunnel.clone() };
    let made = read(format!("set=1\n{}\n\n", lines.join("\n")).as_bytes()).into_iter().flatten().next();
    let made = made.and_then(|changes| changes.apply(&empty, tunnel, &SOCKETS).ok());
    let mut taken = HashSet::new();
    let shared = tunnel.peers.iter().flat_map(|peer| &peer.allowed_ips).any(|prefix| !taken.insert(*prefix));
    assert!(shared || made.is_some_and(|made| differences(tunnel, &made).is_empty()), "{}", lines.join("\n"));
}

fn keys(tunnel: &Settings) -> HashSet<::wgd::settings::PublicKey> {
    tunnel.peers.iter().map(|peer| peer.public_key).collect()
}

/// What whole requests ask to be changed.
fn read(data: &[u8]) -> Vec<Result<Changes, Error>> {
    let mut reader = Reader::default();
    let asked = data.split(|octet| *octet == b'\n').filter_map(|line| reader.line(line));
    let changes = asked.filter_map(|asked| match asked {
        Ok(Request::Set(changes)) => Some(Ok(changes)),
        Ok(Request::Get) => None,
        Err(error) => Some(Err(error)),
    });
    changes.collect()
}

fn view(peer: &PeerSettings) -> PeerView {
    PeerView {
        name: peer.name.clone(),
        public_key: peer.public_key,
        endpoint: match peer.endpoint {
            Some(Endpoint::Address(address)) => Some(address),
            _ => None,
        },
        state: PeerState::Up,
        handshake_age: None,
        allowed_ips: peer.allowed_ips.clone(),
        allowed_ips_from_bgp: Vec::new(),
        receive_bytes: 0,
        transmit_bytes: 0,
        note: None,
        offloads: Vec::new(),
        drops: Default::default(),
        mtu: 1420,
        mtu_note: None,
        receive_packets: 0,
        transmit_packets: 0,
        queued_packets: 0,
        received_age: None,
        sent_age: None,
        handshakes: Default::default(),
    }
}

/// Two peers, one of them known to the corpus.
fn configured() -> Settings {
    let peer = |key: [u8; 32], prefix: &str| PeerSettings {
        persistent_keepalive: Some(Duration::from_secs(10)),
        allowed_ips: prefix.parse().into_iter().collect(),
        watched: true,
        ..PeerSettings::new("peer", PrivateKey(key.into()).public_key())
    };
    let peers = vec![peer([2; 32], "10.0.0.0/8"), peer([3; 32], "fd00::/8")];
    Settings { mtu: Mtu::Octets(1420), ..Settings::new(PrivateKey([1; 32].into()), peers) }
}
