//! Two speakers bring up a session and exchange routes.

use std::time::Duration;

use bgpd::settings::{Password, RemoteAs, Settings};
use bgpd::speaker::{Command, Event, SocketSettings};
use bgpd::view::SessionState;
use zeroize::Zeroizing;

use crate::network::Network;
use crate::settings::{Told, address, asn, neighbor, router};

const HOME: usize = 0;
const CLOUD: usize = 1;

fn home() -> Settings {
    router(64512, "192.0.2.1").with_neighbor("cloud", neighbor("10.0.0.2", 64513)).originating(&["10.244.0.0/16"])
}

fn cloud() -> Settings {
    router(64513, "192.0.2.2").with_neighbor("home", neighbor("10.0.0.1", 64512)).originating(&["10.20.0.0/16"])
}

fn joined(home: Settings, cloud: Settings) -> Network {
    let mut network = Network::new(1, [(address("10.0.0.1"), home), (address("10.0.0.2"), cloud)]);
    network.run_until("both established", |network| {
        network.state(HOME, "cloud") == SessionState::Established
            && network.state(CLOUD, "home") == SessionState::Established
    });
    network.run_for(Duration::from_secs(1));
    network
}

#[test]
fn one_prefix_each_way_reaches_both_fibs() {
    let network = joined(home(), cloud());
    assert_eq!(network.fib(HOME), [("10.20.0.0/16".to_owned(), vec!["10.0.0.2".to_owned()])].into());
    assert_eq!(network.fib(CLOUD), [("10.244.0.0/16".to_owned(), vec!["10.0.0.1".to_owned()])].into());
    let route = network.route(CLOUD, "10.244.0.0/16").unwrap();
    assert_eq!(route.paths[0].attributes.as_path.to_string(), "64512");
    assert_eq!(route.paths[0].attributes.local_pref, None);
    assert!(route.paths[0].best);
}

#[test]
fn a_route_that_is_no_longer_originated_is_withdrawn() {
    let mut network = joined(home(), cloud());
    let mut settings = home();
    settings.originate.clear();
    network.reload(HOME, settings);
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.fib(CLOUD), [].into());
    assert_eq!(network.state(CLOUD, "home"), SessionState::Established);
    assert!(network.route(CLOUD, "10.244.0.0/16").is_none());
}

#[test]
fn a_lost_connection_takes_its_routes_and_comes_back() {
    let mut network = joined(home(), cloud());
    network.set_reachable(HOME, CLOUD, false);
    network.cut(HOME, CLOUD);
    network.run_for(Duration::from_secs(5));
    assert_eq!((network.fib(HOME), network.fib(CLOUD)), ([].into(), [].into()));
    network.set_reachable(HOME, CLOUD, true);
    network.run_until("routes are back", |network| network.fib(HOME).len() == 1 && network.fib(CLOUD).len() == 1);
}

#[test]
fn a_reset_tells_the_neighbor_why() {
    let mut network = joined(home(), cloud());
    network.command(HOME, "cloud", Command::Reset);
    network.run_for(Duration::from_secs(1));
    let error = network.neighbor(CLOUD, "home").last_error.unwrap();
    assert!(!error.sent);
    assert_eq!(error.text, "received Cease/Administrative Reset");
    network.run_until("routes are back", |network| network.fib(HOME).len() == 1 && network.fib(CLOUD).len() == 1);
    let downs = network.nodes[CLOUD].events.iter().filter(|event| matches!(event, Event::SessionDown { .. }));
    assert_eq!(downs.count(), 1);
}

#[test]
fn ipv6_prefixes_go_over_an_ipv6_session() {
    let home =
        router(64512, "192.0.2.1").with_neighbor("cloud", neighbor("fd00::2", 64513)).originating(&["fd00:244::/48"]);
    let cloud =
        router(64513, "192.0.2.2").with_neighbor("home", neighbor("fd00::1", 64512)).originating(&["fd00:20::/48"]);
    let mut network = Network::new(2, [(address("fd00::1"), home), (address("fd00::2"), cloud)]);
    network.run_until("routes are there", |network| network.fib(HOME).len() == 1 && network.fib(CLOUD).len() == 1);
    assert_eq!(network.fib(HOME), [("fd00:20::/48".to_owned(), vec!["fd00::2".to_owned()])].into());
    assert_eq!(network.fib(CLOUD), [("fd00:244::/48".to_owned(), vec!["fd00::1".to_owned()])].into());
}

