//! Graceful shutdown (RFC 8326), initiator and receiver.

use std::time::Duration;

use bgpd::policy::{Action, Edit, Match, Policy, Rule, Set};
use bgpd::settings::{PolicyName, Settings};
use bgpd::speaker::{ALL, Command, CommandError};
use bgpd::types::Community;
use bgpd::view::SessionState;
use bgpd::wire::PathAttributes;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, range, router};

const GATEWAY: usize = 0;

/// AS 64512 at 10.0.0.1, with neighbors at 10.0.0.11 (AS 64513), .12 (AS 64514), .21 (internal), and a range.
fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .with_neighbor("inner", neighbor("10.0.0.21", 64512))
        .with_range("cilium", range("10.0.60.0/24", 64520, 2))
        .originating(&["10.20.0.0/16"])
}

fn network(settings: Settings) -> Network {
    Network::new(3, [(address("10.0.0.1"), settings)])
}

fn leaving(asns: &[u32]) -> PathAttributes {
    PathAttributes { communities: vec![Community::GRACEFUL_SHUTDOWN], ..path(asns) }
}

fn best(network: &Network, prefix: &str) -> (String, Option<u32>) {
    let route = network.route(GATEWAY, prefix).unwrap();
    (route.paths[0].neighbor.clone(), route.paths[0].attributes.local_pref)
}

#[test]
fn a_neighbor_that_is_drained_hears_everything_again_with_the_community_until_it_is_enabled() {
    let mut network = network(gateway());
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    right.hear(&mut network);

    network.command(GATEWAY, "right", Command::Drain);
    let drained = [
        "10.20.0.0/16 via 10.0.0.1 igp [64512] communities 65535:0",
        "10.1.0.0/16 via 10.0.0.1 igp [64512 64513] communities 65535:0",
    ];
    assert_eq!(right.hear(&mut network), drained);
    assert_eq!(left.hear(&mut network), [""; 0], "only the one that was named");
    let view = network.neighbor(GATEWAY, "right");
    assert_eq!((view.state, view.draining), (SessionState::Established, true));
    assert!(view.note.unwrap().starts_with("draining; "));
    assert_eq!((view.pending, view.advertised), (0, 2));

    // What comes later is about to go too.
    left.announce(&mut network, &path(&[64513, 7]), "10.0.0.11", &["10.2.0.0/16"]);
    assert_eq!(right.hear(&mut network), ["10.2.0.0/16 via 10.0.0.1 igp [64512 64513 7] communities 65535:0"]);
    network.command(GATEWAY, "right", Command::Drain);
    assert_eq!(right.hear(&mut network), [""; 0], "it knows");

    network.command(GATEWAY, "10.0.0.12", Command::Enable);
    let heard = right.hear(&mut network);
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|line| !line.contains("communities")), "{heard:?}");
    assert!(!network.neighbor(GATEWAY, "right").draining);
}

#[test]
fn an_internal_neighbor_is_told_the_least_preference() {
    let mut network = network(gateway());
    let mut inner = Raw::establish(&mut network, GATEWAY, "10.0.0.21", 64512).internal();
    inner.hear(&mut network);
    network.command(GATEWAY, "inner", Command::Drain);
    assert_eq!(inner.hear(&mut network), ["10.20.0.0/16 via 10.0.0.1 igp [] pref 0 communities 65535:0"]);
}

#[test]
fn export_policy_does_not_take_the_community_away() {
    let mut policy = removing("quiet");
    policy.rules[0].set.local_pref = Some(300);
    let settings = gateway()
        .with_policy(policy)
        .session("right", |session| session.export = Some(PolicyName::Named("quiet".into())));
    let mut network = network(settings);
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    network.command(GATEWAY, "right", Command::Drain);
    assert_eq!(right.hear(&mut network), ["10.20.0.0/16 via 10.0.0.1 igp [64512] communities 65535:0"]);
}

/// Everything passes, without GRACEFUL_SHUTDOWN.
fn removing(name: &str) -> Policy {
    let community = Edit { remove: vec![Community::GRACEFUL_SHUTDOWN.into()], ..Edit::default() };
    setting(name, Set { community, ..Set::default() })
}

/// Everything passes, changed.
fn setting(name: &str, set: Set) -> Policy {
    let rule = Rule { line: 1, matches: Match::default(), set, action: Action::Accept };
    Policy { name: name.to_owned(), rules: vec![rule] }
}

