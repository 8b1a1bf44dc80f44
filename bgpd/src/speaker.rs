//! The whole speaker behind one door: sessions, RIB, policy, update groups. Pure.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ipnet::IpNet;

use crate::settings::{Password, Settings};
use crate::types::{ConnectionId, Family, NextHop};
use crate::view::{NeighborView, RouteView};
use crate::wire::Notification;

/// What comes in.
#[derive(Debug)]
pub enum Input<'a> {
    /// A listener took a connection. Refused ones are answered with [`Action::Close`].
    Accepted { connection: ConnectionId, local: SocketAddr, remote: SocketAddr, interface: Option<u32> },
    /// A connection asked for by [`Action::Connect`] stands.
    Connected { connection: ConnectionId, local: SocketAddr, remote: SocketAddr },
    /// It failed.
    ConnectFailed { connection: ConnectionId, error: String },
    /// Bytes of a connection; what is used is taken off the front, an incomplete or not yet wanted rest stays.
    Bytes { connection: ConnectionId, bytes: &'a mut BytesMut },
    /// The other side closed, or the connection broke.
    Closed { connection: ConnectionId, error: Option<String> },
    /// A deadline of [`Speaker::next_timeout`] is reached.
    Timer,
    /// What the host knows of next hops that were asked for by [`Event::NextHopWanted`].
    NextHops(Vec<(NextHop, NextHopState)>),
    /// WireGuard peers that went up or down, by name. A `via` never heard of is down.
    Vias(Vec<(String, bool)>),
    /// A new desired state, whole.
    Settings(Box<Settings>),
    /// One-shot commands of the operator.
    Command { neighbor: String, command: Command },
    /// Cease (6/2 Administrative Shutdown) to everybody, no new sessions.
    Stop,
}

/// What the operator may ask of a neighbor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// End the session (Cease 6/4) and start again.
    Reset,
    /// Ask for all routes again (RFC 2918), or evaluate what is kept again.
    Refresh,
    /// Send all routes again.
    Resend,
    /// Cease 6/2 with a message (RFC 9003); down until enabled.
    Disable(Option<String>),
    /// End of [`Command::Disable`].
    Enable,
}

/// What the host knows of a next hop.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NextHopState {
    /// Packets to it have a way.
    pub up: bool,
    /// Why not, for people.
    pub reason: Option<String>,
    /// Prefixes that may be sent there; absent = all. A path outside is ineligible (the ceiling).
    pub admits: Option<Arc<[IpNet]>>,
    /// It lies behind a tunnel: internal neighbors get ourselves as next hop.
    pub tunnel: bool,
    /// It is an address of this very host: valid and announced, never installed.
    pub local: bool,
    /// On a link of ours, no gateway between.
    pub connected: bool,
    /// Cost to get there (RFC 4271 §9.1.2.2 e).
    pub metric: u32,
    /// The WireGuard peer, for people.
    pub wireguard_peer: Option<String>,
}

/// What the shell has to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Dial.
    Connect(Connect),
    /// Send what [`Speaker::poll_transmit`] still has, shut down writing, drain until EOF or 1 s, close.
    Close { connection: ConnectionId },
    /// Give an accepted connection its TTL and DSCP; sent before the first byte.
    Adopt { connection: ConnectionId, socket: SocketSettings },
    /// TCP-MD5 keys for the listening sockets, whole: prefix and key.
    ListenKeys(Vec<(IpNet, Password)>),
}

/// A connection to make.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Its name from now on, chosen by the speaker from the upper half of the numbers (the shell numbers
    /// accepted connections from the lower half).
    pub connection: ConnectionId,
    /// Where to.
    pub remote: SocketAddr,
    /// Interface name for a link-local address.
    pub zone: Option<String>,
    /// Where from.
    pub local: Option<IpAddr>,
    /// TCP-MD5.
    pub password: Option<Password>,
    /// TTL and the like.
    pub socket: SocketSettings,
    /// Give up after this time.
    pub timeout: Duration,
}

