//! Prefix sets: asked once a prefix, so they are not walked.
//!
//! Entries stand sorted by the length of their covering prefix. A prefix is cut to each length that occurs, and the cut
//! one is looked up: what it costs grows with the different lengths (at most 33 or 129), not with the entries.

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use crate::types::Family;

/// Prefixes with the lengths that count as inside.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PrefixSet {
    /// By family, length and address of their prefix.
    entries: Vec<PrefixRange>,
    /// Of each, the address of its prefix from the highest bit on.
    addresses: Vec<u128>,
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
    /// The bits of an address that such a prefix has.
    mask: u128,
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
        let (family, length, address) = (Family::of(prefix), prefix.prefix_len(), bits(prefix));
        let shorter = self.runs.iter().filter(|run| run.family == family && run.length <= length);
        shorter.into_iter().any(|run| {
            let covering = address & run.mask;
            let addresses = &self.addresses[run.entries.clone()];
            let first = run.entries.start + addresses.partition_point(|address| *address < covering);
            (first..run.entries.end)
                .take_while(|index| self.addresses[*index] == covering)
                .any(|index| (self.entries[index].min..=self.entries[index].max).contains(&length))
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
            runs.extend(same.first().map(place).map(|(family, length)| {
                let mask = u128::MAX.checked_shl(u128::BITS - u32::from(length)).unwrap_or(0);
                Run { family, length, mask, entries: start..end }
            }));
            start = end;
        }
        let addresses = entries.iter().map(|entry| bits(&entry.prefix)).collect();
        Self { entries, addresses, runs }
    }
}

/// The address from the highest bit on.
fn bits(prefix: &IpNet) -> u128 {
    match prefix.addr() {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}
