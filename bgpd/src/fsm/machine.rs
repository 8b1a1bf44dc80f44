//! [`Fsm`]: events in, actions out (RFC 4271 §8.2.2).

use std::time::{Duration, Instant};

use super::connection::{Connection, Initiator, State};
use super::jitter::Jitter;
use super::{Action, DownReason, Ends, Event, Farewell, Identity, Negotiated, Preserved, messages, negotiate};
use crate::settings::{RemoteAs, SessionSettings};
use crate::types::ConnectionId;
use crate::view::SessionState;
use crate::wire::{Context, Notification};

const CONNECTION_REJECTED: Notification = Notification::new(6, 5);
const CONNECTION_COLLISION_RESOLUTION: Notification = Notification::new(6, 7);

/// The longest idle hold time; a session that lasted this long has redeemed earlier faults.
const MAX_IDLE_HOLD: Duration = Duration::from_secs(60);

/// One neighbor's machine.
#[derive(Clone, Debug)]
pub struct Fsm {
    pub(super) identity: Identity,
    pub(super) remote_as: RemoteAs,
    passive: bool,
    pub(super) session: SessionSettings,
    /// What the next OPEN says of our forwarding.
    pub preserved: Preserved,
    pub(super) jitter: Jitter,
    pub(super) phase: Phase,
    /// Faults in a row, for the idle hold time.
    faults: u32,
    dial: Option<Dial>,
    /// The ConnectRetryTimer: ends a dial under way, and begins the next where no connection stands.
    pub(super) retry: Option<Instant>,
    /// Oldest first.
    pub(super) connections: Vec<Connection>,
}

/// Whether connections are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// Not until [`Event::Start`].
    Stopped,
    /// Not until the IdleHoldTimer ends (RFC 4271 §8.1.1, DampPeerOscillations).
    Damped { until: Instant },
    /// Yes.
    Wanted,
}

/// A dial under way; its number is absent between [`Action::Connect`] and [`Fsm::dialling`].
#[derive(Clone, Debug)]
struct Dial(Option<ConnectionId>);

impl Fsm {
    /// Idle. `seed` feeds the jitter (RFC 4271 §10).
    pub fn new(identity: Identity, remote_as: RemoteAs, passive: bool, session: SessionSettings, seed: u64) -> Self {
        Self {
            identity,
            remote_as,
            passive,
            session,
            preserved: Preserved::default(),
            jitter: Jitter::new(seed),
            phase: Phase::Stopped,
            faults: 0,
            dial: None,
            retry: None,
            connections: Vec::new(),
        }
    }

    /// One step. Actions are appended in order.
    pub fn step(&mut self, now: Instant, event: Event<'_>, out: &mut Vec<Action>) {
        match event {
            Event::Start => self.start(now, out),
            Event::Stop(farewell) => self.stop(&farewell, out),
            Event::Reset(farewell) => self.reset(now, &farewell, out),
            Event::Accepted { connection, ends } => self.accepted(now, connection, ends, out),
            Event::Connected { connection, ends } => self.connected(now, connection, ends, out),
            Event::ConnectFailed { connection } => self.connect_failed(connection),
            Event::Closed { connection } => self.closed(now, connection, out),
            Event::Open { connection, open } => self.open(now, connection, open, out),
            Event::Keepalive { connection } => self.keepalive(now, connection, out),
            Event::Update { connection } => self.routes(now, connection, messages::UPDATE, out),
            Event::RouteRefresh { connection } => self.routes(now, connection, messages::ROUTE_REFRESH, out),
            Event::Notification { connection, notification } => self.received(now, connection, notification, out),
            Event::Malformed { connection, notification } => self.malformed(now, connection, notification, out),
            Event::Alive { connection } => self.alive(now, connection),
            Event::Sent { connection, pending } => self.sent(now, connection, pending),
            Event::Timer => self.timer(now, out),
        }
    }

    /// The number given to the dial of the last [`Action::Connect`].
    pub fn dialling(&mut self, connection: ConnectionId) {
        if let Some(dial) = &mut self.dial {
            dial.0 = Some(connection);
        }
    }

    /// The earliest deadline.
    pub fn next_timeout(&self) -> Option<Instant> {
        let damped = match self.phase {
            Phase::Damped { until } => Some(until),
            Phase::Stopped | Phase::Wanted => None,
        };
        let connections = self.connections.iter().filter_map(Connection::next_timeout);
        connections.chain(damped).chain(self.retry).min()
    }

