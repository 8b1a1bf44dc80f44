//! What policies ask of routes and make of them, on their way in and out.

use std::sync::Arc;

use bgpd::policy::{
    Action, Edit, Match, NewNextHop, PathMatch, PathPattern, Policy, PrefixRange, PrefixSet, Protocol, Rule, Set,
    Wildcard,
};
use bgpd::settings::{PolicyName, Settings};
use bgpd::speaker::NextHopState;
use bgpd::types::{Community, ExtendedCommunity, Family, LargeCommunity};
use bgpd::wire::{Origin, PathAttributes};

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, asn, neighbor, router};

const GATEWAY: usize = 0;

/// AS 64512 at 10.0.0.1: from `left` by one policy, to `right` by another.
fn network(import: Vec<Rule>, export: Vec<Rule>) -> Network {
    Network::new(17, [(address("10.0.0.1"), gateway(import, export))])
}

fn gateway(import: Vec<Rule>, export: Vec<Rule>) -> Settings {
    let named = |name: &str| Some(PolicyName::Named(name.to_owned()));
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .with_policy(Policy { name: "from-left".to_owned(), rules: import })
        .with_policy(Policy { name: "to-right".to_owned(), rules: export })
        .session("left", |session| session.import = named("from-left"))
        .session("right", |session| session.export = named("to-right"))
}

fn left(network: &mut Network) -> Raw {
    Raw::settled(network, GATEWAY, "10.0.0.11", 64513)
}

fn right(network: &mut Network) -> Raw {
    Raw::settled(network, GATEWAY, "10.0.0.12", 64514)
}

fn rule(matches: Match, set: Set, action: Action) -> Rule {
    Rule { line: 1, matches, set, action }
}

fn accept(matches: Match) -> Rule {
    rule(matches, Set::default(), Action::Accept)
}

fn setting(set: Set) -> Vec<Rule> {
    vec![rule(Match::default(), set, Action::Accept)]
}

fn everything() -> Vec<Rule> {
    setting(Set::default())
}

fn next_hop(text: &str) -> Option<NewNextHop> {
    Some(NewNextHop::Address(address(text)))
}

/// Prefixes with a best path.
fn best(network: &Network) -> Vec<String> {
    let routes = network.routes(GATEWAY).into_iter();
    routes.filter(|route| route.paths.iter().any(|path| path.best)).map(|route| route.prefix.to_string()).collect()
}

#[test]
fn an_expression_over_the_path_lets_pass_what_it_matches() {
    let pattern = |text: &str| PathPattern::new(text).unwrap();
    let as_path = PathMatch { asns: [asn(65009)].into_iter().collect(), patterns: vec![pattern("^64513_6500[1-3]$")] };
    let mut network = network(vec![accept(Match { as_path: Some(as_path), ..Match::default() })], everything());
    let mut left = left(&mut network);
    let paths: [&[u32]; 4] = [&[64513, 65001], &[64513, 65004], &[64513, 65001, 1], &[64513, 1, 65009]];
    for (number, asns) in (1..).zip(paths) {
        left.announce(&mut network, &path(asns), "10.0.0.11", &[&format!("10.{number}.0.0/16")]);
    }
    assert_eq!(best(&network), ["10.1.0.0/16", "10.4.0.0/16"]);
}

