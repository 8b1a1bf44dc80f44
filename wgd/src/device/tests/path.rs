//! Paths that take less than their ends, and packets that do not fit.

use super::*;
use crate::envelope::Ecn;
use crate::packet::Header;
use crate::samples::{Sample, naive, transport_checksum};

/// Octets of IPv4, UDP and WireGuard.
const OVERHEAD: usize = 60;

impl Pair {
    /// Both ends have addresses to ask each other by, and follow what they find.
    fn probing() -> Self {
        let mut pair = Self::new();
        for (end, address) in [(&mut pair.alice, 1), (&mut pair.bob, 2)] {
            end.change(pair.now, |settings| {
                settings.mtu = Mtu::Auto;
                settings.addresses = vec![
                    format!("10.0.0.{address}/30").parse().unwrap(),
                    format!("fd00::{address}/126").parse().unwrap(),
                ];
            });
        }
        pair
    }

    /// Time passes; datagrams arrive that the path takes, and both hosts answer pings.
    fn run_through(&mut self, path: usize, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += TICK;
            self.alice.device.tick(self.now, &mut self.alice.out);
            self.bob.device.tick(self.now, &mut self.bob.out);
            self.settle_through(path);
        }
    }

    fn settle_through(&mut self, path: usize) {
        loop {
            let (to_bob, to_alice) = (self.alice.take(), self.bob.take());
            if to_bob.is_empty() && to_alice.is_empty() {
                return;
            }
            let fits = |(_, datagram): &(SocketAddr, Vec<u8>)| datagram.len() + 28 <= path;
            for (_, datagram) in to_bob.into_iter().filter(fits) {
                self.bob.receive(self.now, self.alice.address, &datagram);
            }
            for (_, datagram) in to_alice.into_iter().filter(fits) {
                self.alice.receive(self.now, self.bob.address, &datagram);
            }
            for end in [&mut self.alice, &mut self.bob] {
                end.received.extend(end.out.packets.iter().map(|(packet, ())| packet.to_vec()));
                end.out.packets.clear();
                let (asked, others) = end.received.drain(..).partition(|packet| is_ping(packet));
                end.received = others;
                for request in asked {
                    end.send(self.now, &pong(request));
                }
            }
        }
    }

    fn mtus(&self) -> [u16; 2] {
        [&self.alice, &self.bob].map(|end| end.peer(self.now).mtu)
    }
}

fn is_ping(packet: &[u8]) -> bool {
    Header::parse(packet).is_some_and(|header| header.protocol == 1 && packet[header.payload] == 8)
}

/// As a host answers.
fn pong(mut packet: Vec<u8>) -> Vec<u8> {
    let [source, destination]: [[u8; 4]; 2] = [12, 16].map(|at| packet[at..at + 4].try_into().unwrap());
    packet[12..16].copy_from_slice(&destination);
    packet[16..20].copy_from_slice(&source);
    (packet[6], packet[20]) = (0, 0);
    packet
}

/// UDP from Alice to Bob; their samples' addresses are theirs.
fn datagram(octets: usize, dont_fragment: bool) -> Vec<u8> {
    let payload = (0..octets - 28).map(|at| (at % 251) as u8).collect();
    Sample { dont_fragment, payload, ..Sample::new(false, true) }.packet()
}

#[test]
fn both_ends_find_what_the_path_takes_and_their_devices_follow() {
    let mut pair = Pair::probing();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"ping"));
    pair.run_through(1400, seconds(20));
    assert_eq!(pair.mtus(), [1400 - OVERHEAD as u16; 2]);
    for end in [&pair.alice, &pair.bob] {
        assert_eq!(end.events.iter().rfind(|event| matches!(event, Event::Mtu(_))), Some(&Event::Mtu(1340)));
        let told = end.events.iter().rev().find_map(|event| match event {
            Event::PeerMtu(peer, mtu) => Some((*peer, *mtu)),
            _ => None,
        });
        assert_eq!(told, Some((end.peer(pair.now).public_key, 1340)));
        assert_eq!(end.peer(pair.now).mtu_note, None);
        assert!(end.received.iter().all(|packet| packet.len() == 24), "no answer reaches a host");
    }
}

#[test]
fn a_path_that_becomes_shorter_is_noticed_once_long_packets_are_sent() {
    let mut pair = Pair::probing();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"ping"));
    pair.run_through(1500, seconds(10));
    assert_eq!(pair.mtus(), [1440; 2]);
    pair.run_through(1300, seconds(30));
    assert_eq!(pair.mtus(), [1440; 2], "nobody asks while nothing is sent");
    for _ in 0..40 {
        pair.alice.send(pair.now, &datagram(1000, true));
        pair.bob.send(pair.now, &pong(datagram(1000, true)));
        pair.run_through(1300, TICK);
    }
    assert_eq!(pair.mtus(), [1240; 2]);
}

