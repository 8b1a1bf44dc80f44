//! Sets of small numbers: which destinations a neighbor sent, was told, is still to be told.
//!
//! One bit a destination, so that what waits for a slow reader is bounded, in pages that are there only where a member
//! is: hundreds of neighbors with a few routes each cost little beside a large table. One member among a million is
//! found in a few loads.

const WORD: u32 = u64::BITS;
/// Words in a page.
const PAGE: usize = 64;

/// A set of `u32`, walked in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    pages: Vec<Option<Box<Page>>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Page {
    words: [u64; PAGE],
    /// One bit for each word that is not zero.
    summary: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { words: [0; PAGE], summary: 0 }
    }
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
    #[inline]
    pub(crate) fn contains(&self, member: u32) -> bool {
        self.word(member / WORD) & bit(member) != 0
    }

    /// `true` if it was not there before.
    #[inline]
    pub(crate) fn insert(&mut self, member: u32) -> bool {
        let (index, word) = place(member / WORD);
        let page = match self.pages.get_mut(index) {
            Some(Some(page)) => page,
            _ => self.page(index),
        };
        let new = page.words[word] & bit(member) == 0;
        page.words[word] |= bit(member);
        page.summary |= 1 << word;
        self.len += usize::from(new);
        new
    }

    /// A page, made where it is missing.
    #[cold]
    fn page(&mut self, index: usize) -> &mut Page {
        if index >= self.pages.len() {
            self.pages.resize_with(index + 1, || None);
        }
        self.pages[index].get_or_insert_default()
    }

    /// `true` if it was there.
    pub(crate) fn remove(&mut self, member: u32) -> bool {
        let (index, word) = place(member / WORD);
        let Some(Some(page)) = self.pages.get_mut(index) else { return false };
        if page.words[word] & bit(member) == 0 {
            return false;
        }
        page.words[word] &= !bit(member);
        if page.words[word] == 0 {
            page.summary &= !(1 << word);
            if page.summary == 0 {
                self.pages[index] = None;
            }
        }
        self.len -= 1;
        true
    }

    /// Puts in all members of another set.
    pub(crate) fn insert_all(&mut self, other: &Self) {
        if self.pages.len() < other.pages.len() {
            self.pages.resize_with(other.pages.len(), || None);
        }
        for (page, more) in self.pages.iter_mut().zip(&other.pages) {
            let (Some(more), known) = (more, &mut *page) else { continue };
            let page = known.get_or_insert_default();
            for (word, more) in page.words.iter_mut().zip(&more.words) {
                self.len += (more & !*word).count_ones() as usize;
                *word |= more;
            }
            page.summary |= more.summary;
        }
    }

    /// Takes out all members of another set.
    pub(crate) fn remove_all(&mut self, other: &Self) {
        for (slot, fewer) in self.pages.iter_mut().zip(&other.pages) {
            let (Some(page), Some(fewer)) = (slot.as_mut(), fewer) else { continue };
            for (index, (word, fewer)) in page.words.iter_mut().zip(&fewer.words).enumerate() {
                self.len -= (*word & fewer).count_ones() as usize;
                *word &= !fewer;
                page.summary &= !(u64::from(*word == 0) << index);
            }
            if page.summary == 0 {
                *slot = None;
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

    /// How many members are not below `from`.
    pub(crate) fn count_from(&self, from: u32) -> usize {
        let (first, word) = place(from / WORD);
        let pages = self.pages.iter().enumerate().skip(first).filter_map(|(index, page)| Some((index, page.as_ref()?)));
        let ones = |words: &[u64]| words.iter().map(|word| word.count_ones() as usize).sum::<usize>();
        let all: usize = pages.map(|(index, page)| ones(&page.words[if index == first { word } else { 0 }..])).sum();
        all - (self.word(from / WORD) & !(u64::MAX << (from % WORD))).count_ones() as usize
    }

    /// The members `64 * index` to `64 * index + 63` as bits, the lowest first.
    pub(crate) fn word(&self, index: u32) -> u64 {
        let (page, word) = place(index);
        match self.pages.get(page) {
            Some(Some(page)) => page.words[word],
            _ => 0,
        }
    }

    /// The first word from `from` on that is not zero.
    fn next_word(&self, from: u32) -> Option<u32> {
        let (first, word) = place(from);
        let pages = self.pages.get(first..)?.iter().zip(first..);
        pages.filter_map(|(page, index)| Some((page.as_ref()?, index))).find_map(|(page, index)| {
            let found = if index == first { page.summary & (u64::MAX << word) } else { page.summary };
            (found != 0).then(|| (index * PAGE) as u32 + found.trailing_zeros())
        })
    }
}

/// Page and word of a word's number.
const fn place(index: u32) -> (usize, usize) {
    (index as usize / PAGE, index as usize % PAGE)
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
                prop_assert_eq!(bits.count_from(from), model.range(from..).count());
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
