//! Whether a watched peer answers.
//!
//! Only what proves that the peer has a key of *now* counts: a handshake response, or transport data. An initiation
//! does not, since a recorded one can be played back; an honest initiator follows it with a keepalive at once.
//!
//! WireGuard never answers a keepalive, and a stock peer that hears ours postpones its own. So a healthy idle tunnel
//! may be silent whatever keepalive is configured there. Two gateways of this program are not: each sends when it has
//! *sent* nothing for 10 s. Against any other silence [`PROBE_AFTER`] starts a handshake, the one thing every peer must
//! answer; it comes before [`SUSPECT_AFTER`], so that an idle tunnel does not flap, and is repeated each 5 s, so that
//! three are lost before a peer is down.
//!
//! A peer that was down is believed when it is heard twice, [`BELIEVED_AFTER`] apart, and is asked for the second time:
//! one answer through a broken path must not bring back routes that lead nowhere until it is down again. One that was
//! never up is believed at once: no route went away for it.

use std::time::{Duration, Instant};

use crate::view::PeerState;

/// Later than a keepalive interval of 10 s and its way here, with three tries before [`DOWN_AFTER`].
pub(crate) const PROBE_AFTER: Duration = Duration::from_secs(12);
pub(crate) const SUSPECT_AFTER: Duration = Duration::from_secs(15);
const DOWN_AFTER: Duration = Duration::from_secs(25);
const BELIEVED_AFTER: Duration = Duration::from_secs(1);

/// When a peer was heard, and what follows from it.
#[derive(Debug)]
pub(crate) struct Liveness {
    watched: bool,
    heard: Option<Instant>,
    /// When it was heard first since it is down.
    returned: Option<Instant>,
    state: PeerState,
}

impl Liveness {
    pub(crate) fn new(watched: bool) -> Self {
        Self { watched, heard: None, returned: None, state: if watched { PeerState::Down } else { PeerState::Up } }
    }

    pub(crate) fn state(&self) -> PeerState {
        self.state
    }

    /// When it was heard last.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// A proof of life. True: the state changed.
    pub(crate) fn hear(&mut self, now: Instant) -> bool {
        let silence = self.silence(now);
        self.heard = Some(now);
        if let (PeerState::Down, Some(silence)) = (self.state, silence) {
            let returned = self.returned.filter(|_| silence < DOWN_AFTER).unwrap_or(now);
            self.returned = Some(returned);
            if now.saturating_duration_since(returned) < BELIEVED_AFTER {
                return false;
            }
        }
        self.returned = None;
        std::mem::replace(&mut self.state, PeerState::Up) != PeerState::Up
    }

    /// Time passed, or the peer is watched from now on or no longer. True: the state changed.
    pub(crate) fn check(&mut self, now: Instant, watched: bool) -> bool {
        let was_watched = std::mem::replace(&mut self.watched, watched);
        let state = match self.silence(now) {
            _ if !watched => PeerState::Up,
            _ if was_watched && self.state == PeerState::Down => PeerState::Down, // until it is heard
            None => PeerState::Down,
            Some(silence) if silence >= DOWN_AFTER => PeerState::Down,
            Some(silence) if silence >= SUSPECT_AFTER => PeerState::Suspect,
            Some(_) => PeerState::Up,
        };
        std::mem::replace(&mut self.state, state) != state
    }

    /// A handshake must be started to learn whether the peer is there.
    pub(crate) fn wants_probe(&self, now: Instant) -> bool {
        self.probe_due(now).is_some_and(|due| now >= due)
    }

    /// When [`Self::wants_probe`] becomes true, if the peer is silent until then.
    pub(crate) fn probe_due(&self, now: Instant) -> Option<Instant> {
        let after = if self.returned.is_some() { BELIEVED_AFTER } else { PROBE_AFTER };
        self.watched.then(|| self.heard.map_or(now, |heard| heard + after))
    }

    /// When silence changes the state.
    pub(crate) fn due(&self) -> Option<Instant> {
        let after = match self.state {
            PeerState::Up => SUSPECT_AFTER,
            PeerState::Suspect => DOWN_AFTER,
            PeerState::Down => return None,
        };
        Some(self.heard.filter(|_| self.watched)? + after)
    }

    fn silence(&self, now: Instant) -> Option<Duration> {
        self.heard.map(|heard| now.saturating_duration_since(heard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_watched_peer_is_down_until_heard_suspect_after_15_s_and_down_after_25_s() {
        let start = Instant::now();
        let mut peer = Liveness::new(true);
        assert_eq!(peer.state(), PeerState::Down);
        assert!(peer.hear(start));
        assert!(!peer.hear(start));
        assert!(!peer.check(start + seconds(14), true));
        assert!(!peer.wants_probe(start + seconds(11)));
        assert!(peer.wants_probe(start + seconds(12)));
        assert!(peer.check(start + seconds(15), true));
        assert_eq!(peer.state(), PeerState::Suspect);
        assert!(peer.check(start + seconds(25), true));
        assert_eq!(peer.state(), PeerState::Down);
    }

    /// A peer that was heard at the start and then no more.
    fn down(start: Instant) -> Liveness {
        let mut peer = Liveness::new(true);
        peer.hear(start);
        assert!(peer.check(start + seconds(25), true));
        peer
    }

    #[test]
    fn a_peer_that_was_down_is_up_when_it_is_heard_twice_a_second_apart_and_is_asked_for_it() {
        let start = Instant::now();
        let mut peer = down(start);
        assert!(!peer.hear(start + seconds(30)));
        assert!(!peer.check(start + seconds(30), true));
        assert!(!peer.hear(start + seconds(30) + BELIEVED_AFTER / 2));
        assert!(!peer.wants_probe(start + seconds(31)));
        assert!(peer.wants_probe(start + seconds(31) + BELIEVED_AFTER / 2));
        assert!(peer.hear(start + seconds(31)));
        assert_eq!(peer.state(), PeerState::Up);
        assert!(!peer.wants_probe(start + seconds(42)));
    }

    #[test]
    fn a_peer_that_answers_once_in_a_while_stays_down() {
        let start = Instant::now();
        let mut peer = down(start);
        for answer in 1..10 {
            assert!(!peer.hear(start + seconds(30 * answer)));
            assert!(!peer.check(start + seconds(30 * answer + 29), true));
        }
        assert_eq!(peer.state(), PeerState::Down);
    }

    #[test]
    fn silence_of_an_unwatched_peer_says_nothing() {
        let start = Instant::now();
        let mut peer = Liveness::new(false);
        assert!(!peer.check(start + seconds(1000), false));
        assert!(!peer.wants_probe(start + seconds(1000)));
        assert_eq!(peer.state(), PeerState::Up);
    }

    #[test]
    fn watching_starts_with_what_was_heard_before() {
        let start = Instant::now();
        let mut peer = Liveness::new(false);
        peer.hear(start);
        assert!(!peer.check(start + seconds(1), true));
        let mut unheard = Liveness::new(false);
        assert!(unheard.check(start, true));
        assert_eq!(unheard.state(), PeerState::Down);
        assert!(unheard.check(start, false));
        assert_eq!(unheard.state(), PeerState::Up);
    }
}