#[test]
fn what_a_drained_neighbor_told_is_the_last_to_be_used() {
    let mut network = network(gateway());
    let mut inner = Raw::establish(&mut network, GATEWAY, "10.0.0.21", 64512).internal();
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    right.announce(&mut network, &path(&[64514, 7]), "10.0.0.12", &["10.1.0.0/16"]);
    inner.hear(&mut network);
    assert_eq!(best(&network, "10.1.0.0/16").0, "left");
    network.command(GATEWAY, "left", Command::Drain);
    assert_eq!(best(&network, "10.1.0.0/16").0, "right");
    assert_eq!(inner.hear(&mut network), ["10.1.0.0/16 via 10.0.0.12 igp [64514 7] pref 100"]);
    // Without another it is used, and told as what it is.
    right.withdraw(&mut network, &["10.1.0.0/16"]);
    assert_eq!(best(&network, "10.1.0.0/16"), ("left".to_owned(), Some(0)));
    assert_eq!(inner.hear(&mut network), ["10.1.0.0/16 via 10.0.0.11 igp [64513] pref 0 communities 65535:0"]);
    network.command(GATEWAY, "left", Command::Enable);
    assert_eq!(inner.hear(&mut network), ["10.1.0.0/16 via 10.0.0.11 igp [64513] pref 100"]);
}

#[test]
fn all_are_those_that_dialled_in_too() {
    let mut network = network(gateway());
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut node = Raw::settled(&mut network, GATEWAY, "10.0.60.21", 64520);
    assert_eq!(network.try_command(GATEWAY, ALL, &Command::Drain), Ok(()));
    let drained = ["10.20.0.0/16 via 10.0.0.1 igp [64512] communities 65535:0"];
    assert_eq!(right.hear(&mut network), drained);
    assert_eq!(node.hear(&mut network), drained);
    assert!(network.nodes[GATEWAY].speaker.neighbors(network.now).iter().all(|view| view.draining));
}

fn notes(network: &Network) -> [Option<String>; 2] {
    ["left", "right"].map(|name| network.neighbor(GATEWAY, name).note)
}

fn command_all(network: &mut Network, commands: &[Command]) {
    for command in commands {
        assert_eq!(network.try_command(GATEWAY, ALL, command), Ok(()));
    }
}

#[test]
fn a_drain_of_all_ends_without_those_that_were_disabled() {
    let disabled = Some("disabled: for good".to_owned());
    let draining = Some("draining".to_owned());
    let disable = Command::Disable(Some("for good".to_owned()));
    // Before the drain, and within it.
    for commands in [[disable.clone(), Command::Drain], [Command::Drain, disable]] {
        let mut network = network(gateway());
        for command in commands {
            let name = if command == Command::Drain { ALL } else { "left" };
            network.command(GATEWAY, name, command);
        }
        assert_eq!(notes(&network), [disabled.clone(), draining.clone()]);
        assert!(!network.neighbor(GATEWAY, "left").draining, "there is nothing to drain");
        command_all(&mut network, &[Command::Enable]);
        assert_eq!(notes(&network), [disabled.clone(), None]);
        // Where nothing drains, all are all.
        command_all(&mut network, &[Command::Enable]);
        assert_eq!(notes(&network), [None, None]);
    }
}

#[test]
fn a_neighbor_that_is_named_is_enabled_whatever_it_was() {
    let mut network = network(gateway());
    for command in [Command::Drain, Command::Disable(None), Command::Drain] {
        network.command(GATEWAY, "left", command);
    }
    assert_eq!(notes(&network), [Some("disabled".to_owned()), None]);
    network.command(GATEWAY, "left", Command::Enable);
    assert_eq!(notes(&network), [None, None]);
}

#[test]
fn who_drains_all_and_then_disables_all_enables_all() {
    let mut network = network(gateway());
    command_all(&mut network, &[Command::Drain, Command::Disable(None), Command::Enable]);
    assert_eq!(notes(&network), [None, None]);
}

#[test]
fn a_neighbor_stays_drained_through_a_new_session_and_while_it_has_none() {
    let mut network = network(gateway());
    network.command(GATEWAY, "right", Command::Drain);
    let node = Raw::settled(&mut network, GATEWAY, "10.0.60.21", 64520);
    network.command(GATEWAY, "cilium/10.0.60.21", Command::Drain);
    network.command(GATEWAY, "cilium/10.0.60.21", Command::Reset);
    assert!(node.is_closed(&network));
    network.run_for(Duration::from_secs(299));
    for (from, number) in [("10.0.0.12", 64514), ("10.0.60.21", 64520)] {
        assert_eq!(first_heard(&mut network, from, number), MARKED);
    }
}

