//! New settings while sessions run: only what changed is touched.

use std::time::Duration;

use bgpd::policy::{Action, Match, Policy, Rule, Set};
use bgpd::settings::{PolicyName, PrefixLimit, Settings};
use bgpd::speaker::{Event, Input, Via};
use bgpd::types::HoldTime;
use bgpd::view::SessionState;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;

fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
}

fn started(settings: Settings) -> (Network, Raw, Raw) {
    let mut network = Network::new(11, [(address("10.0.0.1"), settings)]);
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut right = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16", "10.2.0.0/16"]);
    left.hear(&mut network);
    right.hear(&mut network);
    (network, left, right)
}

fn reload(network: &mut Network, settings: Settings) {
    network.reload(GATEWAY, settings);
    network.run_for(Duration::from_secs(1));
}

/// Accepts everything, with this LOCAL_PREF.
fn preferring(name: &str, local_pref: u32) -> Policy {
    let set = Set { local_pref: Some(local_pref), ..Set::default() };
    Policy {
        name: name.to_owned(),
        rules: vec![Rule { line: 1, matches: Match::default(), set, action: Action::Accept }],
    }
}

fn named(name: &str) -> Option<PolicyName> {
    Some(PolicyName::Named(name.to_owned()))
}

#[test]
fn the_same_settings_change_nothing() {
    let settings = gateway().with_policy(preferring("p", 150)).session("left", |session| session.import = named("p"));
    let (mut network, mut left, mut right) = started(settings.clone());
    network.nodes[GATEWAY].fib_changes.clear();
    reload(&mut network, settings);
    assert_eq!((left.hear(&mut network), right.hear(&mut network)), (vec![], vec![]));
    assert_eq!(network.nodes[GATEWAY].fib_changes, []);
}

#[test]
fn a_neighbor_that_is_gone_is_told_so() {
    let (mut network, mut left, mut right) = started(gateway());
    let mut settings = gateway();
    settings.neighbors.remove("left");
    reload(&mut network, settings);
    assert_eq!(left.hear(&mut network), ["notification 6/3 Cease/Peer De-configured"]);
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16,10.2.0.0/16"]);
    assert_eq!(network.fib(GATEWAY).len(), 0);
}

#[test]
fn what_an_open_negotiated_needs_a_new_session() {
    let (mut network, mut left, right) = started(gateway());
    let hold_time = HoldTime::new(30).unwrap();
    reload(&mut network, gateway().session("left", |session| session.hold_time = hold_time));
    assert_eq!(left.hear(&mut network), ["notification 6/6 Cease/Other Configuration Change"]);
    assert!(!right.is_closed(&network));
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    assert_eq!(left.hear(&mut network)[0], "open 64512 hold 30");
}

#[test]
fn another_identifier_needs_new_sessions_with_all() {
    let (mut network, mut left, mut right) = started(gateway());
    let mut settings = gateway();
    settings.router_id = router(1, "10.0.0.77").router_id;
    reload(&mut network, settings);
    for raw in [&mut left, &mut right] {
        assert_eq!(raw.hear(&mut network).last().unwrap(), "notification 6/6 Cease/Other Configuration Change");
    }
}

#[test]
fn what_a_session_can_go_on_with_does_not_end_it() {
    let (mut network, mut left, mut right) = started(gateway());
    let settings = gateway()
        .session("left", |session| {
            session.description = Some("the left one".to_owned());
            session.connect_retry = Duration::from_secs(77);
            session.send_hold_time = Some(Duration::from_secs(600));
            session.max_prefixes = Some(PrefixLimit::new(10));
        })
        .originating(&["10.9.0.0/16"]);
    reload(&mut network, settings);
    assert_eq!(left.hear(&mut network), ["10.9.0.0/16 via 10.0.0.1 igp [64512]"]);
    assert_eq!(right.hear(&mut network), ["10.9.0.0/16 via 10.0.0.1 igp [64512]"]);
    let view = network.neighbor(GATEWAY, "left");
    assert_eq!((view.description.as_deref(), view.state), (Some("the left one"), SessionState::Established));
    // The state machine takes its new timers up when the session is over.
    network.nodes[GATEWAY].dials.clear();
    left.say(&mut network, |out| bgpd::wire::Notification::new(6, 4).write(out));
    network.run_for(Duration::from_secs(200));
    let dials = network.nodes[GATEWAY].dials.iter().filter(|dial| dial.remote.ip() == address("10.0.0.11"));
    assert!(dials.clone().count() >= 2 && dials.clone().all(|dial| dial.timeout == Duration::from_secs(77) * 7 / 10));
}

