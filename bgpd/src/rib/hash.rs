//! Numbers found by what they stand for: a hash table of `u32`, in shards, in cache lines.
//!
//! What stands behind a number lies elsewhere, so a search costs one cache line here and, where the tags agree, one there
//! (after Facebook's F14). Tags are long enough to say where a number belongs in a larger table: growing looks at nothing
//! else. One big table would still stop for milliseconds then; shards of unequal weight grow one after the other. The hash
//! is seeded: a neighbor cannot choose prefixes or attributes that collide.

use ipnet::IpNet;

const SHARDS: usize = 256;
/// Numbers in a line.
const LINE: usize = 10;
/// So many of these on average are in use when a shard grows,
const FULL: usize = 8;
/// unless it has so many lines, one for each tag: then there are a hundred million numbers.
const LINES: usize = 1 << u16::BITS;

/// A shard of fewer lines grows fourfold: what is moved costs more than the 4 KiB.
const SMALL: usize = 64;

/// Numbers by hash. What they stand for lies elsewhere.
#[derive(Debug)]
pub(crate) struct Index {
    shards: Vec<Shard>,
}

/// A hash table of its own.
#[derive(Debug, Default)]
struct Shard {
    /// None, or a power of two.
    lines: Vec<Line>,
    len: usize,
}

/// A cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Line {
    ids: [u32; LINE],
    tags: Tags,
}

/// Which of a line's numbers are worth a look: sixteen bits of each one's hash, or 0 where there is none. The lowest of
/// them say which line it belongs to. Four in a word, the first in the lowest bits; behind the last stands how many
/// numbers went on to the next line, because this one was full. [`SENT_ON`] of them are never taken back.
#[derive(Clone, Copy, Debug, Default)]
struct Tags([u64; 3]);

const SENT_ON: u16 = u16::MAX;
/// 1 in each of a word's tags.
const EACH: u64 = 0x0001_0001_0001_0001;

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }
}

impl Index {
    /// Lets the line of a hash come into the cache: of many, asked for one after the other, the cache misses overlap.
    pub(crate) fn fetch(&self, hash: u64) {
        let lines = &self.shards[shard(hash)].lines;
        if let Some(line) = lines.get(usize::from(tag(hash)) & lines.len().wrapping_sub(1)) {
            prefetch(line);
        }
    }

    /// The number under `hash` that `is_it` knows.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let lines = &self.shards[shard(hash)].lines;
        for at in places(lines.len(), tag(hash)) {
            let Line { ids, tags } = &lines[at];
            for place in tags.equal_to(tag(hash)) {
                if is_it(ids[place]) {
                    return Some(ids[place]);
                }
            }
            if tags.sent_on() == 0 {
                return None;
            }
        }
        None
    }

    /// Puts a number in that is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, id: u32) {
        let shard = &mut self.shards[shard(hash)];
        if shard.len == shard.lines.len() * FULL && shard.lines.len() < LINES {
            shard.grow();
        }
        shard.insert(tag(hash), id);
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, hash: u64, id: u32) {
        self.shards[shard(hash)].remove(tag(hash), id);
    }
}

impl Shard {
    fn grow(&mut self) {
        let factor = if self.lines.len() < SMALL { 4 } else { 2 };
        let lines = vec![Line::default(); (factor * self.lines.len()).max(1)];
        self.len = 0;
        for Line { ids, tags } in std::mem::replace(&mut self.lines, lines) {
            let used = (0..LINE).map(|place| (tags.at(place), ids[place])).filter(|(tag, _)| *tag != 0);
            used.for_each(|(tag, id)| self.insert(tag, id));
        }
    }

    fn insert(&mut self, tag: u16, id: u32) {
        for at in places(self.lines.len(), tag) {
            let Line { ids, tags } = &mut self.lines[at];
            if let Some(place) = tags.take_place(tag) {
                ids[place] = id;
                self.len += 1;
                return;
            }
            tags.set(LINE, tags.sent_on().saturating_add(1));
        }
    }

    fn remove(&mut self, tag: u16, id: u32) {
        let find = |line: &Line| line.tags.equal_to(tag).find(|place| line.ids[*place] == id);
        let found = places(self.lines.len(), tag).find_map(|at| Some((at, find(&self.lines[at])?)));
        let Some((found, place)) = found else { return };
        self.lines[found].tags.set(place, 0);
        self.len -= 1;
        for at in places(self.lines.len(), tag).take_while(|at| *at != found) {
            let tags = &mut self.lines[at].tags;
            tags.set(LINE, tags.sent_on() - u16::from(tags.sent_on() != SENT_ON));
        }
    }
}

impl Tags {
    fn at(self, place: usize) -> u16 {
        (self.0[place / 4] >> (place % 4 * 16)) as u16
    }

    fn set(&mut self, place: usize, tag: u16) {
        let (word, shift) = (&mut self.0[place / 4], place % 4 * 16);
        *word = *word & !(u64::from(u16::MAX) << shift) | u64::from(tag) << shift;
    }

    fn sent_on(self) -> u16 {
        self.at(LINE)
    }

    /// Puts a tag into the first place that has none; `None`: there is no such place.
    fn take_place(&mut self, tag: u16) -> Option<usize> {
        for (index, word) in self.0.iter_mut().enumerate() {
            let free = zeros(*word);
            if free != 0 {
                let shift = free.trailing_zeros();
                let place = index * 4 + shift as usize / 16;
                return (place < LINE).then(|| {
                    *word |= u64::from(tag) << shift;
                    place
                });
            }
        }
        None
    }

