//! `max-prefixes`: warnings, what happens beyond, and how a neighbor comes back.

use std::time::Duration;

use bgpd::settings::{LimitAction, PrefixLimit, Settings};
use bgpd::speaker::{Command, Event};
use bgpd::view::SessionState;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;

fn gateway(limit: PrefixLimit) -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .session("left", |session| session.max_prefixes = Some(limit))
}

fn network(limit: PrefixLimit) -> (Network, Raw) {
    let mut network = Network::new(19, [(address("10.0.0.1"), gateway(limit))]);
    let left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    (network, left)
}

/// Announces 10.`first`.0.0/16 and so many after it.
fn announce(network: &mut Network, left: &mut Raw, first: u32, count: u32) {
    let prefixes: Vec<String> = (first..first + count).map(|second| format!("10.{second}.0.0/16")).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    left.announce(network, &path(&[64513]), "10.0.0.11", &prefixes);
}

/// What people have been told.
fn told(network: &Network) -> Vec<&str> {
    let events = network.nodes[GATEWAY].events.iter();
    events.filter_map(|event| if let Event::Limit { text, .. } = event { Some(text.as_str()) } else { None }).collect()
}

/// What `show` says of the limit.
fn note(network: &Network) -> Option<String> {
    let note = network.neighbor(GATEWAY, "left").note?;
    note.split("; ").find(|note| note.starts_with("sent")).map(str::to_owned)
}

#[test]
fn the_notification_says_which_family_and_how_many_were_allowed() {
    let (mut network, mut left) = network(PrefixLimit::new(2));
    announce(&mut network, &mut left, 1, 3);
    assert_eq!(left.hear(&mut network), ["notification 6/1 Cease/Maximum Number of Prefixes Reached"]);
    let last_error = network.neighbor(GATEWAY, "left").last_error.unwrap();
    assert_eq!(last_error.notification.unwrap().data, [0, 1, 1, 0, 0, 0, 2]); // RFC 4486 §4
}

#[test]
fn each_family_has_the_limit_for_itself() {
    let (mut network, mut left) = network(PrefixLimit::new(2));
    announce(&mut network, &mut left, 1, 2);
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["fd01::/16", "fd02::/16"]);
    assert_eq!(left.hear(&mut network), [""; 0]);
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["fd03::/16"]);
    assert!(left.is_closed(&network));
    assert_eq!(network.neighbor(GATEWAY, "left").last_error.unwrap().notification.unwrap().data[..3], [0, 2, 1]);
}

#[test]
fn people_are_warned_once_and_see_it_as_long_as_it_lasts() {
    let (mut network, mut left) = network(PrefixLimit::new(10));
    announce(&mut network, &mut left, 1, 7);
    assert_eq!((told(&network).len(), note(&network)), (0, None));
    announce(&mut network, &mut left, 8, 1);
    announce(&mut network, &mut left, 9, 1);
    assert_eq!(told(&network), ["sent 8 of at most 10 ipv4 prefixes"]);
    assert_eq!(note(&network).unwrap(), "sent 9 of at most 10 ipv4 prefixes");
    left.withdraw(&mut network, &["10.1.0.0/16", "10.2.0.0/16"]);
    assert_eq!(note(&network), None);
    assert!(!left.is_closed(&network));
}

#[test]
fn a_session_comes_back_after_a_time_where_that_is_said() {
    let limit = PrefixLimit { restart_after: Some(Duration::from_secs(60)), ..PrefixLimit::new(2) };
    let (mut network, mut left) = network(limit);
    announce(&mut network, &mut left, 1, 3);
    assert!(left.is_closed(&network));
    assert_eq!(note(&network).unwrap(), "sent more than 2 ipv4 prefixes: down until reset, or for 60 s");
    network.run_for(Duration::from_secs(59));
    assert!(Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513).is_closed(&network));
    network.run_for(Duration::from_secs(2));
    Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
    assert_eq!(network.state(GATEWAY, "left"), SessionState::Established);
    assert_eq!(note(&network), None);
}

