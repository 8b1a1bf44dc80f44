//! One connection of a session: its state and the timers that belong to it.

use std::time::{Duration, Instant};

use super::jitter::Jitter;
use super::{Ends, Negotiated};
use crate::settings::SessionSettings;
use crate::types::ConnectionId;

/// RFC 4271 §8.2.2: "a large value" for the hold timer until the neighbor's OPEN says better.
const OPEN_SENT_HOLD: Duration = Duration::from_secs(240);
/// RFC 4271 §4.4: not more often than one KEEPALIVE a second.
const MIN_KEEPALIVE: Duration = Duration::from_secs(1);
/// RFC 9687 §5: the least send hold time, where none is configured.
const MIN_SEND_HOLD: Duration = Duration::from_secs(480);

/// Who dialled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Initiator {
    Us,
    Neighbor,
}

/// How far a connection is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Our OPEN is sent, the neighbor's not yet here.
    OpenSent,
    /// Both OPENs are here, but a connection in OpenSent would win the collision: our KEEPALIVE waits until that
    /// one is decided, at most until `until`. To the outside this is OpenSent.
    Contested { negotiated: Box<Negotiated>, confirmed: bool, until: Instant },
    /// Both OPENs are here and our KEEPALIVE is sent.
    OpenConfirm(Box<Negotiated>),
    /// The neighbor's KEEPALIVE is here too.
    Established { negotiated: Box<Negotiated>, since: Instant },
}

#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) initiator: Initiator,
    pub(super) ends: Ends,
    /// When it was there.
    began: Instant,
    pub(super) state: State,
    pub(super) timers: Timers,
}

impl Connection {
    /// In OpenSent.
    pub(super) fn new(id: ConnectionId, initiator: Initiator, ends: Ends, now: Instant) -> Self {
        let timers = Timers { hold: Some(now + OPEN_SENT_HOLD), ..Timers::default() };
        Self { id, initiator, ends, began: now, state: State::OpenSent, timers }
    }

    /// What is agreed on, from OpenConfirm on.
    pub(super) fn negotiated(&self) -> Option<&Negotiated> {
        match &self.state {
            State::OpenSent | State::Contested { .. } => None,
            State::OpenConfirm(negotiated) | State::Established { negotiated, .. } => Some(negotiated),
        }
    }

    pub(super) fn is_established(&self) -> bool {
        matches!(self.state, State::Established { .. })
    }

    /// Whether the neighbor opened this one although `other` was Established, and routes outlive that: it must have lost
    /// it (RFC 4724 §4.2). Connections that were begun at the same time are a collision.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        match &other.state {
            State::Established { negotiated, since } => {
                self.initiator == Initiator::Neighbor && self.began > *since && negotiated.graceful.is_some()
            }
            _ => false,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let contested = match self.state {
            State::Contested { until, .. } => Some(until),
            _ => None,
        };
        [contested, self.timers.hold, self.timers.keepalive, self.timers.send_hold].into_iter().flatten().min()
    }
}

/// The timers of RFC 4271 §8 and RFC 9687; `None`: not running.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    pub(super) hold: Option<Instant>,
    pub(super) keepalive: Option<Instant>,
    pub(super) send_hold: Option<Instant>,
}

impl Timers {
    /// The neighbor lives. Nothing starts where the agreed hold time is zero.
    pub(super) fn restart_hold(&mut self, now: Instant, negotiated: &Negotiated) {
        self.hold = running(negotiated).map(|hold_time| now + hold_time);
    }

    /// A KEEPALIVE is sent: the next one is due, and the neighbor has something to read.
    pub(super) fn keepalive_sent(
        &mut self,
        now: Instant,
        negotiated: &Negotiated,
        session: &SessionSettings,
        jitter: &mut Jitter,
    ) {
        let Some(hold_time) = running(negotiated) else { return };
        let third = hold_time / 3;
        let interval = session.keepalive.map_or(third, |interval| interval.min(third));
        self.keepalive = Some(now + jitter.spread(interval).max(MIN_KEEPALIVE));
        self.send_hold.get_or_insert(now + send_hold_time(hold_time, session));
    }

    /// Bytes left for the neighbor (RFC 9687 §4.3). While nothing waits, nothing can be stuck.
    pub(super) fn sent(&mut self, now: Instant, pending: bool, negotiated: &Negotiated, session: &SessionSettings) {
        self.send_hold = match running(negotiated) {
            Some(hold_time) if pending => Some(now + send_hold_time(hold_time, session)),
            _ => None,
        };
    }
}

fn running(negotiated: &Negotiated) -> Option<Duration> {
    (!negotiated.hold_time.is_zero()).then_some(negotiated.hold_time)
}

fn send_hold_time(hold_time: Duration, session: &SessionSettings) -> Duration {
    session.send_hold_time.unwrap_or_else(|| (hold_time * 2).max(MIN_SEND_HOLD))
}

/// Whether a deadline is reached.
pub(super) fn due(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}