const PLAIN: &str = "10.20.0.0/16 via 10.0.0.1 igp [64512]";
const MARKED: &str = "10.20.0.0/16 via 10.0.0.1 igp [64512] communities 65535:0";

/// The first route that a new session is told.
fn first_heard(network: &mut Network, from: &str, number: u32) -> String {
    let heard = Raw::establish(network, GATEWAY, from, number).hear(network);
    heard.into_iter().find(|line| line.contains(" via ")).unwrap()
}

#[test]
fn who_comes_while_all_drain_drains_too() {
    let mut network = network(gateway());
    command_all(&mut network, &[Command::Drain]);
    network.reload(GATEWAY, gateway().with_neighbor("late", neighbor("10.0.0.13", 64515)));
    for (from, number) in [("10.0.60.21", 64520), ("10.0.0.13", 64515)] {
        assert_eq!(first_heard(&mut network, from, number), MARKED);
    }
    command_all(&mut network, &[Command::Enable]);
    assert_eq!(first_heard(&mut network, "10.0.60.22", 64520), PLAIN);
    assert!(!network.nodes[GATEWAY].speaker.neighbors(network.now).iter().any(|view| view.draining));
}

#[test]
fn where_all_are_disabled_a_drain_of_all_ends_with_nobody() {
    let mut network = network(gateway());
    for name in ["left", "right", "inner"] {
        network.command(GATEWAY, name, Command::Disable(None));
    }
    command_all(&mut network, &[Command::Drain, Command::Enable]);
    assert_eq!(notes(&network), [Some("disabled".to_owned()), Some("disabled".to_owned())]);
}

#[test]
fn who_comes_while_all_are_disabled_is_disabled_too() {
    let mut network = network(gateway());
    command_all(&mut network, &[Command::Disable(None)]);
    assert!(Raw::connect(&mut network, GATEWAY, "10.0.60.21", 64520).is_closed(&network));
    command_all(&mut network, &[Command::Enable]);
    assert_eq!(first_heard(&mut network, "10.0.60.21", 64520), PLAIN);
}

#[test]
fn who_drains_and_is_gone_keeps_no_place() {
    let mut network = network(gateway());
    let nodes = ["10.0.60.21", "10.0.60.22"].map(|from| Raw::settled(&mut network, GATEWAY, from, 64520));
    command_all(&mut network, &[Command::Drain, Command::Reset]);
    assert!(nodes.iter().all(|node| node.is_closed(&network)));
    network.run_for(Duration::from_secs(1));
    // The range has room for two.
    assert_eq!(first_heard(&mut network, "10.0.60.23", 64520), MARKED);
    network.run_for(Duration::from_secs(301));
    let views = network.nodes[GATEWAY].speaker.neighbors(network.now);
    assert!(views.iter().all(|view| view.name != "cilium/10.0.60.22"), "it is forgotten");
    // Who was forgotten still drains when it comes again.
    assert_eq!(first_heard(&mut network, "10.0.60.22", 64520), MARKED);
}

