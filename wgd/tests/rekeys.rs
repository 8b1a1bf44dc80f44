//! Sessions that are renewed, and peers that are away for long, by boringtun's clock too: it is the test's here.
//!
//! `cargo test -p wgd --features mock-instant --test rekeys`
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mock_instant::MockClock;
use wgd::device::{Device, Output, TICK};
use wgd::settings::{Endpoint, PeerSettings, PrivateKey, Settings};
use wgd::view::PeerView;

const SECOND: Duration = Duration::from_secs(1);
/// How long a datagram is on its way: some are when a session is renewed.
const WAY: Duration = Duration::from_millis(700);

struct End {
    number: u8,
    device: Device,
    out: Output,
    /// What is on its way here, and when it arrives.
    air: VecDeque<(Instant, Vec<u8>)>,
    received: Vec<u32>,
}

struct Pair {
    now: Instant,
    ends: [End; 2],
}

fn private_key(number: u8) -> PrivateKey {
    PrivateKey([number; 32].into())
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::new([192, 0, 2, number].into(), 51820)
}

fn end(now: Instant, number: u8, other: u8) -> End {
    let peer = PeerSettings {
        endpoint: Some(Endpoint::Address(address(other))),
        allowed_ips: vec![format!("10.0.0.{other}/32").parse().unwrap()],
        ..PeerSettings::new(format!("peer {other}"), private_key(other).public_key())
    };
    let private_key = private_key(number);
    let settings =
        Settings { clamp_mss: false, mtu: wgd::settings::Mtu::Octets(1420), ..Settings::new(private_key, vec![peer]) };
    let mut out = Output::default();
    let device = Device::new(now, settings, u64::from(number), &mut out);
    End { number, device, out, air: VecDeque::new(), received: Vec::new() }
}

impl End {
    fn send(&mut self, now: Instant, other: u8, payload: u32) {
        let head = [0x45, 0, 0, 24, 0, 0, 0, 0, 64, 59, 0, 0, 10, 0, 0, self.number, 10, 0, 0, other];
        let mut packet = [&head[..], &payload.to_be_bytes(), &[0; 15]].concat();
        self.device.outbound(now, &mut packet, 24, &mut self.out);
    }

    fn view(&self, now: Instant) -> PeerView {
        self.device.peers(now).remove(0)
    }
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        Self { now, ends: [end(now, 1, 2), end(now, 2, 1)] }
    }

    /// Time passes at both clocks; the network carries what `carries` says.
    fn run(&mut self, time: Duration, carries: bool) {
        let until = self.now + time;
        while self.now < until {
            MockClock::advance(TICK / 5);
            self.now += TICK / 5;
            for at in 0..2 {
                let End { device, out, air, received, .. } = &mut self.ends[at];
                if device.next_timeout().is_some_and(|due| due <= self.now) {
                    device.tick(self.now, out);
                }
                while air.front().is_some_and(|(arrives, _)| *arrives <= self.now) {
                    let (_, datagram) = air.pop_front().unwrap();
                    device.inbound(self.now, address(2 - at as u8), &datagram, out);
                }
                received.extend(
                    out.packets.iter().map(|(packet, ())| u32::from_be_bytes(packet[20..].try_into().unwrap())),
                );
                let sent: Vec<_> = out.datagrams.iter().map(|(datagram, _)| datagram.to_vec()).collect();
                out.packets.clear();
                out.datagrams.clear();
                if carries {
                    self.ends[1 - at].air.extend(sent.into_iter().map(|datagram| (self.now + WAY, datagram)));
                }
            }
        }
    }

    /// A packet a second each way; all of them arrive, in their order.
    fn talk(&mut self, seconds: u32) {
        for number in 0..seconds {
            self.ends[0].send(self.now, 2, number);
            self.ends[1].send(self.now, 1, number);
            self.run(SECOND, true);
        }
        self.run(10 * SECOND, true);
        let sent: Vec<u32> = (0..seconds).collect();
        for end in &mut self.ends {
            let received = std::mem::take(&mut end.received);
            let lost = sent.iter().find(|number| received.get(**number as usize) != Some(number));
            assert!(
                received == sent,
                "{} of {seconds}, the first lost is {lost:?}: {:?}",
                received.len(),
                end.view(self.now)
            );
        }
    }
}

#[test]
fn two_hundred_rekeys_lose_nothing() {
    let mut pair = Pair::new();
    pair.talk(200 * 125);
    for end in &pair.ends {
        let view = end.view(pair.now);
        assert!(view.handshakes.completed >= 200, "{view:?}");
        assert!(view.drops.is_empty() && end.device.drops().is_empty(), "{view:?} {:?}", end.device.drops());
    }
}

#[test]
fn a_peer_that_was_silent_until_every_key_was_forgotten_is_asked_again_when_there_is_something_to_send() {
    let mut pair = Pair::new();
    pair.talk(5);
    // REJECT_AFTER_TIME * 3: boringtun wipes everything and says ConnectionExpired from then on
    pair.run(700 * SECOND, true);
    let before = pair.ends[0].view(pair.now).handshakes.completed;
    pair.talk(5);
    assert!(pair.ends[0].view(pair.now).handshakes.completed > before);
}

#[test]
fn a_peer_that_does_not_answer_for_90_s_is_given_up_and_asked_again_by_the_next_packet() {
    let mut pair = Pair::new();
    pair.ends[0].send(pair.now, 2, 1);
    pair.run(200 * SECOND, false);
    let view = pair.ends[0].view(pair.now);
    assert_eq!(view.drops["no session"], 1);
    let tries = view.handshakes.initiations_sent;
    assert!((15..=20).contains(&tries), "{tries} in 90 s");
    pair.talk(3);
}

#[test]
fn a_handshake_that_is_under_way_when_every_key_is_forgotten_has_its_90_s_all_the_same() {
    let mut pair = Pair::new();
    pair.talk(5);
    pair.run(200 * SECOND, true);
    let age = pair.ends[0].view(pair.now).handshake_age.unwrap();
    pair.run(538 * SECOND - age, true);
    pair.ends[0].send(pair.now, 2, 1);
    pair.run(20 * SECOND, false);
    let view = pair.ends[0].view(pair.now);
    assert_eq!((view.queued_packets, view.drops.get("no session")), (1, None), "{view:?}");
    pair.run(10 * SECOND, true);
    assert_eq!(pair.ends[1].received.last(), Some(&1));
}

#[test]
fn initiations_that_cross_are_repeated_when_both_answers_are_lost() {
    let mut pair = Pair::new();
    for (from, to) in [(0, 2), (1, 1)] {
        pair.ends[from].send(pair.now, to, 7);
    }
    pair.run(WAY - TICK, true); // the initiations are on their way
    pair.run(TICK * 2, false);
    pair.run(20 * SECOND, true);
    for end in &pair.ends {
        let view = end.view(pair.now);
        assert_eq!((&end.received[..], view.queued_packets), (&[7][..], 0), "{view:?}");
        assert!(view.handshakes.initiations_sent <= 3, "{view:?}");
    }
}
