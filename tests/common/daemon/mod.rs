//! Other BGP implementations, each behind the same few questions, so that one scenario runs with all of them.
//!
//! A driver is told [`Settings`] and writes them in its daemon's own words, starts it in a node's namespace, and reads it
//! back by the daemon's own command line:
//!
//! ```text
//! let mut daemon = Bird::start(lab, "daemon", &settings).await;
//! daemon.change(|settings| settings.routes.push(Route::new("10.1.0.0/24"))).unwrap();
//! eventually("…", async || { ensure!(daemon.received(session)?.contains_key(&prefix)); Ok(()) }).await;
//! ```
//!
//! What a test needs beyond it goes in as lines of the daemon's own: [`Session::lines`].

pub mod attributes;
pub mod bird;
pub mod exabgp;
pub mod frr;
pub mod gobgp;
pub mod mrt;
pub mod openbgpd;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use bgpd::types::Family;
use ipnet::IpNet;
use vpngw::lab::site::{ip, net};

use super::Lab;
pub use attributes::{Attributes, Origin, Table};

/// One implementation. Everything that asks it may be tried again.
#[allow(async_fn_in_trait, reason = "every caller is a test on one thread")]
pub trait Daemon: Sized {
    /// What people call it.
    const NAME: &'static str;
    /// What must be installed.
    const PROGRAMS: &'static [&'static str];

    /// Why it cannot do this; `None` where it can.
    fn lacks(feature: Feature) -> Option<&'static str>;

    /// Starts it in a node's namespace and waits until it takes commands; again after [`Daemon::kill`].
    async fn start(lab: &mut Lab, node: &str, settings: &Settings) -> Self;

    /// SIGKILL, as in a crash.
    async fn kill(self, lab: &mut Lab);

    /// Changes what it was told while it runs: routes and the lines of its policy, not the sessions themselves.
    fn change(&mut self, edit: impl FnOnce(&mut Settings)) -> anyhow::Result<()>;

    /// Whether the session with a neighbor is up, and what it says of it.
    fn session(&self, neighbor: IpAddr) -> anyhow::Result<State>;

    /// What a neighbor has told it, of both families.
    fn received(&self, neighbor: IpAddr) -> anyhow::Result<Table>;

    /// The prefixes of [`Daemon::received`]: cheap also where they are many.
    fn prefixes(&self, neighbor: IpAddr) -> anyhow::Result<BTreeSet<IpNet>> {
        Ok(self.received(neighbor)?.into_keys().collect())
    }

    /// What it has counted.
    fn counters(&self, neighbor: IpAddr) -> anyhow::Result<Counters>;

    /// Everything that it has said of what neighbors told it and of what it did: its log.
    fn said(&self) -> anyhow::Result<String>;

    /// What it says there when a Cease with this subcode (RFC 4486) arrives.
    fn says_of_cease(subcode: u8) -> &'static str;

    /// Has it ask a neighbor for all its routes again (RFC 2918).
    fn refresh(&self, neighbor: IpAddr) -> anyhow::Result<()>;

    /// Ends a session, with a message where the daemon can send one (RFC 9003), and keeps it down where it can.
    fn disable(&self, neighbor: IpAddr, message: &str) -> anyhow::Result<()>;

    /// Undoes [`Daemon::disable`].
    fn enable(&self, neighbor: IpAddr) -> anyhow::Result<()>;
}

/// What not every implementation can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Feature {
    /// Originate a route with other AS numbers in its path than its own.
    AsPath,
    /// Refuse a hold time or run without one.
    HoldTimeZero,
    /// Send a text of ours with the end of a session.
    SendShutdownMessage,
    /// Stay down after the end of a session until it is told.
    StayDown,
    /// End a session that brings too many prefixes.
    MaxPrefixes,
    /// Reflect routes.
    Reflect,
    /// Speak as one that has AS numbers of two octets only.
    TwoOctetAs,
    /// Ask a neighbor for its routes again.
    AskRefresh,
    /// Be asked, where the enhanced refresh (RFC 7313) was agreed on.
    BeAsked,
    /// Be dialled where the session has a password.
    ListenWithPassword,
}

