//! Match and set: which routes pass, and what they carry afterwards.
//!
//! Rules stand in order; the first that matches decides; no match rejects. A missing policy passes nothing to
//! or from an external neighbor (RFC 8212) and everything to or from an internal one.

mod as_path;
mod blackhole;
mod evaluate;
mod prefix_set;
#[cfg(test)]
mod tests;
mod wildcard;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::types::{Community, ExtendedCommunity, Family, LargeCommunity};
use crate::wire::Origin;

pub use as_path::{AsnSet, PathMatch, PathPattern};
pub use evaluate::{DEFAULT_LOCAL_PREF, Evaluation, Inquiry, LEAST_LOCAL_PREF, Route};
pub use prefix_set::{PrefixRange, PrefixSet};
pub use wildcard::{Bits, Wildcard};

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
    /// AS_PATH has one of these.
    pub as_path: Option<PathMatch>,
    /// The last AS of the path is one of these.
    pub origin_asn: Option<AsnSet>,
    /// The path counts this many (RFC 4271 §9.1.2.2 a).
    pub as_path_length: Option<RangeInclusive<u32>>,
    /// ORIGIN is this.
    pub origin: Option<Origin>,
    /// It carries one of these.
    pub community: Option<Vec<Wildcard<Community>>>,
    /// It carries one of these.
    pub extended_community: Option<Vec<Wildcard<ExtendedCommunity>>>,
    /// It carries one of these.
    pub large_community: Option<Vec<Wildcard<LargeCommunity>>>,
    /// The next hop, as a prefix of one address, is in the set.
    pub next_hop: Option<Arc<PrefixSet>>,
    /// LOCAL_PREF is in this range.
    pub local_pref: Option<RangeInclusive<u32>>,
    /// MED is in this range.
    pub med: Option<RangeInclusive<u32>>,
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
    /// The next hop of prefixes of its family.
    pub next_hop: Option<NewNextHop>,
    /// ORIGIN.
    pub origin: Option<Origin>,
    /// What happens to the communities.
    pub community: Edit<Community>,
    /// What happens to the extended communities.
    pub extended_community: Edit<ExtendedCommunity>,
    /// What happens to the large communities.
    pub large_community: Edit<LargeCommunity>,
}

/// A next hop that a policy sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NewNextHop {
    /// This address, for prefixes of its family; others keep theirs.
    Address(IpAddr),
    /// Our own address on the session's link. Only where a route leaves.
    Ourselves,
}

/// `set-…`, then `remove-…`, then `add-…`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edit<T> {
    /// In place of all.
    pub set: Option<Vec<T>>,
    /// Taken away.
    pub remove: Vec<Wildcard<T>>,
    /// Added where missing.
    pub add: Vec<T>,
}

impl<T> Default for Edit<T> {
    fn default() -> Self {
        Self { set: None, remove: Vec::new(), add: Vec::new() }
    }
}
