//! The session's state machine (RFC 4271 §8): when to dial, what to agree on, and which connection stays. Pure.
//!
//! One [`Fsm`] per neighbor holds every connection with it, because a collision (§6.8) is a question between them.
//! The caller feeds events and does what the actions say, in order; time comes in, nothing else does. At most
//! three connections live at once: ours, one of theirs that is agreed on, and one of theirs that just came.

mod capabilities;
mod collision;
mod connection;
mod graceful;
mod jitter;
mod machine;
mod messages;
mod negotiate;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

pub use graceful::{Farewell, Graceful, LongLived, Preserved};
pub use machine::Fsm;

use crate::role::Role;
use crate::types::{Asn, BgpIdentifier, ConnectionId, Families};
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
    /// Our role, towards an external neighbor (RFC 9234).
    pub role: Option<Role>,
    /// IPv4 routes may go over IPv6 next hops, both ways (RFC 8950).
    pub extended_next_hop: bool,
    /// It answers ROUTE-REFRESH.
    pub route_refresh: bool,
    /// What outlives the session; `None`: nothing.
    pub graceful: Option<Graceful>,
    /// All it offered.
    pub capabilities: Vec<Capability>,
    /// Our end of the connection.
    pub local: SocketAddr,
    /// The neighbor's end.
    pub remote: SocketAddr,
}

/// The ends of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ends {
    /// Ours.
    pub local: SocketAddr,
    /// The neighbor's.
    pub remote: SocketAddr,
    /// What our end's link has addresses of: what is offered where the settings do not say.
    pub families: Families,
}

/// What happens to a session. An event of a connection that is not (or no longer) the session's is ignored.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Event<'a> {
    /// Configured, enabled, tunnel up: begin (RFC 4271 §8.1.2, events 1 to 7).
    Start,
    /// End every connection and stay Idle until [`Event::Start`].
    Stop(Farewell),
    /// End every connection, forget earlier faults, and dial again after the connect retry time. The neighbor may dial
    /// in at once.
    Reset(Farewell),
    /// A connection came in from this neighbor.
    Accepted { connection: ConnectionId, ends: Ends },
    /// The connection of [`Action::Connect`] stands. One that was given up meanwhile is answered with a close.
    Connected { connection: ConnectionId, ends: Ends },
    /// It failed.
    ConnectFailed { connection: ConnectionId },
    /// A connection is gone; no [`Action::Close`] follows.
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
    /// Bytes arrived, whole messages or not: life, for the hold timer of an Established session.
    Alive { connection: ConnectionId },
    /// Bytes left for the neighbor: life, for the send hold timer (RFC 9687), which every KEEPALIVE starts and only
    /// this event ends. `pending`: more waits.
    Sent { connection: ConnectionId, pending: bool },
    /// A deadline of [`Fsm::next_timeout`] is reached.
    Timer,
}

/// What follows.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs)]
pub enum Action {
    /// Dial. The caller chooses the connection's number and says it by [`Fsm::dialling`] before the next step.
    Connect,
    /// Send an OPEN.
    SendOpen { connection: ConnectionId, open: Open },
    /// Send a KEEPALIVE.
    SendKeepalive { connection: ConnectionId },
    /// Send the NOTIFICATION, if any, and close; a dial that has not come up is given up.
    Close { connection: ConnectionId, notification: Option<Notification> },
    /// Routes may flow on this connection.
    Established { connection: ConnectionId, negotiated: Box<Negotiated> },
    /// The Established session ended: what was learned is forgotten, or outlives it.
    Down { reason: DownReason },
    /// A session did not come up, and no other connection with the neighbor is left.
    Failed { reason: DownReason },
}

/// Why a session ended or did not come up; kept as its last error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DownReason {
    /// We sent this.
    Sent(Notification),
    /// We got this.
    Received(Notification),
    /// The connection ended without a word.
    Closed,
    /// We closed it without a word, because of this.
    Left(Notification),
    /// The neighbor began another one, which says that it has lost this one (RFC 4724 §4.2).
    Replaced,
}

/// Who we are to this neighbor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The AS we show.
    pub local_asn: Asn,
    /// Our identifier.
    pub router_id: BgpIdentifier,
}
