//! What a speaker shows of itself: plain values, made when asked.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::types::{Asn, BgpIdentifier, ConnectionId, Families};
use crate::wire::{Notification, PathAttributes, Treatment};

/// One prefix of the Loc-RIB.
#[derive(Clone, Debug)]
pub struct RouteView {
    /// The destination.
    pub prefix: IpNet,
    /// Every accepted path and every ineligible one, best first.
    pub paths: Vec<PathView>,
}

/// One path.
#[derive(Clone, Debug)]
pub struct PathView {
    /// The neighbor's name; for our own routes `originate` or `aggregate`.
    pub neighbor: String,
    /// Absent for our own routes.
    pub neighbor_address: Option<IpAddr>,
    /// The one that is announced.
    pub best: bool,
    /// Among those that are installed together.
    pub multipath: bool,
    /// The decision step that another path won, or why this one is not eligible.
    pub not_best: Option<String>,
    /// After import policy (Loc-RIB), before it (`received`), or as told (`advertised`).
    pub attributes: PathAttributes,
    /// The next hop of this path; absent for our own routes without one.
    pub next_hop: Option<IpAddr>,
    /// The WireGuard peer behind the next hop, as [`crate::speaker::NextHopState`] names it.
    pub wireguard_peer: Option<String>,
    /// Its neighbor is away, or is back and has not yet told it again.
    pub stale: bool,
    /// How long this path is as it is.
    pub age: Duration,
    /// The policy rule that accepted it.
    pub policy: Option<PolicyView>,
    /// Why it was refused (`received` only).
    pub rejected: Option<String>,
}

/// The rule that decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyView {
    /// The policy.
    pub name: String,
    /// The rule, counted from 1.
    pub rule: usize,
    /// Its line in the file, 0 where there is none.
    pub line: u32,
}

/// The states of RFC 4271 §8.2.2.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs)]
pub enum SessionState {
    Idle,
    Connect,
    Active,
    OpenSent,
    OpenConfirm,
    Established,
}

/// One neighbor.
#[derive(Clone, Debug)]
pub struct NeighborView {
    /// As in the configuration; `NAME/ADDRESS` for one that dialled in.
    pub name: String,
    /// Free text for people.
    pub description: Option<String>,
    /// Its address.
    pub address: IpAddr,
    /// Its AS: from its OPEN, else as configured where that is one number.
    pub asn: Option<Asn>,
    /// Its identifier, from its OPEN.
    pub router_id: Option<BgpIdentifier>,
    /// The furthest of its connections.
    pub state: SessionState,
    /// Since Established.
    pub uptime: Option<Duration>,
    /// Negotiated families.
    pub families: Families,
    /// Prefixes in the Adj-RIB-In.
    pub received: usize,
    /// Of these, accepted by policy.
    pub accepted: usize,
    /// Prefixes told to it.
    pub advertised: usize,
    /// Prefixes it is still to be told of, at most: with those that are still to be judged again. 0: it was told all.
    pub pending: usize,
    /// The connection that routes flow on.
    pub connection: Option<ConnectionId>,
    /// Its paths are about to go, by the operator's command (RFC 8326).
    pub draining: bool,
    /// Negotiated; absent before.
    pub hold_time: Option<Duration>,
    /// Names of the capabilities it sent.
    pub capabilities: Vec<String>,
    /// The WireGuard peer the session is bound to.
    pub via: Option<String>,
    /// What went over its sessions.
    pub counters: Counters,
    /// The last times a session came up or ended, the newest first.
    pub history: Vec<PastView>,
    /// What stands in the way: `(Policy)`, `shut down`, `tunnel down`, and the like.
    pub note: Option<String>,
    /// The last NOTIFICATION or other end of a session, or the last fault of an UPDATE that it survived.
    pub last_error: Option<LastError>,
}

/// What went over a neighbor's sessions since it was configured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Messages that it sent.
    pub received: Messages,
    /// Messages that it was sent.
    pub sent: Messages,
    /// Prefixes in its UPDATEs, each as often as it was announced.
    pub announced: u64,
    /// The same, withdrawn.
    pub withdrawn: u64,
    /// Prefixes that were not taken because of `max-prefixes`, since this session was last asked for all.
    pub discarded: u64,
    /// UPDATEs whose routes counted as withdrawn (RFC 7606 §2).
    pub treat_as_withdraw: u64,
    /// Attributes that were dropped (RFC 7606 §2).
    pub attribute_discard: u64,
    /// UPDATEs with a family that was not agreed on, which was ignored (RFC 4760 §7).
    pub ignored_families: u64,
    /// Sessions that ended.
    pub flaps: u64,
}

/// Messages by type.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs)]
pub struct Messages {
    pub open: u64,
    pub update: u64,
    pub notification: u64,
    pub keepalive: u64,
    pub route_refresh: u64,
}

impl Messages {
    /// Counts a message by the type in its header (RFC 4271 §4.1, RFC 2918 §3).
    pub(crate) fn count(&mut self, kind: u8) {
        let count = match kind {
            1 => &mut self.open,
            2 => &mut self.update,
            3 => &mut self.notification,
            4 => &mut self.keepalive,
            5 => &mut self.route_refresh,
            _ => return,
        };
        *count += 1;
    }
}

/// A session came up, or ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PastView {
    /// It came up.
    pub up: bool,
    /// Why it ended.
    pub text: String,
    /// How long ago.
    pub age: Duration,
}

/// The end of a session, or a fault that it survived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastError {
    /// We sent it.
    pub sent: bool,
    /// Absent where the connection just ended. Of a fault that the session survived: what would have been sent, with the
    /// attribute as its data.
    pub notification: Option<Notification>,
    /// What was done where the session did not end (RFC 7606 §2).
    pub treatment: Option<Treatment>,
    /// One line.
    pub text: String,
    /// How long ago.
    pub age: Duration,
}
