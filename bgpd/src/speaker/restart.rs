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
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    /// These neighbors are waited for, but no longer than this (Selection_Deferral_Timer).
    Deferring { awaited: BTreeSet<String>, until: Instant },
    /// The FIB has not yet heard all.
    Telling,
    /// As any speaker.
    #[default]
    Over,
}

impl Restart {
    /// What the OPEN to a neighbor without an earlier session says.
    pub(super) fn preserved(&self) -> Preserved {
        self.preserved
    }

    /// Nobody is told anything yet.
    pub(super) fn is_deferring(&self) -> bool {
        matches!(self.phase, Phase::Deferring { .. })
    }

    /// When waiting ends; `None` also where nobody is waited for any more, and the host's answers are.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Deferring { until, .. } => Some(*until),
            Phase::Telling | Phase::Over => None,
        }
    }

    /// A neighbor is not waited for any more.
    pub(super) fn done_with(&mut self, neighbor: &str) {
        if let Phase::Deferring { awaited, .. } = &mut self.phase {
            awaited.remove(neighbor);
        }
    }

    /// For people: who is waited for.
    pub(super) fn note(&self, neighbor: &str, now: Instant) -> Option<String> {
        match &self.phase {
            Phase::Deferring { awaited, until } if awaited.contains(neighbor) => {
                let left = until.saturating_duration_since(now).as_secs();
                Some(format!("waited for since our restart, for {left} s more"))
            }
            _ => None,
        }
    }
}

impl Speaker {
    /// This speaker follows another.
    pub(super) fn restarted(&mut self, before: Restarted) {
        let preserved = Preserved { restarted: true, forwarding: before.forwarding };
        for (_, neighbor) in self.neighbors.iter_mut() {
            neighbor.fsm.preserved = preserved;
        }
        let until = self.now + self.settings.select_deferral;
        let awaited = before.neighbors.into_iter().filter(|name| is_wanted(name, &self.settings)).collect();
        self.restart = Restart { preserved, phase: Phase::Deferring { awaited, until } };
    }

    /// A neighbor is back: it is waited for while it has something to tell and does not wait for us.
    pub(super) fn back(&mut self, id: NeighborId) {
        let Some((neighbor, session)) = self.neighbors.get(id).and_then(Neighbor::with_session) else { return };
        // RFC 4724 §4.1: not for those without the capability, nor for those that have restarted themselves.
        if session.negotiated.graceful.as_ref().is_none_or(|graceful| graceful.restarted) {
            self.restart.done_with(&neighbor.name);
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
        let Phase::Deferring { awaited, until } = &self.restart.phase else { return };
        let all_told = awaited.is_empty() && self.sweeps.is_empty() && !self.rib.waits_for_host();
        if !all_told && self.now < *until {
            return;
        }
        self.restart.phase = Phase::Telling;
        for (_, neighbor) in self.neighbors.iter() {
            if let Some(session) = &neighbor.session {
                self.connections.mark_writable(session.connection);
            }
        }
    }

    /// Whether the FIB has just heard the last of what the wait was for.
    pub(super) fn fib_complete(&mut self) -> bool {
        let complete = matches!(self.restart.phase, Phase::Telling) && !self.rib.has_fib_work();
        if complete {
            self.restart.phase = Phase::Over;
        }
        complete
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