#[test]
fn a_peer_without_an_address_of_its_own_or_that_does_not_answer_is_shown() {
    let mut pair = Pair::probing();
    pair.alice.change(pair.now, |settings| settings.peers[0].allowed_ips = vec!["10.0.0.0/8".parse().unwrap()]);
    let note = pair.alice.peer(pair.now).mtu_note.unwrap();
    assert_eq!(note, "not probed yet", "the other address of a link of two");
    pair.alice.change(pair.now, |settings| settings.addresses = vec!["10.0.0.1/24".parse().unwrap()]);
    assert_eq!(
        (pair.alice.peer(pair.now).mtu, pair.alice.peer(pair.now).mtu_note.unwrap().as_str()),
        (1280, "not probed: allowed-ips hold no address of the peer itself")
    );
    let mut pair = Pair::probing();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"ping"));
    pair.run(seconds(10)); // hosts that answer no ping
    let note = pair.alice.peer(pair.now).mtu_note.unwrap();
    assert_eq!((pair.mtus(), note.as_str()), ([1280; 2], "not probed: no answer to a ping from 10.0.0.2, fd00::2"));
}

#[test]
fn what_must_not_be_fragmented_is_dropped_and_its_sender_told_but_not_without_end() {
    let mut pair = Pair::connected();
    pair.alice.change(pair.now, |settings| settings.icmp_sources = vec!["192.0.2.99".parse().unwrap()]);
    for _ in 0..1000 {
        pair.alice.send(pair.now, &datagram(1421, true));
        pair.settle();
    }
    assert_eq!((pair.alice.drops(pair.now, "too big"), pair.bob.received.len()), (1000, 0));
    assert!((10..200).contains(&pair.alice.received.len()), "{} errors", pair.alice.received.len());
    let error = &pair.alice.received[0];
    let header = Header::parse(error).unwrap();
    assert_eq!((header.source.to_string(), header.destination.to_string()), ("192.0.2.99".into(), "10.0.0.1".into()));
    assert_eq!((&error[20..22], &error[26..28]), (&[3, 4][..], &1420u16.to_be_bytes()[..]));
    // Without an address of ours, from where the packet was to go
    pair.alice.received.clear();
    let ipv6 = Sample { payload: vec![1; 1400], ..Sample::new(true, true) }.packet();
    pair.now += seconds(10);
    pair.alice.send(pair.now, &ipv6);
    pair.settle();
    let header = Header::parse(&pair.alice.received[0]).unwrap();
    assert_eq!((header.source.to_string(), header.protocol), ("fd00::2".into(), 58));
}

#[test]
fn what_may_be_fragmented_arrives_in_pieces_that_fit() {
    let mut pair = Pair::connected();
    let sent = datagram(4000, false);
    pair.alice.send(pair.now, &sent);
    pair.settle();
    let pieces = &pair.bob.received;
    assert!(pieces.len() == 3 && pieces.iter().all(|piece| piece.len() <= 1420 && naive(&piece[..20]) == 0));
    let payload: Vec<u8> = pieces.iter().flat_map(|piece| &piece[20..]).copied().collect();
    assert_eq!(payload, sent[20..]);
    assert!(pair.alice.received.is_empty() && pair.alice.drops(pair.now, "too big") == 0);
}

#[test]
fn ipv6_has_its_1280_octets_in_datagrams_that_may_be_fragmented() {
    let mut pair = Pair::connected();
    pair.alice.change(pair.now, |settings| settings.mtu = Mtu::Octets(1220));
    for (payload, fragment) in [(1172, false), (1173, true), (1232, true)] {
        pair.alice.send(pair.now, &Sample { payload: vec![1; payload], ..Sample::new(true, true) }.packet());
        assert_eq!(
            pair.alice.out.datagrams.iter().map(|(_, envelope)| envelope.fragment).collect::<Vec<_>>(),
            [fragment]
        );
        pair.settle();
    }
    assert_eq!(pair.bob.received.len(), 3);
    pair.alice.send(pair.now, &Sample { payload: vec![1; 1233], ..Sample::new(true, true) }.packet());
    pair.settle();
    assert_eq!(pair.alice.received[0][44..48], 1280u32.to_be_bytes(), "what fits for IPv6");
}

#[test]
fn segments_of_tcp_that_do_not_fit_are_cut_and_their_sender_is_told() {
    let mut pair = Pair::connected();
    for (ipv6, errors) in [(false, 1), (true, 1)] {
        let sample = Sample { payload: vec![3; 30_000], ..Sample::new(ipv6, false) };
        let mut buffer = sample.unfinished();
        let len = buffer.len();
        buffer.resize(len + 15, 0);
        let offload = sample.offload(8900);
        pair.alice.device.outbound_offloaded(pair.now, &offload, &mut buffer, len, &mut pair.alice.out);
        pair.settle();
        let received = std::mem::take(&mut pair.bob.received);
        assert!(received.iter().all(|packet| packet.len() <= 1420 && transport_checksum(packet) == 0));
        assert_eq!(received.iter().map(|packet| packet.len() - sample.header_len()).sum::<usize>(), 30_000);
        assert_eq!(std::mem::take(&mut pair.alice.received).len(), errors);
        assert_eq!(pair.alice.drops(pair.now, "too big"), 0);
    }
}

