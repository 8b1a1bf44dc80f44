#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::types::Asn;
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
    Some(Arc::new(entries.collect()))
}

fn asns(numbers: &[u32]) -> AsnSet {
    numbers.iter().map(|number| asn(*number)).collect()
}

fn path(numbers: &[u32], patterns: &[&str]) -> Option<PathMatch> {
    let patterns = patterns.iter().map(|text| PathPattern::new(text).unwrap()).collect();
    Some(PathMatch { asns: asns(numbers), patterns })
}

fn any_value(asn: u32) -> Wildcard<Community> {
    Wildcard::new(Community(asn << 16), Community(0xFFFF_0000))
}

/// What a policy says of one route.
fn evaluate(policy: &Policy, attributes: &PathAttributes) -> Evaluation {
    policy.ask(attributes).evaluate(&route(&names()))
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
        (Match { as_path: path(&[1, 64514], &[]), ..any() }, true),
        (Match { as_path: path(&[1], &[]), ..any() }, false),
        (Match { as_path: path(&[], &["_64513_"]), ..any() }, true),
        (Match { as_path: path(&[1], &["^1_", "_64514$"]), ..any() }, true),
        (Match { as_path: path(&[1], &["^64514_"]), ..any() }, false),
        (Match { as_path: path(&[], &[]), ..any() }, false),
        (Match { origin_asn: Some(asns(&[64514])), ..any() }, true),
        (Match { origin_asn: Some(asns(&[64513])), ..any() }, false),
        (Match { as_path_length: Some(1..=2), ..any() }, true),
        (Match { as_path_length: Some(3..=9), ..any() }, false),
        (Match { origin: Some(Origin::Igp), ..any() }, true),
        (Match { origin: Some(Origin::Incomplete), ..any() }, false),
        (Match { community: Some(vec![Community(0xFC00_0065).into()]), ..any() }, true),
        (Match { community: Some(vec![Community(0xFC00_0066).into()]), ..any() }, false),
        (Match { community: Some(vec![any_value(1), any_value(0xFC00)]), ..any() }, true),
        (Match { community: Some(vec![any_value(0xFC01)]), ..any() }, false),
        (Match { extended_community: Some(vec![ExtendedCommunity(0x0002_FC00_0000_0001).into()]), ..any() }, true),
        (Match { extended_community: Some(vec![ExtendedCommunity(1).into()]), ..any() }, false),
        (Match { large_community: Some(vec![attributes().large_communities[0].into()]), ..any() }, true),
        (Match { large_community: Some(Vec::new()), ..any() }, false),
        (Match { next_hop: prefixes(&[("10.0.60.0/24", 24, 32)]), ..any() }, true),
        (Match { next_hop: prefixes(&[("10.0.61.0/24", 24, 32)]), ..any() }, false),
        (Match { local_pref: Some(200..=200), ..any() }, true),
        (Match { local_pref: Some(0..=199), ..any() }, false),
        (Match { med: Some(20..=30), ..any() }, true),
        (Match { med: Some(0..=0), ..any() }, false),
        (Match { med: Some(20..=20), local_pref: Some(100..=100), ..any() }, false),
        (any(), true),
    ];
    for (matches, holds) in table {
        let answer = evaluate(&policy([accept(matches.clone())]), &attributes());
        assert_eq!(answer.accepted, holds, "{matches:?}");
    }
}

#[test]
fn a_route_without_local_pref_matches_the_default() {
    let bare = PathAttributes { local_pref: None, ..attributes() };
    let matches = Match { local_pref: Some(100..=100), ..Match::default() };
    assert!(evaluate(&policy([accept(matches)]), &bare).accepted);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let others = Match { med: Some(1..=1), ..Match::default() };
    let rules = [accept(others), rule(Match::default(), Set::default(), Action::Reject), accept(Match::default())];
    let answer = evaluate(&policy(rules), &attributes());
    assert_eq!(answer, Evaluation { accepted: false, rule: Some(1), changes: Vec::new() });
}

#[test]
fn no_rule_rejects() {
    let answer = evaluate(&policy([]), &attributes());
    assert_eq!(answer, Evaluation { accepted: false, rule: None, changes: Vec::new() });
}

#[test]
fn a_rule_sees_what_the_rules_before_it_set() {
    let mark = Set { med: Some(5), ..Set::default() };
    let rules = [rule(Match::default(), mark, Action::Next), accept(Match { med: Some(5..=5), ..Match::default() })];
    let answer = evaluate(&policy(rules), &attributes());
    assert_eq!(answer, Evaluation { accepted: true, rule: Some(1), changes: vec![0] });
}

