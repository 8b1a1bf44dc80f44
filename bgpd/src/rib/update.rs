//! Paths come, change and go.

use ipnet::IpNet;

use super::destinations::{AGAIN, ANEW, TOUCHED};
use super::next_hops::Answered;
use super::{DestinationId, Forward, Path, Request, Rib, SetId, Source, SourceId, Touched};
use crate::speaker::NextHopState;
use crate::types::{Family, NextHop};

impl Rib {
    /// A new session, or ourselves.
    pub(crate) fn add_source(&mut self, source: Source) -> SourceId {
        self.sources.insert(source)
    }

    /// A source whose number is held.
    pub(crate) fn source_mut(&mut self, id: SourceId) -> &mut Source {
        &mut self.sources[id]
    }

    /// Forgets a source whose paths are gone.
    pub(crate) fn remove_source(&mut self, id: SourceId) {
        self.sources.remove(id);
    }

    /// Takes the first path to a prefix.
    pub(super) fn begin(&mut self, source: SourceId, hash: u64, prefix: IpNet, set: SetId, since: u32) {
        let destination = self.destinations.insert(hash, prefix, Path { set, since }, TOUCHED);
        self.touched.push(Touched { destination, best_before: None, news: Some(set) });
        if !self.count(source, destination, set).refreshes.is_empty() {
            let path_id = self.path_id(source, set);
            self.sources[source].refreshed(path_id, destination);
        }
    }

    /// Takes a path of `source`, in place of the one it had (with its identifier, where it tells several). A path that is as
    /// before stays as old as it is.
    pub(super) fn renew(&mut self, source: SourceId, destination: DestinationId, set: SetId, since: u32) {
        let path_id = self.path_id(source, set);
        self.sources[source].refreshed(path_id, destination);
        self.put(source, destination, set, since);
    }

    /// Whether a path of `source` may be taken; one that may not is counted. What it has, it may change.
    pub(super) fn has_room(&mut self, source: SourceId, path_id: Option<u32>, prefix: &IpNet) -> bool {
        let Some(most) = self.sources[source].most else { return true };
        let family = Family::of(prefix);
        let has_room =
            |rib: &Self, arrived: usize| rib.sources[source].fresh_prefixes_of(family) + arrived < most as usize;
        if has_room(self, self.arrivals.len()) {
            return true;
        }
        self.take_in(); // what has arrived may be what is known already
        if has_room(self, 0) {
            return true;
        }
        let known = self.destinations.find(prefix).and_then(|destination| self.position(source, path_id, destination));
        self.sources[source].discarded[family as usize] += u64::from(known.is_none());
        known.is_some()
    }

    /// As [`Rib::renew`], where it is not the neighbor that says so.
    pub(super) fn put(&mut self, source: SourceId, destination: DestinationId, set: SetId, since: u32) {
        let position = self.position(source, self.path_id(source, set), destination);
        let before = position.map(|position| self.destinations.paths(destination)[position].set);
        if before == Some(set) {
            return;
        }
        self.touch_by(destination, position.is_none().then_some(set));
        let path = Path { set, since };
        let (Some(position), Some(before)) = (position, before) else {
            self.empty.remove(destination);
            self.destinations.push_path(destination, path);
            self.count(source, destination, set);
            return;
        };
        self.hold(source, destination, set);
        self.destinations.paths_mut(destination)[position] = path;
        self.sources[source].accepted -= usize::from(self.sets.at(before).is_accepted());
        self.release(before);
    }

    /// `source` has one more path.
    fn count(&mut self, source: SourceId, destination: DestinationId, set: SetId) -> &Source {
        let family = self.family(destination);
        let source = self.hold(source, destination, set);
        source.received.insert(destination);
        source.prefixes[family as usize] += 1;
        source
    }

    /// One more path of `source` carries a set.
    fn hold(&mut self, source: SourceId, destination: DestinationId, set: SetId) -> &mut Source {
        let held = self.sets.hold(set);
        if let Forward::To(next_hop) = held.forward {
            self.next_hops.note(next_hop, destination, set);
        }
        let source = &mut self.sources[source];
        source.accepted += usize::from(held.is_accepted());
        source
    }

    /// Takes a route of ours away.
    pub(crate) fn retract(&mut self, source: SourceId, prefix: &IpNet) {
        if let Some(destination) = self.destinations.find(prefix) {
            self.take_path(source, None, destination);
        }
    }

    /// Takes all paths of `source` away.
    pub(crate) fn take(&mut self, source: SourceId, destination: DestinationId) {
        while self.take_path(source, None, destination) {}
    }

