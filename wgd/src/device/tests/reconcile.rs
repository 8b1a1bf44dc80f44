use super::*;

#[test]
fn settings_that_say_the_same_change_nothing() {
    let mut pair = Pair::connected();
    pair.alice.change(pair.now, |_| {});
    assert!(pair.alice.take().is_empty());
    pair.ping();
    assert_eq!(pair.alice.peer(pair.now).handshake_age, Some(Duration::ZERO));
}

#[test]
fn keepalive_name_and_allowed_ips_change_without_a_new_session() {
    let mut pair = Pair::connected();
    let session = pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"x"))[4..8].to_vec();
    pair.alice.change(pair.now, |settings| {
        let peer = &mut settings.peers[0];
        peer.name = "other".to_owned();
        peer.persistent_keepalive = Some(seconds(5));
        peer.allowed_ips.push("203.0.113.0/24".parse().unwrap());
    });
    assert_eq!(pair.sealed(&packet("10.0.0.1", "203.0.113.1", b"x"))[4..8], session);
    assert_eq!(pair.alice.peer(pair.now).name, "other");
}

#[test]
fn a_new_preshared_key_replaces_the_session_of_its_peer_only() {
    let now = Instant::now();
    let peers = vec![peer(2, Some(udp_address(2))), peer(3, Some(udp_address(3)))];
    let mut alice = End::new(now, 1, settings(1, peers));
    let mut others = [2, 3].map(|number| End::new(now, number, settings(number, vec![peer(1, None)])));
    let exchange = |alice: &mut End, others: &mut [End; 2]| loop {
        let sent = alice.take();
        if sent.is_empty() {
            return;
        }
        for (to, datagram) in sent {
            let other = others.iter_mut().find(|other| other.address == to).unwrap();
            other.receive(now, udp_address(1), &datagram);
            for (_, datagram) in other.take() {
                alice.receive(now, other.address, &datagram);
            }
        }
    };
    let sends = |alice: &mut End, number: u8| {
        alice.send(now, &packet("10.0.0.1", &format!("10.0.0.{number}"), b"x"));
        alice.take()[0].1[0]
    };
    for number in [2, 3] {
        alice.send(now, &packet("10.0.0.1", &format!("10.0.0.{number}"), b"x"));
    }
    exchange(&mut alice, &mut others);
    assert_eq!([sends(&mut alice, 2), sends(&mut alice, 3)], [4, 4]);
    alice.change(now, |settings| settings.peers[0].preshared_key = preshared_key(5));
    assert_eq!([sends(&mut alice, 2), sends(&mut alice, 3)], [1, 4]);
}

#[test]
fn a_new_private_key_replaces_every_session() {
    let mut pair = Pair::connected();
    pair.alice.change(pair.now, |settings| settings.private_key = private_key(9));
    let initiation = pair.sealed(&packet("10.0.0.1", "10.0.0.2", b"x"));
    assert_eq!(initiation[0], 1);
    pair.bob.receive(pair.now, pair.alice.address, &initiation);
    assert_eq!(pair.bob.device.drops()["unknown peer"], 1);
    let mut renamed = peer(9, None);
    renamed.allowed_ips = pair.bob.settings.peers[0].allowed_ips.clone();
    pair.bob.change(pair.now, |settings| settings.peers = vec![renamed]);
    pair.bob.receive(pair.now, pair.alice.address, &initiation);
    pair.settle();
    assert_eq!(pair.bob.received.len(), 1);
}

