//! What the FIB shall have: the newest choice of each destination whose decision changed.

use super::bits::Bits;
use super::decision::Candidate;
use super::{DestinationId, Forward, OwnRoute, Path, Rib};
use crate::forbidden::never_installed;
use crate::speaker::{FibChange, FibChoice};
use crate::types::NextHop;

/// Destinations that the FIB must hear of. One bit each: however often a choice changes, the newest is told once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    dirty: Bits,
    /// The FIB was last told of a choice.
    told: Bits,
    /// Where the walk over the dirty ones stands: those at the front must not starve the others.
    cursor: DestinationId,
    /// Nobody listens.
    unheard: bool,
}

impl Queue {
    pub(super) fn mark(&mut self, destination: DestinationId) {
        if !self.unheard {
            self.dirty.insert(destination);
        }
    }

    /// Destinations `64 * index …` that may not be forgotten yet.
    pub(super) fn held(&self, index: u32) -> u64 {
        self.dirty.word(index) | self.told.word(index)
    }

    fn pop(&mut self) -> Option<DestinationId> {
        let destination = self.dirty.next(self.cursor).or_else(|| self.dirty.next(0))?;
        self.dirty.remove(destination);
        self.cursor = destination.wrapping_add(1);
        Some(destination)
    }
}

impl Rib {
    /// At most `max` destinations whose choice has changed.
    pub(crate) fn poll_fib(&mut self, max: usize) -> Vec<FibChange> {
        let mut changes = Vec::new();
        while changes.len() < max
            && let Some(destination) = self.fib.pop()
        {
            let choice = self.choice(destination);
            let was_told =
                if choice.is_some() { !self.fib.told.insert(destination) } else { self.fib.told.remove(destination) };
            if choice.is_some() || was_told {
                changes.push(FibChange { prefix: self.prefix(destination), choice });
            }
        }
        changes
    }

    /// Whether the FIB has yet to hear of a choice.
    pub(crate) fn has_fib_work(&self) -> bool {
        !self.fib.dirty.is_empty()
    }

    /// How many equal paths are installed from now on: every choice may be another.
    pub(crate) fn set_multipath(&mut self, multipath: u8) {
        self.multipath = usize::from(multipath);
        if !self.fib.unheard {
            self.fib.dirty.insert_all(&self.best);
        }
    }

    /// Nobody hears of choices.
    pub(crate) fn leave_fib(&mut self) {
        self.fib = Queue { unheard: true, ..Queue::default() };
    }

    /// What the FIB shall have for a destination.
    fn choice(&self, id: DestinationId) -> Option<FibChoice> {
        self.best(id)?;
        let eligible = self.eligible(id);
        let (_, best) = eligible.first()?;
        let mut choice = match self.sets.at(best.set).own() {
            Some(own) => self.own_choice(own, *best, &eligible)?,
            None if self.sets.at(best.set).discard => {
                let accepted = self.next_hops_of(eligible.iter().map(|(_, path)| *path));
                FibChoice { discard: true, accepted, ..FibChoice::default() }
            }
            None => self.learned_choice(&eligible),
        };
        if let Some(reason) = never_installed(&self.prefix(id)) {
            choice = FibChoice { not_installed: Some(reason), accepted: choice.accepted, ..FibChoice::default() };
        }
        Some(choice)
    }

    /// A route of ours is what it was told to be; of others for the same prefix only what may arrive counts.
    fn own_choice(&self, own: &OwnRoute, path: Path, eligible: &[(Candidate<'_>, Path)]) -> Option<FibChoice> {
        let accepted = self.next_hops_of(eligible.iter().map(|(_, path)| *path));
        let choice = FibChoice { discard: own.discard, accepted, ..FibChoice::default() };
        match (own.next_hop, own.discard) {
            (Some(_), false) if self.is_local(path) => {
                Some(FibChoice { not_installed: Some("its next hop is this host"), ..choice })
            }
            (Some(_), false) => Some(FibChoice { best: self.next_hops_of([path]), ..choice }),
            (_, true) => Some(choice),
            (None, false) if eligible.len() > 1 => {
                Some(FibChoice { not_installed: Some("our own prefix: the kernel knows the way"), ..choice })
            }
            (None, false) => None,
        }
    }

    fn learned_choice(&self, eligible: &[(Candidate<'_>, Path)]) -> FibChoice {
        let paths = || eligible.iter().map(|(_, path)| *path);
        let accepted = self.next_hops_of(paths());
        if paths().next().is_some_and(|best| self.is_local(best)) {
            return FibChoice { not_installed: Some("its next hop is this host"), accepted, ..FibChoice::default() };
        }
        let multipath = self.multipath_len(eligible);
        let best = self.next_hops_of(paths().take(multipath).filter(|path| !self.is_local(*path)));
        let mut backup = self.next_hops_of(paths().skip(multipath).filter(|path| !self.is_local(*path)));
        backup.retain(|next_hop| !best.contains(next_hop));
        FibChoice { best, backup, accepted, ..FibChoice::default() }
    }

    /// In order, each once.
    fn next_hops_of(&self, paths: impl IntoIterator<Item = Path>) -> Vec<NextHop> {
        let mut next_hops = Vec::new();
        for path in paths {
            if let Forward::To(id) = self.sets.at(path.set).forward
                && let next_hop = self.next_hops.at(id).next_hop
                && !next_hops.contains(&next_hop)
            {
                next_hops.push(next_hop);
            }
        }
        next_hops
    }

    fn is_local(&self, path: Path) -> bool {
        match self.sets.at(path.set).forward {
            Forward::To(id) => self.next_hops.at(id).state.as_ref().is_some_and(|state| state.local),
            Forward::Nowhere | Forward::Martian => false,
        }
    }
}
