//! `[[policy.NAME]]`: rules in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use bgpd::policy::{Edit, Match, PrefixSet, Rule, Set};

use super::sets::{Claim, Collected, Sets};
use crate::raw::{Entry, Keys, Places};
use crate::value::{PathLength, Text, Within};

/// The rules of every policy.
pub(crate) type Policies = BTreeMap<String, Vec<Entry<PolicyRule>>>;

/// `[[policy.NAME]]`.
pub(crate) struct PolicyRule {
    pub(crate) rule: Rule,
    /// The prefixes of its `match`, with their sets.
    pub(crate) claims: Vec<Claim>,
    pub(crate) match_places: Places,
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
    Some(PolicyRule { rule: Rule { line, matches, set: set.value, action: action? }, claims, match_places })
}

fn conditions(keys: &mut Keys<'_, '_>, sets: &Sets) -> (Match, Vec<Claim>) {
    let any = "It carries one of these.";
    let claims = sets.prefixes(keys, "prefix", "The prefix is in one of these.");
    let prefix = claims.as_ref().map(|claims| PrefixSet { entries: claims.iter().map(|claim| claim.range).collect() });
    let matches = Match {
        prefix: prefix.map(Arc::new),
        family: keys.optional("family", "The prefix is of this family."),
        neighbor: keys
            .optional("neighbor", "It came from one of these neighbors.")
            .map(|names: Vec<Text>| names.into_iter().map(|name| name.0).collect()),
        protocol: keys.optional("protocol", "It was learned this way."),
        as_path: sets.members(keys, "as-path", "One of these stands anywhere in the path."),
        origin_asn: sets.members(keys, "origin-asn", "The last AS of the path is one of these."),
        as_path_length: keys.optional("as-path-length", "The path counts this many.").map(|range: PathLength| range.0),
        community: sets.members(
            keys,
            "community",
            "It carries one of these. A path with `blackhole` that such a rule accepts is a discard route (RFC 7999).",
        ),
        extended_community: sets.members(keys, "extended-community", any),
        large_community: sets.members(keys, "large-community", any),
        next_hop: sets
            .prefixes(keys, "next-hop", "The next hop lies in one of these, whatever their `le` and `ge`.")
            .map(|claims| claims.iter().map(|claim| claim.range.prefix).collect()),
        local_pref: keys.optional("local-pref", "LOCAL_PREF is this.").map(number),
        med: keys.optional("med", "MED is this.").map(number),
    };
    (matches, claims.unwrap_or_default())
}

fn changes(keys: &mut Keys<'_, '_>, sets: &Sets) -> Set {
    Set {
        local_pref: keys.optional("local-pref", "LOCAL_PREF.").map(number),
        med: keys.optional("med", "MULTI_EXIT_DISC.").map(number),
        prepend: keys.or("prepend", Within::<u8, 0, 255>(0), "Our AS, this many times more.").0,
        community: edit(keys, sets, ["set-community", "remove-community", "add-community"]),
        extended_community: edit(
            keys,
            sets,
            ["set-extended-community", "remove-extended-community", "add-extended-community"],
        ),
        large_community: edit(keys, sets, ["set-large-community", "remove-large-community", "add-large-community"]),
    }
}

fn edit<T: Collected>(keys: &mut Keys<'_, '_>, sets: &Sets, [set, remove, add]: [&str; 3]) -> Edit<T> {
    Edit {
        set: sets.members(keys, set, "In place of all."),
        remove: sets.members(keys, remove, "Taken away.").unwrap_or_default(),
        add: sets.members(keys, add, "Added where missing.").unwrap_or_default(),
    }
}

fn number(number: Within<u32, 0, { u32::MAX }>) -> u32 {
    number.0
}
