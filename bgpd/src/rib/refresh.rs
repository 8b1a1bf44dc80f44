//! What a neighbor has yet to send again, while it refreshes its routes (RFC 7313 §4).
//!
//! Only while a refresh is under way is there anything here: one bit a destination. Bits are taken off as routes arrive;
//! what still has one at the end was not sent again, and goes.

use super::bits::Bits;
use super::{DestinationId, Rib, SourceId};
use crate::types::Family;

/// The refresh of one family.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    family: Family,
    /// Destinations of either family that were there at the beginning and have not come since.
    pub(super) awaited: Bits,
    /// The neighbor has sent everything.
    pub(super) over: bool,
}

impl Rib {
    /// The neighbor begins to send a family again: what is there is awaited. One that begins anew starts from here.
    pub(crate) fn begin_refresh(&mut self, source: SourceId, family: Family) {
        let source = &mut self.sources[source];
        source.refreshes.retain(|refresh| refresh.family != family);
        source.refreshes.push(Refresh { family, awaited: source.received.clone(), over: false });
    }

    /// The neighbor has sent all of a family: [`Rib::take_unrefreshed`] may begin.
    pub(crate) fn end_refresh(&mut self, source: SourceId, family: Family) {
        let refreshes = &mut self.sources[source].refreshes;
        refreshes.iter_mut().filter(|refresh| refresh.family == family).for_each(|refresh| refresh.over = true);
    }

    /// Takes the path of `source` away where it is of this family and was not sent again.
    pub(crate) fn take_unrefreshed(&mut self, source: SourceId, destination: DestinationId, family: Family) {
        let is_due =
            |refresh: &Refresh| refresh.over && refresh.family == family && refresh.awaited.contains(destination);
        if self.sources[source].refreshes.iter().any(is_due) && Family::of(&self.prefix(destination)) == family {
            self.take(source, destination);
        }
    }

    /// What was not sent again is gone, unless the neighbor has begun anew meanwhile.
    pub(crate) fn forget_refresh(&mut self, source: SourceId, family: Family) {
        self.sources[source].refreshes.retain(|refresh| refresh.family != family || !refresh.over);
    }
}
