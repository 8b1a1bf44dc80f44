//! Attribute sets, each once however many paths carry it.
//!
//! A set is what a source sent together with what import policy made of it. Its bytes are read when it is new, and
//! again only when it is exported, evaluated anew or shown; what the decision needs stays at hand. A set whose last
//! path is gone is forgotten: a neighbor that invents attributes costs nothing afterwards.

use std::net::IpAddr;
use std::sync::Arc;

use super::hash::{Index, Seed};
use super::key::{self, Key};
use super::next_hops::NextHopId;
use super::slab::Slab;
use super::{Rank, Source, SourceId};
use crate::policy::Policy;
use crate::types::NextHop;
use crate::wire::{ParsedAttributes, PathAttributes};

/// The number of an attribute set.
pub(crate) type SetId = u32;

/// What import policy said of a path, and what it changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Which of the source's policies it was.
    pub(crate) generation: u32,
    /// Why the path is not used.
    pub(crate) rejected: Option<Rejection>,
    /// The policy that was asked.
    pub(crate) policy: Option<Arc<Policy>>,
    /// The rule of it that decided, counted from 0.
    pub(crate) rule: Option<u32>,
    /// The rules of it whose `set` applies.
    pub(crate) changes: Vec<u32>,
    /// The next hop that they set.
    pub(crate) next_hop: Option<IpAddr>,
    /// The neighbor's paths are about to go (RFC 8326 §4.2); follows the generation.
    pub(crate) draining: bool,
    /// The neighbor has been gone for long (RFC 9494 §4.2).
    pub(crate) long_lived: bool,
}

/// Why a path is kept, but not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rejection {
    /// Our AS stands in AS_PATH too often (RFC 4271 §9.1.2).
    OwnAs,
    /// ORIGINATOR_ID is ours (RFC 4456 §8).
    OwnOriginatorId,
    /// CLUSTER_LIST has our cluster (RFC 4456 §8).
    OwnClusterId,
    /// OTC says that it must not come from there (RFC 9234 §5).
    Leak,
    /// External, and no import policy (RFC 8212).
    NoPolicy,
    /// A rule of the policy, or the lack of one.
    Policy,
}

/// Between outcomes of one source: the generation stands for the policy.
impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        let of =
            |outcome: &Self| (outcome.generation, outcome.rejected, outcome.rule, outcome.next_hop, outcome.long_lived);
        of(self) == of(other) && self.changes == other.changes
    }
}

/// Where a path leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Forward {
    /// Nowhere: a route of ours, or a rejected one.
    Nowhere,
    /// To an address that no packet can be sent to.
    Martian,
    /// To a next hop that the host knows about.
    To(NextHopId),
}

/// A route of our own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OwnRoute {
    /// As in the Loc-RIB.
    pub(crate) attributes: PathAttributes,
    /// Where the kernel sends it.
    pub(crate) next_hop: Option<IpAddr>,
    /// The kernel drops it.
    pub(crate) discard: bool,
}

/// What a set is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    /// A [`Key`].
    Received(Box<[u8]>),
    /// Ours.
    Own(Box<OwnRoute>),
}

/// One attribute set.
#[derive(Debug)]
pub(crate) struct AttributeSet {
    /// Whose it is.
    pub(crate) source: SourceId,
    /// What it is made of.
    pub(crate) content: Content,
    /// What import policy made of it.
    pub(crate) outcome: Arc<Outcome>,
    /// Where it leads.
    pub(crate) forward: Forward,
    /// What the decision looks at.
    pub(crate) rank: Rank,
    /// Packets are dropped, wherever it leads (RFC 7999).
    pub(crate) discard: bool,
    /// Paths that carry it.
    paths: u32,
}

impl AttributeSet {
    /// A set that no path carries yet.
    pub(crate) fn new(source: SourceId, content: Content, outcome: Arc<Outcome>, forward: Forward, rank: Rank) -> Self {
        Self { source, content, outcome, forward, rank, discard: false, paths: 0 }
    }

