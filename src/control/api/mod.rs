//! The JSON of the control API: what `vpngw show … --json` prints and what every client reads back.
//!
//! Field names are a promise: they are added, never renamed. Each answer has a default, so that a client also reads the
//! answers of an older gateway, which lack what was added since. `docs/schema` is made from these types. Each file has
//! its types first, then how they are made from what the engines show.

mod fib;
mod gateway;
mod monitor;
mod neighbor;
mod peer;
mod route;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
mod tunnel;

use std::time::{Duration, SystemTime};

use bgpd::types::Families;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use fib::{FibNextHop, FibRoute, FibState, TunnelGroup, VpcRoute};
pub use gateway::{
    ConfigFile, ConfigFiles, Event, Events, FibCounts, Health, Readiness, RouteCounts, Router, SessionCounts, Status,
    Stop, StopRoutes, TunnelCounts,
};
pub(crate) use monitor::lines;
pub use monitor::{Line, Record, RecordLine, RouteChange, RouteLine, SessionChange, SessionLine};
pub use neighbor::{Counters, Disable, LastError, Messages, Neighbor, Neighbors, Past, SessionState, Treatment};
pub use peer::{Handshakes, Peer, PeerState, Peers};
pub use route::{AdvertisedRoute, Origin, Path, Policy, ReceivedPath, ReceivedRoute, Route};
pub use tunnel::{Direction, Packet, PacketLine, PeerChange, PeerChangeKind, PeerLine};
pub(crate) use tunnel::{packet_lines, tunnel_line};

/// A table by prefix, or a slice of one: ask again with `?after=` what `next` says, until there is no `next`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Table<R> {
    /// In the order of their prefixes.
    #[serde(default = "Vec::<R>::new")]
    pub routes: Vec<R>,
    /// The last prefix of this slice, where more follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next: Option<IpNet>,
}

/// `GET /v1/routes`.
pub type Routes = Table<Route>;
/// `GET /v1/received/NAME`.
pub type Received = Table<ReceivedRoute>;
/// `GET /v1/advertised/NAME`.
pub type Advertised = Table<AdvertisedRoute>;
/// `GET /v1/fib`.
pub type Fib = Table<FibRoute>;

/// An address family, unicast.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Family {
    #[default]
    Ipv4,
    Ipv6,
}

/// Every answer that is not 2xx, but that of `/readyz`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Error {
    /// One sentence.
    pub error: String,
}

impl<R> Table<R> {
    /// A slice made from at most `limit` views.
    pub(crate) fn slice<V>(
        views: &[V],
        limit: usize,
        prefix: impl Fn(&V) -> IpNet,
        convert: impl FnMut(&V) -> R,
    ) -> Self {
        let next = views.last().filter(|_| views.len() >= limit).map(prefix);
        Self { routes: views.iter().map(convert).collect(), next }
    }
}

impl From<bgpd::types::Family> for Family {
    fn from(family: bgpd::types::Family) -> Self {
        match family {
            bgpd::types::Family::Ipv4 => Self::Ipv4,
            bgpd::types::Family::Ipv6 => Self::Ipv6,
        }
    }
}

impl Family {
    fn of(prefix: &IpNet) -> Self {
        bgpd::types::Family::of(prefix).into()
    }

    fn list(families: Families) -> Vec<Self> {
        families.iter().map(Self::from).collect()
    }
}

/// A moment as RFC 3339 text in UTC.
fn timestamp(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

/// The moment that was `age` before `now`.
fn before(now: SystemTime, age: Duration) -> String {
    timestamp(now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH))
}
