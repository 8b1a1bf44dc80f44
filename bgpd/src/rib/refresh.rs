//! What a neighbor has yet to send again, while it refreshes its routes (RFC 7313 §4).
//!
//! Only while a refresh is under way is there anything here: one bit a destination. Bits are taken off as routes arrive;
//! what still has one at the end was not sent again, and goes.

use super::bits::Bits;
use super::{DestinationId, Rib, SourceId};
use crate::types::Family;

/// The refresh of one family.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    family: Family,
    /// Destinations of either family that were there at the beginning and have not come since.
    members: Bits,
    /// The neighbor has sent everything.
    over: bool,
}

impl Rib {
    /// The neighbor begins to send a family again: what is there is stale. One that begins anew starts from here.
    pub(crate) fn begin_refresh(&mut self, source: SourceId, family: Family) {
        let source = &mut self.sources[source];
        source.stale.retain(|stale| stale.family != family);
        source.stale.push(Stale { family, members: source.received.clone(), over: false });
    }

    /// The neighbor has sent all of a family: [`Rib::take_stale`] may begin.
    pub(crate) fn end_refresh(&mut self, source: SourceId, family: Family) {
        let refreshes = &mut self.sources[source].stale;
        refreshes.iter_mut().filter(|stale| stale.family == family).for_each(|stale| stale.over = true);
    }

    /// Takes the path of `source` away where it is of this family and was not sent again.
    pub(crate) fn take_stale(&mut self, source: SourceId, destination: DestinationId, family: Family) {
        let is_due = |stale: &Stale| stale.over && stale.family == family && stale.members.contains(destination);
        if self.sources[source].stale.iter().any(is_due) && Family::of(&self.prefix(destination)) == family {
            self.take(source, destination);
        }
    }

    /// What was stale is gone, unless the neighbor has begun anew meanwhile.
    pub(crate) fn forget_refresh(&mut self, source: SourceId, family: Family) {
        self.sources[source].stale.retain(|stale| stale.family != family || !stale.over);
    }

    /// The neighbor has sent a route again.
    pub(super) fn refreshed(&mut self, source: SourceId, destination: DestinationId) {
        for stale in &mut self.sources[source].stale {
            stale.members.remove(destination);
        }
    }
}
