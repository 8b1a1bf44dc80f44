//! What monitors hear: changes of sessions and of best routes as they happen, as values or as MRT records.
//!
//! What waits for a monitor is bounded. One that does not keep up hears how many changes it has missed in their place,
//! and then of what comes after them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipnet::IpNet;

use crate::types::Asn;
use crate::view::{PathView, SessionState};

/// What a monitor is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Watch {
    /// Changes of sessions' states: [`News::Session`].
    Sessions,
    /// Changes of best routes: [`News::Route`].
    Routes,
    /// Changes of states, and every message that is no UPDATE: [`News::Record`].
    SessionRecords,
    /// Changes of states, and every UPDATE, received and sent: [`News::Record`].
    RouteRecords,
}

/// The number of a monitor; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MonitorId(pub(crate) u64);

/// What a monitor hears. Times are since 1970.
#[derive(Clone, Debug)]
pub enum News {
    /// A session is in another state.
    Session(Arc<SessionChange>),
    /// A prefix has another best path.
    Route(RouteChange),
    /// A record of BGP4MP_ET (RFC 6396 §4.4), whole.
    Record(Bytes),
    /// So many of them had no room here.
    Missed(u64),
}

/// A session is in another state (RFC 4271 §8.2.2).
#[derive(Clone, Debug)]
pub struct SessionChange {
    /// When.
    pub at: Duration,
    /// The neighbor's name.
    pub neighbor: String,
    /// Its address.
    pub address: IpAddr,
    /// Its AS, where it is known.
    pub asn: Option<Asn>,
    /// The state before.
    pub before: SessionState,
    /// The state now.
    pub now: SessionState,
    /// Why the session, or the try, has ended.
    pub reason: Option<String>,
}

/// A prefix has another best path, or none.
#[derive(Clone, Debug)]
pub struct RouteChange {
    /// When.
    pub at: Duration,
    /// The destination.
    pub prefix: IpNet,
    /// The best path; prefixes that change together share it.
    pub best: Option<Arc<PathView>>,
    /// Where there is none: whose it was.
    pub neighbor: Option<String>,
}