#[test]
fn both_dial_and_one_session_comes_of_it() {
    for seed in 0..20 {
        let mut network = Network::new(seed, [(address("10.0.0.1"), home()), (address("10.0.0.2"), cloud())]);
        network.run_for(Duration::from_secs(300));
        for (node, neighbor) in [(HOME, "cloud"), (CLOUD, "home")] {
            assert_eq!(network.state(node, neighbor), SessionState::Established, "seed {seed}\n{network}");
            let ups = network.nodes[node].events.iter().filter(|event| matches!(event, Event::SessionUp { .. }));
            assert_eq!(ups.count(), 1, "seed {seed}\n{network}");
        }
        assert_eq!(network.fib(HOME).len(), 1);
    }
}

#[test]
fn a_socket_gets_the_ttl_that_its_neighbor_needs() {
    let table: [(RemoteAs, Option<u8>, Option<u8>, SocketSettings); 6] = [
        (RemoteAs::OneOf(vec![asn(64513)]), None, None, SocketSettings { ttl: Some(1), min_ttl: None }),
        (RemoteAs::External, None, None, SocketSettings { ttl: Some(1), min_ttl: None }),
        (RemoteAs::Internal, None, None, SocketSettings::default()),
        (RemoteAs::External, None, Some(5), SocketSettings { ttl: Some(5), min_ttl: None }),
        (RemoteAs::External, Some(1), None, SocketSettings { ttl: Some(255), min_ttl: Some(255) }),
        (RemoteAs::Internal, Some(3), None, SocketSettings { ttl: Some(255), min_ttl: Some(253) }),
    ];
    for (remote_as, ttl_security, ebgp_multihop, socket) in table {
        let mut settings = home();
        let cloud = settings.neighbors.get_mut("cloud").unwrap();
        cloud.asn = remote_as;
        (cloud.session.ttl_security, cloud.session.ebgp_multihop) = (ttl_security, ebgp_multihop);
        let mut network = Network::new(1, [(address("10.0.0.1"), settings)]);
        network.run_for(Duration::from_secs(1));
        assert_eq!(network.nodes[HOME].dials[0].socket, socket);
    }
}

#[test]
fn a_neighbor_that_cannot_be_reached_says_why() {
    let mut network = Network::new(1, [(address("10.0.0.1"), home())]);
    network.run_for(Duration::from_secs(60));
    let view = network.neighbor(HOME, "cloud");
    assert_eq!(view.last_error.unwrap().text, "no connection: connection refused");
    assert!(network.nodes[HOME].dials.len() > 3);
}

/// Both dial, and neither hears the other.
#[test]
fn a_neighbor_with_a_password_that_never_connects_is_shown_with_what_that_may_mean() {
    let secret = Some(Password(Zeroizing::new(b"secret".to_vec())));
    let secretive = home().session("cloud", |session| session.password = secret);
    let mut network = Network::new(1, [(address("10.0.0.1"), secretive), (address("10.0.0.2"), cloud())]);
    network.set_reachable(0, 1, false);
    network.run_for(Duration::from_secs(30));
    let note = "it has not connected: it does not dial, or the TCP-MD5 passwords differ";
    assert_eq!(network.neighbor(0, "cloud").note.as_deref(), Some(note));
    assert_eq!(network.neighbor(1, "home").note, None, "it has no password");
    network.reload(0, home().session("cloud", |session| session.ttl_security = Some(1)));
    let note = "it has not connected: it does not dial, or its TTL is too low for ttl-security";
    assert_eq!(network.neighbor(0, "cloud").note.as_deref(), Some(note));
    network.set_reachable(0, 1, true);
    network.run_until("established", |network| network.state(0, "cloud") == SessionState::Established);
    assert!(!network.neighbor(0, "cloud").note.unwrap_or_default().contains("connected"));
}

#[test]
fn a_neighbor_with_another_as_is_refused() {
    let mut settings = cloud();
    settings.asn = asn(64999);
    let mut network = Network::new(1, [(address("10.0.0.1"), home()), (address("10.0.0.2"), settings)]);
    network.run_for(Duration::from_secs(5));
    let error = network.neighbor(HOME, "cloud").last_error.unwrap();
    assert_eq!((error.sent, error.text.as_str()), (true, "sent OPEN Message Error/Bad Peer AS"));
    let view = network.neighbor(HOME, "cloud");
    assert_eq!((view.asn, view.router_id), (Some(asn(64513)), None));
}
