//! Policies: the names that they use and are used by.

use std::collections::BTreeSet;

use bgpd::policy::NewNextHop;
use bgpd::settings::{PolicyName, SessionSettings};

use super::rules::{self, Importers};
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
    let imported: BTreeSet<_> = sessions(draft).filter_map(|(_, session)| named(&session.import)).collect();
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
        rules::advice(rules, importers(draft, name).as_ref(), report);
    }
    for (section, name, place) in draft.sets.unused() {
        report.warning(place, format!("{section} `{name}` is not used"), "no policy names it");
    }
}

/// Who imports by a policy, where nobody exports by it.
fn importers<'d>(draft: &'d Draft, policy: &String) -> Option<Importers<'d>> {
    let by = |name: &Option<PolicyName>| named(name) == Some(policy);
    let exported = sessions(draft).any(|(_, session)| by(&session.export));
    let importers: Vec<_> = sessions(draft).filter(|(_, session)| by(&session.import)).map(|(name, _)| name).collect();
    (!exported && !importers.is_empty()).then_some(importers)
}

fn used(draft: &Draft) -> BTreeSet<&String> {
    sessions(draft).flat_map(|(_, session)| [&session.import, &session.export]).filter_map(named).collect()
}

fn sessions(draft: &Draft) -> impl Iterator<Item = (&str, &SessionSettings)> {
    draft.bgp.iter().flat_map(|bgp| {
        let neighbors = bgp.value.neighbors.iter().map(|neighbor| &neighbor.value);
        let dynamic = bgp.value.dynamic.iter().map(|dynamic| &dynamic.value);
        let neighbors = neighbors.map(|neighbor| (neighbor.name.as_str(), &neighbor.settings.session));
        neighbors.chain(dynamic.map(|dynamic| (dynamic.name.as_str(), &dynamic.settings.session)))
    })
}

fn named(policy: &Option<PolicyName>) -> Option<&String> {
    if let Some(PolicyName::Named(name)) = policy { Some(name) } else { None }
}
