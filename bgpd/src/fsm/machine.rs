//! [`Fsm`]: events in, actions out (RFC 4271 §8.2.2).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::collision::{Verdict, verdict};
use super::connection::{Connection, Initiator, State, due};
use super::jitter::Jitter;
use super::{Action, DownReason, Event, Identity, Negotiated, negotiate};
use crate::settings::{RemoteAs, SessionSettings};
use crate::types::ConnectionId;
use crate::view::SessionState;
use crate::wire::{Context, Notification, Open};

const HOLD_TIMER_EXPIRED: Notification = Notification::new(4, 0);
const CONNECTION_REJECTED: Notification = Notification::new(6, 5);
const CONNECTION_COLLISION_RESOLUTION: Notification = Notification::new(6, 7);
const SEND_HOLD_TIMER_EXPIRED: Notification = Notification::new(8, 0);

/// How long a connection waits for one that would win the collision but is not answered (`collision`).
const CONTEST: Duration = Duration::from_secs(10);
/// The longest idle hold time; a session that lasted this long has redeemed earlier faults.
const MAX_IDLE_HOLD: Duration = Duration::from_secs(60);

/// Message types (RFC 4271 §4.1), as RFC 6608 §4 wants them in the data of an FSM error.
const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const KEEPALIVE: u8 = 4;
const ROUTE_REFRESH: u8 = 5;

/// One neighbor's machine.
#[derive(Clone, Debug)]
pub struct Fsm {
    identity: Identity,
    remote_as: RemoteAs,
    passive: bool,
    session: SessionSettings,
    jitter: Jitter,
    phase: Phase,
    /// Faults in a row, for the idle hold time.
    faults: u32,
    dial: Option<Dial>,
    /// The ConnectRetryTimer: ends a dial under way, and begins the next where no connection stands.
    retry: Option<Instant>,
    /// Oldest first.
    connections: Vec<Connection>,
}

/// Whether connections are wanted.
#[derive(Clone, Copy, Debug)]
enum Phase {
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
            Event::Stop(notification) => self.stop(&notification, out),
            Event::Reset(notification) => self.reset(now, &notification, out),
            Event::Accepted { connection, local, remote } => self.accepted(now, connection, (local, remote), out),
            Event::Connected { connection, local, remote } => self.connected(now, connection, (local, remote), out),
            Event::ConnectFailed { connection } => self.connect_failed(connection),
            Event::Closed { connection } => self.closed(now, connection, out),
            Event::Open { connection, open } => self.open(now, connection, open, out),
            Event::Keepalive { connection } => self.keepalive(now, connection, out),
            Event::Update { connection } => self.routes(now, connection, UPDATE, out),
            Event::RouteRefresh { connection } => self.routes(now, connection, ROUTE_REFRESH, out),
            Event::Notification { connection, notification } => self.received(now, connection, notification, out),
            Event::Malformed { connection, notification } => self.refuse(now, connection, notification, out),
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

    fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.id == id)
    }

    fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
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

    fn stop(&mut self, notification: &Notification, out: &mut Vec<Action>) {
        self.phase = Phase::Stopped;
        self.end_all(notification, out);
    }

    fn reset(&mut self, now: Instant, notification: &Notification, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Stopped) {
            return;
        }
        self.phase = Phase::Wanted;
        self.faults = 0;
        self.end_all(notification, out);
        self.wait_to_dial(now);
    }

    fn end_all(&mut self, notification: &Notification, out: &mut Vec<Action>) {
        self.abandon_dial(out);
        for connection in std::mem::take(&mut self.connections) {
            out.push(Action::Close { connection: connection.id, notification: Some(notification.clone()) });
            if connection.is_established() {
                out.push(Action::Down { reason: DownReason::Sent(notification.clone()) });
            }
        }
    }
}

