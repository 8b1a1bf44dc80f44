//! What one neighbor was told, and what it is still to be told: Adj-RIB-Out (RFC 4271 §3.2).
//!
//! A destination that was told and is not pending was told as its best path stands now, so one bit says it all. What
//! is pending leaves in windows sorted by attribute set: a full table goes in packed UPDATEs. A neighbor that does not
//! read costs one bit a destination, however often the routes change.

use super::bits::Bits;
use super::{DestinationId, Rib, SetId};
use crate::types::Families;

/// Destinations sorted together. More packs better, and costs latency of the turn.
const WINDOW: usize = 1024;

/// Of one session.
#[derive(Debug)]
pub(crate) struct AdjRibOut {
    /// Destinations that were announced and not withdrawn since.
    pub(crate) told: Bits,
    pending: Bits,
    cursor: DestinationId,
    window: Vec<Entry>,
    position: usize,
    /// Families whose End-of-RIB is due when all that was there at the beginning is sent (RFC 4724 §2).
    end_of_rib: Families,
}

/// A pending destination with its best path when the window was opened.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Entry {
    /// `None`: to be withdrawn.
    set: Option<SetId>,
    destination: DestinationId,
}

/// The next thing to send.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Pending {
    /// These have this set as their best path, or none.
    Run(Option<SetId>),
    /// Everything of the beginning is sent.
    EndOfRib(Families),
    /// Nothing.
    Nothing,
}

impl AdjRibOut {
    /// A session begins: everything there is, and then End-of-RIB.
    pub(crate) fn new(rib: &Rib, families: Families) -> Self {
        let pending = rib.best.clone();
        Self { told: Bits::default(), pending, cursor: 0, window: Vec::new(), position: 0, end_of_rib: families }
    }

    /// The first End-of-RIB is still to be sent.
    pub(crate) fn owes_end_of_rib(&self) -> bool {
        !self.end_of_rib.is_empty()
    }

    /// A destination changed.
    pub(crate) fn mark(&mut self, destination: DestinationId) {
        self.pending.insert(destination);
    }

    /// Everything that was or shall be told is pending again.
    pub(crate) fn mark_all(&mut self, rib: &Rib) {
        self.pending.insert_all(&rib.best);
        self.pending.insert_all(&self.told);
    }

    /// How many destinations wait.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len() + self.window.len() - self.position
    }

    /// Destinations `64 * index …` that may not be forgotten yet.
    pub(crate) fn held(&self, index: u32) -> u64 {
        self.told.word(index) | self.pending.word(index)
    }

    /// What comes next; its destinations, those that are still as they were, go over what is in `run`.
    pub(crate) fn next(&mut self, rib: &Rib, run: &mut Vec<DestinationId>) -> Pending {
        run.clear();
        if self.position >= self.window.len() && !self.open_window(rib) {
            self.cursor = 0; // the end of the table: what became pending behind the cursor comes with the next pass
            if !self.end_of_rib.is_empty() {
                return Pending::EndOfRib(std::mem::take(&mut self.end_of_rib));
            }
            if !self.open_window(rib) {
                return Pending::Nothing;
            }
        }
        let set = self.window[self.position].set;
        while let Some(entry) = self.window.get(self.position).filter(|entry| entry.set == set) {
            self.position += 1;
            if rib.best(entry.destination) == set {
                run.push(entry.destination);
            } else {
                self.pending.insert(entry.destination); // it has changed since: another window's
            }
        }
        Pending::Run(set)
    }

    /// Takes what is pending from the cursor on. `false`: nothing there.
    fn open_window(&mut self, rib: &Rib) -> bool {
        self.window.clear();
        self.position = 0;
        while self.window.len() < WINDOW
            && let Some(destination) = self.pending.next(self.cursor)
        {
            self.pending.remove(destination);
            self.cursor = destination + 1;
            self.window.push(Entry { set: rib.best(destination), destination });
        }
        self.window.sort_unstable();
        !self.window.is_empty()
    }
}
