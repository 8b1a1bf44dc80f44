use blake2::digest::consts::U16;
use blake2::digest::{Digest, FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac};

use super::*;

/// Whitepaper, section 5.4.4: anyone who knows the public key of whom a message is for can compute it. `at` is where it
/// stands.
pub(super) fn with_mac1(receiver: &PublicKey, mut message: Vec<u8>, at: usize) -> Vec<u8> {
    let key = Blake2s256::new().chain(b"mac1----").chain(receiver.0).finalize();
    let mac = <Blake2sMac<U16> as KeyInit>::new_from_slice(&key).unwrap().chain(&message[..at]);
    message[at..at + 16].copy_from_slice(&mac.finalize_fixed());
    message
}

#[test]
fn a_packet_starts_a_handshake_and_arrives_after_it_in_both_families() {
    let mut pair = Pair::new();
    let (ipv4, ipv6) = (packet("10.0.0.1", "10.0.0.2", b"first"), packet("fd00::1", "fd00::2", b"second"));
    pair.alice.send(pair.now, &ipv4);
    pair.alice.send(pair.now, &ipv6);
    pair.settle();
    assert_eq!(pair.bob.received, [ipv4, ipv6]);
    assert!(pair.alice.peer(pair.now).handshake_age.is_some());
    assert!(pair.bob.peer(pair.now).handshake_age.is_some());
    assert!(pair.alice.device.drops().is_empty() && pair.bob.device.drops().is_empty());
}

#[test]
fn both_ends_may_start_at_once() {
    let mut pair = Pair::with(|_, alice| alice.endpoint = Some(Endpoint::Address(udp_address(1))));
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"a"));
    pair.bob.send(pair.now, &packet("10.0.0.2", "10.0.0.1", b"b"));
    pair.settle();
    assert_eq!(pair.bob.received.len(), 1);
    assert_eq!(pair.alice.received.len(), 1);
    pair.connect();
    assert!(pair.alice.peer(pair.now).drops.is_empty());
    assert!(pair.bob.peer(pair.now).drops.is_empty());
}

#[test]
fn a_preshared_key_must_be_the_same_at_both_ends() {
    let mut same =
        Pair::with(|bob, alice| (bob.preshared_key, alice.preshared_key) = (preshared_key(7), preshared_key(7)));
    same.connect();
    for (at_alice, at_bob) in [(preshared_key(7), preshared_key(8)), (preshared_key(7), None)] {
        let mut differ = Pair::with(|bob, alice| (bob.preshared_key, alice.preshared_key) = (at_alice, at_bob));
        differ.alice.send(differ.now, &packet("10.0.0.1", "10.0.0.2", b"ping"));
        differ.settle();
        assert!(differ.bob.received.is_empty());
        assert_eq!(differ.alice.drops(differ.now, "preshared key"), 1);
        assert_eq!(differ.alice.peer(differ.now).handshake_age, None);
    }
}

#[test]
fn an_initiation_by_a_key_that_no_peer_has_is_not_answered() {
    let mut pair = Pair::new();
    let mut stranger = End::new(pair.now, 3, settings(3, vec![peer(2, Some(udp_address(2)))]));
    stranger.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    let (_, initiation) = stranger.take().remove(0);
    pair.bob.receive(pair.now, stranger.address, &initiation);
    assert!(pair.bob.take().is_empty());
    assert_eq!(pair.bob.device.drops()["unknown peer"], 1);
}

#[test]
fn an_initiation_for_another_responder_is_counted_as_such() {
    let mut pair = Pair::new();
    let mut lost = End::new(pair.now, 1, settings(1, vec![peer(3, Some(udp_address(2)))]));
    lost.send(pair.now, &packet("10.0.0.1", "10.0.0.3", b"hello"));
    let (_, initiation) = lost.take().remove(0);
    pair.bob.receive(pair.now, lost.address, &initiation);
    assert_eq!(pair.bob.device.drops()["for another public key"], 1);
}

#[test]
fn a_replayed_initiation_is_not_answered() {
    let mut pair = Pair::new();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    let (_, initiation) = pair.alice.take().remove(0);
    pair.bob.receive(pair.now, pair.alice.address, &initiation);
    assert_eq!(pair.bob.take().len(), 1);
    pair.bob.receive(pair.now, pair.alice.address, &initiation);
    assert!(pair.bob.take().is_empty());
    assert_eq!(pair.bob.drops(pair.now, "replay"), 1);
}

#[test]
fn an_initiation_alone_moves_no_endpoint() {
    let mut pair = Pair::connected();
    pair.now += seconds(1);
    let away = udp_address(9);
    let mut restarted = End::new(pair.now, 1, pair.alice.settings.clone());
    restarted.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    let (_, initiation) = restarted.take().remove(0);
    pair.bob.receive(pair.now, away, &initiation);
    let (to, response) = pair.bob.take().remove(0);
    assert_eq!(to, away);
    assert_eq!(pair.bob.peer(pair.now).endpoint, Some(pair.alice.address));
    restarted.receive(pair.now, pair.bob.address, &response);
    for (_, datagram) in restarted.take() {
        pair.bob.receive(pair.now, away, &datagram);
    }
    assert_eq!(pair.bob.peer(pair.now).endpoint, Some(away));
}

#[test]
fn an_ephemeral_key_of_low_order_is_refused() {
    let mut pair = Pair::new();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    let (_, mut initiation) = pair.alice.take().remove(0);
    initiation[8..40].fill(0);
    let authenticated = with_mac1(&public_key(2), initiation, 116);
    pair.bob.receive(pair.now, pair.alice.address, &authenticated);
    assert!(pair.bob.take().is_empty());
    assert_eq!(pair.bob.device.drops()["malformed"], 1);
}

#[test]
fn under_load_a_cookie_is_asked_for_and_the_endpoint_stays() {
    let mut pair = Pair::new();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    let (_, initiation) = pair.alice.take().remove(0);
    for _ in 0..=crate::flood::UNPROVED.burst {
        pair.bob.receive(pair.now, udp_address(66), &initiation);
    }
    assert!(pair.bob.device.drops()["rate limited"] >= 1);
    let (to, cookie) = pair.bob.take().pop().unwrap();
    assert_eq!((to, cookie.len()), (udp_address(66), 64));

    pair.alice.receive(pair.now, udp_address(66), &cookie);
    assert_eq!(pair.alice.peer(pair.now).endpoint, Some(udp_address(2)));
    assert!(pair.alice.peer(pair.now).drops.is_empty());
    pair.alice.receive(pair.now, udp_address(66), &[&[3, 0, 0, 0], &initiation[4..8], &[0; 56]].concat());
    assert_eq!(pair.alice.drops(pair.now, "bad mac"), 1);
}

#[test]
fn a_session_that_carries_only_keepalives_is_renewed_by_who_began_it() {
    let mut pair = Pair::with(|bob, alice| {
        bob.persistent_keepalive = Some(seconds(25));
        alice.persistent_keepalive = Some(seconds(25));
    });
    pair.settle();
    pair.run(seconds(119));
    assert_eq!(pair.alice.peer(pair.now).handshake_age, Some(seconds(119)));
    pair.run(seconds(30));
    assert!(pair.alice.peer(pair.now).handshake_age < Some(seconds(31)));
    assert!(pair.bob.peer(pair.now).handshake_age < Some(seconds(31)));
}
