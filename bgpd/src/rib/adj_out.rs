//! What an update group was told, and what it is still to be told: Adj-RIB-Out (RFC 4271 §3.2).
//!
//! A destination that was told and is not pending was told as its best path stands now, so one bit says it all. One that
//! is pending also says whose path was told last, because that neighbor was not told. What is pending leaves in windows
//! sorted by attribute set: a full table goes in packed UPDATEs. A group that does not read costs one entry a
//! destination, however often the routes change.

use std::collections::VecDeque;

use super::bits::Bits;
use super::{DestinationId, Rib, SetId, SourceId};
use crate::types::{Families, Family};

/// Destinations sorted together. More packs better, and costs latency of the turn.
const WINDOW: usize = 1024;
/// Destinations of another family that the dump passes over for one window.
const PASSED: usize = 256;

/// Of one update group.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdjRibOut {
    /// Destinations that were announced and not withdrawn since.
    pub(crate) told: Bits,
    /// Destinations in `queue` or `window`.
    pending: Bits,
    /// In pieces of a window's length.
    queue: VecDeque<Vec<Due>>,
    /// Of these, those whose best path is of a session that has ended: another is about to be chosen.
    parked: Vec<Due>,
    dump: Option<Dump>,
    window: Vec<Entry>,
    position: usize,
    /// How many decisions the RIB had made when the window was opened: no other, no change.
    decided: u64,
    /// Families whose End-of-RIB is due when all that was there at the beginning is sent (RFC 4724 §2).
    end_of_rib: Families,
    /// Families that are to be told again, from the beginning to the end (RFC 2918).
    asked: Families,
    /// Of these, what the dump tells now.
    refreshing: Families,
}

/// Everything of these families from here on is to be told too, whether it has changed or not.
#[derive(Clone, Copy, Debug)]
struct Dump {
    cursor: DestinationId,
    families: Families,
}

/// A destination that is pending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Due {
    pub(crate) destination: DestinationId,
    /// Whose path the group was told last, or [`NOTHING`].
    pub(crate) told: SourceId,
}

/// The group was told nothing of a destination.
pub(crate) const NOTHING: SourceId = SourceId::MAX;

/// A destination with its best path when the window was opened.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The attribute set and one more, or 0 where it is to be withdrawn; and the destination. To be sorted by.
    key: u64,
    told: SourceId,
}

/// The next thing to send.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Pending {
    /// These have this set as their best path, or none.
    Run(Option<SetId>),
    /// Everything of the beginning is sent.
    EndOfRib(Families),
    /// What was asked for again begins.
    BeginOfRefresh(Families),
    /// All of it is sent.
    EndOfRefresh(Families),
    /// Nothing.
    Nothing,
}

impl Entry {
    fn new(set: Option<SetId>, due: Due) -> Self {
        let set = set.map_or(0, |set| u64::from(set) + 1);
        Self { key: set << 32 | u64::from(due.destination), told: due.told }
    }

    fn set(self) -> Option<SetId> {
        ((self.key >> 32) as u32).checked_sub(1)
    }

    fn due(self) -> Due {
        Due { destination: self.key as u32, told: self.told }
    }
}

impl AdjRibOut {
    /// A session begins: everything there is, and then End-of-RIB.
    pub(crate) fn new(families: Families) -> Self {
        Self { dump: Some(Dump::EVERYTHING), end_of_rib: families, ..Self::default() }
    }

    /// A destination changed, whose best path was of `before`.
    pub(crate) fn mark(&mut self, destination: DestinationId, before: Option<SourceId>) {
        let told = before.filter(|_| self.told.contains(destination)).unwrap_or(NOTHING);
        let awaits_dump = told == NOTHING && self.dump.is_some_and(|dump| dump.is_sure_to_tell(destination));
        if !awaits_dump && self.pending.insert(destination) {
            self.enqueue(Due { destination, told });
        }
    }

    /// Everything that was or shall be told is pending again.
    pub(crate) fn mark_all(&mut self) {
        self.dump = Some(Dump::EVERYTHING);
    }

    /// A family is to be told again, after all that waits now.
    pub(crate) fn ask(&mut self, family: Family) {
        self.asked.insert(family);
    }

    /// How many destinations wait.
    pub(crate) fn pending(&self, rib: &Rib) -> usize {
        self.pending.len() + self.dump.map_or(0, |dump| rib.best.count_from(dump.cursor))
    }

    /// Whether everything is told.
    pub(crate) fn is_idle(&self) -> bool {
        let Self { end_of_rib, asked, refreshing, .. } = self;
        let marks = [end_of_rib, asked, refreshing];
        self.pending.is_empty() && self.dump.is_none() && marks.iter().all(|families| families.is_empty())
    }