    /// The same, with what becomes of packets.
    pub(crate) fn discarding(self, discard: bool) -> Self {
        Self { discard, ..self }
    }

    /// Whether import policy let it pass.
    pub(crate) fn is_accepted(&self) -> bool {
        self.outcome.rejected.is_none()
    }

    /// Which of its source's paths to a prefix it is, where there are several (RFC 7911).
    pub(crate) fn path_id(&self) -> Option<u32> {
        key::path_id(self.key())
    }

    /// A route of our own.
    pub(crate) fn own(&self) -> Option<&OwnRoute> {
        match &self.content {
            Content::Own(route) => Some(route),
            Content::Received(_) => None,
        }
    }

    /// As they came, over what is in `parsed`, and where they lead.
    pub(crate) fn received(&self, source: &Source, parsed: &mut ParsedAttributes) -> Option<NextHop> {
        match &self.content {
            Content::Own(route) => {
                parsed.attributes.clone_from(&route.attributes);
                route.next_hop.map(NextHop::from)
            }
            Content::Received(key) => match Key::read(key) {
                Some(key) => key.parse(source, parsed),
                None => {
                    parsed.attributes.clear();
                    None
                }
            },
        }
    }

    /// As they stand in the Loc-RIB: after import policy.
    pub(crate) fn attributes(&self, source: &Source, parsed: &mut ParsedAttributes) -> Option<NextHop> {
        let next_hop = self.received(source, parsed);
        source.apply(&self.outcome, &mut parsed.attributes);
        self.outcome.next_hop.map(NextHop::from).or(next_hop)
    }

    /// What it takes: 0 for a route of our own.
    pub(crate) fn octets(&self) -> usize {
        match &self.content {
            Content::Received(key) => key.len() + size_of::<Self>(),
            Content::Own(_) => 0,
        }
    }

    fn key(&self) -> &[u8] {
        match &self.content {
            Content::Received(key) => key,
            Content::Own(_) => &[],
        }
    }
}

/// All attribute sets.
#[derive(Debug)]
pub(crate) struct Sets {
    records: Slab<AttributeSet>,
    index: Index,
    seed: Seed,
}

impl Sets {
    /// None yet.
    pub(crate) fn new(seed: Seed) -> Self {
        Self { records: Slab::default(), index: Index::default(), seed }
    }

    /// The hash of sets of `source` with this key.
    pub(crate) fn hash(&self, source: SourceId, key: &[u8]) -> u64 {
        self.seed.bytes(source, key)
    }

    /// A set of `source` with this key, and its hash, that `is_it` likes.
    pub(crate) fn find(
        &self,
        hash: u64,
        source: SourceId,
        key: &[u8],
        is_it: impl Fn(&AttributeSet) -> bool,
    ) -> Option<SetId> {
        self.index.find(hash, |id| {
            let set = &self.records[id];
            set.source == source && set.key() == key && is_it(set)
        })
    }

    /// Stores a set that [`Sets::find`] did not find, under its hash.
    pub(crate) fn insert(&mut self, hash: u64, set: AttributeSet) -> SetId {
        let id = self.records.insert(set);
        self.index.insert(hash, id);
        id
    }

    /// One more path carries it.
    pub(crate) fn hold(&mut self, id: SetId) -> &AttributeSet {
        let set = &mut self.records[id];
        set.paths += 1;
        set
    }

    /// One path less; `true`: it was the last.
    pub(crate) fn release(&mut self, id: SetId) -> bool {
        let set = &mut self.records[id];
        set.paths -= 1;
        set.paths == 0
    }

    /// Forgets a set that no path carries.
    pub(crate) fn forget_unused(&mut self, id: SetId) -> Option<AttributeSet> {
        self.records.get(id).filter(|set| set.paths == 0)?;
        let set = self.records.remove(id)?;
        self.index.remove(self.hash(set.source, set.key()), id);
        Some(set)
    }

    /// A set whose number is held.
    pub(crate) fn at(&self, id: SetId) -> &AttributeSet {
        &self.records[id]
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.records.iter().next().is_none()
    }
}
