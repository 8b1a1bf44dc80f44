//! What a speaker is told: the whole desired state, which the speaker compares with what it has.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::policy::Policy;
use crate::role::Role;
use crate::types::{Asn, BgpIdentifier, Families, HoldTime};

/// A whole speaker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Our AS.
    pub asn: Asn,
    /// Our BGP Identifier.
    pub router_id: BgpIdentifier,
    /// How many equal paths are installed, 1 to 64.
    pub multipath: u8,
    /// How long a speaker that has restarted waits for the neighbors of before (RFC 4724 §4.1).
    pub select_deferral: Duration,
    /// Neighbors with an address of their own, by name.
    pub neighbors: BTreeMap<String, NeighborSettings>,
    /// Neighbors that dial in from a range, by name; their sessions are named `NAME/ADDRESS`.
    pub dynamic_neighbors: BTreeMap<String, DynamicNeighborSettings>,
    /// Prefixes of our own.
    pub originate: Vec<Originate>,
    /// Summaries of what is more specific.
    pub aggregates: Vec<Aggregate>,
    /// Policies by name. The built-in `accept-all` is not among them.
    pub policies: BTreeMap<String, Arc<Policy>>,
    /// Monitoring stations that hear what each neighbor says (RFC 7854).
    pub stations: Vec<StationSettings>,
}

impl Settings {
    /// A speaker without neighbors and routes, with what the configuration has by default.
    pub const fn new(asn: Asn, router_id: BgpIdentifier) -> Self {
        Self {
            asn,
            router_id,
            multipath: 8,
            select_deferral: Duration::from_secs(180), // longer than the 125 s between two tries of Cilium
            neighbors: BTreeMap::new(),
            dynamic_neighbors: BTreeMap::new(),
            originate: Vec::new(),
            aggregates: Vec::new(),
            policies: BTreeMap::new(),
            stations: Vec::new(),
        }
    }
}

/// A monitoring station.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StationSettings {
    /// What it is called here.
    pub name: String,
    /// HOST:PORT, the host a name or an address.
    pub address: String,
}

/// What the AS of a neighbor may be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RemoteAs {
    /// One of these.
    OneOf(Vec<Asn>),
    /// Any but ours.
    External,
    /// Ours.
    Internal,
}

/// A neighbor with an address of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NeighborSettings {
    /// Its address.
    pub address: IpAddr,
    /// The interface of a link-local address (`fe80::1%eth0`).
    pub zone: Option<String>,
    /// The port we dial.
    pub port: u16,
    /// The address we dial from; chosen by the kernel where absent.
    pub local_address: Option<IpAddr>,
    /// We wait and do not dial.
    pub passive: bool,
    /// Administratively down.
    pub shutdown: bool,
    /// The session lives and dies with this WireGuard peer.
    pub via: Option<String>,
    /// Its AS.
    pub asn: RemoteAs,
    /// What it has in common with the sessions of a listen range.
    pub session: SessionSettings,
}

impl NeighborSettings {
    /// A neighbor at this address that we dial, and which may dial us.
    pub const fn new(address: IpAddr, asn: RemoteAs, session: SessionSettings) -> Self {
        Self {
            address,
            zone: None,
            port: 179,
            local_address: None,
            passive: false,
            shutdown: false,
            via: None,
            asn,
            session,
        }
    }
}

/// Neighbors that dial in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DynamicNeighborSettings {
    /// Where they may come from; the longest range of all dynamic neighbors wins.
    pub range: Vec<IpNet>,
    /// What AS they may have.
    pub asn: RemoteAs,
    /// How many sessions at most.
    pub limit: usize,
    /// The rest.
    pub session: SessionSettings,
}