    /// Destinations `64 * index …` that may not be forgotten yet.
    pub(crate) fn held(&self, index: u32) -> u64 {
        self.told.word(index) | self.pending.word(index)
    }

    /// What comes next; its destinations, those that are still as they were, go over what is in `run`. There may be none,
    /// and then the set may be gone too.
    pub(crate) fn next(&mut self, rib: &Rib, run: &mut Vec<Due>) -> Pending {
        run.clear();
        if self.position >= self.window.len() && !self.open_window(rib) {
            return match self.dump {
                Some(_) => Pending::Run(None), // it has only passed over others
                None => self.next_mark(),
            };
        }
        let set = self.window[self.position].set();
        let mut gone = None; // nobody may have the set any more
        while let Some(entry) = self.window.get(self.position).filter(|entry| entry.set() == set) {
            let due = entry.due();
            self.position += 1;
            if self.decided != rib.decided && rib.best(due.destination) != set {
                self.enqueue(due); // it has changed since: another window's
            } else if *gone.get_or_insert_with(|| set.is_some_and(|set| rib.is_gone(set))) {
                self.parked.push(due);
            } else {
                self.pending.remove(due.destination);
                run.push(due);
            }
        }
        Pending::Run(set)
    }

    /// What is told where no routes wait.
    fn next_mark(&mut self) -> Pending {
        if !self.end_of_rib.is_empty() {
            return Pending::EndOfRib(std::mem::take(&mut self.end_of_rib));
        }
        if !self.parked.is_empty() {
            return Pending::Nothing; // what is not told again before the end would be taken for gone
        }
        if !self.refreshing.is_empty() {
            return Pending::EndOfRefresh(std::mem::take(&mut self.refreshing));
        }
        if self.asked.is_empty() {
            return Pending::Nothing;
        }
        self.refreshing = std::mem::take(&mut self.asked);
        self.dump = Some(Dump { cursor: 0, families: self.refreshing });
        Pending::BeginOfRefresh(self.refreshing)
    }

    /// What a session that has ended left is swept away. Whether anything waited for that.
    pub(crate) fn unpark(&mut self) -> bool {
        let parked = std::mem::take(&mut self.parked);
        parked.iter().for_each(|due| self.enqueue(*due));
        !parked.is_empty()
    }

    fn enqueue(&mut self, due: Due) {
        match self.queue.back_mut() {
            Some(piece) if piece.len() < WINDOW => piece.push(due),
            _ => self.queue.push_back(vec![due]),
        }
    }

    /// Takes what has changed, and then what the dump finds. `false`: nothing there.
    fn open_window(&mut self, rib: &Rib) -> bool {
        self.window.clear();
        self.position = 0;
        self.decided = rib.decided;
        if let Some(mut piece) = self.queue.pop_front() {
            self.window.extend(piece.iter().map(|due| Entry::new(rib.best(due.destination), *due)));
            if self.queue.is_empty() {
                piece.clear();
                self.queue.push_back(piece); // for what comes next
            }
        }
        let mut passed = 0;
        while self.window.len() < WINDOW
            && passed < PASSED
            && let Some(destination) = self.next_of_dump(rib, &mut passed)
        {
            if self.pending.insert(destination) {
                let set = rib.best(destination);
                let told = set.filter(|_| self.told.contains(destination)).map(|set| rib.sets.at(set).source);
                let due = Due { destination, told: told.unwrap_or(NOTHING) };
                self.window.push(Entry::new(set, due));
            }
        }
        self.window.sort_unstable_by_key(|entry| entry.key);
        !self.window.is_empty()
    }

    /// The dump's next destination; `passed` counts those of other families on the way.
    fn next_of_dump(&mut self, rib: &Rib, passed: &mut usize) -> Option<DestinationId> {
        loop {
            let dump = self.dump.as_mut()?;
            let Some(found) = rib.best.next(dump.cursor) else {
                self.dump = None;
                return None;
            };
            dump.cursor = found + 1;
            if dump.families == Families::ALL || dump.families.contains(rib.family(found)) {
                return Some(found);
            }
            *passed += 1;
            if *passed == PASSED {
                return None;
            }
        }
    }
}

impl Dump {
    const EVERYTHING: Self = Self { cursor: 0, families: Families::ALL };

    /// Whether a destination is yet to come.
    fn is_sure_to_tell(&self, destination: DestinationId) -> bool {
        self.families == Families::ALL && self.cursor <= destination
    }
}