#[test]
fn communities_of_every_kind_are_matched_and_changed_by_their_parts() {
    let own = |value: u32| Community(64512 << 16 | value);
    let any_own = Wildcard::new(own(0), Community(0xFFFF_0000));
    let large = |local1| LargeCommunity { global: 64512, local1, local2: 0 };
    let any_large = Wildcard::new(large(0), LargeCommunity { local1: 0, ..large(u32::MAX) });
    let target = |value: u64| ExtendedCommunity(0x0002_FC00_0000_0000 | value);
    let any_target = Wildcard::new(target(0), ExtendedCommunity(0xFFFF_FFFF_0000_0000));
    let matches = Match {
        community: Some(vec![any_own]),
        large_community: Some(vec![any_large]),
        extended_community: Some(vec![any_target]),
        ..Match::default()
    };
    let set = Set {
        community: Edit { remove: vec![any_own], add: vec![own(9)], ..Edit::default() },
        large_community: Edit { remove: vec![any_large], ..Edit::default() },
        extended_community: Edit { set: Some(vec![target(9)]), ..Edit::default() },
        ..Set::default()
    };
    let mut network = network(vec![rule(matches, set, Action::Accept)], everything());
    let mut left = left(&mut network);
    let marked = PathAttributes {
        communities: vec![Community(7), own(1), own(2)],
        large_communities: vec![large(1), large(2)],
        extended_communities: vec![target(1)],
        ..path(&[64513])
    };
    let unmarked = PathAttributes { extended_communities: vec![ExtendedCommunity(1)], ..marked.clone() };
    left.announce(&mut network, &marked, "10.0.0.11", &["10.1.0.0/16"]);
    left.announce(&mut network, &unmarked, "10.0.0.11", &["10.2.0.0/16"]);
    assert_eq!(best(&network), ["10.1.0.0/16"]);
    let attributes = network.route(GATEWAY, "10.1.0.0/16").unwrap().paths.remove(0).attributes;
    assert_eq!(attributes.communities, [Community(7), own(9)]);
    assert_eq!((attributes.large_communities, attributes.extended_communities), (vec![], vec![target(9)]));
}

#[test]
fn import_policy_sets_origin_and_the_next_hop_of_its_family() {
    let set = Set { next_hop: next_hop("10.0.0.77"), origin: Some(Origin::Incomplete), ..Set::default() };
    let mut network = network(setting(set), everything());
    let mut left = left(&mut network);
    let mut right = right(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["fd01::/16"]);
    // The operator says where: that it is on no link shared with the neighbor does not matter.
    network.answer(GATEWAY, address("10.0.0.77"), NextHopState { up: true, ..NextHopState::default() });
    let fib = network.fib(GATEWAY);
    assert_eq!(
        (fib["10.1.0.0/16"].as_slice(), fib["fd01::/16"].as_slice()),
        (&["10.0.0.77".to_owned()][..], &["fd00::11".to_owned()][..])
    );
    let shown = &network.route(GATEWAY, "10.1.0.0/16").unwrap().paths[0];
    assert_eq!((shown.next_hop, shown.attributes.origin), (Some(address("10.0.0.77")), Origin::Incomplete));
    assert_eq!(network.received(GATEWAY, "left")[0].paths[0].next_hop, Some(address("10.0.0.11")), "before policy");
    assert_eq!(right.hear(&mut network), ["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513]"]);
}

