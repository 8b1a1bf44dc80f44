//! A policy's answer for one route, and what the route carries afterwards.
//!
//! Asking and changing are apart: an [`Evaluation`] names the rules whose `set` applies, so that routes with the
//! same attributes and the same answer share one attribute set, whatever their prefixes.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Action, Edit, Match, Policy, PrefixSet, Protocol, Set};
use crate::types::{Asn, Family};
use crate::wire::{AsPath, PathAttributes};

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

impl Policy {
    /// Whether routes with equal attributes can get different answers.
    pub fn looks_at_prefix(&self) -> bool {
        self.rules.iter().any(|rule| rule.matches.prefix.is_some())
    }

    /// The first rule that matches decides; none matching rejects.
    pub fn evaluate(&self, route: &Route<'_>, attributes: &PathAttributes) -> Evaluation {
        let mut changes = Vec::new();
        let mut attributes = Cow::Borrowed(attributes);
        for (index, rule) in (0u32..).zip(&self.rules) {
            if !rule.matches.holds(route, &attributes) {
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
                rule.set.apply(route.asn, attributes.to_mut()); // later rules see what earlier ones set
            }
        }
        Evaluation { accepted: false, rule: None, changes: Vec::new() }
    }

    /// Makes the changes that an [`Evaluation`] of this policy names.
    pub fn apply(&self, changes: &[u32], asn: Asn, attributes: &mut PathAttributes) {
        for rule in changes.iter().filter_map(|index| self.rules.get(*index as usize)) {
            rule.set.apply(asn, attributes);
        }
    }

    /// Whether one of the changes sets MED, which else does not cross an AS.
    pub fn sets_med(&self, changes: &[u32]) -> bool {
        changes.iter().filter_map(|index| self.rules.get(*index as usize)).any(|rule| rule.set.med.is_some())
    }
}

impl Match {
    fn holds(&self, route: &Route<'_>, attributes: &PathAttributes) -> bool {
        self.holds_for_route(route) && self.holds_for_path(&attributes.as_path) && self.holds_for_values(attributes)
    }

    fn holds_for_route(&self, route: &Route<'_>) -> bool {
        is_none_or(&self.family, |family| *family == Family::of(&route.prefix))
            && is_none_or(&self.prefix, |set| set.contains(&route.prefix))
            && is_none_or(&self.protocol, |protocol| *protocol == route.protocol)
            && is_none_or(&self.neighbor, |names| intersect(names, route.neighbor))
            && is_none_or(&self.next_hop, |ranges| {
                route.next_hop.is_some_and(|next_hop| ranges.iter().any(|range| range.contains(&next_hop)))
            })
    }

    fn holds_for_path(&self, path: &AsPath) -> bool {
        is_none_or(&self.as_path, |asns| path.iter().any(|asn| asns.contains(&asn)))
            && is_none_or(&self.origin_asn, |asns| path.origin_asn().is_some_and(|asn| asns.contains(&asn)))
            && is_none_or(&self.as_path_length, |lengths| lengths.contains(&path.length()))
    }

    fn holds_for_values(&self, attributes: &PathAttributes) -> bool {
        is_none_or(&self.community, |set| intersect(set, &attributes.communities))
            && is_none_or(&self.extended_community, |set| intersect(set, &attributes.extended_communities))
            && is_none_or(&self.large_community, |set| intersect(set, &attributes.large_communities))
            && is_none_or(&self.local_pref, |wanted| attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF) == *wanted)
            && is_none_or(&self.med, |wanted| attributes.med == Some(*wanted))
    }
}

fn is_none_or<T>(condition: &Option<T>, holds: impl FnOnce(&T) -> bool) -> bool {
    condition.as_ref().is_none_or(holds)
}

fn intersect<T: PartialEq>(wanted: &[T], found: &[T]) -> bool {
    found.iter().any(|item| wanted.contains(item))
}

impl Set {
    /// Whether it leaves everything as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn apply(&self, asn: Asn, attributes: &mut PathAttributes) {
        attributes.local_pref = self.local_pref.or(attributes.local_pref);
        attributes.med = self.med.or(attributes.med);
        attributes.as_path.prepend(asn, self.prepend);
        self.community.apply(&mut attributes.communities);
        self.extended_community.apply(&mut attributes.extended_communities);
        self.large_community.apply(&mut attributes.large_communities);
    }
}

impl<T: Clone + Ord> Edit<T> {
    /// Leaves the items sorted and without repetition, as the attributes want them.
    fn apply(&self, items: &mut Vec<T>) {
        if let Some(set) = &self.set {
            items.clone_from(set);
        }
        items.retain(|item| !self.remove.contains(item));
        items.extend(self.add.iter().cloned());
        items.sort_unstable();
        items.dedup();
    }
}

impl PrefixSet {
    /// Whether a prefix lies in any of the ranges.
    pub fn contains(&self, prefix: &IpNet) -> bool {
        self.entries.iter().any(|range| range.contains(prefix))
    }
}
