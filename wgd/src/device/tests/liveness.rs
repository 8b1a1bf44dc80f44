use super::*;

fn watched(peer: &mut PeerSettings) {
    peer.watched = true;
    peer.persistent_keepalive = Some(seconds(10));
}

fn states(end: &End) -> Vec<PeerState> {
    end.events
        .iter()
        .filter_map(|event| if let Event::PeerState(_, state) = event { Some(*state) } else { None })
        .collect()
}

fn initiations(sent: &[(SocketAddr, Vec<u8>)]) -> usize {
    sent.iter().filter(|(_, datagram)| datagram[0] == 1).count()
}

#[test]
fn a_watched_peer_starts_by_itself_and_an_idle_tunnel_stays_up_without_new_handshakes() {
    let mut pair = Pair::with(|bob, alice| {
        watched(bob);
        watched(alice);
    });
    pair.settle();
    pair.run(seconds(100));
    assert_eq!(states(&pair.alice), [PeerState::Down, PeerState::Up]);
    assert_eq!(states(&pair.bob), [PeerState::Down, PeerState::Up]);
    assert!(pair.alice.peer(pair.now).handshake_age > Some(seconds(99)));
}

#[test]
fn a_far_end_without_keepalive_is_asked_by_handshakes_and_does_not_flap() {
    let mut pair = Pair::with(|bob, _| watched(bob));
    pair.settle();
    pair.run(seconds(100));
    assert_eq!(states(&pair.alice), [PeerState::Down, PeerState::Up]);
    assert!(pair.alice.peer(pair.now).handshake_age < Some(seconds(13)));
}

#[test]
fn silence_makes_a_watched_peer_suspect_and_then_down_and_two_answers_up_again() {
    let mut pair = Pair::with(|bob, _| watched(bob));
    pair.settle();
    pair.run_alone(seconds(14));
    assert_eq!(pair.alice.state(pair.now), PeerState::Up);
    pair.run_alone(seconds(1));
    assert_eq!(pair.alice.state(pair.now), PeerState::Suspect);
    pair.run_alone(seconds(10));
    assert_eq!(pair.alice.state(pair.now), PeerState::Down);
    // The initiation of 12 s is lost; boringtun repeats it by a clock that the test does not own
    let entry = pair.alice.device.entries[0].as_mut().unwrap();
    let len = entry.peer.initiate(pair.now, pair.alice.out.datagrams.room(), true).unwrap();
    entry.transmit(pair.now, udp_address(2).into(), len, &mut pair.alice.out.datagrams);
    pair.settle();
    assert_eq!(pair.alice.state(pair.now), PeerState::Down);
    pair.run(seconds(1));
    assert_eq!(
        states(&pair.alice),
        [PeerState::Down, PeerState::Up, PeerState::Suspect, PeerState::Down, PeerState::Up]
    );
}

#[test]
fn an_unwatched_peer_is_never_asked_and_never_down() {
    let mut pair = Pair::connected();
    let sent = pair.run_alone(seconds(60));
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(pair.alice.state(pair.now), PeerState::Up);
    assert!(states(&pair.alice).is_empty());
}

#[test]
fn a_persistent_keepalive_is_sent_when_nothing_else_was() {
    let mut pair = Pair::with(|bob, _| bob.persistent_keepalive = Some(seconds(20)));
    pair.settle();
    pair.run_alone(seconds(15));
    pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"else"));
    assert_eq!(pair.run_alone(seconds(19)).len(), 0);
    let sent = pair.run_alone(seconds(1));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.len(), 32);
}

#[test]
fn a_replayed_initiation_is_no_sign_of_life() {
    let mut pair = Pair::with(|_, alice| watched(alice));
    pair.alice.send(pair.now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    let (_, initiation) = pair.alice.take().remove(0);
    pair.bob.receive(pair.now, udp_address(66), &initiation);
    assert_eq!(pair.bob.take().len(), 1);
    assert_eq!(pair.bob.state(pair.now), PeerState::Down);
    assert_eq!(pair.bob.peer(pair.now).endpoint, None);
}

#[test]
fn a_name_is_asked_for_at_once_and_again_with_growing_pauses() {
    let mut pair = Pair::with(|bob, _| {
        watched(bob);
        bob.endpoint = Some(Endpoint::Name("gw.example.net".to_owned(), 51820));
    });
    let wanted = |end: &End| end.events.iter().filter(|event| matches!(event, Event::EndpointWanted(..))).count();
    pair.alice.take();
    assert_eq!(wanted(&pair.alice), 1);
    pair.run_alone(seconds(200));
    let asked = wanted(&pair.alice);
    assert!((5..=7).contains(&asked), "{asked}"); // 5, 10, 20, 40, 60, 60 and a quarter more at most

    pair.alice.device.endpoint(pair.now, public_key(2), &[udp_address(2)], &mut pair.alice.out);
    pair.settle();
    assert_eq!(pair.alice.state(pair.now), PeerState::Up);
    pair.run(seconds(100));
    assert_eq!(wanted(&pair.alice), asked);
}

#[test]
fn of_several_addresses_the_next_is_tried_while_none_answers() {
    let mut pair = Pair::with(|bob, _| {
        watched(bob);
        bob.endpoint = Some(Endpoint::Name("gw.example.net".to_owned(), 51820));
    });
    let addresses = [udp_address(8), udp_address(9), udp_address(7)];
    pair.alice.take();
    pair.alice.events.clear();
    pair.alice.device.endpoint(pair.now, public_key(2), &addresses, &mut pair.alice.out);
    let mut sent = pair.alice.take();
    sent.append(&mut pair.run_alone(seconds(5)));
    assert_eq!(initiations(&sent), 3);
    let tried: Vec<_> = sent.iter().map(|(to, _)| *to).collect();
    assert_eq!(tried, addresses, "two seconds each");
    assert!(pair.alice.events.iter().all(|event| !matches!(event, Event::EndpointWanted(..))), "one was not asked yet");
    pair.run_alone(seconds(10));
    assert!(pair.alice.events.iter().any(|event| matches!(event, Event::EndpointWanted(..))));
    pair.alice.device.endpoint(pair.now, public_key(2), &addresses, &mut pair.alice.out);
    assert_eq!(pair.alice.take()[0].0, udp_address(8), "all once more");
    pair.run_alone(seconds(2));
    pair.settle();
}

#[test]
fn of_several_addresses_the_one_that_answers_is_kept() {
    let mut pair = Pair::with(|bob, _| {
        watched(bob);
        bob.endpoint = Some(Endpoint::Name("gw.example.net".to_owned(), 51820));
    });
    let addresses = [udp_address(8), udp_address(2), udp_address(9)];
    pair.alice.device.endpoint(pair.now, public_key(2), &addresses, &mut pair.alice.out);
    pair.run_alone(Duration::from_millis(1750));
    pair.run(seconds(10));
    assert_eq!(pair.alice.peer(pair.now).endpoint, Some(udp_address(2)));
    assert_eq!(pair.alice.state(pair.now), PeerState::Up);
}

#[test]
fn an_answering_peer_stays_where_it_is_whatever_its_name_says() {
    let mut pair = Pair::with(|bob, _| bob.endpoint = Some(Endpoint::Name("gw.example.net".to_owned(), 51820)));
    pair.alice.device.endpoint(pair.now, public_key(2), &[udp_address(2)], &mut pair.alice.out);
    pair.connect();
    pair.alice.device.endpoint(pair.now, public_key(2), &[udp_address(9)], &mut pair.alice.out);
    assert_eq!(pair.alice.peer(pair.now).endpoint, Some(udp_address(2)));
}
