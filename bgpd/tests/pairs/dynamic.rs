//! Neighbors that dial in.

use std::net::SocketAddr;
use std::time::Duration;

use bgpd::settings::{Password, RemoteAs, Settings};
use bgpd::speaker::{Command, Event, Input, SocketSettings, Stop};
use bgpd::view::SessionState;

use crate::network::Network;
use crate::raw::{Raw, open, path};
use crate::settings::{Told, address, asn, neighbor, range, router};

const GATEWAY: usize = 0;

fn gateway() -> Settings {
    router(64512, "10.0.0.1").with_range("cilium", range("10.0.60.0/24", 64520, 2)).originating(&["10.20.0.0/16"])
}

fn network(settings: Settings) -> Network {
    Network::new(7, [(address("10.0.0.1"), settings)])
}

fn names(network: &Network) -> Vec<String> {
    network.nodes[GATEWAY].speaker.neighbors(network.now).into_iter().map(|view| view.name).collect()
}

fn last_refusal(network: &Network) -> String {
    match network.nodes[GATEWAY].events.last() {
        Some(Event::Refused { text, .. }) => text.clone(),
        event => panic!("{event:?}"),
    }
}

#[test]
fn a_neighbor_of_a_range_gets_a_session_under_its_own_name() {
    let mut network = network(gateway());
    let mut node = Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert_eq!(node.hear(&mut network)[..2], ["open 64512 hold 90", "10.20.0.0/16 via 10.0.0.1 igp [64512]"]);
    node.announce(&mut network, &path(&[64520]), "10.0.60.21", &["10.42.1.0/24"]);
    assert_eq!(names(&network), ["cilium/10.0.60.21"]);
    assert_eq!(network.route(GATEWAY, "10.42.1.0/24").unwrap().paths[0].neighbor, "cilium/10.0.60.21");
    // Cilium sends with TTL 1 and takes no more; what arrives may have any.
    assert_eq!(network.nodes[GATEWAY].adopted, [SocketSettings { ttl: Some(1), min_ttl: None }]);
}

#[test]
fn a_stranger_is_closed_without_a_word() {
    let mut network = network(gateway());
    let mut stranger = Raw::connect(&mut network, GATEWAY, "10.0.61.21", 64520);
    assert!(stranger.is_closed(&network));
    assert_eq!(stranger.hear(&mut network), [""; 0]);
    assert_eq!(last_refusal(&network), "no neighbor has this address or a range with it");
    assert_eq!(names(&network), [""; 0]);
}

#[test]
fn the_open_must_have_an_as_of_the_range() {
    let mut network = network(gateway());
    let mut node = Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64999);
    let heard = node.hear(&mut network);
    assert_eq!(heard.last().unwrap(), "notification 2/2 OPEN Message Error/Bad Peer AS");
    assert_eq!(network.state(GATEWAY, "cilium/10.0.60.21"), SessionState::Active);
    let mut node = Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert!(!node.hear(&mut network).is_empty());
}

#[test]
fn a_range_that_is_full_refuses_until_a_session_is_gone() {
    let mut network = network(gateway());
    for last in [21, 22] {
        Raw::establish(&mut network, GATEWAY, &format!("10.0.60.{last}"), 64520);
    }
    let third = Raw::connect(&mut network, GATEWAY, "10.0.60.23", 64520);
    assert!(third.is_closed(&network));
    assert_eq!(last_refusal(&network), "cilium has its 2 neighbors");

    network.command(GATEWAY, "cilium/10.0.60.21", Command::Reset);
    network.run_for(Duration::from_secs(1));
    Raw::establish(&mut network, GATEWAY, "10.0.60.23", 64520);
    assert_eq!(names(&network), ["cilium/10.0.60.22", "cilium/10.0.60.23"]);
}

#[test]
fn a_neighbor_whose_session_is_gone_is_shown_for_five_minutes() {
    let mut network = network(gateway());
    let mut node = Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    node.announce(&mut network, &path(&[64520]), "10.0.60.21", &["10.42.1.0/24"]);
    network.command(GATEWAY, "cilium/10.0.60.21", Command::Reset);
    network.run_for(Duration::from_secs(299));
    let view = network.neighbor(GATEWAY, "cilium/10.0.60.21");
    assert_eq!(view.last_error.unwrap().text, "sent Cease/Administrative Reset");
    assert_eq!(network.fib(GATEWAY).len(), 0);
    network.run_for(Duration::from_secs(2));
    assert_eq!(names(&network), [""; 0]);
}

#[test]
fn a_silent_connection_holds_its_place_for_the_hold_time_only() {
    let mut network = network(gateway());
    let silent = Raw::connect(&mut network, GATEWAY, "10.0.60.21", 64520);
    network.run_for(Duration::from_secs(600));
    assert!(silent.is_closed(&network));
    assert_eq!(names(&network), [""; 0]);
}

