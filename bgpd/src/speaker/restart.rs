//! A speaker that follows another one, whose routes neighbors and kernel have kept (RFC 4724 §4.1).
//!
//! The neighbors that were up before are waited for, and nobody is told anything until each of them has told all: what
//! is said too early would take back what is still true. Decisions are made meanwhile and not announced; what the kernel
//! has kept is the FIB's to keep until it has heard all.

use std::collections::BTreeSet;
use std::time::Instant;

use super::neighbor::{Neighbor, NeighborId};
use super::{Restarted, Speaker};
use crate::fsm::Preserved;
use crate::settings::Settings;
use crate::types::{Families, Family};

/// How far the beginning is.
#[derive(Debug, Default)]
pub(super) struct Restart {
    /// What the first OPEN to each neighbor says.
    preserved: Preserved,
    /// `None`: as any speaker.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Neighbors of before that have not told all.
    untold: BTreeSet<String>,
    /// Of these, those that have restarted as we have, and may be waiting for us: they are told first.
    restarted: BTreeSet<String>,
    /// Nobody is waited for any longer (Selection_Deferral_Timer); `None`: that has passed.
    until: Option<Instant>,
    /// Neighbors are told, and only the FIB still waits.
    announcing: bool,
}

impl Restart {
    /// What the OPEN to a neighbor without an earlier session says.
    pub(super) fn preserved(&self) -> Preserved {
        self.preserved
    }

    /// Nobody is told anything yet.
    pub(super) fn is_deferring(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.announcing)
    }

    /// Somebody is waited for, or the FIB waits to hear that nobody is.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// When waiting ends.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.as_ref()?.until
    }

    /// A neighbor is not waited for any more.
    pub(super) fn done_with(&mut self, neighbor: &str) {
        if let Some(waiting) = &mut self.waiting {
            waiting.untold.remove(neighbor);
        }
    }

    /// For people: who is waited for.
    pub(super) fn note(&self, neighbor: &str, now: Instant) -> Option<String> {
        let waiting = self.waiting.as_ref().filter(|waiting| waiting.untold.contains(neighbor))?;
        let left = waiting.until?.saturating_duration_since(now).as_secs();
        Some(format!("waited for since our restart, for {left} s more"))
    }
}

impl Speaker {
    /// This speaker follows another.
    pub(super) fn restarted(&mut self, before: Restarted) {
        let preserved = Preserved { restarted: true, forwarding: before.forwarding };
        for (_, neighbor) in self.neighbors.iter_mut() {
            neighbor.fsm.preserved = preserved;
        }
        let until = Some(self.now + self.settings.select_deferral);
        let untold = before.neighbors.into_iter().filter(|name| is_wanted(name, &self.settings)).collect();
        let waiting = Waiting { untold, restarted: BTreeSet::new(), until, announcing: false };
        self.restart = Restart { preserved, waiting: Some(waiting) };
    }

    /// A neighbor is back: it is waited for while it has something to tell and does not wait for us.
    pub(super) fn back(&mut self, id: NeighborId) {
        let Some((neighbor, session)) = self.neighbors.get(id).and_then(Neighbor::with_session) else { return };
        // RFC 4724 §4.1
        match &session.negotiated.graceful {
            None => self.restart.done_with(&neighbor.name),
            Some(graceful) if graceful.restarted => {
                if let Some(waiting) = &mut self.restart.waiting {
                    waiting.restarted.insert(neighbor.name.clone());
                }
            }
            Some(_) => {}
        }
    }

    /// A neighbor has told all its routes of a family.
    pub(super) fn told_all(&mut self, id: NeighborId, family: Family) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let Some(session) = &mut neighbor.session else { return };
        session.untold.remove(family);
        if session.untold == Families::default() {
            self.restart.done_with(&neighbor.name);
        }
    }

    /// Everybody is told, once all is decided that is to be waited for.
    pub(super) fn end_deferral(&mut self) {
        let all_decided = self.all_decided();
        let Some(waiting) = &mut self.restart.waiting else { return };
        if waiting.until.is_some_and(|until| until <= self.now) {
            waiting.until = None;
            waiting.untold.clear();
        }
        let may_tell = waiting.until.is_none() || all_decided && waiting.untold.is_subset(&waiting.restarted);
        if waiting.announcing || !may_tell {
            return;
        }
        waiting.announcing = true;
        self.groups.iter().for_each(|(_, group)| self.connections.wake(group));
    }

    /// Whether the FIB has just heard the last of what the wait was for.
    pub(super) fn fib_complete(&mut self) -> bool {
        let Some(waiting) = &self.restart.waiting else { return false };
        let all_told = waiting.untold.is_empty() && (waiting.until.is_none() || self.all_decided());
        let complete = waiting.announcing && all_told && !self.rib.has_fib_work();
        if complete {
            self.restart.waiting = None;
        }
        complete
    }

    /// Nothing that has been told is still on its way through the RIB, or waits for the host.
    fn all_decided(&self) -> bool {
        self.sweeps.is_empty() && !self.rib.waits_for_host()
    }
}

/// Whether a neighbor of before is one that may come back.
fn is_wanted(name: &str, settings: &Settings) -> bool {
    let configured =
        settings.neighbors.get(name).map(|neighbor| !neighbor.shutdown && neighbor.session.graceful_restart.is_some());
    configured.unwrap_or_else(|| {
        let range = name.split_once('/').and_then(|(range, _)| settings.dynamic_neighbors.get(range));
        range.is_some_and(|range| range.session.graceful_restart.is_some())
    })
}
