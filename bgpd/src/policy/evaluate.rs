//! A policy's answer for one route, and what the route carries afterwards.
//!
//! Asking and changing are apart: an [`Evaluation`] names the rules whose `set` applies, so that routes with the
//! same attributes and the same answer share one attribute set, whatever their prefixes. What a rule asks of the
//! attributes is answered once for all prefixes that have them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Action, Bits, Edit, Match, NewNextHop, Policy, Protocol, Rule, Set, Wildcard};
use crate::types::{Asn, Family};
use crate::wire::PathAttributes;

/// The LOCAL_PREF of a route that came without one.
pub const DEFAULT_LOCAL_PREF: u32 = 100;

/// The LOCAL_PREF of a path that is about to go (RFC 8326 §4.1).
pub const LEAST_LOCAL_PREF: u32 = 0;

/// What a rule may ask of a route, its attributes aside.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The destination.
    pub prefix: IpNet,
    /// Where it comes from.
    pub protocol: Protocol,
    /// The names of the neighbor that it came from; none for our own routes.
    pub neighbor: &'a [String],
    /// Where it leads.
    pub next_hop: Option<IpAddr>,
    /// The AS that `prepend` puts before the path: what the neighbor sees of us.
    pub asn: Asn,
}

/// A policy's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evaluation {
    /// The route passes.
    pub accepted: bool,
    /// The rule that decided, counted from 0; `None`: none matched.
    pub rule: Option<u32>,
    /// Rules whose `set` changes the route, in order.
    pub changes: Vec<u32>,
}

/// A policy that is asked about prefixes with the same attributes.
#[derive(Debug)]
pub struct Inquiry<'a> {
    policy: &'a Policy,
    attributes: &'a PathAttributes,
    /// A bit for each of the first 64 rules: whether what it asks of the attributes was answered,
    answered: u64,
    /// and the answer.
    holds: u64,
}

impl Policy {
    /// Whether routes with equal attributes can get different answers.
    pub fn looks_at_prefix(&self) -> bool {
        self.rules.iter().any(|rule| rule.matches.prefix.is_some())
    }

    /// Begins to ask about prefixes with these attributes.
    pub fn ask<'a>(&'a self, attributes: &'a PathAttributes) -> Inquiry<'a> {
        Inquiry { policy: self, attributes, answered: 0, holds: 0 }
    }

    /// Makes the changes that an [`Evaluation`] of this policy names.
    pub fn apply(&self, changes: &[u32], asn: Asn, attributes: &mut PathAttributes) {
        self.changing(changes).for_each(|rule| rule.set.apply(asn, attributes));
    }

    /// The next hop that the changes set for a prefix of this family; `None`: it stays.
    pub fn next_hop(&self, changes: &[u32], family: Family) -> Option<NewNextHop> {
        self.changing(changes).filter_map(|rule| rule.set.next_hop_of(family)).last()
    }

    fn changing(&self, changes: &[u32]) -> impl Iterator<Item = &Rule> {
        changes.iter().filter_map(|index| self.rules.get(*index as usize))
    }
}

impl Inquiry<'_> {
    /// The first rule that matches decides; none matching rejects.
    pub fn evaluate(&mut self, route: &Route<'_>) -> Evaluation {
        let mut changes = Vec::new();
        let mut route = *route;
        let mut changed: Option<PathAttributes> = None;
        for (index, rule) in (0u32..).zip(&self.policy.rules) {
            let holds = rule.matches.holds_for_route(&route)
                && match &changed {
                    None => self.holds_for_attributes(index, &rule.matches),
                    Some(changed) => rule.matches.holds_for_attributes(changed),
                };
            if !holds {
                continue;
            }
            if rule.action == Action::Reject {
                return Evaluation { accepted: false, rule: Some(index), changes: Vec::new() };
            }
            if !rule.set.is_empty() {
                changes.push(index);
            }
            if rule.action == Action::Accept {
                return Evaluation { accepted: true, rule: Some(index), changes };
            }
            if !rule.set.is_empty() {
                // Later rules see what earlier ones set.
                rule.set.apply(route.asn, changed.get_or_insert_with(|| self.attributes.clone()));
                route.next_hop = match rule.set.next_hop_of(Family::of(&route.prefix)) {
                    None => route.next_hop,
                    Some(NewNextHop::Address(address)) => Some(address),
                    Some(NewNextHop::Ourselves) => None,
                };
            }
        }
        Evaluation { accepted: false, rule: None, changes: Vec::new() }
    }

    fn holds_for_attributes(&mut self, index: u32, matches: &Match) -> bool {
        let Some(bit) = 1_u64.checked_shl(index) else { return matches.holds_for_attributes(self.attributes) };
        if self.answered & bit == 0 {
            self.answered |= bit;
            self.holds |= if matches.holds_for_attributes(self.attributes) { bit } else { 0 };
        }
        self.holds & bit != 0
    }
}

