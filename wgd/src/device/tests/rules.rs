//! Peers that have the keys and break the rules.

use super::*;

/// What Alice's keys make of any content, in place of a packet.
fn sealed_raw(pair: &mut Pair, content: &[u8]) -> Vec<u8> {
    let End { device, out, .. } = &mut pair.alice;
    let mut buffer = content.to_vec();
    let peer = &mut device.entries[0].as_mut().unwrap().peer;
    // An MTU of nothing: no padding
    let to = pair.bob.address.into();
    let sealed = peer.seal(pair.now, &mut buffer, content.len(), 0, to, out.datagrams.room());
    let crate::peer::Sealed::Transport(len) = sealed else { panic!("{sealed:?}") };
    out.datagrams.room()[..len].to_vec()
}

#[test]
fn content_is_cut_to_the_length_that_the_packet_says_and_one_that_is_shorter_is_dropped() {
    for (whole, length_at, header) in
        [(packet("10.0.0.1", "10.0.0.2", b"inner"), 2, 20), (packet("fd00::1", "fd00::2", b"inner"), 4, 40)]
    {
        let mut pair = Pair::connected();
        let mut deliver = |content: &[u8]| {
            let datagram = sealed_raw(&mut pair, content);
            pair.bob.receive(pair.now, pair.alice.address, &datagram);
            pair.settle();
            (std::mem::take(&mut pair.bob.received), pair.bob.drops(pair.now, "malformed"))
        };
        assert_eq!(deliver(&whole), (vec![whole.clone()], 0), "without padding");
        let padded = [&whole[..], &[0xee; 9]].concat();
        assert_eq!(deliver(&padded), (vec![whole.clone()], 0), "with padding that is not zero");
        assert_eq!(deliver(&whole[..whole.len() - 1]), (vec![], 1), "an octet is missing");
        assert_eq!(deliver(&whole[..header - 1]), (vec![], 2), "half a header");
        let mut lying = whole.clone();
        lying[length_at..length_at + 2].fill(0xff);
        assert_eq!(deliver(&lying), (vec![], 3), "it says to be longer");
        lying[0] = 0x75;
        assert_eq!(deliver(&lying), (vec![], 4), "it is of no known version");
        lying = whole.clone();
        lying[length_at..length_at + 2].fill(0);
        let (received, _) = deliver(&lying);
        assert!(
            received.iter().all(|packet| packet.len() == header && header == 40),
            "a length of nothing: {received:?}"
        );
    }
}

#[test]
fn a_response_with_an_ephemeral_key_of_low_order_makes_no_session() {
    let mut pair = Pair::new();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    let (_, initiation) = pair.alice.take().remove(0);
    pair.bob.receive(pair.now, pair.alice.address, &initiation);
    let (_, mut response) = pair.bob.take().remove(0);
    response[12..44].fill(0);
    let authenticated = handshake::with_mac1(&public_key(1), response, 60);
    pair.alice.receive(pair.now, pair.bob.address, &authenticated);
    assert!(pair.alice.take().is_empty());
    assert_eq!(pair.alice.device.drops()["malformed"], 1);
    assert_eq!(pair.alice.peer(pair.now).handshake_age, None);
}

#[test]
fn what_is_overtaken_by_more_than_the_window_is_told_apart_from_what_is_played_back() {
    const WINDOW: usize = 1024;
    let mut pair = Pair::connected();
    let datagrams: Vec<_> =
        (0..WINDOW + 2).map(|n| pair.sealed(&packet("10.0.0.1", "10.0.0.2", &n.to_be_bytes()))).collect();
    for datagram in &datagrams[2..] {
        pair.bob.receive(pair.now, pair.alice.address, datagram);
    }
    let reasons = |pair: &Pair| ["replay", "too late"].map(|reason| pair.bob.drops(pair.now, reason));
    pair.bob.receive(pair.now, pair.alice.address, &datagrams[0]);
    assert_eq!(reasons(&pair), [0, 1]);
    pair.bob.receive(pair.now, pair.alice.address, &datagrams[2]);
    assert_eq!(reasons(&pair), [1, 1]);
}

#[test]
fn nothing_is_sent_by_a_session_of_180_s() {
    let mut pair = Pair::connected();
    let start = pair.now;
    pair.now = start + Duration::from_millis(179_999);
    assert_eq!(pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"x"))[0], 4);
    pair.now = start + seconds(180);
    assert_eq!(pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"x"))[0], 1, "a handshake instead");
}

#[test]
fn a_peer_comes_in_under_load_by_its_cookie_and_one_address_does_not_use_up_the_rest() {
    let mut pair = Pair::new();
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    let (_, initiation) = pair.alice.take().remove(0);
    // The same again, as from many: each is made for Bob, and he cannot know who sent it before he looks
    for number in 0..20_000u32 {
        let source = std::net::Ipv4Addr::from_bits(0xc612_0000 + number);
        pair.bob.receive(pair.now, SocketAddr::new(source.into(), 51820), &initiation);
    }
    let cookies = pair.bob.take().len() as u64;
    assert!(cookies < u64::from(crate::flood::COOKIES.burst) + 2, "{cookies} were given out at once");
    pair.now += Duration::from_millis(100);
    pair.bob.receive(pair.now, pair.alice.address, &initiation);
    let (to, cookie) = pair.bob.take().remove(0);
    assert_eq!((to, cookie.len()), (pair.alice.address, 64));
    pair.alice.receive(pair.now, pair.bob.address, &cookie);
    pair.alice.device.rekey(pair.now, "peer 2", Rekey::Rekey, &mut pair.alice.out).unwrap();
    let (_, with_cookie) = pair.alice.take().remove(0);
    pair.bob.receive(pair.now, udp_address(66), &with_cookie);
    assert_eq!(pair.bob.take()[0].1.len(), 64, "it is another's cookie");
    let before = pair.bob.drops(pair.now, "replay");
    for number in 0..100 {
        pair.bob.receive(pair.now, pair.alice.address, &with_cookie);
        let answers = pair.bob.take();
        assert_eq!(answers.len(), usize::from(number == 0), "one response, and none to what is played back");
        for (_, answer) in answers {
            pair.alice.receive(pair.now, pair.bob.address, &answer);
        }
    }
    let replays = pair.bob.drops(pair.now, "replay") - before;
    assert_eq!(replays, u64::from(crate::flood::PER_SOURCE.burst) - 1, "the others were not looked at");
    pair.settle();
    assert_eq!(pair.bob.received.len(), 1);
}
