//! Paths that outlive the session they came by (RFC 4724 §4.2, RFC 9494 §4.2).
//!
//! The source of a lost session stays, and the next session takes it over: one bit a destination says what the neighbor
//! has not yet said again. So a neighbor that comes back with the routes of before changes nothing, and nobody hears of
//! it.

use super::bits::Bits;
use super::{DestinationId, NextHopId, Path, Rib, Source, SourceId};
use crate::types::{Community, Families};
use crate::wire::Context;

impl Source {
    /// Its session has ended: all it has said is stale. What was stale before has had its time (RFC 4724 §4.2), but for
    /// what is long-lived, whose time goes on (RFC 9494 §4.2).
    pub(crate) fn lose(&mut self) {
        self.waits = true;
        self.refreshes.retain(|refresh| refresh.over); // what such a one has not brought is being taken away
        let before = std::mem::replace(&mut self.stale, self.received.clone());
        if self.long_lived.is_empty() {
            self.stale.remove_all(&before);
            self.doomed.insert_all(&before);
        }
    }

    /// The neighbor is back in a session that reads and judges its routes as the one before did, so that what is here
    /// stays what it is. `false`: it does not, or tells several paths to a prefix, of which one that has come again says
    /// nothing about the others.
    pub(crate) fn resume(&mut self, session: &Self) -> bool {
        let tell_several = |source: &Self| !source.context.paths_received.is_empty();
        if !self.is_like(session) || tell_several(self) || tell_several(session) {
            return false;
        }
        self.waits = false;
        self.discarded = [0; 2];
        self.local = session.local;
        self.context = session.context;
        true
    }

    /// Whether the same bytes mean the same.
    fn is_like(&self, other: &Self) -> bool {
        let basis = |source: &Self| {
            let Context { four_octet_as, internal, remote_asn, enforce_first_asn, .. } = source.context;
            let Self { address, scope, router_id, asn, local_asn, local_router_id, multihop, role, .. } = *source;
            let neighbor = (address, scope, router_id, remote_asn, internal);
            (neighbor, (four_octet_as, enforce_first_asn), (asn, local_asn, local_router_id, multihop, role))
        };
        basis(self) == basis(other) && self.names == other.names
    }

    /// Whether the neighbor tells several paths of a prefix (RFC 7911).
    #[inline]
    pub(super) fn tells_several(&self) -> bool {
        !self.context.paths_received.is_empty()
    }

    /// The neighbor has spoken of a destination, after its return or while it refreshes its routes.
    pub(crate) fn refreshed(&mut self, path_id: Option<u32>, destination: DestinationId) {
        for old in [&mut self.stale, &mut self.doomed] {
            if !old.is_empty() && old.remove(destination) && old.is_empty() {
                *old = Bits::default();
            }
        }
        for refresh in &mut self.refreshes {
            match path_id {
                None => refresh.awaited.remove(destination),
                Some(id) => refresh.fresh_paths.insert((destination, id)),
            };
        }
    }

    /// Whether its path is left from an earlier session.
    pub(crate) fn is_stale(&self, destination: DestinationId) -> bool {
        self.stale.contains(destination) || self.doomed.contains(destination)
    }
}

impl Rib {
    /// The first destination from `from` on that `source` has a stale path to; `None` also where the source is gone.
    pub(crate) fn next_stale(&self, source: SourceId, from: DestinationId) -> Option<DestinationId> {
        self.sources.get(source)?.stale.next(from)
    }

    /// The same of paths that have had their time.
    pub(crate) fn next_doomed(&self, source: SourceId, from: DestinationId) -> Option<DestinationId> {
        self.sources.get(source)?.doomed.next(from)
    }

    /// Takes a stale path away, where it is of one of these families.
    pub(crate) fn expire(&mut self, source: SourceId, destination: DestinationId, families: Families) {
        if families.contains(self.family(destination)) {
            self.take(source, destination);
        }
    }

    /// Makes a stale path the last resort, where it is of one of these families and may be (RFC 9494 §4.2).
    pub(crate) fn make_long_lived(&mut self, source: SourceId, destination: DestinationId, families: Families) {
        if !families.contains(self.family(destination)) {
            return;
        }
        if self.may_be_long_lived(source, destination) {
            self.import_again(source, destination);
        } else {
            self.take(source, destination);
        }
    }

    /// Next hops of `source` behind tunnels that are down.
    pub(crate) fn dead_next_hops_of(&self, source: SourceId) -> Vec<NextHopId> {
        self.next_hops.used_by(source).filter(|(_, state)| state.tunnel && !state.up).map(|(id, _)| id).collect()
    }

    /// Whether paths wait for a word of the host on their next hop.
    pub(crate) fn waits_for_host(&self) -> bool {
        self.next_hops.are_unanswered()
    }

    fn may_be_long_lived(&mut self, source: SourceId, destination: DestinationId) -> bool {
        let paths: Vec<Path> = self.paths_of(source, destination).collect();
        paths.iter().all(|path| {
            self.sets.at(path.set).received(&self.sources[source], &mut self.scratch.parsed);
            !self.scratch.parsed.attributes.communities.contains(&Community::NO_LLGR)
        })
    }

    /// Whether a stale path is to be judged as the last resort.
    pub(super) fn is_long_lived(&self, source: SourceId, destination: DestinationId) -> bool {
        let family = self.family(destination);
        let source = &self.sources[source];
        source.long_lived.contains(family) && source.stale.contains(destination)
    }
}