/// What a session's socket needs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SocketSettings {
    /// TTL or hop limit of what we send; absent: the system's.
    pub ttl: Option<u8>,
    /// The lowest TTL that may arrive (RFC 5082).
    pub min_ttl: Option<u8>,
}

/// What the rest of the program hears.
#[derive(Clone, Debug)]
pub enum Event {
    /// A path needs this next hop: answer with [`Input::NextHops`], now and on every change.
    NextHopWanted(NextHop),
    /// Nobody needs it any more.
    NextHopUnwanted(NextHop),
    /// A session is Established.
    SessionUp { neighbor: String },
    /// A session ended.
    SessionDown { neighbor: String, sent: bool, notification: Option<Notification>, text: String },
    /// A connection or message was refused, and why.
    Refused { neighbor: Option<String>, remote: IpAddr, text: String },
}

/// The FIB's work for one prefix: the newest state, whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FibChange {
    /// The destination.
    pub prefix: IpNet,
    /// Absent: no usable path.
    pub choice: Option<FibChoice>,
}

/// What became of the decision.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FibChoice {
    /// The multipath set; empty where the best path is not to be installed (`not_installed`) or is a discard.
    pub best: Vec<NextHop>,
    /// The best path is a discard route.
    pub discard: bool,
    /// Why nothing is installed, for people.
    pub not_installed: Option<&'static str>,
    /// Usable next hops after the multipath set.
    pub backup: Vec<NextHop>,
    /// Next hops of every accepted, eligible path: what may arrive from there.
    pub accepted: Vec<NextHop>,
}

/// Loc-RIB, received and advertised tables are shown in slices.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Prefixes after this one.
    pub after: Option<IpNet>,
    /// This many at most.
    pub limit: usize,
    /// Only this prefix, and what is more specific.
    pub within: Option<IpNet>,
}

/// The speaker. Owned by one thread.
pub struct Speaker {
    #[allow(dead_code)]
    settings: Settings,
}

#[allow(clippy::todo, unused_variables, clippy::needless_pass_by_ref_mut)]
impl Speaker {
    /// A speaker that has not yet moved. `seed` feeds the jitter of its timers (RFC 4271 §10).
    pub fn new(now: Instant, settings: Settings, seed: u64) -> Self {
        Self { settings }
    }

    /// Takes one input. No call works longer than about a millisecond; what is left is taken up by the next
    /// ([`Speaker::next_timeout`] is then already past).
    pub fn input(&mut self, now: Instant, input: Input<'_>) {
        todo!()
    }

    /// Appends bytes for a connection, a few KiB at a time; `false` when there is nothing (more) to send.
    pub fn poll_transmit(&mut self, now: Instant, connection: ConnectionId, out: &mut BytesMut) -> bool {
        todo!()
    }

    /// Connections with something to send since they last had nothing.
    pub fn poll_writable(&mut self) -> Option<ConnectionId> {
        todo!()
    }

    /// Whether more may be read: what was sent before is decided.
    pub fn may_read(&self, connection: ConnectionId) -> bool {
        todo!()
    }

    /// The next thing for the shell to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }

    /// The next thing to hear.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// At most `max` prefixes whose choice has changed.
    pub fn poll_fib(&mut self, max: usize) -> Vec<FibChange> {
        todo!()
    }

    /// When [`Input::Timer`] is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// Every neighbor, by name.
    pub fn neighbors(&self, now: Instant) -> Vec<NeighborView> {
        todo!()
    }

    /// Loc-RIB.
    pub fn routes(&self, now: Instant, slice: Slice) -> Vec<RouteView> {
        todo!()
    }

    /// Adj-RIB-In of a neighbor (name or address), before policy.
    pub fn received(&self, now: Instant, neighbor: &str, slice: Slice) -> Option<Vec<RouteView>> {
        todo!()
    }

    /// Adj-RIB-Out of a neighbor, as it was told.
    pub fn advertised(&self, now: Instant, neighbor: &str, slice: Slice) -> Option<Vec<RouteView>> {
        todo!()
    }
}