    /// Takes the path of `source` away: the one with this identifier, where it tells several. Without an identifier it is
    /// any path; `false`: there was none.
    pub(super) fn take_path(&mut self, source: SourceId, path_id: Option<u32>, destination: DestinationId) -> bool {
        let Some(position) = self.position(source, path_id, destination) else { return false };
        self.touch(destination, false);
        let path = self.destinations.paths(destination)[position];
        self.destinations.remove_path(destination, position);
        if self.destinations.is_empty(destination) {
            self.empty.insert(destination);
        }
        let family = self.family(destination);
        let accepted = self.sets.at(path.set).is_accepted();
        let gone = self.path_id(source, path.set);
        let is_last = gone.is_none() || self.paths_of(source, destination).next().is_none();
        let source = &mut self.sources[source];
        if is_last {
            source.received.remove(destination);
        }
        source.refreshed(gone, destination);
        source.prefixes[family as usize] -= 1;
        source.accepted -= usize::from(accepted);
        self.release(path.set);
        true
    }

    /// Makes a decision due, where the destination is still there: the path with this set may be usable now, which is as if
    /// it came.
    pub(crate) fn touch_if_known(&mut self, destination: DestinationId, set: SetId) {
        if self.destinations.contains(destination) {
            self.touch_by(destination, Some(set));
        }
    }

    /// Makes a decision due. `again`: neighbors hear of the destination even where the best path stays.
    pub(crate) fn touch(&mut self, destination: DestinationId, again: bool) {
        self.touch_by(destination, None);
        if again {
            self.destinations.raise(destination, AGAIN);
        }
    }

    /// Makes a decision due, because of a path that came, or for another reason.
    fn touch_by(&mut self, destination: DestinationId, news: Option<SetId>) {
        let best_before = self.best(destination);
        if self.destinations.raise(destination, TOUCHED) & TOUCHED == 0 {
            self.touched.push(Touched { destination, best_before, news });
        } else {
            self.destinations.raise(destination, ANEW);
        }
    }

    /// Which of the source's paths a set is for, where the source tells several.
    #[inline]
    fn path_id(&self, source: SourceId, set: SetId) -> Option<u32> {
        self.sources[source].tells_several().then(|| self.sets.at(set).path_id())?
    }

    /// Where the path of `source` stands: the one with this identifier, or any.
    pub(super) fn position(&self, source: SourceId, path_id: Option<u32>, destination: DestinationId) -> Option<usize> {
        if !self.sources[source].received.contains(destination) {
            return None; // without a look at the others' paths
        }
        self.destinations.paths(destination).iter().position(|path| {
            let set = self.sets.at(path.set);
            set.source == source && (path_id.is_none() || set.path_id() == path_id)
        })
    }

    /// The next thing to ask of the host.
    pub(crate) fn poll_request(&mut self) -> Option<Request> {
        self.next_hops.poll_request()
    }

    fn release(&mut self, set: SetId) {
        if self.sets.release(set) {
            self.released.push(set);
        }
    }

    /// Forgets sets without paths, and next hops without sets.
    pub(super) fn forget_released(&mut self) {
        for set in self.released.drain(..) {
            let Some(set) = self.sets.forget_unused(set) else { continue };
            if let Some(source) = self.sources.get_mut(set.source) {
                source.set_octets -= set.octets();
            }
            if let Forward::To(next_hop) = set.forward {
                self.next_hops.release(next_hop, set.source);
            }
        }
        self.next_hops.give_up_idle();
    }
}

/// Next hops.
impl Rib {
    /// Takes an answer. Nothing comes back where nothing changed.
    pub(crate) fn answer(&mut self, next_hop: NextHop, state: NextHopState) -> Option<Answered> {
        self.next_hops.answer(next_hop, state)
    }
}

/// Destinations that are over.
impl Rib {
    /// Forgets about `limit` destinations that have no path, from `from` on. `held` tells of 64 destinations, by the
    /// number of their word, which are still in use elsewhere. What comes back is where to go on.
    pub(crate) fn collect(
        &mut self,
        from: DestinationId,
        limit: usize,
        held: impl Fn(u32) -> u64,
    ) -> Option<DestinationId> {
        let mut next = self.empty.next(from);
        let mut looked_at = 0;
        while let Some(empty) = next.filter(|_| looked_at < limit) {
            let index = empty / u64::BITS;
            let free = self.empty.word(index) & !(self.fib.held(index) | held(index));
            let over = (0..u64::BITS).filter(|bit| free >> bit & 1 == 1).map(|bit| index * u64::BITS + bit);
            self.destinations.remove_all(over.clone());
            over.for_each(|destination| {
                self.empty.remove(destination);
            });
            looked_at += u64::BITS as usize;
            next = self.empty.next((index + 1).checked_mul(u64::BITS)?);
        }
        next
    }

    /// Whether a destination waits to be forgotten.
    pub(crate) fn has_empty(&self) -> bool {
        !self.empty.is_empty()
    }
}
