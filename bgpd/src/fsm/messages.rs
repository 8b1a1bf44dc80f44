//! What messages and deadlines do to a connection (RFC 4271 §8.2.2, events 10 to 12 and 19 to 28).

use std::time::{Duration, Instant};

use super::collision::{Verdict, verdict};
use super::connection::{Connection, Initiator, State, due};
use super::machine::Phase;
use super::{Action, Fsm, Negotiated, negotiate};
use crate::types::ConnectionId;
use crate::wire::{Notification, Open};

const HOLD_TIMER_EXPIRED: Notification = Notification::new(4, 0);
const SEND_HOLD_TIMER_EXPIRED: Notification = Notification::new(8, 0);

/// How long a connection waits at most for one that would win the collision but is not answered (`collision`).
const CONTEST: Duration = Duration::from_secs(10);

/// Message types (RFC 4271 §4.1), as RFC 6608 §4 wants them in the data of an FSM error.
const OPEN: u8 = 1;
pub(super) const UPDATE: u8 = 2;
const KEEPALIVE: u8 = 4;
pub(super) const ROUTE_REFRESH: u8 = 5;

/// Messages.
impl Fsm {
    pub(super) fn open(&mut self, now: Instant, id: ConnectionId, open: &Open, out: &mut Vec<Action>) {
        let Some(connection) = self.connection(id) else { return };
        if !matches!(connection.state, State::OpenSent) {
            return self.unexpected(now, id, OPEN, out);
        }
        let initiator = connection.initiator;
        match negotiate::negotiate(&self.identity, &self.remote_as, &self.session, &connection.ends, open) {
            Err(notification) => self.refuse(now, id, notification, out),
            Ok(negotiated) => {
                self.end_replaced(id, out);
                self.resolve_collision(now, id, initiator, Box::new(negotiated), out);
            }
        }
    }

    fn resolve_collision(
        &mut self,
        now: Instant,
        id: ConnectionId,
        initiator: Initiator,
        negotiated: Box<Negotiated>,
        out: &mut Vec<Action>,
    ) {
        let others = self.connections.iter().filter(|other| other.id != id);
        let strongest = others.map(|other| verdict(initiator, &negotiated, other, &self.identity)).max();
        match strongest {
            Some(Verdict::Loses) => {
                if let Some(index) = self.connections.iter().position(|connection| connection.id == id) {
                    self.drop_loser(index, out);
                }
            }
            Some(Verdict::Waits) => {
                if let Some(connection) = self.connection_mut(id) {
                    let until = now + contest(negotiated.hold_time);
                    connection.state = State::Contested { negotiated, confirmed: false, until };
                }
            }
            Some(Verdict::Wins) | None => {
                // Those in OpenSent lose when their OPEN arrives (RFC 4271 §6.8); the neighbor may be closing them itself,
                // and FRR 8.4 takes its new session down with them when both do.
                let has_open = |other: &Connection| other.id != id && !matches!(other.state, State::OpenSent);
                while let Some(index) = self.connections.iter().position(has_open) {
                    self.drop_loser(index, out);
                }
                self.confirm(now, id, negotiated, out);
            }
        }
    }

    /// OpenSent to OpenConfirm.
    fn confirm(&mut self, now: Instant, id: ConnectionId, negotiated: Box<Negotiated>, out: &mut Vec<Action>) {
        // A second dial could only collide with what both sides now agree on.
        self.abandon_dial(out);
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else { return };
        out.push(Action::SendKeepalive { connection: id });
        connection.timers.restart_hold(now, &negotiated);
        connection.timers.keepalive_sent(now, &negotiated, &self.session, &mut self.jitter);
        connection.state = State::OpenConfirm(negotiated);
    }

    /// Lets a contested connection go on whose rival is gone or took too long.
    pub(super) fn decide_contests(&mut self, now: Instant, out: &mut Vec<Action>) {
        let decided = self.connections.iter().position(|connection| match &connection.state {
            State::Contested { negotiated, until, .. } => {
                let mut others = self.connections.iter().filter(|other| other.id != connection.id);
                *until <= now
                    || others
                        .all(|other| verdict(connection.initiator, negotiated, other, &self.identity) == Verdict::Wins)
            }
            _ => false,
        });
        let Some(connection) = decided.and_then(|index| self.connections.get_mut(index)) else { return };
        let id = connection.id;
        if let State::Contested { negotiated, confirmed, .. } =
            std::mem::replace(&mut connection.state, State::OpenSent)
        {
            self.confirm(now, id, negotiated, out);
            if confirmed {
                self.keepalive(now, id, out);
            }
        }
    }

