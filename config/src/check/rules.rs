//! Rules that can never match: what they ask for is decided before, contradicts itself, or is nothing.

use std::ops::RangeInclusive;

use bgpd::policy::{Action, AsnSet, Match, PathMatch, PrefixRange, Protocol, Rule, Set, Wildcard};
use bgpd::types::Family;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::cover::Union;
use crate::raw::{Entry, Report};
use crate::read::PolicyRule;

/// Who takes routes in by a policy that is used for nothing else.
pub(super) type Importers<'d> = Vec<&'d str>;

/// Warns of what the rules of a policy cannot do.
pub(super) fn advice(rules: &[Entry<PolicyRule>], importers: Option<&Importers<'_>>, report: &mut Report) {
    for (index, Entry { value, places }) in rules.iter().enumerate() {
        let rule = &value.rule;
        let title = "this rule can never match";
        if let Some(why) = contradiction(&rule.matches).or_else(|| not_imported(&rule.matches, importers?)) {
            report.warning(places.of("match"), title, why);
        } else if let Some((last, alone)) = decided_by(rules, index) {
            let label = if alone { "by this rule" } else { "by this rule and others before it" };
            let finding = report.warning(places.table, title, "whatever it matches is decided before");
            finding.also(rules[last].places.table, label);
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

/// The earlier rule that leaves nothing of what a later one matches: alone, or with others before it.
fn decided_by(rules: &[Entry<PolicyRule>], index: usize) -> Option<(usize, bool)> {
    let later = &rules[index].value.rule.matches;
    let wanted = region(later);
    let all_of_it = |union: &Union| wanted.iter().all(|range| union.covers(range));
    let (mut together, mut last) = (Vec::new(), None);
    for (earlier, Entry { value: PolicyRule { rule, .. }, .. }) in rules[..index].iter().enumerate() {
        let changed = rules[earlier + 1..index].iter().any(|between| changes(&between.value.rule));
        if rule.action == Action::Next || !asks_no_more(&rule.matches, later, changed) {
            continue;
        }
        let decided = region(&rule.matches);
        if all_of_it(&decided.iter().copied().collect()) {
            return Some((earlier, true));
        }
        together.extend(decided);
        last = Some((earlier, false));
    }
    last.filter(|_| all_of_it(&together.into_iter().collect()))
}

/// Whether later rules see another route than earlier ones.
fn changes(rule: &Rule) -> bool {
    rule.action == Action::Next && !rule.set.is_empty()
}

/// The prefixes that may match.
fn region(matches: &Match) -> Vec<PrefixRange> {
    let everything = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())].map(PrefixRange::and_longer);
    let ranges = matches.prefix.as_ref().map_or(everything.as_slice(), |set| set.entries());
    let of_family = |range: &&PrefixRange| matches.family.is_none_or(|family| Family::of(&range.prefix) == family);
    ranges.iter().filter(of_family).copied().collect()
}

/// Whether the earlier conditions, the prefix aside, hold wherever the later ones do. `changed`: the later ones may see
/// what a rule between has set.
fn asks_no_more(earlier: &Match, later: &Match, changed: bool) -> bool {
    let route = holds_too(&later.neighbor, &earlier.neighbor, |later, earlier| all_in(later, earlier))
        && holds_too(&later.protocol, &earlier.protocol, PartialEq::eq);
    if changed {
        let Match { prefix, family, neighbor, protocol, .. } = earlier.clone();
        return route && *earlier == Match { prefix, family, neighbor, protocol, ..Match::default() };
    }
    route
        && holds_too(&later.next_hop, &earlier.next_hop, |later, earlier| {
            let union: Union = earlier.entries().iter().copied().collect();
            later.entries().iter().all(|range| union.covers(range))
        })
        && holds_too(&later.as_path, &earlier.as_path, |later, earlier| {
            is_subset(&later.asns, &earlier.asns) && all_in(&later.patterns, &earlier.patterns)
        })
        && holds_too(&later.origin_asn, &earlier.origin_asn, is_subset)
        && holds_too(&later.as_path_length, &earlier.as_path_length, is_within)
        && holds_too(&later.origin, &earlier.origin, PartialEq::eq)
        && holds_too(&later.community, &earlier.community, |later, earlier| are_covered(later, earlier))
        && holds_too(&later.extended_community, &earlier.extended_community, |later, earlier| {
            are_covered(later, earlier)
        })
        && holds_too(&later.large_community, &earlier.large_community, |later, earlier| are_covered(later, earlier))
        && holds_too(&later.local_pref, &earlier.local_pref, is_within)
        && holds_too(&later.med, &earlier.med, is_within)
}

/// An absent condition always holds.
fn holds_too<T>(later: &Option<T>, earlier: &Option<T>, implies: impl Fn(&T, &T) -> bool) -> bool {
    match (later, earlier) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(later), Some(earlier)) => implies(later, earlier),
    }
}

