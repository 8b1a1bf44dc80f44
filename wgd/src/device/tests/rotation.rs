//! Keys that take others' places, at one end or at both.

use std::time::SystemTime;

use super::*;
use crate::settings::NextPrivateKey;

/// Alice's next key is number 5, Bob's number 6.
const TURN: u64 = 1_000;

fn at(seconds_since_1970: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + seconds(seconds_since_1970)
}

fn next(number: u8) -> Option<NextPrivateKey> {
    Some(NextPrivateKey { key: private_key(number), from: at(TURN) })
}

/// Alice rotates, and Bob knows.
fn rotating() -> Pair {
    let mut pair = Pair::with(|_, alice| alice.next_public_key = Some(public_key(5)));
    pair.alice.change(pair.now, |settings| settings.next_private_key = next(5));
    pair
}

impl Pair {
    fn turn(&mut self) {
        self.now += seconds(1);
        self.alice.device.time(self.now, at(TURN), &mut self.alice.out);
        self.bob.device.time(self.now, at(TURN), &mut self.bob.out);
    }

    /// A packet each way with nothing lost, by which keys is left open.
    fn exchange(&mut self) {
        self.now += seconds(1);
        self.ping();
    }
}

/// Whether a handshake by Alice's key is answered by Bob, and by which of her keys their session is.
fn in_use(end: &End, now: Instant) -> Vec<PublicKey> {
    let note = end.peer(now).note.unwrap_or_default();
    (1..10).map(public_key).filter(|key| note.contains(&key.to_string())).collect()
}

#[test]
fn before_its_time_a_next_key_is_answered_and_not_used() {
    let mut pair = rotating();
    pair.connect();
    assert_eq!(in_use(&pair.alice, pair.now), [public_key(1)]);
    assert_eq!(in_use(&pair.bob, pair.now), [public_key(1)]);
    // A far end that has the new key only
    let mut early = Pair::with(|bob, _| bob.endpoint = None);
    early.alice.change(early.now, |settings| settings.next_private_key = next(5));
    early.bob.change(early.now, |settings| {
        settings.peers[0] =
            PeerSettings { allowed_ips: settings.peers[0].allowed_ips.clone(), ..peer(5, Some(udp_address(1))) };
    });
    early.bob.send(early.now, &packet("10.0.0.2", "10.0.0.1", b"early"));
    early.settle();
    assert_eq!(early.alice.received.len(), 1);
    assert_eq!(in_use(&early.alice, early.now), [public_key(5)]);
    early.now += seconds(1);
    early.alice.device.rekey(early.now, "peer 2", Rekey::Rekey, &mut early.alice.out).unwrap();
    early.settle();
    assert_eq!(
        early.alice.peer(early.now).handshakes.completed,
        2,
        "who knows our next key is not asked with the old one"
    );
}

#[test]
fn when_its_time_comes_a_next_key_makes_a_session_and_the_old_one_is_used_until_then() {
    let mut pair = rotating();
    pair.connect();
    pair.turn();
    let old = pair.alice.take();
    assert_eq!(old.len(), 1, "an initiation");
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"meanwhile"));
    let meanwhile = pair.alice.take().remove(0).1;
    assert_eq!(meanwhile[0], 4);
    for datagram in [&old[0].1, &meanwhile] {
        pair.bob.receive(pair.now, pair.alice.address, datagram);
    }
    pair.settle();
    assert_eq!(pair.bob.received.len(), 1);
    assert_eq!(in_use(&pair.alice, pair.now), [public_key(5)]);
    assert_eq!(in_use(&pair.bob, pair.now), [public_key(5)]);
    let told = |end: &mut End| {
        let events = std::mem::take(&mut end.events).into_iter();
        events.filter(|event| matches!(event, Event::Keys(..))).collect::<Vec<_>>()
    };
    let both = (public_key(5), public_key(2));
    assert_eq!(told(&mut pair.alice), [Event::Keys(both.1, both)]);
    assert_eq!(told(&mut pair.bob), [Event::Keys(public_key(1), (both.1, both.0))]);
    pair.bob.received.clear();
    pair.exchange();
    assert_eq!((told(&mut pair.alice), told(&mut pair.bob)), (Vec::new(), Vec::new()));
}

#[test]
fn a_packet_of_the_old_session_may_come_after_the_new_one() {
    let mut pair = rotating();
    pair.connect();
    let late = pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"late"));
    pair.turn();
    pair.settle();
    pair.exchange();
    pair.bob.receive(pair.now, pair.alice.address, &late);
    pair.settle();
    assert_eq!(pair.bob.received.pop().unwrap()[20..], *b"late");
    assert!(pair.bob.peer(pair.now).drops.is_empty() && pair.bob.device.drops().is_empty());
}

