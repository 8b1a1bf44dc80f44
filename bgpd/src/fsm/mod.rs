//! The session's state machine (RFC 4271 §8), one per neighbor, with both of its connections and their collision inside. Pure.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::types::{Asn, BgpIdentifier, ConnectionId, Families};
use crate::view::SessionState;
use crate::wire::{Capability, Context, Notification, Open};

/// What a session has agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Negotiated {
    /// For the codec.
    pub context: Context,
    /// Zero: neither hold timer nor keepalives.
    pub hold_time: Duration,
    /// The neighbor's AS.
    pub asn: Asn,
    /// The neighbor's identifier.
    pub router_id: BgpIdentifier,
    /// Families of both.
    pub families: Families,
    /// It answers ROUTE-REFRESH.
    pub route_refresh: bool,
    /// All it offered.
    pub capabilities: Vec<Capability>,
    /// The connection's ends.
    pub local: SocketAddr,
    /// The connection's ends.
    pub remote: SocketAddr,
}

/// What happens to a session.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Event<'a> {
    /// Configured, enabled, tunnel up: begin (RFC 4271 §8.1.2, events 1 to 7).
    Start,
    /// End every connection with this NOTIFICATION and stay Idle until [`Event::Start`].
    Stop(Notification),
    /// End every connection with this NOTIFICATION and begin again after the idle hold time.
    Reset(Notification),
    /// A connection came in from this neighbor.
    Accepted { connection: ConnectionId, local: SocketAddr, remote: SocketAddr },
    /// The connection of [`Action::Connect`] stands.
    Connected { connection: ConnectionId, local: SocketAddr, remote: SocketAddr },
    /// It failed.
    ConnectFailed { connection: ConnectionId },
    /// A connection is gone.
    Closed { connection: ConnectionId },
    /// An OPEN arrived.
    Open { connection: ConnectionId, open: &'a Open },
    /// A KEEPALIVE arrived.
    Keepalive { connection: ConnectionId },
    /// An UPDATE arrived.
    Update { connection: ConnectionId },
    /// A ROUTE-REFRESH arrived.
    RouteRefresh { connection: ConnectionId },
    /// A NOTIFICATION arrived.
    Notification { connection: ConnectionId, notification: &'a Notification },
    /// Bytes that are no message, or an UPDATE that ends the session.
    Malformed { connection: ConnectionId, notification: Notification },
    /// Bytes arrived, whole messages or not: life, for the hold timer.
    Alive { connection: ConnectionId },
    /// Bytes left for the neighbor: life, for the send hold timer (RFC 9687). `pending`: more waits.
    Sent { connection: ConnectionId, pending: bool },
    /// A deadline is reached.
    Timer,
}

/// What follows.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs)]
pub enum Action {
    /// Dial; the number is the caller's to choose and comes back by [`Fsm::dialling`].
    Connect,
    /// Give up a dial that has not come up.
    CancelConnect,
    /// Send an OPEN.
    SendOpen { connection: ConnectionId, open: Open },
    /// Send a KEEPALIVE.
    SendKeepalive { connection: ConnectionId },
    /// Send the NOTIFICATION, if any, and close.
    Close { connection: ConnectionId, notification: Option<Notification> },
    /// Routes may flow on this connection.
    Established { connection: ConnectionId, negotiated: Box<Negotiated> },
    /// Routes no longer flow: forget what was learned.
    Down { reason: DownReason },
}

/// Why a session ended or did not come up; kept as its last error.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs)]
pub enum DownReason {
    /// We sent this.
    Sent(Notification),
    /// We got this.
    Received(Notification),
    /// The connection ended without a word.
    Closed,
}

/// Who we are, and who the neighbor may be.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The AS we show.
    pub local_asn: Asn,
    /// Our identifier.
    pub router_id: BgpIdentifier,
}

/// One neighbor's machine.
#[derive(Debug)]
pub struct Fsm {}

#[allow(clippy::todo, unused_variables, clippy::needless_pass_by_ref_mut)]
impl Fsm {
    /// Idle. `seed` feeds the jitter (RFC 4271 §10).
    pub fn new(
        identity: Identity,
        remote_as: crate::settings::RemoteAs,
        passive: bool,
        session: crate::settings::SessionSettings,
        seed: u64,
    ) -> Self {
        todo!()
    }

    /// One step. Actions are appended in order.
    pub fn step(&mut self, now: Instant, event: Event<'_>, out: &mut Vec<Action>) {
        todo!()
    }

    /// The number given to the dial of the last [`Action::Connect`].
    pub fn dialling(&mut self, connection: ConnectionId) {
        todo!()
    }

    /// The earliest deadline.
    pub fn next_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// The state of the connection that is furthest.
    pub fn state(&self) -> SessionState {
        todo!()
    }

    /// The codec's context of a connection: what is negotiated, or before that what any OPEN needs.
    pub fn context(&self, connection: ConnectionId) -> Context {
        todo!()
    }

    /// What is negotiated, while Established.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        todo!()
    }
}