#[test]
fn a_changed_import_policy_judges_what_is_kept_again() {
    let settings = gateway().with_policy(preferring("p", 150)).session("left", |session| session.import = named("p"));
    let (mut network, _left, mut right) = started(settings.clone());
    let reject = Policy { name: "p".to_owned(), rules: Vec::new() };
    reload(&mut network, settings.clone().with_policy(reject));
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16,10.2.0.0/16"]);
    assert_eq!((network.fib(GATEWAY).len(), network.neighbor(GATEWAY, "left").received), (0, 2));
    reload(&mut network, settings);
    assert_eq!(right.hear(&mut network), ["10.1.0.0/16,10.2.0.0/16 via 10.0.0.1 igp [64512 64513]"]);
    assert_eq!(network.route(GATEWAY, "10.1.0.0/16").unwrap().paths[0].attributes.local_pref, Some(150));
}

#[test]
fn an_import_policy_that_comes_to_the_same_is_not_told_to_anybody() {
    let settings = gateway().with_policy(preferring("p", 150)).session("left", |session| session.import = named("p"));
    let (mut network, _left, mut right) = started(settings.clone());
    let mut other_line = preferring("p", 150);
    other_line.rules[0].line = 99;
    reload(&mut network, settings.with_policy(other_line));
    assert_eq!(right.hear(&mut network), [""; 0]);
    assert_eq!(network.route(GATEWAY, "10.1.0.0/16").unwrap().paths[0].policy.as_ref().unwrap().line, 99);
}

#[test]
fn a_changed_export_policy_is_told_to_its_neighbor_only() {
    let settings = gateway().with_policy(preferring("p", 150)).session("right", |session| session.export = named("p"));
    let (mut network, mut left, mut right) = started(settings.clone());
    reload(&mut network, settings.with_policy(Policy { name: "p".to_owned(), rules: Vec::new() }));
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16,10.2.0.0/16"]);
    assert_eq!(left.hear(&mut network), [""; 0]);
}

#[test]
fn fewer_equal_paths_are_installed_at_once() {
    let mut settings = gateway();
    let (mut network, _left, mut right) = started(settings.clone());
    right.announce(&mut network, &path(&[64514]), "10.0.0.12", &["10.1.0.0/16"]);
    assert_eq!(network.fib(GATEWAY)["10.1.0.0/16"].len(), 2);
    settings.multipath = 1;
    reload(&mut network, settings);
    assert_eq!(network.fib(GATEWAY)["10.1.0.0/16"], ["10.0.0.11"]);
}

#[test]
fn a_neighbor_shut_down_in_the_settings_is_down_until_they_say_otherwise() {
    let (mut network, mut left, _right) = started(gateway());
    let mut settings = gateway();
    settings.neighbors.get_mut("left").unwrap().shutdown = true;
    reload(&mut network, settings);
    assert_eq!(left.hear(&mut network), ["notification 6/2 Cease/Administrative Shutdown"]);
    let view = network.neighbor(GATEWAY, "left");
    assert_eq!((view.state, view.note.as_deref()), (SessionState::Idle, Some("shut down")));
    let refused = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
    assert!(refused.is_closed(&network));
    reload(&mut network, gateway());
    Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    assert_eq!(network.state(GATEWAY, "left"), SessionState::Established);
}

#[test]
fn a_session_lives_and_dies_with_its_tunnel() {
    let mut settings = gateway();
    settings.neighbors.get_mut("left").unwrap().via = Some("homelab".to_owned());
    let mut network = Network::new(11, [(address("10.0.0.1"), settings)]);
    network.run_for(Duration::from_secs(30));
    let dialled =
        |network: &Network| network.nodes[GATEWAY].dials.iter().any(|dial| dial.remote.ip() == address("10.0.0.11"));
    assert!(!dialled(&network), "a tunnel never heard of is down");
    let view = network.neighbor(GATEWAY, "left");
    assert_eq!((view.state, view.note.as_deref()), (SessionState::Idle, Some("tunnel down: homelab")));

    let tunnel = |up| Input::Vias(vec![Via { name: "homelab".to_owned(), up, interface: "wg0".to_owned() }]);
    network.input(GATEWAY, tunnel(true));
    assert!(dialled(&network));
    network.nodes[GATEWAY].interface = Some("wg0");
    let mut left = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    left.hear(&mut network);
    assert_eq!(network.fib(GATEWAY).len(), 1);

    network.input(GATEWAY, tunnel(false));
    assert_eq!(left.hear(&mut network), ["notification 6/2 Cease/Administrative Shutdown: \"tunnel down\""]);
    assert_eq!(network.fib(GATEWAY).len(), 0);
    let Some(Event::SessionDown { neighbor, sent: true, .. }) = network.nodes[GATEWAY].events.last() else {
        panic!("{network}")
    };
    assert_eq!(neighbor, "left");
}