/// What every session is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionSettings {
    /// Free text for people.
    pub description: Option<String>,
    /// The AS we show this neighbor in place of our own.
    pub local_asn: Option<Asn>,
    /// Families offered; absent: those that the session's link has addresses of when it begins.
    pub families: Option<Families>,
    /// Import policy; absent: nothing from an external neighbor (RFC 8212), everything from an internal one.
    pub import: Option<PolicyName>,
    /// Export policy; absent: as with import.
    pub export: Option<PolicyName>,
    /// The hold time we offer. 0 is accepted from the neighbor only where it is offered here too.
    pub hold_time: HoldTime,
    /// The interval of our KEEPALIVEs; absent: a third of the negotiated hold time.
    pub keepalive: Option<Duration>,
    /// Between two tries to connect.
    pub connect_retry: Duration,
    /// How long the neighbor may read nothing (RFC 9687); absent: the greater of 8 minutes and twice the hold time.
    pub send_hold_time: Option<Duration>,
    /// TCP-MD5 (RFC 2385).
    pub password: Option<Password>,
    /// GTSM (RFC 5082): how many hops away at most, 1 = directly connected.
    pub ttl_security: Option<u8>,
    /// TTL of an external session that is not directly connected; absent: 1, and next hops must be on the shared subnet.
    pub ebgp_multihop: Option<u8>,
    /// How many prefixes of one family the neighbor may send.
    pub max_prefixes: Option<PrefixLimit>,
    /// How many prefixes of one family the neighbor is told.
    pub max_prefixes_out: Option<PrefixLimit>,
    /// What next hop we announce.
    pub next_hop_self: NextHopSelf,
    /// RFC 4456: an internal neighbor to which internal routes are reflected.
    pub route_reflector_client: bool,
    /// Treat an UPDATE as withdraw whose first AS is not the neighbor's (RFC 4271 §6.3).
    pub enforce_first_asn: bool,
    /// How often our own AS may stand in a received AS_PATH.
    pub allow_own_asn: u8,
    /// What we are to an external neighbor (RFC 9234).
    pub role: Option<Role>,
    /// IPv4 routes over IPv6 next hops, where the neighbor has them too (RFC 8950).
    pub extended_next_hop: bool,
    /// Several paths to a prefix, where the neighbor has them too (RFC 7911).
    pub add_path: Option<AddPath>,
    /// Messages of up to 65535 octets, where the neighbor has them too (RFC 8654).
    pub extended_messages: bool,
    /// An external neighbor is not told of private AS numbers in AS_PATH (RFC 6996 §4).
    pub remove_private_asn: bool,
    /// Routes outlive a session that is lost (RFC 4724, RFC 8538); absent: they do not.
    pub graceful_restart: Option<GracefulRestartSettings>,
}

/// How long routes outlive a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GracefulRestartSettings {
    /// How long the neighbor shall wait for us, in whole seconds, 4095 at most.
    pub restart_time: Duration,
    /// How long the neighbor's routes are kept at most, until it has told all of them again (RFC 8538 §4.1).
    pub stale_time: Duration,
    /// How long they are kept after that as the last resort, and shall be for us, in whole seconds of 24 bits
    /// (RFC 9494); absent: they are not.
    pub long_lived_stale_time: Option<Duration>,
}

impl Default for GracefulRestartSettings {
    fn default() -> Self {
        Self {
            restart_time: Duration::from_secs(120),
            // Longer than the 360 s for which GoBGP, in Cilium, says nothing after a restart.
            stale_time: Duration::from_secs(420),
            long_lived_stale_time: None,
        }
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            description: None,
            local_asn: None,
            families: None,
            import: None,
            export: None,
            hold_time: HoldTime::DEFAULT,
            keepalive: None,
            connect_retry: Duration::from_secs(10),
            send_hold_time: None,
            password: None,
            ttl_security: None,
            ebgp_multihop: None,
            max_prefixes: None,
            max_prefixes_out: None,
            next_hop_self: NextHopSelf::Auto,
            route_reflector_client: false,
            enforce_first_asn: true,
            allow_own_asn: 0,
            role: None,
            extended_next_hop: true,
            add_path: None,
            extended_messages: true,
            remove_private_asn: false,
            graceful_restart: Some(GracefulRestartSettings::default()),
        }
    }
}

/// Which way several paths to a prefix may go (RFC 7911).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddPath {
    /// We take several.
    Receive,
    /// We send all that may be used, as many as are installed together at most.
    Send,
    /// Both.
    Both,
}

/// A limit of prefixes, for each family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrefixLimit {
    /// So many are allowed, 1 at least.
    pub limit: u32,
    /// People are warned from so many percent of it on, 1 to 100.
    pub warning: u8,
    /// What happens with more.
    pub action: LimitAction,
    /// A session that ended because of it comes back after this time; absent: when it is reset.
    pub restart_after: Option<Duration>,
}

impl PrefixLimit {
    /// What a limit is where nothing else is said.
    pub const fn new(limit: u32) -> Self {
        Self { limit, warning: 80, action: LimitAction::Cease, restart_after: None }
    }
}

/// What happens when there are more prefixes than allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LimitAction {
    /// The session ends (Cease 6/1).
    Cease,
    /// Those beyond are not taken.
    Discard,
    /// People are told.
    Warn,
}

/// When we announce ourselves as next hop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NextHopSelf {
    /// RFC 4271 §5.1.3, and towards internal neighbors where the next hop lies behind a tunnel.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never towards internal neighbors.
    Never,
}

/// A policy by its name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PolicyName {
    /// The built-in `accept-all`.
    AcceptAll,
    /// One of [`Settings::policies`].
    Named(String),
}

/// A secret that is wiped when dropped and never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(pub Zeroizing<Vec<u8>>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A prefix of our own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Originate {
    /// What is announced.
    pub prefix: IpNet,
    /// Where the kernel sends it; absent: the kernel already knows.
    pub next_hop: Option<IpAddr>,
    /// Install a discard route for it.
    pub discard: bool,
}

/// A summary: announced while something more specific is accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Aggregate {
    /// The summary.
    pub prefix: IpNet,
    /// Install a discard route for the parts that nobody announces.
    pub discard: bool,
    /// Announce the summary in place of what is more specific.
    pub summary_only: bool,
}
