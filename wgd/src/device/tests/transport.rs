use super::*;

#[test]
fn plaintext_is_padded_to_16_octets_with_zeros_but_not_beyond_the_mtu() {
    let mut pair = Pair::connected();
    for (length, padded) in [(21, 32), (32, 32), (1401, 1408), (1409, 1420), (1420, 1420)] {
        let packet = packet("10.0.0.1", "10.0.0.2", &vec![7; length - 20]);
        let datagram = pair.sealed(&packet);
        assert_eq!(datagram.len(), 32 + padded, "{length}");
        pair.bob.receive(pair.now, pair.alice.address, &datagram);
        pair.settle();
        assert_eq!(pair.bob.received.pop(), Some(packet));
    }
}

#[test]
fn a_replayed_datagram_is_counted() {
    let mut pair = Pair::connected();
    let datagram = pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"once"));
    for _ in 0..3 {
        pair.bob.receive(pair.now, pair.alice.address, &datagram);
    }
    pair.settle();
    assert_eq!(pair.bob.received.len(), 1);
    assert_eq!(pair.bob.drops(pair.now, "replay"), 2);
}

#[test]
fn datagrams_may_come_out_of_order_within_the_window() {
    let mut pair = Pair::connected();
    let mut datagrams: Vec<_> = (0..100).map(|n| pair.sealed(&packet("10.0.0.1", "10.0.0.2", &[n]))).collect();
    datagrams.reverse();
    for datagram in &datagrams {
        pair.bob.receive(pair.now, pair.alice.address, datagram);
    }
    pair.settle();
    assert_eq!(pair.bob.received.len(), 100);
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let mut pair = Pair::connected();
    let datagram = pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"integrity"));
    for bit in 0..datagram.len() * 8 {
        let mut flipped = datagram.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        pair.bob.receive(pair.now, udp_address(66), &flipped);
    }
    for length in 0..datagram.len() {
        pair.bob.receive(pair.now, udp_address(66), &datagram[..length]);
    }
    pair.settle();
    assert!(pair.bob.received.is_empty());
    assert_eq!(pair.bob.peer(pair.now).endpoint, Some(pair.alice.address));
    let dropped: u64 = pair.bob.peer(pair.now).drops.values().chain(pair.bob.device.drops().values()).sum();
    assert_eq!(dropped as usize, datagram.len() * 9);
    pair.bob.receive(pair.now, pair.alice.address, &datagram);
    pair.settle();
    assert_eq!(pair.bob.received.len(), 1);
}

#[test]
fn a_counter_at_its_end_is_refused_before_anything_is_decrypted() {
    let mut pair = Pair::connected();
    for counter in [u64::MAX, u64::MAX - (1 << 13)] {
        let mut datagram = pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"late"));
        datagram[8..16].copy_from_slice(&counter.to_le_bytes());
        pair.bob.receive(pair.now, pair.alice.address, &datagram);
    }
    assert_eq!(pair.bob.drops(pair.now, "replay"), 2);
    let mut datagram = pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"late"));
    datagram[8..16].copy_from_slice(&(u64::MAX - (1 << 13) - 1).to_le_bytes());
    pair.bob.receive(pair.now, pair.alice.address, &datagram);
    assert_eq!(pair.bob.drops(pair.now, "bad mac"), 1);
}

#[test]
fn a_peer_that_moves_is_followed() {
    let mut pair = Pair::connected();
    pair.alice.address = "[2001:db8::7]:4000".parse().unwrap();
    pair.ping();
    assert_eq!(pair.bob.peer(pair.now).endpoint, Some(pair.alice.address));
    pair.bob.send(pair.now, &packet("10.0.0.2", "10.0.0.1", b"back"));
    assert_eq!(pair.bob.take()[0].0, pair.alice.address);
}

#[test]
fn an_inner_packet_from_a_foreign_source_is_dropped_and_counted() {
    let mut pair = Pair::connected();
    for (source, destination) in [("10.0.0.9", "10.0.0.2"), ("fd00::9", "fd00::2"), ("10.0.0.2", "10.0.0.2")] {
        pair.alice.send(pair.now, &packet(source, destination, b"spoofed"));
    }
    pair.settle();
    assert!(pair.bob.received.is_empty());
    assert_eq!(pair.bob.drops(pair.now, "source not allowed"), 3);
}

#[test]
fn what_is_no_packet_or_no_message_is_counted_as_malformed() {
    let mut pair = Pair::connected();
    for junk in
        [&[][..], &[0x45], &[0x45; 19], &[0x70; 60], &[0x45, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    {
        pair.alice.send(pair.now, junk);
        pair.bob.receive(pair.now, pair.alice.address, junk);
    }
    assert_eq!(pair.alice.device.drops()["malformed"], 5);
    assert_eq!(pair.bob.device.drops()["malformed"], 5);
    let mut unknown = [0; 32];
    unknown[0] = 4;
    pair.bob.receive(pair.now, pair.alice.address, &unknown);
    assert_eq!(pair.bob.device.drops()["unknown index"], 1);
}

#[test]
fn without_an_endpoint_a_packet_is_dropped_and_without_an_answer_128_wait() {
    let mut pair = Pair::new();
    pair.bob.send(pair.now, &packet("10.0.0.2", "10.0.0.1", b"where"));
    assert!(pair.bob.take().is_empty());
    assert_eq!(pair.bob.drops(pair.now, "no endpoint"), 1);

    for n in 0..130 {
        pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", &[n]));
    }
    assert_eq!(pair.alice.drops(pair.now, "no session"), 2);
    pair.settle();
    let order: Vec<u8> = pair.bob.received.iter().map(|packet| packet[20]).collect();
    assert_eq!(order, (0..128).collect::<Vec<_>>());
}

#[test]
fn octets_are_counted_at_both_ends_alike() {
    let mut pair = Pair::connected();
    let (before_alice, before_bob) = (pair.alice.peer(pair.now), pair.bob.peer(pair.now));
    for (from, to) in [(&before_alice, &before_bob), (&before_bob, &before_alice)] {
        let sent = (from.transmit_packets, from.transmit_bytes);
        assert_eq!((to.receive_packets, to.receive_bytes), sent, "handshakes too, as in the kernel's implementation");
    }
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", &[0; 100]));
    pair.settle();
    assert_eq!(pair.alice.peer(pair.now).transmit_bytes - before_alice.transmit_bytes, 128 + 32);
    assert_eq!(pair.bob.peer(pair.now).receive_bytes - before_bob.receive_bytes, 128 + 32);
}

#[test]
fn a_syn_is_clamped_in_both_directions_if_asked_for() {
    let mut syn = packet(
        "10.0.0.1",
        "10.0.0.2",
        &[0xc0, 0, 0, 179, 0, 0, 0, 0, 0, 0, 0, 0, 0x60, 2, 0, 0, 0, 0, 0, 0, 2, 4, 0x23, 0],
    );
    syn[9] = 6;
    let mss = |packet: &[u8]| u16::from_be_bytes([packet[42], packet[43]]);
    for (at_alice, at_bob, expected) in [(true, false, 1380), (false, true, 1380), (false, false, 0x2300)] {
        let mut pair = Pair::connected();
        pair.alice.change(pair.now, |settings| settings.clamp_mss = at_alice);
        pair.bob.change(pair.now, |settings| settings.clamp_mss = at_bob);
        pair.alice.send(pair.now, &syn);
        pair.settle();
        assert_eq!(mss(&pair.bob.received[0]), expected);
    }
}
