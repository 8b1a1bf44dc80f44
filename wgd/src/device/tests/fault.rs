//! What each end can know of a tunnel that does not come up.

use super::*;

/// Retransmissions are boringtun's, by its own clock; who moves asks again at once.
fn ask_again(pair: &mut Pair) {
    for place in [22, 2] {
        pair.alice
            .change(pair.now, |settings| settings.peers[0].endpoint = Some(Endpoint::Address(udp_address(place))));
        pair.run(seconds(1));
    }
}

/// A note of alice's only peer and one of bob's, and all faults that bob tells, after half a minute of tries by alice
/// and, where he knows where she is, by bob.
fn after_tries(mut pair: Pair) -> [Vec<String>; 3] {
    pair.run(seconds(30));
    let note = |end: &End| end.peer(pair.now).note.into_iter().collect();
    [note(&pair.alice), note(&pair.bob), pair.bob.device.faults(pair.now)]
}

fn keep(peer: &mut PeerSettings) {
    peer.persistent_keepalive = Some(seconds(10));
}

#[test]
fn a_healthy_tunnel_has_nothing_to_say() {
    let mut pair = Pair::with(|bob, _| keep(bob));
    assert_eq!(after_tries(Pair::with(|bob, _| keep(bob))), [const { Vec::<String>::new() }; 3]);
    pair.run(seconds(300));
    assert_eq!(pair.alice.peer(pair.now).note, None);
    assert_eq!(pair.bob.peer(pair.now).note, None);
}

#[test]
fn a_closed_port_is_silence_at_both_ends() {
    let mut pair = Pair::with(|bob, _| keep(bob));
    pair.run_alone(seconds(4));
    assert_eq!(pair.alice.peer(pair.now).note, None, "nobody is slower than that");
    pair.run_alone(seconds(300));
    let note = "nothing arrives from 192.0.2.2:51820: its UDP port is not reached, or a public key is wrong";
    assert_eq!(pair.alice.peer(pair.now).note.as_deref(), Some(note));
    let note = "nothing has arrived yet, and it has no endpoint: it must come to us";
    assert_eq!(pair.bob.peer(pair.now).note.as_deref(), Some(note));
    assert!(pair.bob.device.faults(pair.now).is_empty());
}

#[test]
fn a_wrong_public_key_of_ours_is_seen_where_the_handshakes_arrive() {
    let [alice, bob, faults] = after_tries(Pair::with(|bob, alice| {
        keep(bob);
        bob.public_key = public_key(9);
        alice.watched = true;
    }));
    assert!(alice[0].starts_with("nothing arrives from 192.0.2.2:51820: "), "{alice:?}");
    assert!(bob[0].starts_with("nothing has arrived yet"), "{bob:?}");
    let expected =
        "handshakes arrive from 192.0.2.1:51820 but do not fit: they are made for another public key than ours";
    assert_eq!(faults, [&format!("peer peer 1: {}", bob[0]), expected]);
}

#[test]
fn a_wrong_public_key_of_the_peer_is_told_with_the_key_that_it_has() {
    let key = public_key(1);
    let [alice, bob, faults] = after_tries(Pair::with(|bob, alice| {
        keep(bob);
        alice.public_key = public_key(9);
        alice.watched = true;
    }));
    assert!(alice[0].starts_with("nothing arrives from 192.0.2.2:51820: "), "{alice:?}");
    assert!(bob[0].starts_with("nothing has arrived yet"), "{bob:?}");
    let expected = format!("handshakes arrive from 192.0.2.1:51820 but do not fit: no peer has their public key {key}");
    assert_eq!(faults, [format!("peer peer 1: {}", bob[0]), expected]);
}

#[test]
fn what_arrives_from_where_the_peer_should_be_is_told_of_the_peer() {
    let [_, bob, faults] = after_tries(Pair::with(|bob, alice| {
        keep(bob);
        *alice = PeerSettings { name: "peer 9".to_owned(), public_key: public_key(9), ..alice.clone() };
        alice.endpoint = Some(Endpoint::Address(udp_address(1)));
    }));
    assert!(bob[0].starts_with("handshakes arrive from 192.0.2.1:51820 but do not fit: no peer has"), "{bob:?}");
    assert_eq!(faults, [format!("peer peer 9: {}", bob[0])]);
}

/// A handshake message of somebody who takes bob for somebody else.
fn for_another(pair: &Pair) -> Vec<u8> {
    let mut stranger = End::new(pair.now, 3, settings(3, vec![peer(9, Some(udp_address(2)))]));
    stranger.send(pair.now, &packet("10.0.0.1", "10.0.0.9", b"hello"));
    stranger.take().remove(0).1
}