/// What a daemon is told.
#[derive(Clone, Debug)]
pub struct Settings {
    pub asn: u32,
    pub router_id: Ipv4Addr,
    pub sessions: Vec<Session>,
    /// Its own.
    pub routes: Vec<Route>,
}

/// A session, as the daemon is told of it.
#[derive(Clone, Debug)]
pub struct Session {
    pub neighbor: IpAddr,
    /// The neighbor's.
    pub asn: u32,
    /// The daemon's address.
    pub local: IpAddr,
    pub families: Vec<Family>,
    /// The daemon's next hop for IPv6 routes of an IPv4 session.
    pub local_ipv6: Option<IpAddr>,
    /// Waits to be dialled.
    pub passive: bool,
    /// TCP-MD5.
    pub password: Option<String>,
    /// GTSM: how many hops away at most.
    pub ttl_security: Option<u8>,
    /// TTL of an external session that is not directly connected.
    pub multihop: Option<u8>,
    /// In seconds; an implementation's own where absent.
    pub hold_time: Option<u16>,
    /// How many it takes.
    pub max_prefixes: Option<u32>,
    /// Reflects to it (RFC 4456).
    pub client: bool,
    /// Offers AS numbers of four octets (RFC 6793).
    pub four_octet_as: bool,
    /// What else stands in the daemon's own section of this neighbor, in its own words.
    pub lines: Vec<String>,
}

/// A route that a daemon originates.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    pub prefix: IpNet,
    /// AS_PATH without the daemon's own AS; the next hop is the daemon's.
    pub attributes: Attributes,
}

/// How a session is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    pub established: bool,
    /// Whatever the daemon says of it, the last error too.
    pub text: String,
}

/// What arrived; BIRD counts the routes of its UPDATEs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    pub updates: u64,
    pub route_refreshes: u64,
}

impl Session {
    /// With the neighbor's address and AS and the daemon's own address; everything else as it comes.
    pub fn new(neighbor: &str, asn: u32, local: &str) -> Self {
        let neighbor = ip(neighbor);
        Self {
            neighbor,
            asn,
            local: ip(local),
            families: vec![Family::of_address(&neighbor)],
            local_ipv6: None,
            passive: false,
            password: None,
            ttl_security: None,
            multihop: None,
            hold_time: None,
            max_prefixes: None,
            client: false,
            four_octet_as: true,
            lines: Vec::new(),
        }
    }

    /// Both families; the daemon's IPv6 next hop.
    #[must_use]
    pub fn both_families(mut self, local_ipv6: &str) -> Self {
        self.families = Family::ALL.to_vec();
        self.local_ipv6 = Some(ip(local_ipv6));
        self
    }

    /// What else stands in the daemon's own section of this neighbor.
    fn extra(&self, indent: &str) -> String {
        self.lines.iter().map(|line| format!("{indent}{line}\n")).collect()
    }
}

impl Route {
    /// With ORIGIN IGP and nothing else.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: net(prefix), attributes: Attributes::default() }
    }

    pub fn family(&self) -> Family {
        Family::of(&self.prefix)
    }
}

impl Settings {
    /// Routes that are gone and those that are new or different.
    fn difference(&self, later: &Self) -> (Vec<IpNet>, Vec<Route>) {
        let by_prefix =
            |routes: &[Route]| routes.iter().map(|route| (route.prefix, route.clone())).collect::<BTreeMap<_, _>>();
        let (before, after) = (by_prefix(&self.routes), by_prefix(&later.routes));
        let gone = before.keys().filter(|prefix| !after.contains_key(prefix)).copied().collect();
        let new = after.into_values().filter(|route| before.get(&route.prefix) != Some(route)).collect();
        (gone, new)
    }
}

/// The number of a family in the words of most daemons.
fn family_number(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "4",
        Family::Ipv6 => "6",
    }
}
