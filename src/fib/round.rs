//! A set whose members are taken in turn: whoever comes back again and again cannot keep the others waiting.

use std::collections::BTreeSet;
use std::ops::Bound;

/// The set, and who was taken last.
#[derive(Debug)]
pub(super) struct Round<T> {
    waiting: BTreeSet<T>,
    last: Option<T>,
}

impl<T> Default for Round<T> {
    fn default() -> Self {
        Self { waiting: BTreeSet::new(), last: None }
    }
}

impl<T: Copy + Ord> Round<T> {
    /// Adds a member.
    pub(super) fn insert(&mut self, member: T) {
        self.waiting.insert(member);
    }

    /// Takes the next member after the last one, in order, from the start again after the end.
    pub(super) fn take(&mut self) -> Option<T> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.waiting.range((after, Bound::Unbounded)).next().or_else(|| self.waiting.first()).copied()?;
        self.waiting.remove(&next);
        self.last = Some(next);
        Some(next)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