#[test]
fn what_strangers_send_to_a_tunnel_that_is_up_is_only_counted() {
    let mut pair = Pair::with(|bob, alice| (keep(bob), alice.watched = true).0);
    pair.run(seconds(30));
    let datagram = for_another(&pair);
    (10..40).for_each(|place| pair.bob.receive(pair.now, udp_address(place), &datagram));
    assert!(pair.bob.device.faults(pair.now).is_empty());
    assert_eq!(pair.bob.device.drops()["for another public key"], 30);
}

#[test]
fn what_strangers_send_is_only_counted_where_nobody_is_waited_for() {
    let mut pair = Pair::new();
    let datagram = for_another(&pair);
    pair.bob.receive(pair.now, udp_address(10), &datagram);
    assert!(pair.bob.device.faults(pair.now).is_empty());
}

#[test]
fn of_strangers_the_newest_few_are_told_where_a_peer_is_waited_for() {
    let mut pair = Pair::with(|_, alice| alice.watched = true);
    let datagram = for_another(&pair);
    for place in 10..20 {
        pair.bob.receive(pair.now, udp_address(place), &datagram);
        pair.now += seconds(1);
    }
    let faults = pair.bob.device.faults(pair.now);
    assert_eq!(faults.len(), 4, "{faults:?}");
    for (fault, place) in faults[1..].iter().zip([19, 18, 17]) {
        assert!(fault.starts_with(&format!("handshakes arrive from 192.0.2.{place}:51820 but do not fit")), "{fault}");
    }
}

#[test]
fn strangers_never_take_the_place_of_a_host_where_a_peer_should_be() {
    let mut pair = Pair::with(|_, alice| alice.endpoint = Some(Endpoint::Address(udp_address(1))));
    let datagram = for_another(&pair);
    for place in (10..=255).chain([1]).chain(10..=255) {
        pair.now += Duration::from_millis(20);
        pair.bob.receive(pair.now, udp_address(place), &datagram);
    }
    let faults = pair.bob.device.faults(pair.now);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("peer peer 1: handshakes arrive from 192.0.2.1:51820 but do not fit"), "{faults:?}");
    pair.bob.change(pair.now, |settings| settings.mtu = Mtu::Octets(1400));
    assert_eq!(pair.bob.peer(pair.now).note, None, "whoever was a stranger may be known now");
}

#[test]
fn another_preshared_key_is_known_to_who_asks_and_guessed_by_who_answers() {
    let mut pair = Pair::with(|bob, alice| {
        keep(bob);
        alice.preshared_key = preshared_key(7);
    });
    ask_again(&mut pair);
    let [alice, bob, faults] = after_tries(pair);
    assert_eq!(alice, ["handshakes arrive from 192.0.2.2:51820 but do not fit: the preshared keys differ"]);
    let expected = "handshakes arrive from 192.0.2.1:51820 and are answered, but nothing follows: the preshared keys \
                    differ, or our answers do not arrive";
    assert_eq!(bob, [expected]);
    assert!(faults.is_empty());
}

#[test]
fn a_clock_that_went_back_is_told() {
    let mut pair = Pair::with(|bob, _| keep(bob));
    let recorded = {
        pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
        pair.alice.take().remove(0).1
    };
    pair.bob.receive(pair.now, pair.alice.address, &recorded);
    pair.bob.take();
    pair.bob.receive(pair.now, pair.alice.address, &recorded);
    let note = pair.bob.peer(pair.now).note.unwrap();
    assert!(note.ends_with("they are older than one before: played back, or the clock there went back"), "{note}");
}

#[test]
fn what_is_played_back_to_a_tunnel_that_is_up_is_only_counted() {
    let mut pair = Pair::new();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    let (_, recorded) = pair.alice.take().remove(0);
    pair.bob.receive(pair.now, pair.alice.address, &recorded);
    pair.settle();
    pair.bob.receive(pair.now, udp_address(66), &recorded);
    assert_eq!(pair.bob.drops(pair.now, "replay"), 1);
    assert_eq!(pair.bob.peer(pair.now).note, None);
}

#[test]
fn a_tunnel_that_comes_up_after_all_has_nothing_to_say() {
    let mut pair = Pair::with(|bob, alice| {
        keep(bob);
        alice.preshared_key = preshared_key(7);
    });
    pair.run(seconds(30));
    pair.bob.change(pair.now, |settings| settings.peers[0].preshared_key = None);
    ask_again(&mut pair);
    assert_eq!((pair.alice.peer(pair.now).note, pair.bob.peer(pair.now).note), (None, None));
}