fn all_in<T: PartialEq>(some: &[T], all: &[T]) -> bool {
    some.iter().all(|item| all.contains(item))
}

fn is_subset(some: &AsnSet, all: &AsnSet) -> bool {
    some.iter().all(|asn| all.contains(asn))
}

fn is_within(inner: &RangeInclusive<u32>, outer: &RangeInclusive<u32>) -> bool {
    outer.contains(inner.start()) && outer.contains(inner.end())
}

fn are_covered<T: bgpd::policy::Bits>(some: &[Wildcard<T>], all: &[Wildcard<T>]) -> bool {
    some.iter().all(|item| all.iter().any(|other| other.covers(item)))
}

/// Why no route at all can match.
fn contradiction(matches: &Match) -> Option<String> {
    let because = |why: &str| Some(why.to_owned());
    let is_empty = |list: Option<bool>| list == Some(true);
    if is_empty(matches.prefix.as_ref().map(|set| set.is_empty())) {
        return because("the prefix set is empty");
    }
    if region(matches).is_empty() {
        return because("no prefix of the set is of this family");
    }
    let empty = [
        matches.neighbor.as_ref().map(Vec::is_empty),
        matches.as_path.as_ref().map(PathMatch::is_empty),
        matches.origin_asn.as_ref().map(AsnSet::is_empty),
        matches.community.as_ref().map(Vec::is_empty),
        matches.extended_community.as_ref().map(Vec::is_empty),
        matches.large_community.as_ref().map(Vec::is_empty),
        matches.next_hop.as_ref().map(|set| set.is_empty()),
    ];
    if empty.into_iter().any(is_empty) {
        return because("a list of it is empty");
    }
    let own = matches.protocol.is_some_and(|protocol| protocol != Protocol::Bgp);
    if own && matches.neighbor.is_some() {
        return because("routes of our own come from no neighbor");
    }
    (own && asks_for_a_path(matches)).then(|| "routes of our own have an empty AS path".to_owned())
}

/// Whether an empty path cannot match.
fn asks_for_a_path(matches: &Match) -> bool {
    let fits_empty = |path: &PathMatch| path.patterns.iter().any(|pattern| pattern.matches(""));
    matches.origin_asn.is_some()
        || matches.as_path.as_ref().is_some_and(|path| !fits_empty(path))
        || matches.as_path_length.as_ref().is_some_and(|lengths| !lengths.contains(&0))
}

/// Why no route from these neighbors can match.
fn not_imported(matches: &Match, importers: &Importers<'_>) -> Option<String> {
    if matches.protocol.is_some_and(|protocol| protocol != Protocol::Bgp) {
        return Some("the policy is used for import alone: all its routes are of protocol \"bgp\"".to_owned());
    }
    let named = |name: &String| importers.iter().any(|importer| name.split('/').next() == Some(*importer));
    let foreign = matches.neighbor.as_ref().is_some_and(|names| !names.iter().any(named));
    foreign.then(|| format!("the policy is used for import alone, from {}", importers.join(", ")))
}
