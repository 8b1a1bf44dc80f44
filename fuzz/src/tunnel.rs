//! Two devices and the network between them, driven by a list of operations: packets, datagrams that are lost, doubled,
//! reordered or changed, time, and changes of settings and routes. Whatever is done to them, nothing panics, no packet
//! comes out whose source the peer may not use, that was not sent or that came before, what waits for a session is
//! bounded, and once the network is whole again both talk.

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use wgd::device::{Device, Output, Rekey};
use wgd::offload::NetHeader;
use wgd::settings::{Endpoint, Mtu, PeerSettings, PresharedKey, PrivateKey, PublicKey, Settings};
use wgd::table::{Change, Group};

/// Instants of one run are relative to this.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Datagrams under way at a time; more are lost.
const UNDER_WAY: usize = 64;
/// Datagrams that one call makes at most: what waited for a session, and what the call is about.
const WAITING: usize = 1000;
/// Octets of a packet that was sent, behind its addresses: a number of its own.
const PACKET: usize = 24;

/// Runs the operations, one an octet with the octets that it needs behind it.
pub fn tunnel(data: &[u8]) {
    let mut pair = Pair::new();
    let mut octets = data.iter().copied();
    while let Some(operation) = octets.next() {
        let mut next = || octets.next().unwrap_or_default();
        let side = usize::from(operation >> 7);
        match operation & 0x0f {
            0 | 1 => pair.send(side, next()),
            2 | 3 => pair.deliver(side, usize::from(next())),
            4 => drop(pair.under_way[side].pop_front()),
            5 => pair.double(side),
            6 => pair.change(side, next(), next()),
            7 => pair.pass(Duration::from_millis(u64::from(next()) * 4)),
            8 => pair.pass(Duration::from_secs(u64::from(next()) % 200)),
            9 => pair.settings(side, next()),
            10 => pair.route(side, next()),
            11 => pair.stranger(side, next(), next()),
            12 => pair.super_segment(side, [next(), next(), next(), next()]),
            13 => pair.rekey(side, if next() % 2 == 0 { Rekey::Rekey } else { Rekey::Reset }),
            _ => pair.deliver_all(),
        }
    }
    pair.heal();
}

struct Pair {
    now: Instant,
    devices: [Device; 2],
    /// To each of them.
    under_way: [VecDeque<Vec<u8>>; 2],
    out: Output,
    /// Whether each has the other as a peer, and which preshared key it has for it.
    settings: [(bool, u8); 2],
    /// Numbers of packets with an allowed source that were sent to each, and of those that came.
    sent: [BTreeSet<u32>; 2],
    number: u32,
    received: [u32; 2],
}

fn address(side: usize) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1 + side as u8), 51820).into()
}

fn key(side: usize) -> PublicKey {
    PrivateKey([1 + side as u8; 32].into()).public_key()
}

fn settings(side: usize, (has_peer, preshared): (bool, u8)) -> Settings {
    let other = 1 - side;
    let peer = PeerSettings {
        preshared_key: (preshared > 0).then(|| PresharedKey([preshared; 32].into())),
        endpoint: Some(Endpoint::Address(address(other))),
        persistent_keepalive: Some(Duration::from_secs(10)),
        allowed_ips: format!("10.0.{other}.0/24").parse().ok().into_iter().collect(),
        watched: true,
        ..PeerSettings::new("other", key(other))
    };
    let private_key = PrivateKey([1 + side as u8; 32].into());
    Settings { mtu: Mtu::Octets(1420), ..Settings::new(private_key, has_peer.then_some(peer).into_iter().collect()) }
}

impl Pair {
    fn new() -> Self {
        let mut out = Output::default();
        let mut under_way = [VecDeque::new(), VecDeque::new()];
        let devices = [0, 1].map(|side| {
            let device = Device::new(*START, settings(side, (true, 0)), side as u64, &mut out);
            take(&mut out, &mut under_way[1 - side]);
            device
        });
        let settings = [(true, 0); 2];
        Self { now: *START, devices, under_way, out, settings, sent: Default::default(), number: 0, received: [0; 2] }
    }

    /// A packet from a side; of four in turn the source of the second is nobody's, and the third goes nowhere.
    fn send(&mut self, side: usize, kind: u8) {
        self.number += 1;
        let mut packet = vec![0; PACKET];
        packet[0] = 0x45;
        packet[3] = PACKET as u8;
        packet[12..16].copy_from_slice(&[10, if kind % 4 == 1 { 9 } else { 0 }, side as u8, 1]);
        packet[16..20].copy_from_slice(&[10, if kind % 4 == 2 { 9 } else { 0 }, 1 - side as u8, 1]);
        packet[20..].copy_from_slice(&self.number.to_be_bytes());
        if kind % 4 != 1 {
            self.sent[1 - side].insert(self.number);
        }
        packet.resize(PACKET + 15, 0);
        self.devices[side].outbound(self.now, &mut packet, PACKET, &mut self.out);
        self.take(side);
    }

