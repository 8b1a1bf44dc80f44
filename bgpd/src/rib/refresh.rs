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
    /// Destinations of either family that were there at the beginning and have not come since.
    pub(super) awaited: Bits,
    /// Paths with identifiers (RFC 7911) that have come.
    pub(super) fresh_paths: HashSet<(DestinationId, u32)>,
    /// The neighbor has sent everything.
    pub(super) over: bool,
}

impl Rib {
    /// The neighbor begins to send a family again: what is there is awaited. One that begins anew starts from here.
    pub(crate) fn begin_refresh(&mut self, source: SourceId, family: Family) {
        let source = &mut self.sources[source];
        source.refreshes.retain(|refresh| refresh.family != family);
        let awaited = source.received.clone();
        source.refreshes.push(Refresh { family, awaited, fresh_paths: HashSet::new(), over: false });
    }

    /// The neighbor has sent all of a family: [`Rib::take_unrefreshed`] may begin.
    pub(crate) fn end_refresh(&mut self, source: SourceId, family: Family) {
        let refreshes = &mut self.sources[source].refreshes;
        refreshes.iter_mut().filter(|refresh| refresh.family == family).for_each(|refresh| refresh.over = true);
    }

    /// Takes the paths of `source` away that are of this family and were not sent again.
    pub(crate) fn take_unrefreshed(&mut self, source: SourceId, destination: DestinationId, family: Family) {
        let is_due =
            |refresh: &&Refresh| refresh.over && refresh.family == family && refresh.awaited.contains(destination);
        let Some(refresh) = self.sources[source].refreshes.iter().find(is_due) else { return };
        if self.family(destination) != family {
            return;
        }
        let id = |path: Path| self.sets.at(path.set).path_id();
        let is_fresh = |id: u32| refresh.fresh_paths.contains(&(destination, id));
        let missing = self.paths_of(source, destination).map(id).filter(|id| !id.is_some_and(is_fresh));
        let missing: Vec<Option<u32>> = missing.collect();
        for id in missing {
            self.take_path(source, id, destination);
        }
    }

    /// What was not sent again is gone, unless the neighbor has begun anew meanwhile.
    pub(crate) fn forget_refresh(&mut self, source: SourceId, family: Family) {
        self.sources[source].refreshes.retain(|refresh| refresh.family != family || !refresh.over);
    }
}
