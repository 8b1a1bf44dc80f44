#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::wire::PathAttributes;

const US: u32 = 64512;

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

fn rule(matches: Match, set: Set, action: Action) -> Rule {
    Rule { line: 7, matches, set, action }
}

fn accept(matches: Match) -> Rule {
    rule(matches, Set::default(), Action::Accept)
}

fn policy(rules: impl IntoIterator<Item = Rule>) -> Policy {
    Policy { name: "test".to_owned(), rules: rules.into_iter().collect() }
}

/// 10.42.3.0/24 by 64513 64514, from a Cilium node that dialled in.
fn attributes() -> PathAttributes {
    PathAttributes {
        as_path: [64513, 64514].map(asn).into_iter().collect(),
        med: Some(20),
        local_pref: Some(200),
        communities: vec![Community(0xFC00_0064), Community(0xFC00_0065)],
        extended_communities: vec![ExtendedCommunity(0x0002_FC00_0000_0001)],
        large_communities: vec![LargeCommunity { global: 64512, local1: 1, local2: 2 }],
        ..PathAttributes::default()
    }
}

fn route(names: &[String]) -> Route<'_> {
    Route {
        prefix: "10.42.3.0/24".parse().unwrap(),
        protocol: Protocol::Bgp,
        neighbor: names,
        next_hop: Some(IpAddr::from([10, 0, 60, 21])),
        asn: asn(US),
    }
}

fn names() -> [String; 2] {
    ["cilium/10.0.60.21".to_owned(), "cilium".to_owned()]
}

fn prefixes(entries: &[(&str, u8, u8)]) -> Option<Arc<PrefixSet>> {
    let entries =
        entries.iter().map(|(prefix, min, max)| PrefixRange { prefix: prefix.parse().unwrap(), min: *min, max: *max });
    Some(Arc::new(PrefixSet { entries: entries.collect() }))
}

#[test]
fn each_condition_holds_and_fails_as_it_says() {
    let any = Match::default;
    let table = [
        (Match { prefix: prefixes(&[("10.42.0.0/16", 16, 24)]), ..any() }, true),
        (Match { prefix: prefixes(&[("10.42.0.0/16", 25, 32)]), ..any() }, false),
        (Match { prefix: prefixes(&[("10.43.0.0/16", 16, 32)]), ..any() }, false),
        (Match { prefix: prefixes(&[("10.43.0.0/16", 16, 32), ("10.42.3.0/24", 24, 24)]), ..any() }, true),
        (Match { prefix: prefixes(&[]), ..any() }, false),
        (Match { family: Some(Family::Ipv4), ..any() }, true),
        (Match { family: Some(Family::Ipv6), ..any() }, false),
        (Match { neighbor: Some(vec!["cilium".to_owned()]), ..any() }, true),
        (Match { neighbor: Some(vec!["cilium/10.0.60.21".to_owned()]), ..any() }, true),
        (Match { neighbor: Some(vec!["edge".to_owned()]), ..any() }, false),
        (Match { protocol: Some(Protocol::Bgp), ..any() }, true),
        (Match { protocol: Some(Protocol::Aggregate), ..any() }, false),
        (Match { as_path: Some(vec![asn(1), asn(64514)]), ..any() }, true),
        (Match { as_path: Some(vec![asn(1)]), ..any() }, false),
        (Match { origin_asn: Some(vec![asn(64514)]), ..any() }, true),
        (Match { origin_asn: Some(vec![asn(64513)]), ..any() }, false),
        (Match { as_path_length: Some(1..=2), ..any() }, true),
        (Match { as_path_length: Some(3..=9), ..any() }, false),
        (Match { community: Some(vec![Community(0xFC00_0065)]), ..any() }, true),
        (Match { community: Some(vec![Community(0xFC00_0066)]), ..any() }, false),
        (Match { extended_community: Some(vec![ExtendedCommunity(0x0002_FC00_0000_0001)]), ..any() }, true),
        (Match { extended_community: Some(vec![ExtendedCommunity(1)]), ..any() }, false),
        (Match { large_community: Some(attributes().large_communities), ..any() }, true),
        (Match { large_community: Some(Vec::new()), ..any() }, false),
        (Match { next_hop: Some(vec!["10.0.60.0/24".parse().unwrap()]), ..any() }, true),
        (Match { next_hop: Some(vec!["10.0.61.0/24".parse().unwrap()]), ..any() }, false),
        (Match { local_pref: Some(200), ..any() }, true),
        (Match { local_pref: Some(100), ..any() }, false),
        (Match { med: Some(20), ..any() }, true),
        (Match { med: Some(0), ..any() }, false),
        (Match { med: Some(20), local_pref: Some(100), ..any() }, false),
        (any(), true),
    ];
    let names = names();
    for (matches, holds) in table {
        let answer = policy([accept(matches.clone())]).evaluate(&route(&names), &attributes());
        assert_eq!(answer.accepted, holds, "{matches:?}");
    }
}

