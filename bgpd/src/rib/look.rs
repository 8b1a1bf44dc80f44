//! What is in the RIB, by number.

use ipnet::IpNet;

use super::records;
use super::{AttributeSet, DestinationId, Forward, NextHopId, Path, Rib, SetId, Source, SourceId};
use crate::speaker::NextHopState;
use crate::types::Family;
use crate::wire::Origin;

#[cfg(test)]
use crate::types::NextHop;

/// By numbers that are held.
impl Rib {
    /// The paths of a destination: after a decision the best comes first.
    pub(crate) fn paths(&self, id: DestinationId) -> &[Path] {
        self.destinations.paths(id)
    }

    /// The prefix of a destination.
    pub(crate) fn prefix(&self, destination: DestinationId) -> IpNet {
        self.destinations.prefix(destination)
    }

    /// The family of that.
    pub(crate) fn family(&self, destination: DestinationId) -> Family {
        records::family(destination)
    }

    /// An attribute set.
    pub(crate) fn set(&self, id: SetId) -> &AttributeSet {
        self.sets.at(id)
    }

    /// A source.
    pub(crate) fn source(&self, id: SourceId) -> &Source {
        &self.sources[id]
    }

    /// A source that may be gone.
    pub(crate) fn find_source(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id)
    }

    /// How many destinations a source has a path to; none where it is gone.
    pub(crate) fn received_of(&self, id: SourceId) -> usize {
        self.sources.get(id).map_or(0, |source| source.received.len())
    }

    /// Whether the session that a set came by has ended.
    pub(crate) fn is_gone(&self, set: SetId) -> bool {
        self.sources[self.sets.at(set).source].gone
    }

    /// The paths of `source`: one, where it does not tell several (RFC 7911).
    pub(crate) fn paths_of(&self, source: SourceId, destination: DestinationId) -> impl Iterator<Item = Path> + '_ {
        let has_any = self.sources[source].received.contains(destination);
        let paths = if has_any { self.destinations.paths(destination) } else { &[] };
        paths.iter().copied().filter(move |path| self.sets.at(path.set).source == source)
    }

    /// How many equal paths are installed together.
    pub(crate) fn multipath(&self) -> usize {
        self.multipath
    }

    /// Whether changes of other paths than the best concern anybody.
    pub(crate) fn set_tells_several(&mut self, tells_several: bool) {
        self.tells_several = tells_several;
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

    /// The next hops of the paths of `source`.
    pub(crate) fn next_hops_by(
        &self,
        source: SourceId,
        destination: DestinationId,
    ) -> impl Iterator<Item = NextHopId> + '_ {
        self.paths_of(source, destination).filter_map(|path| match self.sets.at(path.set).forward {
            Forward::To(next_hop) => Some(next_hop),
            Forward::Nowhere | Forward::Martian => None,
        })
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
        self.destinations.ids().next().is_none() && self.sets.is_empty() && self.next_hops.is_empty()
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
