//! Route refresh, both ways (RFC 2918, RFC 7313): a neighbor asks for a family again, or sends one again.
//!
//! What a neighbor asks for is marked a slice a turn and leaves as everything else does. Where both sides know the
//! enhanced refresh, its begin goes out before, and its end when nothing waits any more: a route that is still to be
//! told at the end would be taken for one that is gone.

use std::time::{Duration, Instant};

use super::Speaker;
use super::neighbor::{NeighborId, Session};
use super::sweep::Sweep;
use crate::rib::DestinationId;
use crate::types::{ConnectionId, Families, Family};
use crate::wire::{Capability, RouteRefresh, write_route_refresh};

/// Destinations marked in one turn.
const SLICE: usize = 1024;

/// How long stale routes wait for the end of a refresh that never comes (RFC 7313 §4.2): as long as those of a neighbor
/// that restarts.
const PATIENCE: Duration = Duration::from_secs(420);

/// Refreshes of one session.
#[derive(Debug, Default)]
pub(super) struct Refreshes {
    /// The neighbor asked for these before it was told everything for the first time.
    postponed: Families,
    /// All of these is marked; their end is due when nothing waits any more.
    ending: Families,
    /// The neighbor has told these for the first time.
    pub(super) heard: Families,
    /// Until when the neighbor may tell the end, by family; `None`: it has not begun.
    patience: [Option<Instant>; 2],
}

impl Refreshes {
    /// When the neighbor's refresh counts as over.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.patience.into_iter().flatten().min()
    }
}

/// A family of which everything is to be told again.
#[derive(Debug)]
pub(super) struct Refresh {
    neighbor: NeighborId,
    connection: ConnectionId,
    family: Family,
    /// Destinations below this number are marked.
    from: DestinationId,
}

/// What neighbors ask for.
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
            RouteRefresh::REQUEST if session.out.owes_end_of_rib() => session.refresh.postponed.insert(family),
            RouteRefresh::REQUEST => self.begin_refresh(id, family),
            RouteRefresh::BEGIN if enhanced => self.neighbor_begins(id, family),
            RouteRefresh::END if enhanced => self.neighbor_ends(id, family),
            _ => {}
        }
    }

    /// The neighbor is to be told a family again.
    fn begin_refresh(&mut self, id: NeighborId, family: Family) {
        let Some(session) = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.session.as_mut()) else { return };
        let connection = session.connection;
        session.refresh.ending.remove(family); // it is told anew, and ends once
        if session.negotiated.context.enhanced_refresh {
            self.send(connection, |out| write_route_refresh(family, RouteRefresh::BEGIN, out)); // RFC 7313 §4.1
        }
        self.refreshes.retain(|known| (known.connection, known.family) != (connection, family));
        self.refreshes.push_back(Refresh { neighbor: id, connection, family, from: 0 });
    }

    /// End-of-RIB is sent: what was asked for before begins. RFC 7313 §4.1: not earlier.
    pub(super) fn begin_postponed(&mut self, id: NeighborId) {
        let session = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.session.as_mut());
        let postponed = session.map(|session| std::mem::take(&mut session.refresh.postponed)).unwrap_or_default();
        postponed.iter().for_each(|family| self.begin_refresh(id, family));
    }

    /// One turn's slice. What has no best path is either told as withdrawn already, or waits to be.
    pub(super) fn run_refreshes(&mut self) {
        let Some(refresh) = self.refreshes.front_mut() else { return };
        let session =
            self.neighbors.get_mut(refresh.neighbor).and_then(|neighbor| neighbor.session_on(refresh.connection));
        let mut more = false;
        if let Some(session) = session {
            more = refresh.run(session, &self.rib);
            self.connections.mark_writable(refresh.connection);
        }
        if !more {
            self.refreshes.pop_front();
        }
    }
}

impl Refresh {
    /// Marks the next destinations; `false`: all are.
    fn run(&mut self, session: &mut Session, rib: &crate::rib::Rib) -> bool {
        for _ in 0..SLICE {
            let Some(destination) = rib.next_best(self.from) else {
                if session.negotiated.context.enhanced_refresh {
                    session.refresh.ending.insert(self.family);
                }
                return false;
            };
            self.from = destination + 1;
            if Family::of(&rib.prefix(destination)) == self.family {
                session.out.mark(destination);
            }
        }
        true
    }
}

impl Session {
    /// Nothing waits: refreshes whose end is now to be told (RFC 7313 §4.1).
    pub(super) fn take_ended_refreshes(&mut self) -> Families {
        std::mem::take(&mut self.refresh.ending)
    }

    /// RFC 7313 §4.2: where the neighbor marks the end of its first routes (RFC 4724), nothing is refreshed before.
    fn has_told(&self, family: Family) -> bool {
        const GRACEFUL_RESTART: u8 = 64;
        let marks_end = self.negotiated.capabilities.iter().map(Capability::code).any(|code| code == GRACEFUL_RESTART);
        !marks_end || self.refresh.heard.contains(family)
    }
}

/// What neighbors send again.
impl Speaker {
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
            self.sweep(Sweep::stale(source, family));
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