/// Connections that come and go.
impl Fsm {
    fn begin(&mut self, now: Instant, out: &mut Vec<Action>) {
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

    fn abandon_dial(&mut self, out: &mut Vec<Action>) {
        self.retry = None;
        if let Some(Dial(Some(connection))) = self.dial.take() {
            out.push(Action::Close { connection, notification: None });
        }
    }

    fn accepted(&mut self, now: Instant, id: ConnectionId, ends: (SocketAddr, SocketAddr), out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Wanted) {
            // RFC 4486 §4: the neighbor is told that it is not wanted (now).
            out.push(Action::Close { connection: id, notification: Some(CONNECTION_REJECTED) });
            return;
        }
        // A neighbor that dials again has given up its earlier dial; this also bounds how many there are.
        let earlier = self.connections.iter().position(|connection| {
            connection.initiator == Initiator::Neighbor && matches!(connection.state, State::OpenSent)
        });
        if let Some(index) = earlier {
            self.drop_loser(index, out);
        }
        self.opened(Connection::new(id, Initiator::Neighbor, ends, now), out);
    }

    fn connected(&mut self, now: Instant, id: ConnectionId, ends: (SocketAddr, SocketAddr), out: &mut Vec<Action>) {
        if !self.is_dialling(id) {
            out.push(Action::Close { connection: id, notification: None });
            return;
        }
        self.dial = None;
        self.opened(Connection::new(id, Initiator::Us, ends, now), out);
    }

    fn opened(&mut self, connection: Connection, out: &mut Vec<Action>) {
        let open = negotiate::offer(&self.identity, &self.session, connection.local.ip());
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
    fn refuse(&mut self, now: Instant, id: ConnectionId, notification: Notification, out: &mut Vec<Action>) {
        if let Some(connection) = self.take(id) {
            out.push(Action::Close { connection: id, notification: Some(notification.clone()) });
            self.ended(now, &connection, DownReason::Sent(notification), out);
        }
    }

    fn drop_loser(&mut self, index: usize, out: &mut Vec<Action>) {
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

/// Messages.
impl Fsm {
    fn open(&mut self, now: Instant, id: ConnectionId, open: &Open, out: &mut Vec<Action>) {
        let Some(connection) = self.connection(id) else { return };
        if !matches!(connection.state, State::OpenSent) {
            return self.unexpected(now, id, OPEN, out);
        }
        let ends = (connection.local, connection.remote);
        let initiator = connection.initiator;
        match negotiate::negotiate(&self.identity, &self.remote_as, &self.session, ends, open) {
            Err(notification) => self.refuse(now, id, notification, out),
            Ok(negotiated) => self.resolve_collision(now, id, initiator, Box::new(negotiated), out),
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
                    connection.state = State::Contested { negotiated, confirmed: false, until: now + CONTEST };
                }
            }
            Some(Verdict::Wins) | None => {
                while let Some(index) = self.connections.iter().position(|other| other.id != id) {
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
    fn decide_contests(&mut self, now: Instant, out: &mut Vec<Action>) {
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

    fn keepalive(&mut self, now: Instant, id: ConnectionId, out: &mut Vec<Action>) {
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
    fn routes(&mut self, now: Instant, id: ConnectionId, kind: u8, out: &mut Vec<Action>) {
        match self.connection(id) {
            Some(connection) if connection.is_established() => self.alive(now, id),
            _ => self.unexpected(now, id, kind, out),
        }
    }

    fn alive(&mut self, now: Instant, id: ConnectionId) {
        if let Some(Connection { state: State::Established { negotiated, .. }, timers, .. }) = self.connection_mut(id) {
            timers.restart_hold(now, negotiated);
        }
    }

    fn sent(&mut self, now: Instant, id: ConnectionId, pending: bool) {
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

/// Deadlines.
impl Fsm {
    fn timer(&mut self, now: Instant, out: &mut Vec<Action>) {
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

/// Whether the end speaks of a broken neighbor or configuration, which the next try will meet again. A lost
/// connection, a Cease of the operator, a collision do not.
fn is_fault(reason: &DownReason) -> bool {
    match reason {
        DownReason::Closed => false,
        DownReason::Sent(notification) | DownReason::Received(notification) => {
            // Header, OPEN, UPDATE, FSM, ROUTE-REFRESH; Cease for too many prefixes or no resources.
            matches!((notification.code, notification.subcode), (1..=3 | 5 | 7, _) | (6, 1 | 8))
        }
    }
}