#[test]
fn the_far_end_begins_handshakes_for_the_key_that_it_was_shown() {
    let mut pair = rotating();
    pair.connect();
    pair.turn();
    pair.settle();
    pair.now += seconds(1);
    pair.bob.device.rekey(pair.now, "peer 1", Rekey::Rekey, &mut pair.bob.out).unwrap();
    let initiation = pair.bob.take().remove(0).1;
    let without_the_old = settings(5, vec![peer(2, Some(udp_address(2)))]);
    let mut alice = End::new(pair.now, 1, without_the_old);
    alice.receive(pair.now, pair.bob.address, &initiation);
    let kinds: Vec<u8> = alice.take().iter().map(|(_, datagram)| datagram[0]).collect();
    assert_eq!(kinds, [2], "it is for her new key");
}

#[test]
fn both_ends_may_rotate_at_once_and_then_forget_the_old_keys_without_a_new_handshake() {
    let mut pair = Pair::with(|bob, alice| {
        bob.next_public_key = Some(public_key(6));
        alice.next_public_key = Some(public_key(5));
    });
    pair.alice.change(pair.now, |settings| settings.next_private_key = next(5));
    pair.bob.change(pair.now, |settings| settings.next_private_key = next(6));
    pair.connect();
    pair.turn();
    pair.settle();
    // Each has begun a handshake for the other's old key; one of them makes it right
    pair.run(seconds(110));
    for _ in 0..3 {
        pair.exchange();
    }
    for end in [&pair.alice, &pair.bob] {
        assert_eq!(in_use(end, pair.now), [public_key(5), public_key(6)]);
    }
    let forget = |settings: &mut Settings, ours: u8, theirs: u8| {
        (settings.private_key, settings.next_private_key) = (private_key(ours), None);
        (settings.peers[0].public_key, settings.peers[0].next_public_key) = (public_key(theirs), None);
    };
    pair.alice.change(pair.now, |settings| forget(settings, 5, 6));
    assert!(pair.alice.take().is_empty());
    pair.exchange();
    pair.bob.change(pair.now, |settings| forget(settings, 6, 5));
    assert!(pair.bob.take().is_empty());
    pair.exchange();
    assert_eq!(pair.alice.peer(pair.now).note, None);
    assert_eq!(pair.alice.peer(pair.now).public_key, public_key(6));
}

#[test]
fn a_far_end_that_does_not_know_the_next_key_is_reached_by_the_old_one() {
    let mut pair = Pair::new();
    pair.alice.change(pair.now, |settings| settings.next_private_key = next(5));
    pair.connect();
    pair.turn();
    let mut carried = 0;
    // boringtun repeats its messages by the real clock, and each turn to the next pair is ours
    for _ in 0..600 {
        pair.run(seconds(1));
        pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"x"));
        pair.settle();
        carried += std::mem::take(&mut pair.bob.received).len();
    }
    assert_eq!(carried, 600);
    assert_eq!(in_use(&pair.alice, pair.now), [public_key(1)]);
    assert!(pair.alice.peer(pair.now).handshakes.completed >= 5, "{:?}", pair.alice.peer(pair.now));
    assert!(pair.alice.peer(pair.now).drops.is_empty());
}

#[test]
fn a_far_end_that_has_forgotten_the_old_key_is_reached_by_the_next_one() {
    let mut pair = Pair::with(|bob, _| {
        bob.public_key = public_key(7);
        bob.next_public_key = Some(public_key(2));
        bob.watched = true;
    });
    pair.settle();
    pair.run(seconds(9));
    assert_eq!(pair.alice.state(pair.now), PeerState::Down);
    pair.run(seconds(3));
    assert_eq!(pair.alice.state(pair.now), PeerState::Up);
    assert_eq!(in_use(&pair.alice, pair.now), [public_key(2)]);
    pair.connect();
}

#[test]
fn what_waits_for_a_session_leaves_by_whichever_comes() {
    let mut pair = Pair::with(|bob, alice| {
        (bob.public_key, bob.next_public_key) = (public_key(7), Some(public_key(2)));
        alice.endpoint = Some(Endpoint::Address(udp_address(1)));
    });
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"waits"));
    pair.alice.take();
    pair.bob.send(pair.now, &packet("10.0.0.2", "10.0.0.1", b"comes"));
    pair.settle();
    assert_eq!(pair.bob.received.len(), 1);
    assert_eq!(pair.alice.received.len(), 1);
}

