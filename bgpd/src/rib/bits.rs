//! Sets of small numbers: which destinations a neighbor sent, was told, is still to be told.
//!
//! One bit a destination, so that what waits for a slow reader is bounded, and a second level of one bit a word, so
//! that one member among a million is found in a few loads.

const WORD: u32 = u64::BITS;

/// A set of `u32`, walked in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    /// One bit for each word that is not zero.
    summary: Vec<u64>,
    len: usize,
}

impl Bits {
    /// How many members.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// No member at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `member` is in the set.
    pub(crate) fn contains(&self, member: u32) -> bool {
        self.word(member / WORD) & bit(member) != 0
    }

    /// `true` if it was not there before.
    pub(crate) fn insert(&mut self, member: u32) -> bool {
        let index = member / WORD;
        if index as usize >= self.words.len() {
            self.words.resize(index as usize + 1, 0);
            self.summary.resize((index / WORD) as usize + 1, 0);
        }
        let word = &mut self.words[index as usize];
        let new = *word & bit(member) == 0;
        *word |= bit(member);
        self.summary[(index / WORD) as usize] |= bit(index);
        self.len += usize::from(new);
        new
    }

    /// `true` if it was there.
    pub(crate) fn remove(&mut self, member: u32) -> bool {
        if !self.contains(member) {
            return false;
        }
        let index = member / WORD;
        let word = &mut self.words[index as usize];
        *word &= !bit(member);
        if *word == 0 {
            self.summary[(index / WORD) as usize] &= !bit(index);
        }
        self.len -= 1;
        true
    }

    /// Puts in all members of another set.
    pub(crate) fn insert_all(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
            self.summary.resize(other.summary.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            self.len += (more & !*word).count_ones() as usize;
            *word |= more;
        }
        for (word, more) in self.summary.iter_mut().zip(&other.summary) {
            *word |= more;
        }
    }

    /// Takes out all members of another set.
    pub(crate) fn remove_all(&mut self, other: &Self) {
        for (index, (word, fewer)) in self.words.iter_mut().zip(&other.words).enumerate() {
            self.len -= (*word & fewer).count_ones() as usize;
            *word &= !fewer;
            if *word == 0 {
                self.summary[index / WORD as usize] &= !bit(index as u32); // an index of u32 members
            }
        }
    }

    /// The first member that is not below `from`.
    pub(crate) fn next(&self, from: u32) -> Option<u32> {
        let index = from / WORD;
        let rest = self.word(index) & (u64::MAX << (from % WORD));
        if rest != 0 {
            return Some(index * WORD + rest.trailing_zeros());
        }
        let index = self.next_word(index.checked_add(1)?)?;
        Some(index * WORD + self.word(index).trailing_zeros())
    }

    /// All members, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        std::iter::successors(self.next(0), |last| self.next(last.checked_add(1)?))
    }

    /// The members `64 * index` to `64 * index + 63` as bits, the lowest first.
    pub(crate) fn word(&self, index: u32) -> u64 {
        self.words.get(index as usize).copied().unwrap_or(0)
    }

    /// The first word from `from` on that is not zero.
    fn next_word(&self, from: u32) -> Option<u32> {
        let mut index = from / WORD;
        let mut mask = u64::MAX << (from % WORD);
        loop {
            let found = self.summary.get(index as usize)? & mask;
            if found != 0 {
                return Some(index * WORD + found.trailing_zeros());
            }
            index += 1;
            mask = u64::MAX;
        }
    }
}

const fn bit(member: u32) -> u64 {
    1 << (member % WORD)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_bits_behaves_like_a_set(steps in proptest::collection::vec((any::<bool>(), 0u32..9000), 0..400)) {
            let mut bits = Bits::default();
            let mut model = BTreeSet::new();
            for (insert, member) in steps {
                if insert {
                    prop_assert_eq!(bits.insert(member), model.insert(member));
                } else {
                    prop_assert_eq!(bits.remove(member), model.remove(&member));
                }
            }
            prop_assert_eq!(bits.len(), model.len());
            prop_assert!(bits.iter().eq(model.iter().copied()));
            for from in [0, 1, 63, 64, 65, 4095, 4096, 8999, u32::MAX] {
                prop_assert_eq!(bits.next(from), model.range(from..).next().copied());
            }
        }

        #[test]
        fn whole_sets_are_united_and_taken_away(left in proptest::collection::btree_set(0u32..9000, 0..100),
                                   right in proptest::collection::btree_set(0u32..9000, 0..100)) {
            let of = |members: &BTreeSet<u32>| {
                let mut bits = Bits::default();
                members.iter().for_each(|member| { bits.insert(*member); });
                bits
            };
            let mut union = of(&left);
            union.insert_all(&of(&right));
            prop_assert_eq!(union.len(), left.union(&right).count());
            prop_assert!(union.iter().eq(left.union(&right).copied()));
            let mut difference = of(&left);
            difference.remove_all(&of(&right));
            prop_assert_eq!(difference.len(), left.difference(&right).count());
            prop_assert!(difference.iter().eq(left.difference(&right).copied()));
        }
    }
}
