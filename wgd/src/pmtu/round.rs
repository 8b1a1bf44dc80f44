//! Some lengths, each tried until it is answered, until a longer one is, or until enough tries were lost.

use std::time::{Duration, Instant};

/// Why a round is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// Nothing is known yet.
    Begin,
    /// Does the MTU still pass?
    Confirm,
    /// It was not answered: is it too long, or was the probe lost?
    Doubt,
    /// What passes above the MTU?
    Search,
}

impl Purpose {
    /// Of one length. Where one of ten datagrams is lost each way, seven in a row are lost once in 100,000 times.
    fn tries(self) -> u8 {
        match self {
            Self::Begin => 4,
            Self::Confirm => 1,
            Self::Doubt => 6,
            Self::Search => 3, // RFC 8899 §5.1.2 MAX_PROBES
        }
    }
}

#[derive(Debug)]
pub(super) struct Round {
    pub(super) purpose: Purpose,
    /// In order.
    lengths: Vec<Length>,
    tries: u8,
    /// Of `lengths`, the next one to be sent in this try.
    next: usize,
    /// When this try is over; none: it has not begun.
    pub(super) until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Length {
    octets: u16,
    answered: bool,
    refused: bool,
}

impl Round {
    /// `lengths` must be in order, and not empty.
    pub(super) fn new(purpose: Purpose, lengths: Vec<u16>) -> Self {
        let lengths = lengths.into_iter().map(|octets| Length { octets, answered: false, refused: false }).collect();
        Self { purpose, lengths, tries: purpose.tries(), next: 0, until: None }
    }

    /// All tries were made, and the time for answers is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.tries == 0 && self.until.is_some_and(|until| now >= until)
    }

    /// Begins the next try, if it is time for it.
    pub(super) fn start_try(&mut self, now: Instant, patience: Duration) {
        if self.tries > 0 && self.until.is_none_or(|until| now >= until) {
            self.tries -= 1;
            self.next = 0;
            self.until = Some(now + patience);
        }
    }

    /// The next length to be sent in this try.
    pub(super) fn next_length(&mut self) -> Option<u16> {
        self.until?;
        let best = self.best();
        let is_open = |length: &Length| !length.refused && best.is_none_or(|best| length.octets > best);
        let rest = self.lengths.get(self.next..)?;
        let found = rest.iter().position(is_open)?;
        let octets = rest[found].octets;
        self.next += found + 1;
        Some(octets)
    }

    pub(super) fn answered(&mut self, octets: u16) {
        self.lengths.iter_mut().filter(|length| length.octets == octets).for_each(|length| length.answered = true);
    }

    /// So many octets and more cannot be sent at all.
    pub(super) fn refused(&mut self, octets: u16) {
        self.lengths.iter_mut().filter(|length| length.octets >= octets).for_each(|length| length.refused = true);
        if self.purpose == Purpose::Doubt {
            self.tries = self.tries.min(2); // there is no doubt any more
        }
    }

    /// Nothing is left to wait for.
    pub(super) fn is_decided(&self) -> bool {
        let best = self.best();
        self.lengths.iter().rev().take_while(|length| best.is_none_or(|best| length.octets > best)).all(|l| l.refused)
    }

    /// The longest that was answered.
    pub(super) fn best(&self) -> Option<u16> {
        self.lengths.iter().rev().find(|length| length.answered).map(|length| length.octets)
    }

    /// The shortest of those above that were not.
    pub(super) fn too_long(&self) -> Option<u16> {
        let best = self.best();
        self.lengths.iter().map(|length| length.octets).find(|octets| best.is_none_or(|best| *octets > best))
    }
}
