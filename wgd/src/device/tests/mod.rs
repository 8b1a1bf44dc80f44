//! Two devices and the network between them, in virtual time.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::*;
use crate::settings::{Endpoint, Mtu, PeerSettings, PresharedKey, PrivateKey};
use crate::table::Group;

mod fault;
mod handshake;
mod liveness;
mod offload;
mod path;
mod reconcile;
mod rotation;
mod routing;
mod rules;
mod settings;
mod timers;
mod transport;
mod weather;

/// One end of the wire.
struct End {
    device: Device,
    settings: Settings,
    address: SocketAddr,
    out: Output,
    /// What its host received.
    received: Vec<Vec<u8>>,
    events: Vec<Event>,
}

/// Alice is 10.0.0.1 and fd00::1, Bob 10.0.0.2 and fd00::2.
struct Pair {
    alice: End,
    bob: End,
    now: Instant,
}

fn private_key(number: u8) -> PrivateKey {
    PrivateKey(Zeroizing::new([number; 32]))
}

fn public_key(number: u8) -> PublicKey {
    private_key(number).public_key()
}

fn preshared_key(number: u8) -> Option<PresharedKey> {
    Some(PresharedKey(Zeroizing::new([number; 32])))
}

fn peer(number: u8, endpoint: Option<SocketAddr>) -> PeerSettings {
    PeerSettings {
        endpoint: endpoint.map(Endpoint::Address),
        allowed_ips: vec![
            format!("10.0.0.{number}/32").parse().unwrap(),
            format!("fd00::{number}/128").parse().unwrap(),
        ],
        ..PeerSettings::new(format!("peer {number}"), public_key(number))
    }
}

fn settings(number: u8, peers: Vec<PeerSettings>) -> Settings {
    Settings { mtu: Mtu::Octets(1420), ..Settings::new(private_key(number), peers) }
}

fn udp_address(number: u8) -> SocketAddr {
    SocketAddr::new([192, 0, 2, number].into(), 51820)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// An IP packet (protocol 59: no next header) with a recognizable payload.
fn packet(source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    match (source.parse().unwrap(), destination.parse().unwrap()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = (20 + payload.len() as u16).to_be_bytes();
            let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 59, 0, 0];
            packet.extend(source.octets());
            packet.extend(destination.octets());
            packet.extend(payload);
            packet
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let length = (payload.len() as u16).to_be_bytes();
            let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], 59, 64];
            packet.extend(source.octets());
            packet.extend(destination.octets());
            packet.extend(payload);
            packet
        }
        _ => panic!("one family a packet"),
    }
}

impl End {
    fn new(now: Instant, number: u8, settings: Settings) -> Self {
        let mut out = Output::default();
        let device = Device::new(now, settings.clone(), u64::from(number), &mut out);
        let address = udp_address(number);
        Self { device, settings, address, out, received: Vec::new(), events: Vec::new() }
    }

    fn send(&mut self, now: Instant, packet: &[u8]) {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + 15, 0xee); // padding must not leak what was here
        self.device.outbound(now, &mut buffer, packet.len(), &mut self.out);
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        self.device.inbound(now, from, datagram, &mut self.out);
    }

    fn change(&mut self, now: Instant, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.device.settings(now, self.settings.clone(), &mut self.out);
    }

    /// What waits to go out; the rest is kept for the host.
    fn take(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.received.extend(self.out.packets.iter().map(|(packet, ())| packet.to_vec()));
        self.events.append(&mut self.out.events);
        let datagrams =
            self.out.datagrams.iter().map(|(datagram, envelope)| (envelope.to, datagram.to_vec())).collect();
        self.out.datagrams.clear();
        self.out.packets.clear();
        datagrams
    }

    fn peer(&self, now: Instant) -> PeerView {
        self.device.peers(now).remove(0)
    }

    fn drops(&self, now: Instant, reason: &str) -> u64 {
        self.peer(now).drops.get(reason).copied().unwrap_or(0)
    }

    fn state(&self, now: Instant) -> PeerState {
        self.peer(now).state
    }
}

impl Pair {
    /// Alice knows where Bob is; Bob learns where Alice is.
    fn new() -> Self {
        Self::with(|_, _| {})
    }

    fn with(change: impl FnOnce(&mut PeerSettings, &mut PeerSettings)) -> Self {
        let now = Instant::now();
        let (mut bob, mut alice) = (peer(2, Some(udp_address(2))), peer(1, None));
        change(&mut bob, &mut alice);
        let alice_end = End::new(now, 1, settings(1, vec![bob]));
        Self { alice: alice_end, bob: End::new(now, 2, settings(2, vec![alice])), now }
    }

    /// With a session that both ends use.
    fn connected() -> Self {
        let mut pair = Self::new();
        pair.connect();
        pair
    }

    fn connect(&mut self) {
        self.ping();
        self.alice.received.clear();
        self.bob.received.clear();
    }

    /// One packet from Alice to Bob and one back.
    fn ping(&mut self) {
        self.alice.send(self.now, &packet("10.0.0.1", "10.0.0.2", b"ping"));
        self.settle();
        self.bob.send(self.now, &packet("10.0.0.2", "10.0.0.1", b"pong"));
        self.settle();
        assert_eq!(self.bob.received.pop().unwrap()[20..], *b"ping");
        assert_eq!(self.alice.received.pop().unwrap()[20..], *b"pong");
    }

    /// Carries datagrams until none is left.
    fn settle(&mut self) {
        loop {
            let (to_bob, to_alice) = (self.alice.take(), self.bob.take());
            if to_bob.is_empty() && to_alice.is_empty() {
                return;
            }
            for (_, datagram) in to_bob {
                self.bob.receive(self.now, self.alice.address, &datagram);
            }
            for (_, datagram) in to_alice {
                self.alice.receive(self.now, self.bob.address, &datagram);
            }
        }
    }

    /// Time passes and all datagrams arrive.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += TICK;
            self.alice.device.tick(self.now, &mut self.alice.out);
            self.bob.device.tick(self.now, &mut self.bob.out);
            self.settle();
        }
    }

    /// Time passes for Alice and nothing arrives; what she sent.
    fn run_alone(&mut self, time: Duration) -> Vec<(SocketAddr, Vec<u8>)> {
        let (end, mut sent) = (self.now + time, Vec::new());
        while self.now < end {
            self.now += TICK;
            self.alice.device.tick(self.now, &mut self.alice.out);
            sent.append(&mut self.alice.take());
        }
        sent
    }

    /// The one datagram that a packet of Alice's becomes.
    fn sealed(&mut self, packet: &[u8]) -> Vec<u8> {
        self.alice.send(self.now, packet);
        let mut datagrams = self.alice.take();
        assert_eq!(datagrams.len(), 1);
        datagrams.remove(0).1
    }
}