#[test]
fn an_external_path_with_the_community_is_used_where_there_is_no_other() {
    let mut network = network(gateway());
    let mut inner = Raw::establish(&mut network, GATEWAY, "10.0.0.21", 64512).internal();
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    right.announce(&mut network, &path(&[64514, 7, 8, 9]), "10.0.0.12", &["10.1.0.0/16"]);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    assert_eq!(best(&network, "10.1.0.0/16").0, "left");
    left.announce(&mut network, &leaving(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    assert_eq!(best(&network, "10.1.0.0/16").0, "right");
    right.withdraw(&mut network, &["10.1.0.0/16"]);
    assert_eq!(best(&network, "10.1.0.0/16"), ("left".to_owned(), Some(0)));
    let told = inner.hear(&mut network);
    assert_eq!(told.last().unwrap(), "10.1.0.0/16 via 10.0.0.11 igp [64513] pref 0 communities 65535:0");
}

#[test]
fn import_policy_does_not_hide_that_a_path_is_about_to_go_unless_it_takes_the_community_away() {
    let preferring = setting("preferring", Set { local_pref: Some(300), ..Set::default() });
    for (policy, local_pref) in [(preferring, Some(0)), (removing("ignoring"), None)] {
        let name = PolicyName::Named(policy.name.clone());
        let settings = gateway().with_policy(policy).session("left", |session| session.import = Some(name));
        let mut network = network(settings);
        let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
        left.announce(&mut network, &leaving(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
        assert_eq!(best(&network, "10.1.0.0/16").1, local_pref);
    }
}

#[test]
fn an_internal_neighbor_has_chosen_its_preference_itself() {
    let mut network = network(gateway());
    let mut inner = Raw::establish(&mut network, GATEWAY, "10.0.0.21", 64512).internal();
    let attributes = PathAttributes { local_pref: Some(70), ..leaving(&[65001]) };
    inner.announce(&mut network, &attributes, "10.0.0.21", &["10.1.0.0/16"]);
    assert_eq!(best(&network, "10.1.0.0/16").1, Some(70));
}

#[test]
fn a_neighbor_that_does_not_read_has_routes_pending() {
    let mut network = Network::new(
        3,
        [
            (address("10.0.0.1"), gateway()),
            (address("10.0.0.11"), router(64513, "10.0.0.11").with_neighbor("gateway", neighbor("10.0.0.1", 64512))),
        ],
    );
    network.run_until("it is up", |network| network.state(GATEWAY, "left") == SessionState::Established);
    network.run_for(Duration::from_secs(1));
    network.nodes[1].deaf = true;
    network.command(GATEWAY, "left", Command::Drain);
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.neighbor(GATEWAY, "left").pending, 1);
    network.nodes[1].deaf = false;
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.neighbor(GATEWAY, "left").pending, 0);
}

/// More than is looked at in one turn.
const MANY: usize = 3000;

#[test]
fn what_waits_to_be_judged_again_is_pending() {
    let mut network = network(gateway());
    let mut right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    let mut left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let prefixes: Vec<String> =
        (0..MANY).map(|number| format!("10.{}.{}.0/24", 100 + number / 250, number % 250)).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    for some in prefixes.chunks(500) {
        left.announce(&mut network, &path(&[64513]), "10.0.0.11", some);
    }
    let told = |lines: Vec<String>| -> usize {
        let routes = lines.iter().filter_map(|line| line.split_once(" via "));
        routes.map(|(prefixes, _)| prefixes.matches('/').count()).sum()
    };
    assert_eq!(told(right.hear(&mut network)), MANY);

    // All that is marked is sent by then, and more is to be marked.
    network.command(GATEWAY, "left", Command::Drain);
    assert_ne!(network.neighbor(GATEWAY, "right").pending, 0);
    network.run_until("nothing is pending", |network| network.neighbor(GATEWAY, "right").pending == 0);
    let mut heard = right.hear(&mut network);
    heard.retain(|line| line.ends_with("communities 65535:0"));
    assert_eq!(told(heard), MANY);
}

#[test]
fn what_needs_a_session_says_that_there_is_none() {
    let mut settings = gateway();
    settings.neighbors.get_mut("right").unwrap().shutdown = true;
    let mut network = network(settings);
    let no_session = |neighbor: &str, why: &str| Err(CommandError::NoSession(neighbor.to_owned(), why.to_owned()));
    for command in [Command::Refresh, Command::Resend, Command::Reset] {
        assert_eq!(network.try_command(GATEWAY, "right", &command), no_session("right", "shut down"));
        assert_eq!(network.try_command(GATEWAY, "10.0.0.11", &command), no_session("left", "its state is Connect"));
        assert_eq!(network.try_command(GATEWAY, ALL, &command), Err(CommandError::NoSessions));
        let nobody = Err(CommandError::NoSuchNeighbor("nobody".to_owned()));
        assert_eq!(network.try_command(GATEWAY, "nobody", &command), nobody);
    }
    Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    for command in [Command::Refresh, Command::Resend, Command::Reset] {
        assert_eq!(network.try_command(GATEWAY, ALL, &command), Ok(()), "one has a session");
    }
}

#[test]
fn a_gateway_without_neighbors_is_drained_at_once() {
    let mut network = network(router(64512, "10.0.0.1"));
    assert_eq!(network.try_command(GATEWAY, ALL, &Command::Drain), Ok(()));
}