#[test]
fn after_90_s_without_an_answer_by_any_pair_what_waits_is_dropped() {
    let mut pair = Pair::with(|bob, _| bob.next_public_key = Some(public_key(8)));
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"lost"));
    let sent = pair.run_alone(seconds(91));
    assert_eq!(pair.alice.drops(pair.now, "no session"), 1);
    assert!((8..40).contains(&sent.len()), "{}", sent.len());
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"again"));
    pair.settle();
    assert_eq!(pair.bob.received.len(), 1);
}

#[test]
fn a_time_that_has_come_before_the_start_counts() {
    let now = Instant::now();
    let mut out = Output::default();
    let settings = Settings { next_private_key: next(5), ..settings(1, vec![peer(2, Some(udp_address(2)))]) };
    let mut alice = Device::new_at(now, at(TURN), settings, 1, &mut out);
    let mut datagram = packet("10.0.0.1", "10.0.0.2", b"x");
    let len = datagram.len();
    datagram.resize(len + 15, 0);
    alice.outbound(now, &mut datagram, len, &mut out);
    let initiation = out.datagrams.get(0).unwrap().to_vec();
    let mut bob = End::new(now, 2, super::settings(2, vec![peer(5, None)]));
    bob.receive(now, udp_address(1), &initiation);
    assert_eq!(bob.take().len(), 1, "it is by the next key");
}

#[test]
fn a_key_of_a_peer_may_change_without_touching_the_others() {
    let now = Instant::now();
    let peers = vec![peer(2, Some(udp_address(2))), peer(3, Some(udp_address(3)))];
    let mut alice = End::new(now, 1, settings(1, peers));
    let mut others = [2, 3].map(|number| End::new(now, number, settings(number, vec![peer(1, None)])));
    for (number, other) in [2, 3].into_iter().zip(&mut others) {
        alice.send(now, &packet("10.0.0.1", &format!("10.0.0.{number}"), b"x"));
        for _ in 0..3 {
            alice.take().iter().for_each(|(_, datagram)| other.receive(now, udp_address(1), datagram));
            other.take().iter().for_each(|(_, datagram)| alice.receive(now, other.address, datagram));
        }
        assert_eq!(other.received.len(), 1);
    }
    let kinds = |alice: &mut End| {
        [2, 3].map(|number| {
            alice.send(now, &packet("10.0.0.1", &format!("10.0.0.{number}"), b"x"));
            alice.take().first().map_or(0, |(_, datagram)| datagram[0])
        })
    };
    alice.change(now, |settings| settings.peers[0].next_public_key = Some(public_key(7)));
    assert_eq!(kinds(&mut alice), [4, 4], "a key beside the present one ends nothing");
    alice.change(now, |settings| {
        (settings.peers[0].public_key, settings.peers[0].next_public_key) = (public_key(7), None);
    });
    assert_eq!(kinds(&mut alice), [1, 4]);
    alice.change(now, |settings| settings.peers[1].endpoint = Some(Endpoint::Address(udp_address(4))));
    assert_eq!(kinds(&mut alice)[1], 4, "nor does another endpoint");
    alice.change(now, |settings| settings.next_private_key = next(5));
    assert_eq!(kinds(&mut alice)[1], 4);
    alice.change(now, |settings| (settings.private_key, settings.next_private_key) = (private_key(9), None));
    assert_eq!(kinds(&mut alice), [1, 1], "a private key without overlap ends all");
}

#[test]
fn a_reset_ends_the_session_and_asks_for_another_at_once() {
    let mut pair = Pair::connected();
    let rekey = |pair: &mut Pair, peer: &str, how| pair.alice.device.rekey(pair.now, peer, how, &mut pair.alice.out);
    pair.now += seconds(1);
    rekey(&mut pair, "peer 2", Rekey::Rekey).unwrap();
    assert_eq!(pair.sealed_kinds(), [1, 4], "the old session goes on");
    pair.settle();
    rekey(&mut pair, &public_key(2).to_string(), Rekey::Reset).unwrap();
    assert_eq!(pair.sealed_kinds(), [1], "it is gone");
    assert_eq!(rekey(&mut pair, "nobody", Rekey::Reset), Err(RekeyError::NoSuchPeer));
    let mut lost = Pair::with(|bob, _| bob.endpoint = None);
    assert_eq!(rekey(&mut lost, "peer 2", Rekey::Rekey), Err(RekeyError::NoEndpoint));
}

impl Pair {
    /// The types of what Alice has to send, and then of a packet.
    fn sealed_kinds(&mut self) -> Vec<u8> {
        self.alice.send(self.now, &packet("10.0.0.1", "10.0.0.2", b"x"));
        self.alice.take().iter().map(|(_, datagram)| datagram[0]).collect()
    }
}
