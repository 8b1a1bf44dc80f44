//! What every input ends with: decide what it touched, and tell whom it concerns.

use std::net::IpAddr;

use super::neighbor::Neighbor;
use super::refusals::Refusal;
use super::sweep::Sweep;
use super::{Event, NextHopState, Speaker, Stop, Via};
use crate::fsm;
use crate::rib::{Answered, Change, Request};
use crate::types::NextHop;

/// Destinations forgotten in one turn.
const FORGET: usize = 1024;

/// Events that wait, beyond which refusals are no longer told.
pub(super) const EVENTS: usize = 4096;

impl Speaker {
    /// Work is left that needs no input.
    pub(super) fn has_work(&self) -> bool {
        !self.sweeps.is_empty() || self.collecting.is_some() || self.own.is_counting()
    }

    /// One slice of the work that is left; then everything that is touched is decided.
    pub(super) fn turn(&mut self) {
        self.run_sweeps();
        let since = self.since();
        self.decide(since);
        self.own.count(&mut self.rib, since); // what is decided is what is counted
        self.decide(since);
        self.collect();
        self.end_deferral();
        while let Some(request) = self.rib.poll_request() {
            self.events.push_back(match request {
                Request::Wanted(next_hop) => Event::NextHopWanted(next_hop),
                Request::Unwanted(next_hop) => Event::NextHopUnwanted(next_hop),
            });
        }
    }

    /// Until nothing is touched: an aggregate that comes or goes is a route too.
    fn decide(&mut self, since: u32) {
        while self.rib.touched() > 0 {
            let mut changes = std::mem::take(&mut self.changes);
            changes.clear();
            self.rib.decide(&mut changes);
            self.own.take_note(&changes, &mut self.rib, since);
            self.announce(&changes);
            self.monitor_routes(&changes);
            self.changes = changes;
        }
    }

    /// Every update group has these to send.
    fn announce(&mut self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        for group in self.groups.iter_mut() {
            let all = group.paths.is_some();
            let of_interest = changes.iter().filter(|change| change.best || all);
            of_interest.for_each(|change| group.out.mark(change.destination, change.source));
            self.connections.wake(group);
        }
    }

    /// Destinations may be over: their search begins, unless one is on its way.
    pub(super) fn collect_soon(&mut self) {
        if self.rib.has_empty() {
            self.collecting.get_or_insert(0);
        }
    }

    /// Forgets destinations that nobody needs any more.
    fn collect(&mut self) {
        let Some(from) = self.collecting else { return };
        self.collecting = self.rib.collect(from, FORGET, |index| self.groups.held(index));
    }

    /// Seconds since the speaker began.
    pub(super) fn since(&self) -> u32 {
        self.now.saturating_duration_since(self.began).as_secs() as u32 // 136 years
    }

    /// A number that was not used before.
    pub(super) fn next_seed(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        self.seed
    }

    /// FSMs that are due.
    pub(super) fn timers(&mut self) {
        while let Some(id) = self.neighbors.pop_due(self.now) {
            let is_over = self.neighbors.get(id).and_then(Neighbor::forgotten_at).is_some_and(|at| at <= self.now);
            if is_over {
                self.remove(id);
            } else {
                self.lift_limit(id);
                self.end_overdue_refreshes(id);
                self.age_retained(id);
                self.step(id, fsm::Event::Timer);
            }
        }
        self.close_silent();
        self.monitor_statistics();
        while let Some(event) = self.refusals.poll(self.now) {
            self.tell(Some(event));
        }
    }

    /// What somebody does wrong, for the rest of the program to hear.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        let event = self.refusals.note(self.now, refusal);
        self.tell(event);
    }

    /// What neighbors do wrong is not kept without bound, when nobody hears.
    pub(super) fn tell(&mut self, refused: Option<Event>) {
        if self.events.len() < EVENTS {
            self.events.extend(refused);
        }
    }

    /// The host's answers: the paths behind them are decided again, a slice a turn.
    pub(super) fn next_hops(&mut self, answers: Vec<(NextHop, NextHopState)>) {
        for (next_hop, state) in answers {
            match self.rib.answer(next_hop, state) {
                None => {}
                Some(Answered::First(waiting)) => self.sweep(Sweep::Waiting(waiting)),
                Some(Answered::Changed { next_hop, again, sources }) => {
                    sources.into_iter().for_each(|source| self.sweep(Sweep::next_hop(source, next_hop, again)));
                }
            }
        }
    }

    /// WireGuard peers that went up or down.
    pub(super) fn vias(&mut self, vias: Vec<Via>) {
        self.vias.extend(vias.into_iter().map(|via| (via.name.clone(), via)));
        self.neighbors.ids().into_iter().for_each(|id| self.reconcile(id));
    }

    /// Our addresses of the other family.
    pub(super) fn companions(&mut self, companions: Vec<(IpAddr, IpAddr)>) {
        let before = std::mem::replace(&mut self.companions, companions.into_iter().collect());
        for id in self.neighbors.ids() {
            let session = self.neighbors.get(id).and_then(|neighbor| neighbor.session.as_ref());
            let local = session.map(|session| session.negotiated.local.ip());
            if local.is_some_and(|local| before.get(&local) != self.companions.get(&local)) {
                self.resend(id);
            }
        }
    }

    /// Everybody is told, and nobody is let in any more.
    pub(super) fn stop(&mut self, how: Stop) {
        self.stopped = Some(how);
        self.neighbors.ids().into_iter().for_each(|id| self.reconcile(id));
        self.monitor_stop();
    }
}