#[test]
fn those_beyond_are_discarded_and_what_is_there_may_change() {
    let (mut network, mut left) = network(PrefixLimit { action: LimitAction::Discard, ..PrefixLimit::new(2) });
    announce(&mut network, &mut left, 1, 5);
    left.announce(&mut network, &path(&[64513, 65001]), "10.0.0.11", &["10.2.0.0/16", "10.7.0.0/16"]);
    assert_eq!(network.fib(GATEWAY).into_keys().collect::<Vec<_>>(), ["10.1.0.0/16", "10.2.0.0/16"]);
    assert_eq!(network.route(GATEWAY, "10.2.0.0/16").unwrap().paths[0].attributes.as_path.length(), 2);
    let expected = "sent more than 2 ipv4 prefixes: others are discarded until it is refreshed";
    assert_eq!((told(&network), note(&network).unwrap().as_str()), (vec![expected], expected));
    assert_eq!(left.hear(&mut network), [""; 0]);

    left.withdraw(&mut network, &["10.1.0.0/16"]);
    network.command(GATEWAY, "left", Command::Refresh);
    assert_eq!(left.hear(&mut network), ["refresh ipv4", "refresh ipv6"]);
    announce(&mut network, &mut left, 2, 2);
    assert_eq!(network.fib(GATEWAY).into_keys().collect::<Vec<_>>(), ["10.2.0.0/16", "10.3.0.0/16"]);
    assert_eq!(note(&network).unwrap(), "sent 2 of at most 2 ipv4 prefixes");
}

#[test]
fn a_higher_limit_asks_for_what_was_discarded() {
    let limit = PrefixLimit { action: LimitAction::Discard, ..PrefixLimit::new(2) };
    let (mut network, mut left) = network(limit);
    announce(&mut network, &mut left, 1, 3);
    network.reload(GATEWAY, gateway(PrefixLimit { limit: 5, ..limit }));
    assert_eq!(left.hear(&mut network), ["refresh ipv4", "refresh ipv6"]);
    announce(&mut network, &mut left, 1, 3);
    assert_eq!((network.fib(GATEWAY).len(), note(&network)), (3, None));
}

#[test]
fn a_limit_may_only_warn() {
    let (mut network, mut left) = network(PrefixLimit { action: LimitAction::Warn, ..PrefixLimit::new(2) });
    announce(&mut network, &mut left, 1, 4);
    assert_eq!(network.fib(GATEWAY).len(), 4);
    assert_eq!(told(&network), ["sent 4 ipv4 prefixes, more than 2"]);
    assert_eq!(note(&network).unwrap(), "sent 4 ipv4 prefixes, more than 2");
}

/// A set that nothing carries would never be forgotten.
#[test]
fn what_is_discarded_leaves_nothing_behind() {
    let (mut network, mut left) = network(PrefixLimit { action: LimitAction::Discard, ..PrefixLimit::new(1) });
    announce(&mut network, &mut left, 1, 1);
    left.announce(&mut network, &path(&[64513, 65001]), "10.0.0.99", &["10.2.0.0/16"]);
    assert_eq!(network.nodes[GATEWAY].wanted, [address("10.0.0.11").into()].into());
}

/// What `left` announces, and `right` is told of it at most.
fn network_out(limit: PrefixLimit) -> (Network, Raw, Raw) {
    let settings = router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .session("right", |session| session.max_prefixes_out = Some(limit));
    let mut network = Network::new(19, [(address("10.0.0.1"), settings)]);
    let left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    let right = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64514);
    (network, left, right)
}

fn right_note(network: &Network) -> Option<String> {
    let note = network.neighbor(GATEWAY, "right").note?;
    note.split("; ").find(|note| note.starts_with("was")).map(str::to_owned)
}