    /// The state of the connection that is furthest.
    pub fn state(&self) -> SessionState {
        let furthest = self.connections.iter().map(|connection| match connection.state {
            State::OpenSent | State::Contested { .. } => SessionState::OpenSent,
            State::OpenConfirm(_) => SessionState::OpenConfirm,
            State::Established { .. } => SessionState::Established,
        });
        furthest.max().unwrap_or(match (self.phase, &self.dial) {
            (Phase::Stopped | Phase::Damped { .. }, _) => SessionState::Idle,
            (Phase::Wanted, Some(_)) => SessionState::Connect,
            (Phase::Wanted, None) => SessionState::Active,
        })
    }

    /// The codec's context of a connection: what is negotiated, or before that what any OPEN needs.
    pub fn context(&self, connection: ConnectionId) -> Context {
        let negotiated = self.connection(connection).and_then(Connection::negotiated);
        negotiated.map_or_else(|| negotiate::context_before_open(&self.identity), |negotiated| negotiated.context)
    }

    /// What is negotiated, while Established.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.connections.iter().find(|connection| connection.is_established()).and_then(Connection::negotiated)
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.id == id)
    }

    pub(super) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }
}

/// What the operator and the host want.
impl Fsm {
    fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Stopped) {
            self.faults = 0;
            self.begin(now, out);
        }
    }

    fn stop(&mut self, farewell: &Farewell, out: &mut Vec<Action>) {
        self.phase = Phase::Stopped;
        self.end_all(farewell, out);
    }

    fn reset(&mut self, now: Instant, farewell: &Farewell, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Stopped) {
            return;
        }
        self.phase = Phase::Wanted;
        self.faults = 0;
        self.end_all(farewell, out);
        self.wait_to_dial(now);
    }

    fn end_all(&mut self, farewell: &Farewell, out: &mut Vec<Action>) {
        self.abandon_dial(out);
        for connection in std::mem::take(&mut self.connections) {
            let notification = farewell.on(&connection);
            out.push(Action::Close { connection: connection.id, notification: notification.clone() });
            if connection.is_established() {
                let left = || DownReason::Left(farewell.notification().clone());
                out.push(Action::Down { reason: notification.map_or_else(left, DownReason::Sent) });
            }
        }
    }
}

/// Connections that come and go.
impl Fsm {
    pub(super) fn begin(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.phase = Phase::Wanted;
        if !self.passive {
            self.dial = Some(Dial(None));
            out.push(Action::Connect);
        }
        self.wait_to_dial(now);
    }

    fn wait_to_dial(&mut self, now: Instant) {
        self.retry = (!self.passive).then(|| now + self.jitter.spread(self.session.connect_retry));
    }

    pub(super) fn abandon_dial(&mut self, out: &mut Vec<Action>) {
        self.retry = None;
        if let Some(Dial(Some(connection))) = self.dial.take() {
            out.push(Action::Close { connection, notification: None });
        }
    }