#[test]
fn changes_are_made_in_order_and_lists_stay_sorted() {
    let first = Set {
        local_pref: Some(150),
        prepend: 2,
        community: Edit {
            set: None,
            remove: vec![Community(0xFC00_0064).into()],
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
    let answer = evaluate(&policy, &changed);
    policy.apply(&answer.changes, asn(US), &mut changed);
    assert_eq!(changed.local_pref, Some(250));
    assert_eq!(changed.as_path.to_string(), "64512 64512 64513 64514");
    assert_eq!(changed.communities, [Community(1), Community(0xFC00_0065)]);
    assert_eq!(changed.large_communities, []);
    assert_eq!(changed.extended_communities, attributes().extended_communities);
}

#[test]
fn only_a_condition_on_the_prefix_looks_at_the_prefix() {
    assert!(!policy([accept(Match { med: Some(1..=1), ..Match::default() })]).looks_at_prefix());
    assert!(policy([accept(Match { prefix: prefixes(&[]), ..Match::default() })]).looks_at_prefix());
}

#[test]
fn a_wildcard_takes_away_all_that_it_means() {
    let edit = Edit { remove: vec![any_value(0xFC00)], add: vec![Community(0xFC00_0001)], ..Edit::default() };
    let strip = Set { community: edit, ..Set::default() };
    let policy = policy([rule(Match::default(), strip, Action::Accept)]);
    let mut changed =
        PathAttributes { communities: [1, 0xFC00_0064, 0xFC00_0065].map(Community).into(), ..attributes() };
    policy.apply(&[0], asn(US), &mut changed);
    assert_eq!(changed.communities, [Community(1), Community(0xFC00_0001)]);
}

#[test]
fn a_next_hop_is_set_for_its_family_and_the_last_one_stays() {
    let to = |address: &str| Set { next_hop: Some(NewNextHop::Address(address.parse().unwrap())), ..Set::default() };
    let own = Set { next_hop: Some(NewNextHop::Ourselves), ..Set::default() };
    let next = |set| rule(Match::default(), set, Action::Next);
    let seen = Match { next_hop: prefixes(&[("10.0.0.2/32", 32, 32)]), ..Match::default() };
    let policy =
        policy([next(to("10.0.0.2")), next(to("fd00::2")), rule(seen, Set::default(), Action::Accept), next(own)]);
    let answer = evaluate(&policy, &attributes());
    assert_eq!((answer.accepted, answer.rule, answer.changes.as_slice()), (true, Some(2), [0, 1].as_slice()));
    let address = |text: &str| Some(NewNextHop::Address(text.parse().unwrap()));
    assert_eq!(policy.next_hop(&[0, 1], Family::Ipv4), address("10.0.0.2"));
    assert_eq!(policy.next_hop(&[0, 1], Family::Ipv6), address("fd00::2"));
    assert_eq!(policy.next_hop(&[0, 3], Family::Ipv6), Some(NewNextHop::Ourselves));
    assert_eq!(policy.next_hop(&[], Family::Ipv4), None);
}

#[test]
fn origin_is_set() {
    let set = Set { origin: Some(Origin::Incomplete), ..Set::default() };
    let mut changed = attributes();
    policy([rule(Match::default(), set, Action::Accept)]).apply(&[0], asn(US), &mut changed);
    assert_eq!(changed.origin, Origin::Incomplete);
}

/// Rules beyond the 64th are asked each time, and answer the same.
#[test]
fn one_inquiry_answers_for_every_prefix_as_if_it_were_the_first() {
    let never = (0..70).map(|med| accept(Match { med: Some(med + 100..=med + 100), ..Match::default() }));
    let lan = accept(Match { prefix: prefixes(&[("10.42.0.0/16", 16, 24)]), med: Some(20..=20), ..Match::default() });
    let policy = policy(never.chain([lan]));
    let (attributes, names) = (attributes(), names());
    let mut inquiry = policy.ask(&attributes);
    for (prefix, rule) in [("10.42.3.0/24", Some(70)), ("10.43.0.0/16", None), ("10.42.4.0/24", Some(70))] {
        let asked = Route { prefix: prefix.parse().unwrap(), ..route(&names) };
        assert_eq!(inquiry.evaluate(&asked).rule, rule, "{prefix}");
        assert_eq!(policy.ask(&attributes).evaluate(&asked).rule, rule, "{prefix}");
    }
}

#[test]
fn a_wildcard_covers_what_means_no_more() {
    let exact = Wildcard::from(Community(0xFC00_0001));
    assert!(any_value(0xFC00).covers(&exact) && exact.covers(&exact));
    assert!(!exact.covers(&any_value(0xFC00)) && !any_value(0xFC01).covers(&exact));
    assert_eq!((exact.exact(), any_value(0xFC00).exact()), (Some(Community(0xFC00_0001)), None));
}

#[test]
fn path_patterns_match_as_routers_do() {
    let table = [
        ("^$", "", true),
        ("^$", "64512", false),
        ("_64513_", "64512 64513 64514", true),
        ("_64513_", "64513", true),
        ("_64513_", "164513 645130", false),
        ("^64512_", "64512 1", true),
        ("_1$", "64512 1", true),
        ("_1$", "64512 11", false),
        ("^64512_64513_", "64512 64513", true),
        ("^64512_[0-9]+$", "64512 7", true),
        ("^[0-9]+$", "64512 7", false),
        ("_6451[2-4]_", "1 64514 2", true),
        ("(_64512)+$", "1 64512 64512", true),
        ("^64512( 64512)*$", "64512 64512 64512", true),
        (".*", "", true),
        (r"\b7\b", "64512 7", true),
        ("[_7]", "64512", false),
        ("[[:digit:]]{6}", "64512 123456", true),
    ];
    for (pattern, path, matches) in table {
        assert_eq!(PathPattern::new(pattern).unwrap().matches(path), matches, "{pattern} {path}");
    }
}

#[test]
fn a_path_pattern_that_is_wrong_or_too_large_says_so() {
    let told = |text: &str| PathPattern::new(text).unwrap_err();
    assert_eq!(told("(_64512"), "unclosed group");
    assert_eq!(told("[0-"), "unclosed character class");
    assert!(told("((((_1{99}){99}){99}){99}){99}").contains("limit"), "{}", told("((((_1{99}){99}){99}){99}){99}"));
    assert!(told("_1.{200}_1.{200}").contains("limit"));
    assert!(told(&"(".repeat(100)).lines().count() == 1);
}

proptest! {
    /// What lets routes with equal attributes share the answer, and the attribute set.
    #[test]
    fn applying_the_changes_gives_what_the_last_rule_saw(meds in proptest::collection::vec(proptest::option::of(0u32..3), 1..8)) {
        let rules = meds.iter().map(|med| {
            rule(Match { med: med.map(|med| med..=med), ..Match::default() }, Set { med: Some(med.unwrap_or(1) + 1), ..Set::default() }, Action::Next)
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
        let answer = evaluate(&policy, &changed);
        policy.apply(&answer.changes, asn(US), &mut changed);
        prop_assert_eq!(changed.med, naive);
    }

    /// Looked up and walked, a prefix set says the same.
    #[test]
    fn a_prefix_set_contains_what_one_of_its_ranges_contains(
        ranges in proptest::collection::vec((any_prefix(), 0u8..=32, 0u8..=32), 0..40),
        asked in proptest::collection::vec(any_prefix(), 40),
    ) {
        let ranges: Vec<_> = ranges
            .into_iter()
            .map(|(prefix, more, most)| {
                let min = (prefix.prefix_len() + more / 4).min(prefix.max_prefix_len());
                PrefixRange { prefix, min, max: min.max(most.min(prefix.max_prefix_len())) }
            })
            .collect();
        let set: PrefixSet = ranges.iter().copied().collect();
        for prefix in asked.iter().chain(ranges.iter().map(|range| &range.prefix)) {
            prop_assert_eq!(set.contains(prefix), ranges.iter().any(|range| range.contains(prefix)), "{}", prefix);
        }
    }
}

/// Close together, so that they lie in each other.
fn any_prefix() -> impl Strategy<Value = ipnet::IpNet> {
    let ipv4 = (0u32..16, 0u8..=32).prop_map(|(bits, length)| (IpAddr::from((bits << 24).to_be_bytes()), length));
    let ipv6 = (0u128..16, 0u8..=128).prop_map(|(bits, length)| (IpAddr::from((bits << 120).to_be_bytes()), length));
    prop_oneof![ipv4, ipv6].prop_map(|(address, length)| ipnet::IpNet::new(address, length).unwrap().trunc())
}