    /// Something that a host may claim to be a super-segment.
    fn super_segment(&mut self, side: usize, [kind, start, offset, segment]: [u8; 4]) {
        let header = NetHeader::parse(&[1, kind % 8, 20, 0, segment, 0, start, 0, offset, 0]);
        let mut packet = vec![0x5a; 200];
        packet[..4].copy_from_slice(&[0x45, 0, 0, 200]);
        // A source that nobody may use: none of it comes out
        packet[9] = if kind & 0x80 == 0 { 6 } else { 17 };
        packet[12..16].copy_from_slice(&[10, 9, 9, 9]);
        packet[16..20].copy_from_slice(&[10, 0, 1 - side as u8, 1]);
        self.devices[side].outbound_offloaded(self.now, &header, &mut packet, 185, &mut self.out);
        self.take(side);
    }

    /// One of the datagrams under way arrives, which need not be the first.
    fn deliver(&mut self, side: usize, index: usize) {
        let count = self.under_way[side].len();
        if let Some(datagram) = index.checked_rem(count).and_then(|index| self.under_way[side].remove(index)) {
            self.arrive(side, &datagram);
        }
    }

    fn deliver_all(&mut self) {
        for _ in 0..4 * UNDER_WAY {
            self.deliver(0, 0);
            self.deliver(1, 0);
        }
    }

    fn double(&mut self, side: usize) {
        let datagram = self.under_way[side].front().filter(|_| self.under_way[side].len() < UNDER_WAY).cloned();
        self.under_way[side].extend(datagram);
    }

    fn change(&mut self, side: usize, at: u8, by: u8) {
        if let Some(datagram) = self.under_way[side].front_mut() {
            let length = datagram.len();
            if by == 0 {
                datagram.truncate(usize::from(at) % (length + 1));
            } else if let Some(octet) = usize::from(at).checked_rem(length).and_then(|at| datagram.get_mut(at)) {
                *octet ^= by;
            }
        }
    }

    /// A datagram of one who has no key.
    fn stranger(&mut self, side: usize, kind: u8, length: u8) {
        let mut datagram = vec![kind; usize::from(length)];
        if let Some(first) = datagram.get_mut(..4) {
            first.copy_from_slice(&[1 + kind % 4, 0, 0, 0]);
        }
        self.arrive(side, &datagram);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in [0, 1] {
            self.devices[side].tick(self.now, &mut self.out);
            assert!(self.devices[side].next_timeout().is_none_or(|next| next > self.now), "due, and not done");
            self.take(side);
        }
    }

    /// The peer goes, comes, or has another preshared key.
    fn settings(&mut self, side: usize, kind: u8) {
        self.settings[side] = (kind & 1 == 0, (kind >> 1) % 3);
        self.devices[side].settings(self.now, settings(side, self.settings[side]), &mut self.out);
        self.take(side);
    }

    /// A route that admits nothing that is sent here comes, changes or goes.
    fn route(&mut self, side: usize, kind: u8) {
        let prefix = format!("10.{}.0.0/16", 20 + kind % 8).parse().ok();
        let keys = || vec![key(1 - side)];
        let group = Group { send: keys(), backup: Vec::new(), accept: if kind & 8 == 0 { keys() } else { Vec::new() } };
        let group = (kind & 0x80 == 0).then_some(group);
        self.devices[side].table(self.now, prefix.map(|prefix| Change { prefix, group }));
    }

    fn arrive(&mut self, side: usize, datagram: &[u8]) {
        self.devices[side].inbound(self.now, address(1 - side), datagram, &mut self.out);
        self.take(side);
    }

    fn take(&mut self, side: usize) {
        assert!(self.out.datagrams.len() <= WAITING, "more waited than may");
        for (packet, ()) in self.out.packets.iter() {
            assert_eq!(packet.len(), PACKET, "what nobody sent came out");
            assert_eq!(packet[12..15], [10, 0, 1 - side as u8], "a source that is not the peer's");
            let number = packet[20..].iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
            // Each once: a second one is a replay
            assert!(self.sent[side].remove(&number), "packet {number} was not sent, or came before");
            self.received[side] += 1;
        }
        self.out.packets.clear();
        take(&mut self.out, &mut self.under_way[1 - side]);
    }

    /// As the operator says it. That there is no peer just now is no matter.
    fn rekey(&mut self, side: usize, how: Rekey) {
        let _ = self.devices[side].rekey(self.now, "other", how, &mut self.out);
        self.take(side);
    }

    /// The network is whole, and both know each other again: within minutes a packet passes each way.
    fn heal(&mut self) {
        for side in [0, 1] {
            self.under_way[side].clear();
            self.settings[side] = (true, 0);
            self.devices[side].settings(self.now, settings(side, (true, 0)), &mut self.out);
            self.take(side);
            // boringtun waits by a clock of its own, which does not pass here
            self.rekey(side, Rekey::Reset);
        }
        for _ in 0..60 {
            let before = self.received;
            self.deliver_all();
            self.send(0, 0);
            self.send(1, 0);
            self.deliver_all();
            if self.received.iter().zip(before).all(|(now, before)| *now > before) {
                return;
            }
            self.pass(Duration::from_secs(5));
        }
        panic!("both are there and do not talk");
    }
}

/// Datagrams that a device made are under way.
fn take(out: &mut Output, under_way: &mut VecDeque<Vec<u8>>) {
    for (datagram, _) in out.datagrams.iter() {
        if under_way.len() < UNDER_WAY {
            under_way.push_back(datagram.to_vec());
        }
    }
    out.datagrams.clear();
    out.events.clear();
}
