//! Roles, and routes that are for customers only (RFC 9234); NOPEER (RFC 3765).

use std::time::Duration;

use bgpd::role::Role;
use bgpd::settings::Settings;
use bgpd::types::Community;
use bgpd::view::SessionState;
use bgpd::wire::PathAttributes;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;

/// Where each neighbor is, and in which AS.
const PLACES: [(Role, &str, u32); 5] = [
    (Role::Customer, "10.0.0.11", 64521),
    (Role::RouteServerClient, "10.0.0.12", 64522),
    (Role::Peer, "10.0.0.13", 64523),
    (Role::Provider, "10.0.0.14", 64524),
    (Role::RouteServer, "10.0.0.15", 64525),
];

/// AS 64512 at 10.0.0.1, with a neighbor for each role that the other side can have, named by it, and one without.
fn gateway() -> Settings {
    let start = router(64512, "10.0.0.1").with_neighbor("none", neighbor("10.0.0.16", 64526));
    PLACES.into_iter().fold(start, |settings, (theirs, at, number)| {
        settings
            .with_neighbor(theirs.name(), neighbor(at, number))
            .session(theirs.name(), |session| session.role = Some(theirs.other_side()))
    })
}

/// With all their sessions up: those of [`PLACES`], then the one without a role.
fn everybody(network: &mut Network) -> Vec<Raw> {
    let places = PLACES.into_iter().map(|(_, at, number)| (at, number)).chain([("10.0.0.16", 64526)]);
    places.map(|(at, number)| Raw::settled(network, GATEWAY, at, number)).collect()
}

fn network() -> Network {
    Network::new(9, [(address("10.0.0.1"), gateway())])
}

fn marked(asns: &[u32], otc: u32) -> PathAttributes {
    PathAttributes { only_to_customer: Some(otc), ..path(asns) }
}

/// Which of the neighbors hears what, when the first of these says this.
fn told(from: Role, attributes: &PathAttributes) -> Vec<(&'static str, String)> {
    let mut network = network();
    let mut neighbors = everybody(&mut network);
    let position = PLACES.iter().position(|(role, ..)| *role == from).unwrap();
    neighbors[position].announce(&mut network, attributes, PLACES[position].1, &["10.1.0.0/16"]);
    let names = PLACES.iter().map(|(role, ..)| role.name()).chain(["none"]);
    let heard = names.zip(&mut neighbors).map(|(name, raw)| (name, raw.hear(&mut network).concat()));
    heard.filter(|(_, heard)| !heard.is_empty()).collect()
}

fn otc(heard: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let otc = |text: &String| text.split_once(" otc ").map_or(String::new(), |(_, otc)| otc.to_owned());
    heard.iter().map(|(name, text)| (*name, otc(text))).collect()
}

fn list(expected: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    expected.iter().map(|(name, otc)| (*name, (*otc).to_owned())).collect()
}

#[test]
fn a_route_of_a_provider_peer_or_route_server_goes_to_customers_only_marked_with_its_as() {
    for (from, number) in [(Role::Provider, "64524"), (Role::Peer, "64523"), (Role::RouteServer, "64525")] {
        let asn = number.parse().unwrap();
        let expected = list(&[("customer", number), ("rs-client", number), ("none", number)]);
        assert_eq!(otc(&told(from, &path(&[asn]))), expected, "{from}");
    }
    // What a provider has marked stays as it is.
    let expected = list(&[("customer", "65000"), ("rs-client", "65000"), ("none", "65000")]);
    assert_eq!(otc(&told(Role::Provider, &marked(&[64524], 65000))), expected);
}

#[test]
fn a_route_of_a_customer_goes_everywhere_and_is_marked_where_it_leaves_for_one_or_for_a_peer() {
    let expected = list(&[("rs-client", "64512"), ("peer", "64512"), ("provider", ""), ("rs", ""), ("none", "")]);
    assert_eq!(otc(&told(Role::Customer, &path(&[64521]))), expected);
}

#[test]
fn a_leaked_route_is_not_used_and_says_so() {
    for (from, at, number, otc) in [
        ("customer", "10.0.0.11", 64521, 64521),
        ("rs-client", "10.0.0.12", 64522, 65000),
        ("peer", "10.0.0.13", 64523, 65000),
    ] {
        let mut network = network();
        let mut raw = Raw::settled(&mut network, GATEWAY, at, number);
        let mut listener = Raw::settled(&mut network, GATEWAY, "10.0.0.16", 64526);
        raw.announce(&mut network, &path(&[number]), at, &["10.1.0.0/16"]);
        assert_eq!(listener.hear(&mut network).len(), 1);
        raw.announce(&mut network, &marked(&[number], otc), at, &["10.1.0.0/16"]);
        assert_eq!(listener.hear(&mut network), ["withdraw 10.1.0.0/16"], "{from}");
        assert!(network.fib(GATEWAY).is_empty(), "{from}");
        let received = network.received(GATEWAY, from);
        let reason = received[0].paths[0].rejected.clone().unwrap();
        assert!(reason.contains("route leak"), "{from}: {reason}");
        assert_eq!(network.state(GATEWAY, from), SessionState::Established);
    }
}

#[test]
fn a_route_that_a_peer_has_marked_with_its_own_as_is_none() {
    let expected = list(&[("customer", "64523"), ("rs-client", "64523"), ("none", "64523")]);
    assert_eq!(otc(&told(Role::Peer, &marked(&[64523], 64523))), expected);
}

#[test]
fn without_a_role_the_mark_passes_as_it_is() {
    let mut network = network();
    let mut neighbors = everybody(&mut network);
    neighbors[5].announce(&mut network, &marked(&[64526], 65000), "10.0.0.16", &["10.1.0.0/16"]);
    let heard: Vec<String> = neighbors.iter_mut().map(|raw| raw.hear(&mut network).concat()).collect();
    let told = |index: usize| heard[index].ends_with("otc 65000");
    assert!(told(0) && told(1), "{heard:?}");
    assert!(heard[2..].iter().all(String::is_empty), "{heard:?}"); // peer, provider, route server, and itself
}

#[test]
fn nopeer_keeps_a_route_from_peers_alone() {
    let attributes = PathAttributes { communities: vec![Community::NO_PEER], ..path(&[64521]) };
    let names: Vec<_> = told(Role::Customer, &attributes).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["rs-client", "provider", "rs", "none"]);
}

#[test]
fn speakers_whose_roles_do_not_fit_have_no_session_and_the_last_error_says_why() {
    let side = |number, id: &str, at: &str, other| {
        router(number, id)
            .with_neighbor("other", neighbor(at, other))
            .session("other", |session| session.role = Some(Role::Provider))
    };
    let left = side(64512, "192.0.2.1", "10.0.0.2", 64513);
    let right = side(64513, "192.0.2.2", "10.0.0.1", 64512);
    let mut network = Network::new(1, [(address("10.0.0.1"), left), (address("10.0.0.2"), right.clone())]);
    network.run_for(Duration::from_secs(60));
    for node in 0..2 {
        let error = network.neighbor(node, "other").last_error.unwrap();
        let notification = error.notification.unwrap();
        assert_eq!((notification.code, notification.subcode, notification.data.len()), (2, 11, 0), "{}", error.text);
        assert!(error.text.contains("Role Mismatch"), "{}", error.text);
    }
    network.reload(1, right.session("other", |session| session.role = Some(Role::Customer)));
    network.run_until("a session of provider and customer", |network| {
        network.state(0, "other") == SessionState::Established
    });
    assert!(network.neighbor(0, "other").capabilities.contains(&"role customer".to_owned()));
}