#[test]
fn a_peer_that_is_removed_is_forgotten_with_its_routes() {
    let mut pair = Pair::connected();
    let group = Group { send: vec![public_key(2)], ..Group::default() };
    pair.alice.device.table(pair.now, [Change { prefix: "203.0.113.0/24".parse().unwrap(), group: Some(group) }]);
    let peers = std::mem::take(&mut pair.alice.settings.peers);
    pair.alice.change(pair.now, |_| {});
    assert!(pair.alice.device.peers(pair.now).is_empty());
    for destination in ["10.0.0.2", "203.0.113.1"] {
        pair.alice.send(pair.now, &packet("10.0.0.1", destination, b"x"));
    }
    assert_eq!(pair.alice.device.drops()["no route"], 2);
    pair.bob.send(pair.now, &packet("10.0.0.2", "10.0.0.1", b"x"));
    pair.settle();
    assert_eq!(pair.alice.device.drops()["unknown index"], 1);

    pair.alice.change(pair.now, |settings| settings.peers = peers); // the routes that named it waited
    pair.now += seconds(1);
    pair.alice.send(pair.now, &packet("10.0.0.1", "203.0.113.1", b"x"));
    pair.settle();
    assert_eq!(pair.bob.received.len(), 1);
}

#[test]
fn a_watched_peer_that_is_removed_is_told_as_down_once() {
    let mut pair = Pair::new();
    pair.alice.change(pair.now, |settings| settings.peers[0].watched = true);
    pair.settle();
    assert_eq!(pair.alice.state(pair.now), PeerState::Up);
    pair.alice.events.clear();
    pair.alice.change(pair.now, |settings| settings.peers.clear());
    pair.alice.change(pair.now, |_| {});
    pair.run_alone(seconds(30));
    assert_eq!(pair.alice.events, [Event::PeerState(public_key(2), PeerState::Down)]);
}

#[test]
fn a_changed_endpoint_is_used_and_an_unchanged_one_does_not_undo_roaming() {
    let mut pair = Pair::connected();
    pair.bob.address = udp_address(7);
    pair.ping();
    pair.alice.change(pair.now, |settings| settings.mtu = Mtu::Octets(1400));
    assert_eq!(pair.alice.peer(pair.now).endpoint, Some(udp_address(7)));
    pair.alice.change(pair.now, |settings| settings.peers[0].endpoint = Some(Endpoint::Address(udp_address(8))));
    assert_eq!(pair.alice.peer(pair.now).endpoint, Some(udp_address(8)));
}

#[test]
fn a_changed_name_is_looked_up_and_then_used_although_the_peer_answers() {
    let mut pair = Pair::connected();
    assert_eq!(std::mem::take(&mut pair.alice.events), [Event::Handshake(public_key(2))]);
    let name = Endpoint::Name("gw.example.net".to_owned(), 51820);
    pair.alice.change(pair.now, |settings| settings.peers[0].endpoint = Some(name));
    pair.run(seconds(3));
    let wanted = Event::EndpointWanted(public_key(2), "gw.example.net".to_owned(), 51820);
    assert_eq!(pair.alice.events, [wanted]);
    assert_eq!(pair.alice.peer(pair.now).endpoint, Some(udp_address(2)));
    pair.alice.device.endpoint(pair.now, public_key(2), &[udp_address(8)], &mut pair.alice.out);
    assert_eq!(pair.alice.peer(pair.now).endpoint, Some(udp_address(8)));
}

#[test]
fn watching_begins_and_ends_with_the_settings() {
    let mut pair = Pair::new();
    pair.alice.change(pair.now, |settings| settings.peers[0].watched = true);
    assert_eq!(pair.alice.state(pair.now), PeerState::Down);
    pair.settle();
    assert_eq!(pair.alice.state(pair.now), PeerState::Up);
    pair.run_alone(seconds(30));
    assert_eq!(pair.alice.state(pair.now), PeerState::Down);
    pair.alice.change(pair.now, |settings| settings.peers[0].watched = false);
    assert_eq!(pair.alice.state(pair.now), PeerState::Up);
}

#[test]
fn views_are_in_the_order_of_the_settings() {
    let now = Instant::now();
    let mut end = End::new(now, 1, settings(1, vec![peer(4, None), peer(2, None)]));
    end.change(now, |settings| settings.peers = vec![peer(3, None), peer(2, None), peer(4, None)]);
    let names: Vec<_> = end.device.peers(now).into_iter().map(|peer| peer.name).collect();
    assert_eq!(names, ["peer 3", "peer 2", "peer 4"]);
}
