//! Policies: names, and rules that can never match.

use std::collections::BTreeSet;

use bgpd::policy::{Action, AsnSet, Match, NewNextHop, PathMatch, Rule, Set};
use bgpd::settings::{PolicyName, SessionSettings};
use bgpd::types::Family;

use super::undefined;
use crate::raw::{Entry, Report};
use crate::read::{Draft, PolicyRule};

pub(super) fn laws(draft: &Draft, report: &mut Report) {
    for rule in draft.policies.get("accept-all").into_iter().flatten() {
        report.error(rule.places.table, "policy `accept-all` is built in", "choose another name");
    }
    for rule in draft.policies.values().flatten() {
        neighbors(rule, draft, report);
    }
    own_next_hops(draft, report);
}

/// Towards ourselves we are no next hop.
fn own_next_hops(draft: &Draft, report: &mut Report) {
    let imported: BTreeSet<_> = sessions(draft).filter_map(|session| named(&session.import)).collect();
    let rules = draft.policies.iter().filter(|(name, _)| imported.contains(name)).flat_map(|(_, rules)| rules);
    for rule in rules.filter(|rule| rule.value.rule.set.next_hop == Some(NewNextHop::Ourselves)) {
        let label = "the policy is used for import: allowed there is an address";
        report.error(rule.value.set_places.of("next-hop"), "next-hop \"self\" is not allowed here", label);
    }
}

/// The neighbors that a rule names must be there; `NAME/ADDRESS` is a session of a listen range.
fn neighbors(rule: &Entry<PolicyRule>, draft: &Draft, report: &mut Report) {
    let Some(bgp) = &draft.bgp else { return };
    for (index, name) in rule.value.rule.matches.neighbor.iter().flatten().enumerate() {
        let base = name.split_once('/').map_or(name.as_str(), |(base, _)| base);
        if !bgp.value.names.contains(base) {
            let label = undefined(base, bgp.value.names.iter(), "define it as [[bgp.neighbor]]");
            let place = rule.value.match_places.item("neighbor", index);
            report.error(place, format!("there is no neighbor `{base}`"), label);
        }
    }
}

pub(super) fn advice(draft: &Draft, report: &mut Report) {
    let used = used(draft);
    for (name, rules) in &draft.policies {
        if !used.contains(name)
            && let Some(first) = rules.first()
        {
            report.warning(first.places.table, format!("policy `{name}` is not used"), "no neighbor names it");
        }
        never_matching(rules, report);
    }
    for (section, name, place) in draft.sets.unused() {
        report.warning(place, format!("{section} `{name}` is not used"), "no policy names it");
    }
}

fn used(draft: &Draft) -> BTreeSet<&String> {
    sessions(draft).flat_map(|session| [&session.import, &session.export]).filter_map(named).collect()
}

fn sessions(draft: &Draft) -> impl Iterator<Item = &SessionSettings> {
    draft.bgp.iter().flat_map(|bgp| {
        let neighbors = bgp.value.neighbors.iter().map(|neighbor| &neighbor.value.settings.session);
        neighbors.chain(bgp.value.dynamic.iter().map(|dynamic| &dynamic.value.settings.session))
    })
}

fn named(policy: &Option<PolicyName>) -> Option<&String> {
    if let Some(PolicyName::Named(name)) = policy { Some(name) } else { None }
}

fn never_matching(rules: &[Entry<PolicyRule>], report: &mut Report) {
    for (index, Entry { value, places }) in rules.iter().enumerate() {
        let rule = &value.rule;
        let shadow = rules[..index].iter().find(|earlier| decides_all_of(&earlier.value.rule, &rule.matches));
        if let Some(shadow) = shadow {
            let label = "whatever it matches is decided before";
            report.warning(places.table, "this rule can never match", label).also(shadow.places.table, "by this rule");
        } else if let Some(why) = contradiction(&rule.matches) {
            report.warning(places.of("match"), "this rule can never match", why);
        }
        if rule.action == Action::Reject && rule.set != Set::default() {
            report.warning(places.of("set"), "this `set` has no effect", "the rule rejects what it matches");
        }
        if rule.action == Action::Next && index + 1 == rules.len() {
            let label = "there is no next rule: what no rule accepts is rejected";
            report.warning(places.of("action"), "the last rule's `next` rejects", label);
        }
    }
}

/// Whether an earlier rule leaves nothing of what a later one matches.
fn decides_all_of(earlier: &Rule, later: &Match) -> bool {
    earlier.action != Action::Next && (earlier.matches == Match::default() || earlier.matches == *later)
}

/// Why no route at all can match.
fn contradiction(matches: &Match) -> Option<&'static str> {
    let Match { prefix, family, neighbor, as_path, origin_asn, .. } = matches;
    let entries = prefix.as_ref().map(|set| set.entries());
    if entries.is_some_and(<[_]>::is_empty) {
        return Some("the prefix set is empty");
    }
    if let (Some(entries), Some(family)) = (entries, family)
        && entries.iter().all(|entry| Family::of(&entry.prefix) != *family)
    {
        return Some("no prefix of the set is of this family");
    }
    let empty = [
        neighbor.as_ref().is_some_and(Vec::is_empty),
        as_path.as_ref().is_some_and(PathMatch::is_empty),
        origin_asn.as_ref().is_some_and(AsnSet::is_empty),
        matches.community.as_ref().is_some_and(Vec::is_empty),
        matches.extended_community.as_ref().is_some_and(Vec::is_empty),
        matches.large_community.as_ref().is_some_and(Vec::is_empty),
        matches.next_hop.as_ref().is_some_and(|set| set.is_empty()),
    ];
    empty.contains(&true).then_some("a list of it is empty")
}
