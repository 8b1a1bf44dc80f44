//! Three speakers in a row, and in a triangle.

use std::time::Duration;

use bgpd::settings::Settings;
use bgpd::speaker::{Command, NextHopState};
use bgpd::view::SessionState;
use bytes::BytesMut;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const HOME: usize = 0;
const MIDDLE: usize = 1;
const CLOUD: usize = 2;

/// Home 64512, middle 64513, cloud 64514, in a row.
fn row() -> [Settings; 3] {
    [
        router(64512, "192.0.2.1").with_neighbor("middle", neighbor("10.0.0.2", 64513)).originating(&["10.244.0.0/16"]),
        router(64513, "192.0.2.2")
            .with_neighbor("home", neighbor("10.0.0.1", 64512))
            .with_neighbor("cloud", neighbor("10.0.0.3", 64514)),
        router(64514, "192.0.2.3").with_neighbor("middle", neighbor("10.0.0.2", 64513)).originating(&["10.20.0.0/16"]),
    ]
}

fn joined(settings: [Settings; 3]) -> Network {
    let addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(address);
    let mut network = Network::new(13, addresses.into_iter().zip(settings));
    network.run_until("everybody is up", |network| {
        network
            .nodes
            .iter()
            .all(|node| node.speaker.neighbors(network.now).iter().all(|view| view.state == SessionState::Established))
    });
    network.run_for(Duration::from_secs(1));
    network
}

#[test]
fn routes_pass_through_and_go_when_their_source_goes() {
    let mut network = joined(row());
    let route = network.route(CLOUD, "10.244.0.0/16").unwrap();
    assert_eq!(route.paths[0].attributes.as_path.to_string(), "64513 64512");
    assert_eq!(network.fib(CLOUD)["10.244.0.0/16"], ["10.0.0.2"]);
    network.set_reachable(HOME, MIDDLE, false);
    network.cut(HOME, MIDDLE);
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.fib(CLOUD), [].into());
    network.set_reachable(HOME, MIDDLE, true);
    network.run_until("the route is back", |network| network.fib(CLOUD).contains_key("10.244.0.0/16"));
}

#[test]
fn a_neighbor_that_falls_silent_is_given_up_after_the_hold_time() {
    let mut network = joined(row());
    network.nodes[MIDDLE].deaf = true; // nothing reaches it, and home hears only its KEEPALIVEs
    network.run_for(Duration::from_secs(89));
    assert!(network.fib(MIDDLE).contains_key("10.244.0.0/16"));
    network.run_for(Duration::from_secs(3));
    assert_eq!(network.fib(MIDDLE), [].into());
    let error = network.neighbor(MIDDLE, "home").last_error.unwrap();
    assert_eq!((error.sent, error.text.as_str()), (true, "sent Hold Timer Expired"));
}

#[test]
fn a_neighbor_that_reads_nothing_is_given_up_after_the_send_hold_time() {
    let mut settings = row();
    settings[HOME] = settings[HOME].clone().session("middle", |session| {
        session.send_hold_time = Some(Duration::from_secs(50));
    });
    let mut network = joined(settings);
    network.nodes[MIDDLE].deaf = true;
    network.run_for(Duration::from_secs(85)); // a KEEPALIVE that waits, and the time
    let error = network.neighbor(HOME, "middle").last_error.unwrap();
    assert!(error.sent && error.text.contains("Send Hold Timer Expired"), "{}", error.text);
}

#[test]
fn a_slow_reader_ends_up_with_what_is_true() {
    let mut network = joined(row());
    network.nodes[CLOUD].deaf = true;
    let mut settings = row();
    for round in 0..5 {
        settings[HOME].originate.clear();
        let prefixes: Vec<String> = (0..50).map(|third| format!("10.{}.{third}.0/24", 100 + round)).collect();
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        network.reload(HOME, settings[HOME].clone().originating(&prefixes));
        network.run_for(Duration::from_secs(2));
    }
    assert_eq!(network.fib(CLOUD).into_keys().collect::<Vec<_>>(), ["10.244.0.0/16"]);
    network.nodes[CLOUD].deaf = false;
    network.run_for(Duration::from_secs(1));
    let fib = network.fib(CLOUD);
    assert_eq!(fib.len(), 50);
    assert!(fib.keys().all(|prefix| prefix.starts_with("10.104.")));
}

