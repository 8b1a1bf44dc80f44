//! Match and set: which routes pass, and what they carry afterwards.
//!
//! Rules stand in order; the first that matches decides; no match rejects. A missing policy passes nothing to
//! or from an external neighbor (RFC 8212) and everything to or from an internal one.

mod blackhole;
mod evaluate;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;

use crate::types::{Asn, Community, ExtendedCommunity, Family, LargeCommunity};

pub use evaluate::{DEFAULT_LOCAL_PREF, Evaluation, LEAST_LOCAL_PREF, Route};

/// Rules in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// As in the configuration.
    pub name: String,
    /// The first that matches decides.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The line of the rule in its file, from 1.
    pub line: u32,
    /// All of it must hold.
    pub matches: Match,
    /// What an accepted (or handed on) route carries afterwards.
    pub set: Set,
    /// What becomes of the route.
    pub action: Action,
}

/// What becomes of a route whose rule matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// It passes.
    Accept,
    /// It does not.
    Reject,
    /// The rule's `set` is applied and the next rule is asked.
    Next,
}

/// Where a route comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// A neighbor.
    Bgp,
    /// `[[bgp.originate]]`.
    Originate,
    /// `[[bgp.aggregate]]`.
    Aggregate,
}

/// Conditions; an absent one (`None`) always holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Match {
    /// The prefix is in the set.
    pub prefix: Option<Arc<PrefixSet>>,
    /// The prefix is of this family.
    pub family: Option<Family>,
    /// The neighbor it came from has one of these names (for a dynamic neighbor: its name, or `NAME/ADDRESS`).
    pub neighbor: Option<Vec<String>>,
    /// It was learned this way.
    pub protocol: Option<Protocol>,
    /// One of these stands anywhere in the AS_PATH.
    pub as_path: Option<Vec<Asn>>,
    /// The last AS of the path is one of these.
    pub origin_asn: Option<Vec<Asn>>,
    /// The path counts this many (RFC 4271 §9.1.2.2 a).
    pub as_path_length: Option<RangeInclusive<u32>>,
    /// It carries one of these.
    pub community: Option<Vec<Community>>,
    /// It carries one of these.
    pub extended_community: Option<Vec<ExtendedCommunity>>,
    /// It carries one of these.
    pub large_community: Option<Vec<LargeCommunity>>,
    /// The next hop is in one of these.
    pub next_hop: Option<Vec<IpNet>>,
    /// LOCAL_PREF is this.
    pub local_pref: Option<u32>,
    /// MED is this.
    pub med: Option<u32>,
}

/// Changes, applied in the order of the fields.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Set {
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// Our AS, this many times more.
    pub prepend: u8,
    /// What happens to the communities.
    pub community: Edit<Community>,
    /// What happens to the extended communities.
    pub extended_community: Edit<ExtendedCommunity>,
    /// What happens to the large communities.
    pub large_community: Edit<LargeCommunity>,
}

/// `set-…`, then `remove-…`, then `add-…`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edit<T> {
    /// In place of all.
    pub set: Option<Vec<T>>,
    /// Taken away.
    pub remove: Vec<T>,
    /// Added where missing.
    pub add: Vec<T>,
}

impl<T> Default for Edit<T> {
    fn default() -> Self {
        Self { set: None, remove: Vec::new(), add: Vec::new() }
    }
}

/// Prefixes with the lengths that count as inside.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PrefixSet {
    /// Any of them.
    pub entries: Vec<PrefixRange>,
}

/// `10.0.0.0/8`, `10.0.0.0/8 le 24`, `10.0.0.0/8 ge 9 le 24`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrefixRange {
    /// The covering prefix.
    pub prefix: IpNet,
    /// The shortest length inside.
    pub min: u8,
    /// The longest length inside.
    pub max: u8,
}

impl PrefixRange {
    /// Whether a prefix lies in the range.
    pub fn contains(&self, prefix: &IpNet) -> bool {
        (self.min..=self.max).contains(&prefix.prefix_len()) && self.prefix.contains(prefix)
    }
}
