//! Two speakers bring up a session and exchange routes.

use std::time::Duration;

use bgpd::settings::Settings;
use bgpd::speaker::{Command, Event};
use bgpd::view::SessionState;

use crate::network::Network;
use crate::settings::{Told, address, neighbor, router};

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
