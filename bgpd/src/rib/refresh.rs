//! What a neighbor has sent again, while it refreshes its routes (RFC 7313 §4).
//!
//! Only while a refresh is under way is there anything here: one bit a destination, or an entry a path where the
//! neighbor tells several. What was not sent again at the end goes.

use std::collections::HashSet;

use super::bits::Bits;
use super::{DestinationId, Path, Rib, SourceId};
use crate::types::Family;

/// The refresh of one family.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    family: Family,
    /// Destinations that have come since it began, of either family.
    fresh: Bits,
    /// Paths with identifiers (RFC 7911) that have.
    fresh_paths: HashSet<(DestinationId, u32)>,
    /// The neighbor has sent everything.
    over: bool,
}

impl Rib {
    /// The neighbor begins to send a family again: what is there is stale. One that begins anew starts from here.
    pub(crate) fn begin_refresh(&mut self, source: SourceId, family: Family) {
        let refreshes = &mut self.sources[source].refreshes;
        refreshes.retain(|refresh| refresh.family != family);
        refreshes.push(Refresh { family, fresh: Bits::default(), fresh_paths: HashSet::new(), over: false });
    }

    /// The neighbor has sent all of a family: [`Rib::take_stale`] may begin.
    pub(crate) fn end_refresh(&mut self, source: SourceId, family: Family) {
        let refreshes = &mut self.sources[source].refreshes;
        refreshes.iter_mut().filter(|refresh| refresh.family == family).for_each(|refresh| refresh.over = true);
    }

    /// Takes the paths of `source` away that are of this family and were not sent again.
    pub(crate) fn take_stale(&mut self, source: SourceId, destination: DestinationId, family: Family) {
        let is_over = |refresh: &&Refresh| refresh.over && refresh.family == family;
        let Some(refresh) = self.sources[source].refreshes.iter().find(is_over) else { return };
        if Family::of(&self.prefix(destination)) != family {
            return;
        }
        let id = |path: Path| self.sets.at(path.set).path_id();
        let stale = self.paths_of(source, destination).map(id).filter(|id| !refresh.has(destination, *id));
        let stale: Vec<Option<u32>> = stale.collect();
        for id in stale {
            self.take_path(source, id, destination);
        }
    }

    /// What was stale is gone, unless the neighbor has begun anew meanwhile.
    pub(crate) fn forget_refresh(&mut self, source: SourceId, family: Family) {
        self.sources[source].refreshes.retain(|refresh| refresh.family != family || !refresh.over);
    }

    /// The neighbor has sent a path, perhaps again.
    pub(super) fn refreshed(&mut self, source: SourceId, path_id: Option<u32>, destination: DestinationId) {
        for refresh in &mut self.sources[source].refreshes {
            match path_id {
                None => refresh.fresh.insert(destination),
                Some(id) => refresh.fresh_paths.insert((destination, id)),
            };
        }
    }
}

impl Refresh {
    fn has(&self, destination: DestinationId, path_id: Option<u32>) -> bool {
        match path_id {
            None => self.fresh.contains(destination),
            Some(id) => self.fresh_paths.contains(&(destination, id)),
        }
    }
}