#[test]
fn the_ecn_field_goes_outside_and_comes_back_and_what_cannot_say_it_is_dropped() {
    let mut pair = Pair::connected();
    for (inner, outer, expected) in [
        (Ecn::Ect0, Ecn::Ect0, Some(Ecn::Ect0)),
        (Ecn::Ect0, Ecn::Ce, Some(Ecn::Ce)),
        (Ecn::Ce, Ecn::NotEct, Some(Ecn::Ce)),
        (Ecn::NotEct, Ecn::Ce, None),
    ] {
        let mut packet = datagram(100, true);
        packet[1] |= inner.bits();
        packet[10..12].fill(0);
        let sum = naive(&packet[..20]).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
        pair.alice.send(pair.now, &packet);
        let (datagram, envelope) = pair.alice.out.datagrams.iter().next().map(|(d, e)| (d.to_vec(), *e)).unwrap();
        assert_eq!(envelope.ecn, inner);
        pair.alice.take();
        pair.bob.device.inbound_marked(pair.now, pair.alice.address, outer, &datagram, &mut pair.bob.out);
        pair.bob.take();
        let received = pair.bob.received.pop();
        assert_eq!(received.as_deref().map(Ecn::of_packet), expected);
        assert!(received.is_none_or(|packet| naive(&packet[..20]) == 0));
    }
    assert_eq!(pair.bob.drops(pair.now, "congestion"), 1);
}

#[test]
fn a_datagram_that_the_host_does_not_send_for_its_length_lowers_the_mtu_at_once() {
    let mut pair = Pair::probing();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"ping"));
    pair.run_through(1500, seconds(10));
    assert_eq!(pair.mtus()[0], 1440);
    let to = pair.bob.address;
    pair.alice.device.too_long(pair.now, to, 1440 + 32, 3, &mut pair.alice.out);
    pair.run_through(1400, TICK * 4);
    assert!((1340 - 16..=1340).contains(&pair.mtus()[0]), "{:?}", pair.mtus());
    assert_eq!(pair.alice.drops(pair.now, "too big"), 3);
}

#[test]
fn what_waits_for_a_session_leaves_as_it_would_have_with_one() {
    let mut pair = Pair::new();
    pair.alice.change(pair.now, |settings| settings.mtu = Mtu::Octets(1200));
    let mut waiting = packet("fd00::1", "fd00::2", &[0; 1240]);
    waiting[1] = Ecn::Ect0.bits() << 4;
    let initiation = pair.sealed(&waiting);
    pair.bob.receive(pair.now, pair.alice.address, &initiation);
    let (_, response) = pair.bob.take().remove(0);
    pair.alice.receive(pair.now, pair.bob.address, &response);
    let (_, envelope) = pair.alice.out.datagrams.iter().find(|(datagram, _)| datagram.len() > 1240).unwrap();
    // RFC 6040 §4.1, RFC 8200 §5
    assert_eq!((envelope.ecn, envelope.fragment), (Ecn::Ect0, true));
}

impl Pair {
    /// Alice sends a packet by an interface that takes so many octets: whether it does.
    fn sends_by(&mut self, interface: usize, packet: &[u8]) -> bool {
        self.alice.send(self.now, packet);
        let sent = self.alice.take();
        let to = self.bob.address;
        for (_, datagram) in sent.iter().filter(|(_, datagram)| datagram.len() + 28 > interface) {
            self.alice.device.too_long(self.now, to, datagram.len(), 1, &mut self.alice.out);
        }
        !sent.is_empty() && sent.iter().all(|(_, datagram)| datagram.len() + 28 <= interface)
    }
}

#[test]
fn an_interface_that_takes_less_is_obeyed_though_nobody_can_be_asked_about_the_path() {
    let mut pair = Pair::connected();
    assert_eq!(pair.mtus()[0], 1420);
    let refused = (0..10).take_while(|_| !pair.sends_by(1400, &datagram(usize::from(pair.mtus()[0]), true))).count();
    assert!((1..=4).contains(&refused), "{refused}");
    assert!((1280..=1340).contains(&pair.mtus()[0]), "{:?}", pair.mtus());
    assert_eq!(pair.alice.drops(pair.now, "too big"), refused as u64);
    assert!(!pair.sends_by(1400, &datagram(1400, true)));
    assert_eq!(pair.alice.received.pop().unwrap()[20..22], [3, 4], "its sender is told");
    pair.run(seconds(61));
    pair.sends_by(1500, &datagram(1000, true));
    assert!(pair.sends_by(1500, &datagram(1400, true)), "the interface takes more now");
    assert_eq!(pair.mtus()[0], 1420);
}
