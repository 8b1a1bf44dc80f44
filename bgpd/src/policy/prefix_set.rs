//! Prefix sets: asked once a prefix, so they are not walked.
//!
//! Entries stand sorted by the length of their covering prefix. A prefix is cut to each length that occurs, and the cut
//! one is looked up: what it costs grows with the different lengths (at most 33 or 129), not with the entries.

use std::ops::Range;

use ipnet::IpNet;

use crate::types::Family;

/// Prefixes with the lengths that count as inside.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PrefixSet {
    /// By family, length and address of their prefix.
    entries: Vec<PrefixRange>,
    /// Entries whose prefixes have the same family and length, the shortest first.
    runs: Vec<Run>,
}

/// `10.0.0.0/8`, `10.0.0.0/8 le 24`, `10.0.0.0/8 ge 9 le 24`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrefixRange {
    /// The covering prefix.
    pub prefix: IpNet,
    /// The shortest length inside.
    pub min: u8,
    /// The longest length inside.
    pub max: u8,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Run {
    family: Family,
    length: u8,
    entries: Range<usize>,
}

impl PrefixRange {
    /// The prefix and all that is more specific.
    pub fn and_longer(prefix: IpNet) -> Self {
        Self { prefix, min: prefix.prefix_len(), max: prefix.max_prefix_len() }
    }

    /// Whether a prefix lies in the range.
    pub fn contains(&self, prefix: &IpNet) -> bool {
        (self.min..=self.max).contains(&prefix.prefix_len()) && self.prefix.contains(prefix)
    }
}

impl PrefixSet {
    /// Whether a prefix lies in any of the ranges.
    pub fn contains(&self, prefix: &IpNet) -> bool {
        let length = prefix.prefix_len();
        let runs = self.runs.iter().filter(|run| run.family == Family::of(prefix) && run.length <= length);
        runs.into_iter().any(|run| {
            let Ok(covering) = IpNet::new(prefix.addr(), run.length) else { return false };
            let covering = covering.trunc();
            let entries = &self.entries[run.entries.clone()];
            let first = entries.partition_point(|entry| entry.prefix.addr() < covering.addr());
            let same = entries[first..].iter().take_while(|entry| entry.prefix == covering);
            same.into_iter().any(|entry| (entry.min..=entry.max).contains(&length))
        })
    }

    /// The ranges, sorted.
    pub fn entries(&self) -> &[PrefixRange] {
        &self.entries
    }

    /// Whether no prefix lies in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl FromIterator<PrefixRange> for PrefixSet {
    fn from_iter<I: IntoIterator<Item = PrefixRange>>(ranges: I) -> Self {
        let place = |range: &PrefixRange| (Family::of(&range.prefix), range.prefix.prefix_len());
        let mut entries: Vec<_> = ranges.into_iter().collect();
        entries.sort_unstable_by_key(|range| (place(range), range.prefix.addr(), range.min, range.max));
        entries.dedup();
        let mut runs = Vec::new();
        let mut start = 0;
        for same in entries.chunk_by(|left, right| place(left) == place(right)) {
            let end = start + same.len();
            runs.extend(same.first().map(place).map(|(family, length)| Run { family, length, entries: start..end }));
            start = end;
        }
        Self { entries, runs }
    }
}