#[test]
fn the_longest_range_wins() {
    let settings = gateway().with_range("special", range("10.0.60.16/28", 64530, 2));
    let mut network = network(settings);
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64530);
    Raw::establish(&mut network, GATEWAY, "10.0.60.40", 64520);
    assert_eq!(names(&network), ["cilium/10.0.60.40", "special/10.0.60.21"]);
    assert_eq!(network.state(GATEWAY, "special/10.0.60.21"), SessionState::Established);
}

#[test]
fn between_equal_ranges_the_as_of_the_open_decides() {
    let settings = gateway().with_range("other", range("10.0.60.0/24", 64530, 2));
    let mut network = network(settings);
    let mut other = Raw::connect(&mut network, GATEWAY, "10.0.60.21", 64530);
    assert_eq!(other.hear(&mut network), [""; 0]);
    assert_eq!(names(&network), [""; 0]);
    other.say(&mut network, |out| open(64530, "10.0.60.21").write(out));
    other.say(&mut network, bgpd::wire::write_keepalive);
    assert_eq!(names(&network), ["other/10.0.60.21"]);
    assert_eq!(network.state(GATEWAY, "other/10.0.60.21"), SessionState::Established);

    // Nobody's AS: the first range refuses it as its neighbor.
    let mut neither = Raw::connect(&mut network, GATEWAY, "10.0.60.22", 64540);
    neither.say(&mut network, |out| open(64540, "10.0.60.22").write(out));
    assert_eq!(neither.hear(&mut network).last().unwrap(), "notification 2/2 OPEN Message Error/Bad Peer AS");

    // No OPEN at all.
    let silent = Raw::connect(&mut network, GATEWAY, "10.0.60.23", 64530);
    network.run_for(Duration::from_secs(31));
    assert!(silent.is_closed(&network));
    assert_eq!(last_refusal(&network), "it sent no OPEN");
}

#[test]
fn an_address_may_have_a_few_undecided_connections() {
    let settings = gateway().with_range("other", range("10.0.60.0/24", 64530, 2));
    let mut network = network(settings);
    let mut connect = || Raw::connect(&mut network, GATEWAY, "10.0.60.21", 64530);
    let waiting: Vec<Raw> = (0..5).map(|_| connect()).collect();
    let elsewhere = Raw::connect(&mut network, GATEWAY, "10.0.60.22", 64530);
    let closed: Vec<bool> = waiting.iter().map(|raw| raw.is_closed(&network)).collect();
    assert_eq!(closed, [true, false, false, false, false], "the oldest makes room");
    assert!(!elsewhere.is_closed(&network));
    assert_eq!(last_refusal(&network), "it has 4 newer connections without an OPEN");
}

#[test]
fn who_dials_again_and_again_is_told_of_a_few_times_a_minute() {
    let mut network = network(gateway());
    for _ in 0..100 {
        Raw::connect(&mut network, GATEWAY, "10.0.61.21", 64520);
    }
    assert_eq!(network.nodes[GATEWAY].events.len(), 5);
    network.run_for(Duration::from_secs(61));
    assert_eq!(network.nodes[GATEWAY].events.len(), 6);
    let text = "95 more within a minute, the last: no neighbor has this address or a range with it";
    assert_eq!(last_refusal(&network), text);
}

#[test]
fn a_node_that_moves_to_the_other_cluster_is_taken_in_there() {
    let settings = gateway().with_range("other", range("10.0.60.0/24", 64530, 2));
    let mut network = network(settings);
    let mut node = Raw::connect(&mut network, GATEWAY, "10.0.60.21", 64520);
    node.say(&mut network, |out| open(64520, "10.0.60.21").write(out));
    network.command(GATEWAY, "cilium/10.0.60.21", Command::Reset);
    network.run_for(Duration::from_secs(1));
    let mut node = Raw::connect(&mut network, GATEWAY, "10.0.60.21", 64530);
    node.say(&mut network, |out| open(64530, "10.0.60.21").write(out));
    node.say(&mut network, bgpd::wire::write_keepalive);
    assert_eq!(network.state(GATEWAY, "other/10.0.60.21"), SessionState::Established);
}

#[test]
fn a_configured_neighbor_comes_before_any_range() {
    let mut fixed = neighbor("10.0.60.21", 64531);
    fixed.passive = true;
    let mut network = network(gateway().with_neighbor("fixed", fixed));
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64531);
    assert_eq!(names(&network), ["fixed"]);
    assert_eq!(network.state(GATEWAY, "fixed"), SessionState::Established);
}

#[test]
fn listening_sockets_learn_the_keys_before_anybody_dials() {
    let password = Some(Password(zeroize::Zeroizing::new(b"secret".to_vec())));
    let mut settings = gateway();
    settings.dynamic_neighbors.get_mut("cilium").unwrap().session.password = password.clone();
    let mut fixed = neighbor("10.0.0.2", 64513);
    fixed.session.password = password;
    let mut network = network(settings.with_neighbor("fixed", fixed));
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.nodes[GATEWAY].keys, ["10.0.0.2/32", "10.0.60.0/24"].map(|key| key.parse().unwrap()));
    network.reload(GATEWAY, gateway());
    assert_eq!(network.nodes[GATEWAY].keys, []);
}

