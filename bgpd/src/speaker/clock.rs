//! The wall's time, counted on from a moment when it was known: the core reads no clock.

use std::time::{Duration, Instant};

/// A moment by our clock and by the wall's, the latter since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) known: Instant,
    pub(super) wall: Duration,
}

impl Clock {
    /// The wall's time at `now`.
    pub(super) fn at(&self, now: Instant) -> Duration {
        self.wall + now.saturating_duration_since(self.known)
    }
}
