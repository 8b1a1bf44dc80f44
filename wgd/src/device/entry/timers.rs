//! What of a peer is due, and when: it is visited then, and not before.
//!
//! While packets pass a peer is visited each [`TICK`], since boringtun notes the time of a packet as that of its last
//! visit. Else the next visit is computed here, once at the end of one: a packet moves no deadline, it only makes some
//! later than they were thought. A peer without a session, of whom nothing is asked, is not visited at all. Where
//! boringtun acts by its own clock the visit comes a [`TICK`] later than the deadline, so that it finds it passed.

use std::time::{Duration, Instant};

use super::{Entry, elapsed};
use crate::device::TICK;
use crate::message::{INITIATION, KEEPALIVE_LEN, RESPONSE};
use crate::settings::Endpoint;

/// WireGuard paper, sections 6.1 to 6.5, as boringtun has them.
const REKEY_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);

/// What was seen of a peer's packets since something became due by them.
#[derive(Debug, Default)]
pub(super) struct Timers {
    awake: bool,
    /// A packet passed since the last visit.
    passed: bool,
    visited: Option<Instant>,
    /// When the newest session began, and the oldest that had not ended then.
    newest: Option<Instant>,
    oldest: Option<Instant>,
    /// Data was received and nothing sent since.
    owes: bool,
    /// Data was sent and nothing received since.
    expects: bool,
}

impl Timers {
    /// A datagram of this type and length goes out.
    pub(super) fn sent(&mut self, now: Instant, kind: Option<u8>, len: usize) {
        self.owes = false;
        match kind {
            Some(INITIATION) => {}
            Some(RESPONSE) => self.began(now),
            _ => self.expects |= len > KEEPALIVE_LEN,
        }
    }

    /// A datagram of this length was authenticated.
    pub(super) fn received(&mut self, len: usize) {
        self.expects = false;
        self.owes |= len > KEEPALIVE_LEN;
    }

    /// A handshake made a session.
    pub(super) fn began(&mut self, now: Instant) {
        let is_live = |began: &Instant| elapsed(now, *began) < REJECT_AFTER_TIME;
        self.oldest = self.oldest.filter(is_live).or(self.newest.filter(is_live)).or(Some(now));
        self.newest = Some(now);
        self.owes = false;
    }

    /// The latest visit was too long ago for a packet to be handled by its time.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        self.visited.is_none_or(|visited| elapsed(now, visited) >= TICK)
    }
}

impl Entry {
    /// A packet is about to pass. False: the peer must be visited first, since it sleeps.
    pub(in crate::device) fn passes(&mut self) -> bool {
        self.timers.passed = true;
        self.timers.awake
    }

    /// Whether the peer is visited [`TICK`] by [`TICK`].
    pub(in crate::device) fn is_awake(&self) -> bool {
        self.timers.awake
    }

    /// Whether the peer is to be visited before a packet that wakes nobody, as a keepalive.
    pub(in crate::device) fn is_stale(&self, now: Instant) -> bool {
        self.timers.is_stale(now)
    }

    /// At the end of a visit: when the next one is.
    pub(in crate::device) fn next_visit(&mut self, now: Instant) -> Option<Instant> {
        self.timers.visited = Some(now);
        self.timers.awake = std::mem::take(&mut self.timers.passed);
        if self.timers.awake { Some(now + TICK) } else { self.due(now) }
    }

    /// When something of the peer is due, if no packet passes before. What is due by now was just done; what could not
    /// be done is tried again a [`TICK`] later.
    pub(in crate::device) fn due(&self, now: Instant) -> Option<Instant> {
        let (endpoint, path) = ([self.next_address_due(), self.lookup_due()], self.path.next_due());
        let again = [self.handshake_due(now), self.keepalive_due(now), path].into_iter().chain(endpoint);
        let again = again.flatten().map(|at| at.max(now + TICK));
        let once = self.liveness.due().into_iter().chain(self.complaints_due()).chain(self.session_due());
        again.chain(once.filter(|at| *at > now)).min()
    }

    /// A repetition of the initiation on its way, else the first of a new handshake.
    fn handshake_due(&self, now: Instant) -> Option<Instant> {
        if let Some(asked) = self.peer.asked() {
            return Some(asked + REKEY_TIMEOUT);
        }
        self.endpoint?;
        let session = (self.keeps_session() && !self.peer.has_session()).then_some(now);
        let wanted = [session, self.liveness.probe_due(now), self.peer.rekey_due(self.last_sent)];
        let first = wanted.into_iter().flatten().min()?;
        Some(self.retry.next().map_or(first, |next| next.max(first)))
    }

    fn keepalive_due(&self, now: Instant) -> Option<Instant> {
        let interval = self.settings.persistent_keepalive.filter(|_| self.peer.has_session())?;
        Some(self.last_sent.map_or(now, |sent| sent + interval))
    }

    fn lookup_due(&self) -> Option<Instant> {
        let Some(Endpoint::Name(..)) = self.settings.endpoint else { return None };
        let first = if self.unresolved { self.lookup.next() } else { self.lookup_wanted() }?;
        Some(self.lookup.next().map_or(first, |next| next.max(first)))
    }

    /// What boringtun does of itself: a keepalive in answer to data, a handshake where data is not answered or the
    /// session is old, and the end of sessions and keys.
    fn session_due(&self) -> impl Iterator<Item = Instant> {
        let Timers { newest, oldest, owes, expects, .. } = self.timers;
        let heard = self.liveness.heard().or(newest);
        let after = |since: Option<Instant>, time: Duration| since.map(|since| since + time + TICK);
        [
            after(self.last_sent.filter(|_| owes), KEEPALIVE_TIMEOUT),
            after(heard.filter(|_| expects), KEEPALIVE_TIMEOUT + REKEY_TIMEOUT),
            after(newest, REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT),
            after(oldest, REJECT_AFTER_TIME),
            after(newest, REJECT_AFTER_TIME),
            after(newest, REJECT_AFTER_TIME * 3),
        ]
        .into_iter()
        .flatten()
    }
}