    pub(super) fn keepalive(&mut self, now: Instant, id: ConnectionId, out: &mut Vec<Action>) {
        let Some(connection) = self.connection_mut(id) else { return };
        match &mut connection.state {
            State::OpenSent => self.unexpected(now, id, KEEPALIVE, out),
            State::Contested { confirmed, .. } => *confirmed = true,
            State::OpenConfirm(negotiated) => {
                let negotiated = negotiated.clone();
                connection.timers.restart_hold(now, &negotiated);
                out.push(Action::Established { connection: id, negotiated: negotiated.clone() });
                connection.state = State::Established { negotiated, since: now };
            }
            State::Established { negotiated, .. } => connection.timers.restart_hold(now, negotiated),
        }
    }

    /// An UPDATE or a ROUTE-REFRESH.
    pub(super) fn routes(&mut self, now: Instant, id: ConnectionId, kind: u8, out: &mut Vec<Action>) {
        match self.connection(id) {
            Some(connection) if connection.is_established() => self.alive(now, id),
            _ => self.unexpected(now, id, kind, out),
        }
    }

    /// A message that cannot be read. That it has no place in this state comes first (RFC 4271 §8.2.2, events 22, 28).
    pub(super) fn malformed(
        &mut self,
        now: Instant,
        id: ConnectionId,
        notification: Notification,
        out: &mut Vec<Action>,
    ) {
        let Some(connection) = self.connection(id) else { return };
        match notification.code {
            2 if !matches!(connection.state, State::OpenSent) => self.unexpected(now, id, OPEN, out),
            3 if !connection.is_established() => self.unexpected(now, id, UPDATE, out),
            7 if !connection.is_established() => self.unexpected(now, id, ROUTE_REFRESH, out),
            _ => self.refuse(now, id, notification, out),
        }
    }

    pub(super) fn alive(&mut self, now: Instant, id: ConnectionId) {
        if let Some(Connection { state: State::Established { negotiated, .. }, timers, .. }) = self.connection_mut(id) {
            timers.restart_hold(now, negotiated);
        }
    }

    pub(super) fn sent(&mut self, now: Instant, id: ConnectionId, pending: bool) {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else { return };
        if let State::OpenConfirm(negotiated) | State::Established { negotiated, .. } = &connection.state {
            connection.timers.sent(now, pending, negotiated, &self.session);
        }
    }

    /// A message that has no place in this state (RFC 6608 §3).
    fn unexpected(&mut self, now: Instant, id: ConnectionId, kind: u8, out: &mut Vec<Action>) {
        let Some(connection) = self.connection(id) else { return };
        let subcode = match connection.state {
            State::OpenSent => 1,
            State::Contested { .. } | State::OpenConfirm(_) => 2,
            State::Established { .. } => 3,
        };
        self.refuse(now, id, Notification { data: vec![kind], ..Notification::new(5, subcode) }, out);
    }
}

/// The neighbor awaits our KEEPALIVE meanwhile, no longer than the hold time.
fn contest(hold_time: Duration) -> Duration {
    if hold_time.is_zero() { CONTEST } else { CONTEST.min(hold_time / 3) }
}

/// Deadlines.
impl Fsm {
    pub(super) fn timer(&mut self, now: Instant, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Damped { until } if until <= now) {
            self.begin(now, out);
        }
        if due(self.retry, now) {
            self.abandon_dial(out);
            if self.connections.is_empty() {
                self.begin(now, out);
            }
        }
        self.decide_contests(now, out);
        let ids: Vec<_> = self.connections.iter().map(|connection| connection.id).collect();
        ids.into_iter().for_each(|id| self.connection_timer(now, id, out));
    }

    fn connection_timer(&mut self, now: Instant, id: ConnectionId, out: &mut Vec<Action>) {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else { return };
        if due(connection.timers.hold, now) {
            return self.refuse(now, id, HOLD_TIMER_EXPIRED, out);
        }
        if due(connection.timers.send_hold, now) {
            return self.refuse(now, id, SEND_HOLD_TIMER_EXPIRED, out);
        }
        if due(connection.timers.keepalive, now)
            && let State::OpenConfirm(negotiated) | State::Established { negotiated, .. } = &connection.state
        {
            out.push(Action::SendKeepalive { connection: id });
            connection.timers.keepalive_sent(now, negotiated, &self.session, &mut self.jitter);
        }
    }
}