#[test]
fn those_beyond_are_told_as_soon_as_there_is_room() {
    let limit = PrefixLimit { action: LimitAction::Discard, ..PrefixLimit::new(2) };
    let (mut network, mut left, mut right) = network_out(limit);
    announce(&mut network, &mut left, 1, 4);
    assert_eq!(right.hear(&mut network), ["10.1.0.0/16,10.2.0.0/16 via 10.0.0.1 igp [64512 64513]"]);
    assert_eq!(network.advertised(GATEWAY, "right").len(), 2);
    let expected = "was told 2 ipv4 prefixes: others wait until there is room";
    assert_eq!((told(&network), right_note(&network).unwrap().as_str()), (vec![expected], expected));
    // What it has may change, and what it announces itself takes no room.
    left.announce(&mut network, &path(&[64513, 65001]), "10.0.0.11", &["10.2.0.0/16", "10.3.0.0/16"]);
    assert_eq!(right.hear(&mut network), ["10.2.0.0/16 via 10.0.0.1 igp [64512 64513 65001]"]);
    right.announce(&mut network, &path(&[64514]), "10.0.0.12", &["10.9.0.0/16"]);
    left.withdraw(&mut network, &["10.1.0.0/16"]);
    let heard = right.hear(&mut network);
    assert_eq!(heard, ["withdraw 10.1.0.0/16", "10.3.0.0/16 via 10.0.0.1 igp [64512 64513 65001]"]);
    left.withdraw(&mut network, &["10.2.0.0/16", "10.3.0.0/16"]);
    let heard = right.hear(&mut network);
    assert_eq!(heard, ["withdraw 10.2.0.0/16,10.3.0.0/16", "10.4.0.0/16 via 10.0.0.1 igp [64512 64513]"]);
    assert_eq!(right_note(&network), None);
}

#[test]
fn another_limit_out_is_taken_over_by_the_session() {
    let limit = PrefixLimit { action: LimitAction::Discard, ..PrefixLimit::new(1) };
    let (mut network, mut left, mut right) = network_out(limit);
    announce(&mut network, &mut left, 1, 3);
    right.hear(&mut network);
    let mut settings = network.nodes[GATEWAY].speaker.settings().clone();
    settings.neighbors.get_mut("right").unwrap().session.max_prefixes_out = Some(PrefixLimit { limit: 3, ..limit });
    network.reload(GATEWAY, settings.clone());
    network.run_for(Duration::from_secs(1));
    assert!(!right.is_closed(&network));
    assert_eq!(network.advertised(GATEWAY, "right").len(), 3);
    settings.neighbors.get_mut("right").unwrap().session.max_prefixes_out = Some(PrefixLimit { limit: 2, ..limit });
    right.hear(&mut network);
    network.reload(GATEWAY, settings);
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.advertised(GATEWAY, "right").len(), 2);
    assert!(right.hear(&mut network).iter().any(|heard| heard.starts_with("withdraw")));
}

#[test]
fn a_session_ends_where_more_was_to_be_told_than_allowed() {
    let (mut network, mut left, mut right) = network_out(PrefixLimit::new(2));
    announce(&mut network, &mut left, 1, 3);
    network.run_for(Duration::from_millis(1));
    let heard = right.hear(&mut network);
    assert_eq!(heard[0], "10.1.0.0/16,10.2.0.0/16 via 10.0.0.1 igp [64512 64513]");
    assert!(heard[1].starts_with("notification 6/2 Cease/Administrative Shutdown"), "{heard:?}");
    assert!(right.is_closed(&network) && !left.is_closed(&network));
    assert_eq!(right_note(&network).unwrap(), "was to be told more than 2 ipv4 prefixes: down until reset");
}

#[test]
fn a_limit_out_may_only_warn() {
    let (mut network, mut left, mut right) =
        network_out(PrefixLimit { action: LimitAction::Warn, ..PrefixLimit::new(2) });
    announce(&mut network, &mut left, 1, 3);
    assert_eq!(right.hear(&mut network).len(), 1);
    assert_eq!(told(&network), ["was told 3 ipv4 prefixes, more than 2"]);
}
