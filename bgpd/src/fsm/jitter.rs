//! Jitter for timers (RFC 4271 §10), so that speakers do not fall into step.

use std::time::Duration;

/// A small generator (SplitMix64): its numbers spread timers and guard nothing.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The duration times a factor between 0.75 and 1 (RFC 4271 §10).
    pub(super) fn spread(&mut self, duration: Duration) -> Duration {
        let quarter = duration / 4;
        let share = u32::try_from(self.next() >> 48).unwrap_or(0); // 0..=65535
        duration - quarter + quarter * share / 65_535
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
