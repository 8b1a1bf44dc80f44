//! When to try again: doubling pauses with jitter, so that many peers of one lost link do not return in step.

use std::time::{Duration, Instant};

/// Pauses between tries of one thing.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    next: Option<Instant>,
}

impl Backoff {
    /// Whether a try is allowed.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| now >= next)
    }

    /// When a try is allowed again; absent: at once.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// After a try: the next one comes no sooner than `first`, doubled for each try before up to `most`, and up to a
    /// quarter more.
    pub(crate) fn tried(&mut self, now: Instant, first: Duration, most: Duration, jitter: &mut Jitter) {
        let pause = first.saturating_mul(1 << self.failures.min(16)).min(most);
        self.failures += 1;
        self.next = Some(now + pause + jitter.up_to(pause / 4));
    }

    /// Success: the next try is allowed at once, and the pauses start small again.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// A sequence of small delays out of a seed. Not for secrets.
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.next() % (millis + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_start_again_after_success() {
        let (first, most) = (Duration::from_secs(5), Duration::from_secs(60));
        let (mut backoff, mut jitter, mut now) = (Backoff::default(), Jitter::new(1), Instant::now());
        assert!(backoff.is_due(now));
        for pause in [5, 10, 20, 40, 60, 60] {
            backoff.tried(now, first, most, &mut jitter);
            let pause = Duration::from_secs(pause);
            assert!(!backoff.is_due(now + pause - Duration::from_millis(1)));
            assert!(backoff.is_due(now + pause * 5 / 4));
            now += pause * 5 / 4;
        }
        backoff.tried(now, first, most, &mut jitter);
        backoff.reset();
        assert!(backoff.is_due(now));
    }
}
