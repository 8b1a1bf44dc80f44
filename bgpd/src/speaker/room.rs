//! `max-prefixes-out`: how many prefixes of a family a neighbor is told. Those beyond wait for room.

use crate::rib::{AdjRibOut, Bits, DestinationId};
use crate::settings::{LimitAction, PrefixLimit};
use crate::types::Family;

/// Of an update group that has one neighbor, and no other joins.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// So many are told of each family,
    most: usize,
    /// so many have been,
    told: [usize; 2],
    /// and these wait.
    waiting: [Bits; 2],
}

impl Room {
    pub(super) fn new(limit: &PrefixLimit) -> Self {
        let mut room = Self { most: 0, told: [0; 2], waiting: Default::default() };
        room.set_limit(limit);
        room
    }

    /// What waits is for the caller to mark again.
    pub(super) fn set_limit(&mut self, limit: &PrefixLimit) {
        let beyond = limit.action == LimitAction::Warn;
        self.most = if beyond { usize::MAX } else { limit.limit as usize };
    }

    /// Whether a destination that is about to be told may be. `was`: the neighbor has it already. `would`: there is
    /// something to tell.
    pub(super) fn admit(&mut self, family: Family, destination: DestinationId, was: bool, would: bool) -> bool {
        let told = &mut self.told[family as usize];
        let others = *told - usize::from(was);
        let admitted = would && others < self.most;
        *told = others + usize::from(admitted);
        let waiting = &mut self.waiting[family as usize];
        if would && !admitted {
            waiting.insert(destination);
        } else {
            waiting.remove(destination);
        }
        admitted
    }

    /// What was admitted could not be told.
    pub(super) fn give_back(&mut self, family: Family) {
        self.told[family as usize] -= 1;
    }

    /// Makes those due that have room now; `false`: there are none.
    pub(super) fn fill(&mut self, out: &mut AdjRibOut) -> bool {
        let mut any = false;
        for (told, waiting) in self.told.iter().zip(&mut self.waiting) {
            for _ in *told..self.most {
                let Some(destination) = waiting.next(0) else { break };
                waiting.remove(destination);
                out.mark(destination, None);
                any = true;
            }
        }
        any
    }

    /// By family: how many are told, and whether others wait.
    pub(super) fn state(&self) -> [(usize, bool); 2] {
        [0, 1].map(|family| (self.told[family], !self.waiting[family].is_empty()))
    }

    /// Destinations `64 * index …` that may not be forgotten yet.
    pub(super) fn held(&self, index: u32) -> u64 {
        self.waiting.iter().fold(0, |held, waiting| held | waiting.word(index))
    }
}