    /// The places with this tag, without a branch for each.
    fn equal_to(self, tag: u16) -> impl Iterator<Item = usize> {
        let wanted = EACH * u64::from(tag);
        let [first, second, third] = self.0.map(|word| zeros(word ^ wanted));
        // A bit for each, the word in the lowest two bits of its number, and where it stands in the word above them.
        let mut equal = first | second << 1 | (third & 0x1_0001) << 2;
        std::iter::from_fn(move || {
            let bit = (equal != 0).then(|| equal.trailing_zeros() as usize)?;
            equal &= equal - 1;
            Some((bit & 3) * 4 + bit / 16)
        })
    }
}

/// The lowest bit of each sixteen that are all 0.
const fn zeros(word: u64) -> u64 {
    const BELOW: u64 = EACH * 0x7FFF;
    // Below the top bit nothing is carried out of the sixteen.
    !(((word & BELOW) + BELOW) | word | BELOW) >> 15
}

/// Asks for a line without waiting for it.
#[allow(unsafe_code, reason = "there is no safe way to say it")]
fn prefetch(line: &Line) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, and it reads nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(line.tags.0[0]);
}

/// Never 0.
const fn tag(hash: u64) -> u16 {
    let tag = hash as u16;
    if tag == 0 { 1 << 15 } else { tag }
}

/// The lines where a number may be, the first that has room.
fn places(lines: usize, tag: u16) -> impl Iterator<Item = usize> {
    (0..lines).map(move |step| (usize::from(tag) + step) & (lines - 1))
}

/// Density falls from 2 at the first shard to 2/3 at the last, so that sizes double at different times.
fn shard(hash: u64) -> usize {
    let point = hash >> 24 & 0xFFFF; // not the bits of the tag
    ((point * (point + 0x1_0000)) >> 25) as usize
}

/// Hashes under one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Seed {
    /// Different seeds give different hashes.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(fold(seed ^ MULTIPLIER, MULTIPLIER) | 1)
    }

    /// The hash of a prefix.
    pub(crate) fn prefix(self, prefix: &IpNet) -> u64 {
        let length = u64::from(prefix.prefix_len());
        match prefix {
            IpNet::V4(net) => self.pair(u64::from(net.addr().to_bits()), length),
            IpNet::V6(net) => {
                let bits = net.addr().to_bits();
                self.pair((bits >> 64) as u64, bits as u64 ^ (length | 0x100).rotate_left(32))
            }
        }
    }

    /// The hash of bytes that belong to `owner`.
    pub(crate) fn bytes(self, owner: u32, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let start = self.pair(u64::from(owner), bytes.len() as u64);
        words
            .iter()
            .chain([&last])
            .fold(start, |state, word| fold(state ^ u64::from_le_bytes(*word), self.0 ^ MULTIPLIER))
    }

    fn pair(self, left: u64, right: u64) -> u64 {
        fold(fold(left ^ self.0, MULTIPLIER) ^ right, self.0)
    }
}

/// A multiplication whose upper half comes back to the lower.
const fn fold(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few tags: numbers are sent on, past the last line too, and come back.
        #[test]
        fn an_index_behaves_like_a_set(steps in proptest::collection::vec((any::<bool>(), 0u32..600), 0..2000)) {
            let hash_of = |id: u32| u64::from(id % 7) << 13 | u64::from(id % 3);
            let mut index = Index::default();
            let mut model = BTreeSet::new();
            for (insert, id) in steps {
                if !insert {
                    index.remove(hash_of(id), id);
                    model.remove(&id);
                } else if model.insert(id) {
                    index.insert(hash_of(id), id);
                }
            }
            for id in 0..600 {
                let found = index.find(hash_of(id), |found| found == id);
                prop_assert_eq!(found.is_some(), model.contains(&id));
            }
            prop_assert_eq!(index.shards.iter().map(|shard| shard.len).sum::<usize>(), model.len());
        }
    }

    #[test]
    fn a_line_is_a_cache_line() {
        assert_eq!(size_of::<Line>(), 64);
    }

    #[test]
    fn every_hash_has_a_shard_and_weights_differ() {
        let mut sizes = [0; SHARDS];
        (0..1 << 16).for_each(|point: u64| sizes[shard(point << 24)] += 1);
        assert!(sizes[0] > 2 * sizes[SHARDS - 1], "{} and {}", sizes[0], sizes[SHARDS - 1]);
        assert!(sizes.iter().all(|size| *size > 0));
    }

    #[test]
    fn neighboring_prefixes_spread_over_the_shards() {
        let seed = Seed::new(7);
        let hash_of = |id: u32| seed.prefix(&IpNet::from(std::net::IpAddr::from(std::net::Ipv4Addr::from_bits(id))));
        let mut index = Index::default();
        (0..65536).for_each(|id| index.insert(hash_of(id), id));
        let largest = index.shards.iter().map(|shard| shard.len).max().unwrap();
        assert!(largest < 3 * 65536 / SHARDS, "{largest} in one shard");
    }

    #[test]
    fn a_byte_more_is_another_hash() {
        let seed = Seed::new(1);
        assert_ne!(seed.bytes(0, &[0; 8]), seed.bytes(0, &[0; 7]));
        assert_ne!(seed.bytes(0, &[0; 8]), seed.bytes(1, &[0; 8]));
        assert_ne!(Seed::new(1).bytes(0, b"abc"), Seed::new(2).bytes(0, b"abc"));
    }
}
