//! `[[policy.NAME]]`: rules in order.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bgpd::policy::{Edit, Match, PathMatch, PrefixRange, PrefixSet, Rule, Set, Wildcard};

use super::sets::{Claim, Sets};
use crate::raw::{Entry, Keys, Places};
use crate::value::{CommunityKind, NumberRange, PathItem, Text, Within};

/// The rules of every policy.
pub(crate) type Policies = BTreeMap<String, Vec<Entry<PolicyRule>>>;

/// `[[policy.NAME]]`.
pub(crate) struct PolicyRule {
    pub(crate) rule: Rule,
    /// The prefixes of its `match`, with their sets.
    pub(crate) claims: Vec<Claim>,
    pub(crate) match_places: Places,
    pub(crate) set_places: Places,
}

const NAMES: &str = "The first rule that matches decides; no match rejects. `accept-all` is built in.";
const RULE: &str = "One rule.";

pub(super) fn policies(keys: &mut Keys<'_, '_>, sets: &Sets) -> Policies {
    let entry = keys.table("policy", NAMES, |keys| {
        let names = keys.names();
        names.into_iter().map(|name| (name.clone(), keys.tables(&name, RULE, |keys| rule(keys, sets)))).collect()
    });
    entry.map(|entry| entry.value).unwrap_or_default()
}

fn rule(keys: &mut Keys<'_, '_>, sets: &Sets) -> Option<PolicyRule> {
    let line = keys.line();
    let matches =
        keys.section("match", "All of it must hold; absent: everything matches.", |keys| conditions(keys, sets));
    let set = keys.section("set", "What the route carries afterwards.", |keys| changes(keys, sets));
    let action = keys.required("action", "What becomes of the route; `next` asks the next rule.");
    let Entry { value: (matches, claims), places: match_places } = matches;
    let Entry { value: set, places: set_places } = set;
    Some(PolicyRule { rule: Rule { line, matches, set, action: action? }, claims, match_places, set_places })
}

fn conditions(keys: &mut Keys<'_, '_>, sets: &Sets) -> (Match, Vec<Claim>) {
    let any = "It carries one of these.";
    let claims = sets.prefixes(keys, "prefix", "The prefix is in one of these.");
    let prefix = claims.as_ref().map(|claims| claims.iter().map(|claim| claim.range).collect::<PrefixSet>());
    let matches = Match {
        prefix: prefix.map(Arc::new),
        family: keys.optional("family", "The prefix is of this family."),
        neighbor: keys
            .optional("neighbor", "It came from one of these neighbors.")
            .map(|names: Vec<Text>| names.into_iter().map(|name| name.0).collect()),
        protocol: keys.optional("protocol", "It was learned this way."),
        as_path: sets
            .members(keys, "as-path", "One of these stands anywhere in the path, or matches it.")
            .map(path_match),
        origin_asn: sets
            .members(keys, "origin-asn", "The last AS of the path is one of these.")
            .map(|asns| asns.into_iter().collect()),
        as_path_length: keys.optional("as-path-length", "The path counts this many.").map(range),
        origin: keys.optional("origin", "ORIGIN is this."),
        community: sets.members(
            keys,
            "community",
            "It carries one of these. A path with `blackhole` that such a rule accepts is a discard route (RFC 7999).",
        ),
        extended_community: sets.members(keys, "extended-community", any),
        large_community: sets.members(keys, "large-community", any),
        next_hop: sets
            .prefixes(keys, "next-hop", "The next hop lies in one of these, whatever their `le` and `ge`.")
            .map(|claims| Arc::new(claims.iter().map(|claim| PrefixRange::and_longer(claim.range.prefix)).collect())),
        local_pref: keys.optional("local-pref", "LOCAL_PREF is this; where there is none, 100 counts.").map(range),
        med: keys.optional("med", "MED is this.").map(range),
    };
    (matches, claims.unwrap_or_default())
}

fn changes(keys: &mut Keys<'_, '_>, sets: &Sets) -> Set {
    Set {
        local_pref: keys.optional("local-pref", "LOCAL_PREF.").map(number),
        med: keys.optional("med", "MULTI_EXIT_DISC.").map(number),
        prepend: keys.or("prepend", Within::<u8, 0, 255>(0), "Our AS, this many times more.").0,
        next_hop: keys.optional(
            "next-hop",
            "The next hop of prefixes of its family; others keep theirs. `self`, our own address on the link, is only for \
             routes that leave.",
        ),
        origin: keys.optional("origin", "ORIGIN."),
        community: edit(keys, sets, ["set-community", "remove-community", "add-community"]),
        extended_community: edit(
            keys,
            sets,
            ["set-extended-community", "remove-extended-community", "add-extended-community"],
        ),
        large_community: edit(keys, sets, ["set-large-community", "remove-large-community", "add-large-community"]),
    }
}

fn edit<T: CommunityKind>(keys: &mut Keys<'_, '_>, sets: &Sets, [set, remove, add]: [&str; 3]) -> Edit<T> {
    let set_items = sets.members(keys, set, "In place of all; without `*`.");
    let remove_items = sets.members(keys, remove, "Taken away.");
    let add_items = sets.members(keys, add, "Added where missing; without `*`.");
    Edit {
        set: set_items.map(|items| exact(keys, set, &items)),
        remove: remove_items.unwrap_or_default(),
        add: exact(keys, add, &add_items.unwrap_or_default()),
    }
}

/// What can be given to a route.
fn exact<T: CommunityKind>(keys: &mut Keys<'_, '_>, name: &str, items: &[Wildcard<T>]) -> Vec<T> {
    if items.iter().any(|item| item.exact().is_none()) {
        let label = "`*` stands for many: only `match` and `remove-` take it";
        keys.walk.report.error(keys.places.of(name), format!("{name} does not say which"), label);
    }
    items.iter().filter_map(Wildcard::exact).collect()
}

fn path_match(items: Vec<PathItem>) -> PathMatch {
    let (mut asns, mut patterns) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            PathItem::Asn(asn) => asns.push(asn),
            PathItem::Pattern(pattern) => patterns.push(pattern),
        }
    }
    PathMatch { asns: asns.into_iter().collect(), patterns }
}

fn range(range: NumberRange) -> RangeInclusive<u32> {
    range.0
}

fn number(number: Within<u32, 0, { u32::MAX }>) -> u32 {
    number.0
}