#[test]
fn what_goes_while_it_is_being_sent_is_not_sent() {
    let settings = [
        router(64512, "192.0.2.1")
            .with_neighbor("cloud", neighbor("10.0.0.2", 64513))
            .with_neighbor("raw", neighbor("10.0.0.3", 64514)),
        router(64513, "192.0.2.2").with_neighbor("home", neighbor("10.0.0.1", 64512)),
    ];
    let mut network = Network::new(3, ["10.0.0.1", "10.0.0.2"].map(address).into_iter().zip(settings));
    network.run_for(Duration::from_secs(20));
    let mut raw = Raw::settled(&mut network, 0, "10.0.0.3", 64514);
    network.nodes[1].deaf = true;
    let prefixes: Vec<String> = (0..500).map(|number| format!("10.{}.{}.0/24", number / 200, number % 200)).collect();
    for (number, prefix) in (65000..).zip(&prefixes) {
        // A set for each, so long that they do not leave in one turn.
        let long: Vec<u32> = std::iter::once(64514).chain(std::iter::repeat_n(number, 50)).collect();
        raw.announce(&mut network, &path(&long), "10.0.0.3", &[prefix]);
    }
    let view = network.nodes[0].speaker.neighbor(network.now, "cloud").unwrap();
    let now = network.now;
    let more = network.nodes[0].speaker.poll_transmit(now, view.connection.unwrap(), &mut BytesMut::new());
    assert!(more, "all of it left in one turn");
    raw.withdraw(&mut network, &prefixes.iter().map(String::as_str).collect::<Vec<_>>());
    network.nodes[1].deaf = false;
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.fib(1), [].into());
    assert_eq!(network.state(0, "cloud"), SessionState::Established);
}

#[test]
fn equal_paths_are_installed_together_and_the_others_stand_by() {
    // Cloud hears of 10.244.0.0/16 from home and, by the middle, a longer way round.
    let mut settings = row();
    settings[HOME] = settings[HOME].clone().with_neighbor("cloud", neighbor("10.0.0.3", 64514));
    settings[CLOUD] = settings[CLOUD].clone().with_neighbor("home", neighbor("10.0.0.1", 64512));
    settings[MIDDLE] = settings[MIDDLE].clone().originating(&["10.99.0.0/16"]);
    settings[HOME] = settings[HOME].clone().originating(&["10.99.0.0/16"]);
    let mut network = joined(settings);
    let choice = |network: &Network, prefix: &str| network.nodes[CLOUD].fib[&prefix.parse().unwrap()].clone();
    let (home, middle) = (address("10.0.0.1").into(), address("10.0.0.2").into());
    let chosen = choice(&network, "10.244.0.0/16");
    assert_eq!((chosen.best, chosen.backup, chosen.accepted), (vec![home], vec![middle], vec![home, middle]));
    let chosen = choice(&network, "10.99.0.0/16");
    assert_eq!((chosen.best, chosen.backup), (vec![home, middle], vec![]));

    // Home's next hop dies: the other takes over before the session has noticed.
    network.answer(CLOUD, address("10.0.0.1"), NextHopState::default());
    assert_eq!(choice(&network, "10.244.0.0/16").best, [middle]);
    assert_eq!(choice(&network, "10.99.0.0/16").best, [middle]);
    let route = network.route(CLOUD, "10.244.0.0/16").unwrap();
    let why: Vec<_> = route.paths.iter().map(|path| path.not_best.as_deref()).collect();
    assert_eq!(why, [None, Some("next hop 10.0.0.1 unreachable")]);
}

#[test]
fn the_paths_of_a_route_are_shown_with_what_decided() {
    let mut settings = row();
    settings[HOME] = settings[HOME].clone().with_neighbor("cloud", neighbor("10.0.0.3", 64514));
    settings[CLOUD] = settings[CLOUD].clone().with_neighbor("home", neighbor("10.0.0.1", 64512));
    let network = joined(settings);
    let route = network.route(CLOUD, "10.244.0.0/16").unwrap();
    let shown: Vec<_> = route
        .paths
        .iter()
        .map(|path| (path.neighbor.as_str(), path.best, path.multipath, path.not_best.as_deref()))
        .collect();
    assert_eq!(shown, [("home", true, true, None), ("middle", false, false, Some("longer AS_PATH"))]);
}

#[test]
fn a_disabled_neighbor_stays_down_with_its_message_until_it_is_enabled() {
    let mut network = joined(row());
    network.command(MIDDLE, "home", Command::Disable(Some("maintenance".to_owned())));
    network.run_for(Duration::from_secs(100));
    let error = network.neighbor(HOME, "middle").last_error.unwrap();
    assert_eq!(error.text, "received Cease/Connection Rejected");
    assert_eq!(network.neighbor(MIDDLE, "home").note.unwrap(), "disabled: maintenance");
    assert_eq!(network.fib(CLOUD), [].into());
    network.command(MIDDLE, "10.0.0.1", Command::Enable);
    network.run_until("it is back", |network| network.fib(CLOUD).contains_key("10.244.0.0/16"));
}

#[test]
fn asking_for_routes_again_changes_nothing_where_nothing_has_changed() {
    let mut network = joined(row());
    network.nodes[CLOUD].fib_changes.clear();
    network.command(CLOUD, "middle", Command::Refresh);
    network.command(MIDDLE, "cloud", Command::Resend);
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.nodes[CLOUD].fib_changes, []);
    assert_eq!(network.fib(CLOUD).len(), 1);
}
