//! Whether prefixes lie in a union of ranges: all of them, not one by one.

use bgpd::policy::PrefixRange;
use ipnet::IpNet;

/// A union of ranges.
pub(super) struct Union {
    /// By address and length of their prefix: what lies in a prefix stands together, and itself first.
    ranges: Vec<PrefixRange>,
}

impl FromIterator<PrefixRange> for Union {
    fn from_iter<I: IntoIterator<Item = PrefixRange>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_unstable_by_key(|range| range.prefix);
        Self { ranges }
    }
}

impl Union {
    /// Whether every prefix of a range is in one of these.
    pub(super) fn covers(&self, range: &PrefixRange) -> bool {
        let mut lengths: Vec<u8> = (range.min..=range.max).collect();
        for length in 0..=range.prefix.prefix_len() {
            if let Ok(around) = IpNet::new(range.prefix.addr(), length) {
                let same = split(self.from(&around.trunc()), &around.trunc()).0;
                take_out(&mut lengths, same);
            }
        }
        let inside = self.from(&range.prefix);
        let inside = &inside[..inside.partition_point(|other| range.prefix.contains(&other.prefix))];
        halves_covered(&range.prefix, &lengths, split(inside, &range.prefix).1)
    }

    /// The ranges whose prefix is this one or comes after it.
    fn from(&self, prefix: &IpNet) -> &[PrefixRange] {
        &self.ranges[self.ranges.partition_point(|range| range.prefix < *prefix)..]
    }
}

/// Whether prefixes of these lengths inside a prefix lie in ranges that are all inside it.
fn halves_covered(prefix: &IpNet, lengths: &[u8], inside: &[PrefixRange]) -> bool {
    if lengths.is_empty() {
        return true;
    }
    if inside.is_empty() || lengths.contains(&prefix.prefix_len()) {
        return false;
    }
    let Ok(mut halves) = prefix.subnets(prefix.prefix_len() + 1) else { return false };
    let mut rest = inside;
    halves.all(|half| {
        let (within, beyond) = rest.split_at(rest.partition_point(|range| half.contains(&range.prefix)));
        rest = beyond;
        let (same, inside) = split(within, &half);
        let mut lengths = lengths.to_vec();
        take_out(&mut lengths, same);
        halves_covered(&half, &lengths, inside)
    })
}

/// The ranges of this very prefix, which stand first, and the others.
fn split<'r>(ranges: &'r [PrefixRange], prefix: &IpNet) -> (&'r [PrefixRange], &'r [PrefixRange]) {
    ranges.split_at(ranges.iter().take_while(|range| range.prefix == *prefix).count())
}

fn take_out(lengths: &mut Vec<u8>, ranges: &[PrefixRange]) {
    lengths.retain(|length| !ranges.iter().any(|range| (range.min..=range.max).contains(length)));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn range((prefix, min, max): &(&str, u8, u8)) -> PrefixRange {
        PrefixRange { prefix: prefix.parse().unwrap(), min: *min, max: *max }
    }

    fn covered(by: &[(&str, u8, u8)], asked: (&str, u8, u8)) -> bool {
        by.iter().map(range).collect::<Union>().covers(&range(&asked))
    }

    #[test]
    fn one_range_around_another_covers_its_lengths() {
        assert!(covered(&[("10.0.0.0/8", 8, 32)], ("10.1.0.0/16", 16, 24)));
        assert!(!covered(&[("10.0.0.0/8", 8, 23)], ("10.1.0.0/16", 16, 24)));
        assert!(!covered(&[("10.0.0.0/8", 17, 32)], ("10.1.0.0/16", 16, 24)));
        assert!(!covered(&[("11.0.0.0/8", 8, 32)], ("10.1.0.0/16", 16, 24)));
        assert!(!covered(&[], ("10.1.0.0/16", 16, 16)));
    }

    #[test]
    fn several_ranges_cover_together() {
        let by_length = [("10.0.0.0/8", 16, 20), ("10.1.0.0/16", 21, 32), ("10.1.0.0/16", 16, 16)];
        assert!(covered(&by_length, ("10.1.0.0/16", 16, 32)));
        assert!(!covered(&by_length, ("10.2.0.0/16", 16, 32)));
        let halves = [("10.0.0.0/9", 24, 24), ("10.128.0.0/10", 20, 24), ("10.192.0.0/10", 24, 32)];
        assert!(covered(&halves, ("10.0.0.0/8", 24, 24)));
        assert!(!covered(&halves, ("10.0.0.0/8", 8, 24)), "nothing says /8 itself");
        assert!(!covered(&halves[..2], ("10.0.0.0/8", 24, 24)));
    }

    #[test]
    fn families_do_not_cover_each_other() {
        assert!(!covered(&[("0.0.0.0/0", 0, 32)], ("::/0", 0, 32)));
        assert!(covered(&[("0.0.0.0/0", 0, 32), ("::/0", 0, 128)], ("::/0", 0, 128)));
    }

    /// Against a walk of every prefix of a small space: 10.0.0.0/28.
    #[test]
    fn it_says_what_a_walk_of_all_prefixes_says() {
        let mut random = 7_u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % below
        };
        let mut any = || {
            let length = 28 + next(5) as u8;
            let prefix = IpNet::new([10, 0, 0, next(16) as u8].into(), length).unwrap().trunc();
            let min = length + next(u32::from(33 - length)) as u8;
            PrefixRange { prefix, min, max: min + next(u32::from(33 - min)) as u8 }
        };
        let mut seen = [0, 0];
        for _ in 0..20_000 {
            let by: Vec<_> = (0..6).map(|_| any()).collect();
            let asked = any();
            let all = (asked.min..=asked.max).flat_map(|length| asked.prefix.subnets(length).unwrap());
            let walked = all.into_iter().all(|prefix| by.iter().any(|range| range.contains(&prefix)));
            assert_eq!(by.iter().copied().collect::<Union>().covers(&asked), walked, "{asked:?} {by:?}");
            seen[usize::from(walked)] += 1;
        }
        assert!(seen[0] > 1000 && seen[1] > 1000);
    }
}
