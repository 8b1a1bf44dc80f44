//! Two clusters left at the same default pod CIDR: each works alone, together they take each other's packets.
//!
//! A listen range is a cluster; its import policy says what the cluster may announce. Two clusters whose policies name the same
//! prefixes in different sets both claim to own them. A set that both name (the addresses of services, say) is shared on
//! purpose.

use bgpd::policy::Action;
use bgpd::settings::PolicyName;
use ipnet::IpNet;

use super::overlap;
use crate::raw::{Entry, Place, Report};
use crate::read::{Bgp, Claim, Draft, Dynamic};

/// A prefix that a cluster may announce parts of.
struct Owned<'d> {
    owner: &'d Entry<Dynamic>,
    claim: &'d Claim,
    /// The rule that says so.
    rule: Place,
}

pub(super) fn laws(bgp: &Bgp, draft: &Draft, report: &mut Report) {
    for (one, other) in contested(bgp, draft, |one, other| one == other) {
        let (first, second) = (&other.owner.value.name, &one.owner.value.name);
        let title = format!("{} is claimed by both `{first}` and `{second}`", one.claim.range.prefix);
        let label = format!("`{second}` may announce it; give each its own, or name one prefix set in both policies");
        report.error(one.rule, title, label).also(other.rule, format!("so may `{first}`"));
    }
}

pub(super) fn advice(bgp: &Bgp, draft: &Draft, report: &mut Report) {
    for (one, other) in contested(bgp, draft, |one, other| one != other && overlap(one, other)) {
        let (first, second) = (&other.owner.value.name, &one.owner.value.name);
        let (theirs, ours) = (other.claim.range.prefix, one.claim.range.prefix);
        let title = format!("{ours} of `{second}` and {theirs} of `{first}` overlap");
        let label = "each could announce the other's";
        report.warning(one.rule, title, label).also(other.rule, "the other");
    }
}

/// Pairs of claims of different clusters, the later one first.
fn contested<'d>(
    bgp: &'d Bgp,
    draft: &'d Draft,
    conflict: impl Fn(&IpNet, &IpNet) -> bool,
) -> Vec<(Owned<'d>, Owned<'d>)> {
    let mut pairs = Vec::new();
    for (index, later) in bgp.dynamic.iter().enumerate() {
        for earlier in &bgp.dynamic[..index] {
            if later.value.settings.session.import == earlier.value.settings.session.import {
                continue;
            }
            for one in claims(later, draft) {
                let others =
                    claims(earlier, draft).filter(|other| conflict(&one.claim.range.prefix, &other.claim.range.prefix));
                let mut others = others.filter(|other| one.claim.set.is_none() || one.claim.set != other.claim.set);
                if let Some(other) = others.next() {
                    pairs.push((one, other));
                }
            }
        }
    }
    pairs
}

/// What the import policy lets a cluster announce parts of. A prefix that is only taken as a whole is no one's pool.
fn claims<'d>(owner: &'d Entry<Dynamic>, draft: &'d Draft) -> impl Iterator<Item = Owned<'d>> {
    let rules = match &owner.value.settings.session.import {
        Some(PolicyName::Named(name)) => draft.policies.get(name).map(Vec::as_slice).unwrap_or_default(),
        _ => &[],
    };
    let passing = rules.iter().filter(|rule| rule.value.rule.action != Action::Reject);
    passing.flat_map(move |rule| {
        let pools = rule.value.claims.iter().filter(|claim| claim.range.max > claim.range.prefix.prefix_len());
        pools.map(move |claim| Owned { owner, claim, rule: rule.places.of("match") })
    })
}
