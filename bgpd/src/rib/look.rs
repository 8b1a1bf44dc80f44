//! What is in the RIB, by number.

use ipnet::IpNet;

use super::destinations::Destination;
use super::{AttributeSet, DestinationId, Forward, NextHopId, Path, Rib, SetId, Source, SourceId};
use crate::speaker::NextHopState;
use crate::wire::Origin;

#[cfg(test)]
use crate::types::NextHop;

/// By numbers that are held.
impl Rib {
    /// A destination.
    pub(crate) fn destination(&self, id: DestinationId) -> &Destination {
        self.destinations.at(id)
    }

    /// Its paths: after a decision the best comes first.
    pub(crate) fn paths(&self, id: DestinationId) -> &[Path] {
        self.destinations.paths(id)
    }

    /// The prefix of a destination.
    pub(crate) fn prefix(&self, destination: DestinationId) -> IpNet {
        self.destinations.at(destination).prefix
    }

    /// An attribute set.
    pub(crate) fn set(&self, id: SetId) -> &AttributeSet {
        self.sets.at(id)
    }

    /// A source.
    pub(crate) fn source(&self, id: SourceId) -> &Source {
        &self.sources[id]
    }

    /// How many destinations a source has a path to; none where it is gone.
    pub(crate) fn received_of(&self, id: SourceId) -> usize {
        self.sources.get(id).map_or(0, |source| source.received.len())
    }

    /// Whether the session that a set came by has ended.
    pub(crate) fn is_gone(&self, set: SetId) -> bool {
        self.sources[self.sets.at(set).source].gone
    }

    /// The path of `source`.
    pub(crate) fn path_of(&self, source: SourceId, destination: DestinationId) -> Option<Path> {
        let position = self.position(source, destination)?;
        Some(self.destinations.paths(destination)[position])
    }

    /// ORIGIN of the best path.
    pub(crate) fn best_origin(&self, destination: DestinationId) -> Option<Origin> {
        self.best(destination).map(|set| self.sets.at(set).rank.origin)
    }

    /// What the host says of the next hop of a set.
    pub(crate) fn next_hop_state(&self, set: &AttributeSet) -> Option<&NextHopState> {
        match set.forward {
            Forward::To(id) => self.next_hops.at(id).state.as_ref(),
            Forward::Nowhere | Forward::Martian => None,
        }
    }

    /// The next hop of the path of `source`.
    pub(crate) fn next_hop_of(&self, source: SourceId, destination: DestinationId) -> Option<NextHopId> {
        match self.sets.at(self.path_of(source, destination)?.set).forward {
            Forward::To(next_hop) => Some(next_hop),
            Forward::Nowhere | Forward::Martian => None,
        }
    }
}

/// Step by step.
impl Rib {
    /// The first destination from `from` on that has a best path.
    pub(crate) fn next_best(&self, from: DestinationId) -> Option<DestinationId> {
        self.best.next(from)
    }

    /// The first destination from `from` on that `source` has a path to; `None` also where the source is gone.
    pub(crate) fn next_received(&self, source: SourceId, from: DestinationId) -> Option<DestinationId> {
        self.sources.get(source)?.received.next(from)
    }
}

#[cfg(test)]
impl Rib {
    /// Nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.destinations.iter().next().is_none() && self.sets.is_empty() && self.next_hops.is_empty()
    }

    /// The destination of a prefix.
    pub(crate) fn find(&self, prefix: &IpNet) -> Option<DestinationId> {
        self.destinations.find(prefix)
    }

    /// Whether the host has answered, and somebody still asks.
    pub(crate) fn knows(&self, next_hop: NextHop) -> bool {
        self.next_hops.state(next_hop).is_some()
    }
}