#[test]
fn a_range_that_is_gone_takes_its_sessions_with_it() {
    let mut network = network(gateway());
    let mut node = Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    let mut elsewhere = gateway();
    elsewhere.dynamic_neighbors.get_mut("cilium").unwrap().range = vec!["10.0.61.0/24".parse().unwrap()];
    network.reload(GATEWAY, elsewhere);
    assert_eq!(node.hear(&mut network).last().unwrap(), "notification 6/3 Cease/Peer De-configured");
    assert_eq!(names(&network), [""; 0]);
}

#[test]
fn a_neighbor_that_gets_settings_of_its_own_begins_anew() {
    let mut network = network(gateway());
    let mut node = Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    let mut fixed = neighbor("10.0.60.21", 64520);
    fixed.passive = true;
    network.reload(GATEWAY, gateway().with_neighbor("fixed", fixed));
    assert_eq!(node.hear(&mut network).last().unwrap(), "notification 6/3 Cease/Peer De-configured");
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert_eq!(names(&network), ["fixed"]);
}

#[test]
fn when_the_speaker_stops_everybody_is_told_and_nobody_is_let_in() {
    let mut network = network(gateway());
    let mut node = Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    node.announce(&mut network, &path(&[64520]), "10.0.60.21", &["10.42.1.0/24"]);
    network.input(GATEWAY, Input::Stop(Stop::Withdraw));
    assert_eq!(node.hear(&mut network).last().unwrap(), "notification 6/2 Cease/Administrative Shutdown");
    assert!(node.is_closed(&network));
    let late = Raw::connect(&mut network, GATEWAY, "10.0.60.22", 64520);
    assert!(late.is_closed(&network));
}

/// Each announces a prefix, and each hears of all others.
#[test]
fn five_hundred_neighbors_dial_in() {
    const COUNT: usize = 500;
    let mut all = range("10.0.0.0/16", 64520, COUNT);
    all.asn = RemoteAs::OneOf((0..COUNT as u32).map(|number| asn(64600 + number)).collect());
    let mut network = network(router(64512, "10.0.0.1").with_range("nodes", all));
    let mut nodes: Vec<Raw> = (0..COUNT)
        .map(|number| {
            let from = format!("10.0.{}.{}", 1 + number / 250, 1 + number % 250);
            let mut node = Raw::establish(&mut network, GATEWAY, &from, 64600 + number as u32);
            let prefix = format!("10.{}.{}.0/24", 100 + number / 250, number % 250);
            node.announce(&mut network, &path(&[64600 + number as u32]), &from, &[&prefix]);
            node
        })
        .collect();
    network.run_for(Duration::from_secs(1));
    let views = network.nodes[GATEWAY].speaker.neighbors(network.now);
    assert_eq!(views.len(), COUNT);
    assert!(views.iter().all(|view| view.state == SessionState::Established && view.advertised == COUNT - 1));
    assert_eq!(network.fib(GATEWAY).len(), COUNT);
    let heard: usize = nodes[0].hear(&mut network).iter().filter(|line| line.contains(" via ")).count();
    assert_eq!(heard, COUNT - 1);
    network.input(GATEWAY, Input::Stop(Stop::Withdraw));
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.routes(GATEWAY).len(), 0);
    assert_eq!(network.fib(GATEWAY).len(), COUNT, "what stays installed is for others to decide");
}

#[test]
fn a_disabled_neighbor_is_not_forgotten() {
    let mut network = network(gateway());
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    network.command(GATEWAY, "cilium/10.0.60.21", Command::Disable(None));
    network.run_for(Duration::from_secs(3600));
    let again = Raw::connect(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert!(again.is_closed(&network));
    network.command(GATEWAY, "cilium/10.0.60.21", Command::Enable);
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert_eq!(network.state(GATEWAY, "cilium/10.0.60.21"), SessionState::Established);
}

#[test]
fn a_connection_to_another_socket_is_another_session() {
    let mut network = network(gateway());
    Raw::establish(&mut network, GATEWAY, "10.0.60.21", 64520);
    let agent = SocketAddr::new(address("10.0.0.1"), 1790);
    let mut other = Raw::connect_to(&mut network, GATEWAY, agent, "10.0.60.21", 64520);
    other.say(&mut network, |out| open(64520, "10.0.60.22").write(out));
    other.say(&mut network, bgpd::wire::write_keepalive);
    let views = network.nodes[GATEWAY].speaker.neighbors(network.now);
    assert_eq!(views.iter().filter(|view| view.state == SessionState::Established).count(), 2);
}