#[test]
fn a_route_without_local_pref_matches_the_default() {
    let bare = PathAttributes { local_pref: None, ..attributes() };
    let matches = Match { local_pref: Some(100), ..Match::default() };
    assert!(policy([accept(matches)]).evaluate(&route(&names()), &bare).accepted);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let others = Match { med: Some(1), ..Match::default() };
    let rules = [accept(others), rule(Match::default(), Set::default(), Action::Reject), accept(Match::default())];
    let answer = policy(rules).evaluate(&route(&names()), &attributes());
    assert_eq!(answer, Evaluation { accepted: false, rule: Some(1), changes: Vec::new() });
}

#[test]
fn no_rule_rejects() {
    let answer = policy([]).evaluate(&route(&names()), &attributes());
    assert_eq!(answer, Evaluation { accepted: false, rule: None, changes: Vec::new() });
}

#[test]
fn a_rule_sees_what_the_rules_before_it_set() {
    let mark = Set { med: Some(5), ..Set::default() };
    let rules = [rule(Match::default(), mark, Action::Next), accept(Match { med: Some(5), ..Match::default() })];
    let answer = policy(rules).evaluate(&route(&names()), &attributes());
    assert_eq!(answer, Evaluation { accepted: true, rule: Some(1), changes: vec![0] });
}

#[test]
fn changes_are_made_in_order_and_lists_stay_sorted() {
    let first = Set {
        local_pref: Some(150),
        prepend: 2,
        community: Edit {
            set: None,
            remove: vec![Community(0xFC00_0064)],
            add: vec![Community(1), Community(0xFC00_0065)],
        },
        ..Set::default()
    };
    let second = Set {
        local_pref: Some(250),
        large_community: Edit { set: Some(Vec::new()), ..Edit::default() },
        ..Set::default()
    };
    let policy = policy([rule(Match::default(), first, Action::Next), rule(Match::default(), second, Action::Accept)]);
    let mut changed = attributes();
    let answer = policy.evaluate(&route(&names()), &changed);
    policy.apply(&answer.changes, asn(US), &mut changed);
    assert_eq!(changed.local_pref, Some(250));
    assert_eq!(changed.as_path.to_string(), "64512 64512 64513 64514");
    assert_eq!(changed.communities, [Community(1), Community(0xFC00_0065)]);
    assert_eq!(changed.large_communities, []);
    assert_eq!(changed.extended_communities, attributes().extended_communities);
}

#[test]
fn only_a_condition_on_the_prefix_looks_at_the_prefix() {
    assert!(!policy([accept(Match { med: Some(1), ..Match::default() })]).looks_at_prefix());
    assert!(policy([accept(Match { prefix: prefixes(&[]), ..Match::default() })]).looks_at_prefix());
}

proptest! {
    /// What lets routes with equal attributes share the answer, and the attribute set.
    #[test]
    fn applying_the_changes_gives_what_the_last_rule_saw(meds in proptest::collection::vec(proptest::option::of(0u32..3), 1..8)) {
        let rules = meds.iter().map(|med| {
            rule(Match { med: *med, ..Match::default() }, Set { med: Some(med.unwrap_or(1) + 1), ..Set::default() }, Action::Next)
        });
        let end = accept(Match::default());
        let policy = policy(rules.chain([end]));
        let mut changed = attributes();
        changed.med = Some(0);
        let mut naive = Some(0);
        for med in &meds {
            if med.is_none() || *med == naive {
                naive = Some(med.unwrap_or(1) + 1);
            }
        }
        let answer = policy.evaluate(&route(&names()), &changed);
        policy.apply(&answer.changes, asn(US), &mut changed);
        prop_assert_eq!(changed.med, naive);
    }
}
