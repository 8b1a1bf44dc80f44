//! Route refresh, both ways (RFC 2918, RFC 7313): a neighbor asks for a family again, or sends one again.
//!
//! Who asks leaves its update group and is told the family after all that waits for it. Where both sides know the
//! enhanced refresh, begin and end go with it, the end when nothing waits any more: a route that is still to be told then
//! would be taken for one that is gone.

use std::time::{Duration, Instant};

use super::Speaker;
use super::neighbor::{NeighborId, Session};
use super::sweep::Sweep;
use crate::types::{ConnectionId, Families, Family};
use crate::wire::{Capability, RouteRefresh};

/// How long stale routes wait for the end of a refresh that never comes (RFC 7313 §4.2): as long as those of a neighbor
/// that restarts.
const PATIENCE: Duration = Duration::from_secs(420);

/// What a neighbor sends again.
#[derive(Debug, Default)]
pub(super) struct Refreshes {
    /// Until when it may tell the end, by family; `None`: it has not begun.
    patience: [Option<Instant>; 2],
}

impl Refreshes {
    /// When a refresh counts as over.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.patience.into_iter().flatten().min()
    }
}

impl Session {
    /// RFC 7313 §4.2: where the neighbor marks the end of its first routes (RFC 4724), nothing is refreshed before.
    fn has_told(&self, family: Family) -> bool {
        let is_mark = |capability: &Capability| matches!(capability, Capability::GracefulRestart(_));
        !self.negotiated.capabilities.iter().any(is_mark) || !self.untold.contains(family)
    }
}

impl Speaker {
    /// A ROUTE-REFRESH of an Established session. RFC 2918 §4: of a family that was not agreed on it is ignored.
    pub(super) fn route_refresh(&mut self, id: NeighborId, connection: ConnectionId, refresh: RouteRefresh) {
        let Some(session) = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.session_on(connection)) else {
            return;
        };
        let enhanced = session.negotiated.context.enhanced_refresh;
        let Some(family) = refresh.family.filter(|family| session.negotiated.families.contains(*family)) else {
            return;
        };
        match refresh.subtype {
            RouteRefresh::REQUEST => self.tell_again(id, family),
            RouteRefresh::BEGIN if enhanced => self.neighbor_begins(id, family),
            RouteRefresh::END if enhanced => self.neighbor_ends(id, family),
            _ => {}
        }
    }

    fn tell_again(&mut self, id: NeighborId, family: Family) {
        let Some(group) = self.leave_group(id).and_then(|group| self.groups.get_mut(group)) else { return };
        group.out.ask(family);
        self.connections.wake(group);
    }

    fn neighbor_begins(&mut self, id: NeighborId, family: Family) {
        let until = self.now + PATIENCE;
        let session = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.session.as_mut());
        let Some(session) = session.filter(|session| session.has_told(family)) else { return };
        session.refresh.patience[family as usize] = Some(until);
        self.rib.begin_refresh(session.source, family);
        self.neighbors.schedule(id);
    }

    /// RFC 7313 §4.2: without a begin it is ignored.
    fn neighbor_ends(&mut self, id: NeighborId, family: Family) {
        let Some(session) = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.session.as_mut()) else { return };
        if session.refresh.patience[family as usize].take().is_some() {
            let source = session.source;
            self.rib.end_refresh(source, family);
            self.sweep(Sweep::not_sent_again(source, family));
        }
    }

    /// Refreshes whose end did not come in time.
    pub(super) fn end_overdue_refreshes(&mut self, id: NeighborId) {
        let Some(session) = self.neighbors.get(id).and_then(|neighbor| neighbor.session.as_ref()) else { return };
        let patience = session.refresh.patience;
        let is_over = |family: &Family| patience[*family as usize].is_some_and(|until| until <= self.now);
        let overdue: Families = Family::ALL.into_iter().filter(is_over).collect();
        overdue.iter().for_each(|family| self.neighbor_ends(id, family));
    }
}