    fn accepted(&mut self, now: Instant, id: ConnectionId, ends: Ends, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Wanted) {
            // RFC 4486 §4: the neighbor is told that it is not wanted (now).
            out.push(Action::Close { connection: id, notification: Some(CONNECTION_REJECTED) });
            return;
        }
        // A neighbor that dials again has given up its earlier dial; this also bounds how many there are.
        let earlier = self.connections.iter().position(|connection| {
            connection.initiator == Initiator::Neighbor
                && matches!(connection.state, State::OpenSent | State::Contested { .. })
        });
        if let Some(index) = earlier {
            self.drop_loser(index, out);
        }
        self.opened(Connection::new(id, Initiator::Neighbor, ends, now), out);
    }

    fn connected(&mut self, now: Instant, id: ConnectionId, ends: Ends, out: &mut Vec<Action>) {
        if !self.is_dialling(id) {
            out.push(Action::Close { connection: id, notification: None });
            return;
        }
        self.dial = None;
        self.opened(Connection::new(id, Initiator::Us, ends, now), out);
    }

    fn opened(&mut self, connection: Connection, out: &mut Vec<Action>) {
        let open = negotiate::offer(&self.identity, &self.session, &connection.ends, self.preserved);
        out.push(Action::SendOpen { connection: connection.id, open });
        self.connections.push(connection);
        if self.dial.is_none() {
            self.retry = None;
        }
    }

    fn connect_failed(&mut self, id: ConnectionId) {
        if self.is_dialling(id) {
            self.dial = None;
            if !self.connections.is_empty() {
                self.retry = None;
            }
        }
    }

    fn is_dialling(&self, id: ConnectionId) -> bool {
        matches!(self.dial, Some(Dial(Some(dialled))) if dialled == id)
    }

    fn closed(&mut self, now: Instant, id: ConnectionId, out: &mut Vec<Action>) {
        if let Some(connection) = self.take(id) {
            self.ended(now, &connection, DownReason::Closed, out);
        }
    }

    fn received(&mut self, now: Instant, id: ConnectionId, notification: &Notification, out: &mut Vec<Action>) {
        if let Some(connection) = self.take(id) {
            out.push(Action::Close { connection: id, notification: None });
            self.ended(now, &connection, DownReason::Received(notification.clone()), out);
        }
    }

    /// Ends a connection with a NOTIFICATION of ours.
    pub(super) fn refuse(&mut self, now: Instant, id: ConnectionId, notification: Notification, out: &mut Vec<Action>) {
        if let Some(connection) = self.take(id) {
            out.push(Action::Close { connection: id, notification: Some(notification.clone()) });
            self.ended(now, &connection, DownReason::Sent(notification), out);
        }
    }

    /// An Established session that the neighbor has lost, as `id` says, goes. RFC 4724 §4.2: without a NOTIFICATION.
    pub(super) fn end_replaced(&mut self, id: ConnectionId, out: &mut Vec<Action>) {
        let Some(newer) = self.connection(id) else { return };
        let replaced = self.connections.iter().position(|other| newer.replaces(other));
        if let Some(index) = replaced {
            let connection = self.connections.remove(index).id;
            out.push(Action::Close { connection, notification: None });
            out.push(Action::Down { reason: DownReason::Replaced });
        }
    }

    pub(super) fn drop_loser(&mut self, index: usize, out: &mut Vec<Action>) {
        let connection = self.connections.remove(index).id;
        out.push(Action::Close { connection, notification: Some(CONNECTION_COLLISION_RESOLUTION) });
    }

    fn take(&mut self, id: ConnectionId) -> Option<Connection> {
        let index = self.connections.iter().position(|connection| connection.id == id)?;
        Some(self.connections.remove(index))
    }

    /// A connection is gone: tell, and see what the others, or a new one, can do.
    fn ended(&mut self, now: Instant, connection: &Connection, reason: DownReason, out: &mut Vec<Action>) {
        if matches!(connection.state, State::Established { since, .. } if now.saturating_duration_since(since) >= MAX_IDLE_HOLD)
        {
            self.faults = 0;
        }
        let fault = is_fault(&reason);
        self.faults = self.faults.saturating_add(u32::from(fault));
        if connection.is_established() {
            out.push(Action::Down { reason });
        } else if self.connections.is_empty() {
            out.push(Action::Failed { reason });
        }
        if !self.connections.is_empty() {
            self.decide_contests(now, out);
        } else if fault && self.faults > 1 {
            self.abandon_dial(out);
            let until = now + self.idle_hold_time();
            self.phase = Phase::Damped { until };
        } else if self.dial.is_none() {
            self.wait_to_dial(now);
        }
    }

    /// Twice as long with every fault in a row, up to [`MAX_IDLE_HOLD`].
    fn idle_hold_time(&mut self) -> Duration {
        let doublings = self.faults.saturating_sub(1).min(16);
        let time = self.session.connect_retry.saturating_mul(1 << doublings);
        self.jitter.spread(time.min(MAX_IDLE_HOLD.max(self.session.connect_retry)))
    }
}

/// Whether the end speaks of a broken neighbor or configuration, which the next try will meet again. A lost
/// connection, a Cease of the operator, a collision do not.
fn is_fault(reason: &DownReason) -> bool {
    match reason {
        DownReason::Closed | DownReason::Left(_) | DownReason::Replaced => false,
        DownReason::Sent(notification) | DownReason::Received(notification) => {
            // Header, OPEN, UPDATE, FSM, ROUTE-REFRESH; Cease for too many prefixes or no resources.
            matches!((notification.code, notification.subcode), (1..=3 | 5 | 7, _) | (6, 1 | 8))
        }
    }
}