#[test]
fn export_policy_sets_the_next_hop_but_tells_nobody_that_it_is_its_own() {
    let own = Community(64512 << 16 | 1);
    let marked = Match { community: Some(vec![own.into()]), ..Match::default() };
    let third = Set { next_hop: next_hop("10.0.0.77"), ..Set::default() };
    let theirs = Set { next_hop: next_hop("10.0.0.12"), ..Set::default() };
    let export = vec![rule(marked, theirs, Action::Accept), rule(Match::default(), third, Action::Accept)];
    let mut network = network(everything(), export);
    let mut left = left(&mut network);
    let mut right = right(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    left.announce(
        &mut network,
        &PathAttributes { communities: vec![own], ..path(&[64513]) },
        "10.0.0.11",
        &["10.2.0.0/16"],
    );
    assert_eq!(right.hear(&mut network), ["10.1.0.0/16 via 10.0.0.77 igp [64512 64513]"]);
    assert_eq!(network.advertised(GATEWAY, "right").len(), 1);
}

#[test]
fn an_internal_neighbor_is_told_ourselves_where_export_policy_says_so() {
    let own = Set { next_hop: Some(NewNextHop::Ourselves), ..Set::default() };
    let mut settings = gateway(everything(), setting(own));
    settings.neighbors.get_mut("right").unwrap().asn = bgpd::settings::RemoteAs::Internal;
    let mut network = Network::new(17, [(address("10.0.0.1"), settings)]);
    let mut left = left(&mut network);
    let mut right = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64512).internal();
    right.hear(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    assert_eq!(right.hear(&mut network), ["10.1.0.0/16 via 10.0.0.1 igp [64513] pref 100"]);
}

/// Four routes that differ in everything a rule may ask for, and which of them each condition lets pass.
#[test]
fn each_condition_lets_pass_what_it_says() {
    let set = |ranges: &[(&str, u8, u8)]| {
        let range =
            |(prefix, min, max): &(&str, u8, u8)| PrefixRange { prefix: prefix.parse().unwrap(), min: *min, max: *max };
        Some(Arc::new(ranges.iter().map(range).collect::<PrefixSet>()))
    };
    let asns = |numbers: &[u32]| numbers.iter().map(|number| asn(*number)).collect();
    let any = Match::default;
    let table: [(Match, &[usize]); 14] = [
        (any(), &[1, 2, 3, 4]),
        (Match { prefix: set(&[("10.1.0.0/16", 16, 16), ("10.3.0.0/16", 20, 32)]), ..any() }, &[1, 3]),
        (Match { prefix: set(&[("10.0.0.0/8", 9, 16)]), ..any() }, &[1, 2]),
        (Match { family: Some(Family::Ipv6), ..any() }, &[4]),
        (Match { protocol: Some(Protocol::Originate), ..any() }, &[]),
        (Match { neighbor: Some(vec!["right".to_owned(), "left".to_owned()]), ..any() }, &[1, 2, 3, 4]),
        (Match { as_path: Some(PathMatch { asns: asns(&[65001]), ..PathMatch::default() }), ..any() }, &[2, 3]),
        (Match { origin_asn: Some(asns(&[65002, 64513])), ..any() }, &[1, 3]),
        (Match { as_path_length: Some(2..=3), ..any() }, &[2, 3]),
        (Match { origin: Some(Origin::Incomplete), ..any() }, &[2]),
        (Match { next_hop: set(&[("10.0.0.99/32", 32, 32), ("fd00::/16", 16, 128)]), ..any() }, &[3, 4]),
        (Match { local_pref: Some(100..=100), med: Some(5..=9), ..any() }, &[1, 2]),
        (Match { local_pref: Some(101..=u32::MAX), ..any() }, &[]),
        (Match { community: Some(vec![Community::NO_EXPORT.into()]), ..any() }, &[4]),
    ];
    for (matches, passing) in table {
        let mut network = network(vec![accept(matches.clone())], everything());
        let mut left = left(&mut network);
        let second = PathAttributes { med: Some(9), origin: Origin::Incomplete, ..path(&[64513, 65001]) };
        let fourth = PathAttributes { communities: vec![Community::NO_EXPORT], ..path(&[64513, 1, 2, 3]) };
        left.announce(&mut network, &PathAttributes { med: Some(5), ..path(&[64513]) }, "10.0.0.11", &["10.1.0.0/16"]);
        left.announce(&mut network, &second, "10.0.0.11", &["10.2.0.0/16"]);
        left.announce(&mut network, &path(&[64513, 65001, 65002]), "10.0.0.99", &["10.3.0.0/24"]);
        left.announce(&mut network, &fourth, "fd00::11", &["fd04::/16"]);
        let prefixes = ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/24", "fd04::/16"];
        let expected: Vec<_> = passing.iter().map(|number| prefixes[number - 1]).collect();
        assert_eq!(best(&network), expected, "{matches:?}");
    }
}

#[test]
fn next_hands_on_to_the_next_rule_which_sees_what_was_set() {
    let mark = |value: u32| Community(64512 << 16 | value);
    let adding = |value| Set { community: Edit { add: vec![mark(value)], ..Edit::default() }, ..Set::default() };
    let marked = Match { community: Some(vec![mark(1).into()]), ..Match::default() };
    let rules = vec![rule(Match::default(), adding(1), Action::Next), rule(marked, adding(2), Action::Accept)];
    let mut network = network(rules, everything());
    let mut left = left(&mut network);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    let shown = &network.route(GATEWAY, "10.1.0.0/16").unwrap().paths[0];
    assert_eq!(shown.attributes.communities, [mark(1), mark(2)]);
    assert_eq!(shown.policy.as_ref().map(|policy| policy.rule), Some(2));
}
