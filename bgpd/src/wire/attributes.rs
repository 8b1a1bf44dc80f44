//! Path attributes, typed (RFC 4271 §5).

use std::fmt;
use std::net::Ipv4Addr;

use super::{AsPath, AttrCode};
use crate::types::{Asn, Community, ExtendedCommunity, LargeCommunity};

/// Everything a path carries except its next hop, which the session decides about (RFC 4271 §5.1.3).
#[derive(Debug, Default, Eq, Hash, PartialEq)]
pub struct PathAttributes {
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH, always with four octets an AS (RFC 6793).
    pub as_path: AsPath,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES (RFC 1997), sorted, without repetition.
    pub communities: Vec<Community>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST (RFC 4456).
    pub cluster_list: Vec<Ipv4Addr>,
    /// EXTENDED COMMUNITIES (RFC 4360), sorted, without repetition.
    pub extended_communities: Vec<ExtendedCommunity>,
    /// LARGE_COMMUNITY (RFC 8092), sorted, without repetition.
    pub large_communities: Vec<LargeCommunity>,
    /// OTC (RFC 9234): the AS, as it came, beyond which the route goes to customers only.
    pub only_to_customer: Option<u32>,
    /// Optional transitive attributes that this speaker does not know, by code.
    pub unknown: Vec<UnknownAttribute>,
    /// Which of the others passed through a speaker that does not know them.
    pub partial: PartialBits,
}

impl Clone for PathAttributes {
    fn clone(&self) -> Self {
        let mut clone = Self::default();
        clone.clone_from(self);
        clone
    }

    /// With the memory that is there.
    fn clone_from(&mut self, source: &Self) {
        let Self { origin, as_path, med, local_pref, atomic_aggregate, aggregator, communities, .. } = source;
        let Self { originator_id, cluster_list, extended_communities, large_communities, .. } = source;
        let Self { only_to_customer, unknown, partial, .. } = source;
        self.origin = *origin;
        self.as_path.asns.clone_from(&as_path.asns);
        self.med = *med;
        self.local_pref = *local_pref;
        self.atomic_aggregate = *atomic_aggregate;
        self.aggregator = *aggregator;
        self.communities.clone_from(communities);
        self.originator_id = *originator_id;
        self.cluster_list.clone_from(cluster_list);
        self.extended_communities.clone_from(extended_communities);
        self.large_communities.clone_from(large_communities);
        self.only_to_customer = *only_to_customer;
        self.unknown.clone_from(unknown);
        self.partial = *partial;
    }
}

impl PathAttributes {
    /// Back to [`PathAttributes::default`]; memory is kept for the next.
    pub fn clear(&mut self) {
        let Self { origin, as_path, med, local_pref, atomic_aggregate, aggregator, communities, originator_id, .. } =
            self;
        (*origin, *med, *local_pref, *atomic_aggregate) = Default::default();
        (*aggregator, *originator_id) = (None, None);
        as_path.asns.clear();
        communities.clear();
        let Self { cluster_list, extended_communities, large_communities, only_to_customer, unknown, partial, .. } =
            self;
        cluster_list.clear();
        extended_communities.clear();
        large_communities.clear();
        (*only_to_customer, *partial) = Default::default();
        unknown.clear();
    }

    /// Puts a community in its place among the others, where it is not there yet.
    pub fn add_community(&mut self, community: Community) {
        if let Err(place) = self.communities.binary_search(&community) {
            self.communities.insert(place, community);
        }
    }
}

/// Attributes whose Partial bit somebody has set: it is never taken back (RFC 4271 §5).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct PartialBits(u64);

impl PartialBits {
    /// Whether the bit of an attribute is set.
    pub const fn contains(self, code: AttrCode) -> bool {
        self.0 & Self::bit(code) != 0
    }

    pub(super) const fn insert(&mut self, code: AttrCode) {
        self.0 |= Self::bit(code);
    }

    /// One bit a code below 64, where all known ones are.
    const fn bit(code: AttrCode) -> u64 {
        if code.0 < 64 { 1 << code.0 } else { 0 }
    }
}

/// ORIGIN (RFC 4271 §5.1.1), the preferred first.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Origin {
    /// 0.
    #[default]
    Igp,
    /// 1.
    Egp,
    /// 2.
    Incomplete,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Igp => "igp",
            Self::Egp => "egp",
            Self::Incomplete => "incomplete",
        })
    }
}

/// AGGREGATOR (RFC 4271 §5.1.7).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Aggregator {
    /// Who formed the route.
    pub asn: Asn,
    /// Its identifier.
    pub address: Ipv4Addr,
}

/// An optional transitive attribute that is passed on as it is, the Partial bit set (RFC 4271 §5).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UnknownAttribute {
    /// Type code.
    pub code: u8,
    /// Value.
    pub value: Vec<u8>,
}