impl Match {
    fn holds_for_route(&self, route: &Route<'_>) -> bool {
        is_none_or(&self.family, |family| *family == Family::of(&route.prefix))
            && is_none_or(&self.prefix, |set| set.contains(&route.prefix))
            && is_none_or(&self.protocol, |protocol| *protocol == route.protocol)
            && is_none_or(&self.neighbor, |names| names.iter().any(|name| route.neighbor.contains(name)))
            && is_none_or(&self.next_hop, |set| route.next_hop.is_some_and(|next_hop| set.contains(&next_hop.into())))
    }

    fn holds_for_attributes(&self, attributes: &PathAttributes) -> bool {
        let path = &attributes.as_path;
        let local_pref = attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF);
        is_none_or(&self.origin, |origin| *origin == attributes.origin)
            && is_none_or(&self.local_pref, |range| range.contains(&local_pref))
            && is_none_or(&self.med, |range| attributes.med.is_some_and(|med| range.contains(&med)))
            && is_none_or(&self.community, |wanted| any_of(wanted, &attributes.communities))
            && is_none_or(&self.extended_community, |wanted| any_of(wanted, &attributes.extended_communities))
            && is_none_or(&self.large_community, |wanted| any_of(wanted, &attributes.large_communities))
            && is_none_or(&self.origin_asn, |asns| path.origin_asn().is_some_and(|asn| asns.contains(asn)))
            && is_none_or(&self.as_path_length, |lengths| lengths.contains(&path.length()))
            && is_none_or(&self.as_path, |wanted| wanted.holds(path))
    }
}

fn is_none_or<T>(condition: &Option<T>, holds: impl FnOnce(&T) -> bool) -> bool {
    condition.as_ref().is_none_or(holds)
}

fn any_of<T: Bits>(wanted: &[Wildcard<T>], found: &[T]) -> bool {
    found.iter().any(|item| wanted.iter().any(|wanted| wanted.matches(*item)))
}

impl Set {
    /// Whether it leaves everything as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What it makes of the next hop of a prefix of this family.
    fn next_hop_of(&self, family: Family) -> Option<NewNextHop> {
        self.next_hop.filter(|next_hop| match next_hop {
            NewNextHop::Address(address) => Family::of_address(address) == family,
            NewNextHop::Ourselves => true,
        })
    }

    fn apply(&self, asn: Asn, attributes: &mut PathAttributes) {
        attributes.local_pref = self.local_pref.or(attributes.local_pref);
        attributes.med = self.med.or(attributes.med);
        attributes.origin = self.origin.unwrap_or(attributes.origin);
        attributes.as_path.prepend(asn, self.prepend);
        self.community.apply(&mut attributes.communities);
        self.extended_community.apply(&mut attributes.extended_communities);
        self.large_community.apply(&mut attributes.large_communities);
    }
}

impl<T: Bits + Ord> Edit<T> {
    /// Leaves the items sorted and without repetition, as the attributes want them.
    fn apply(&self, items: &mut Vec<T>) {
        if let Some(set) = &self.set {
            items.clone_from(set);
        }
        items.retain(|item| !self.remove.iter().any(|gone| gone.matches(*item)));
        items.extend(&self.add);
        items.sort_unstable();
        items.dedup();
    }
}
