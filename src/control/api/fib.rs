//! The FIB: what of the Loc-RIB has reached the host.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fib;
use crate::kernel::Link;

/// A prefix as it is brought to the host.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct FibRoute {
    /// The destination.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// The kernel's routing table, 254 = main.
    pub table: u32,
    /// Where its packets go.
    pub next_hops: Vec<FibNextHop>,
    /// Its packets are dropped: a discard route.
    pub discard: bool,
    /// How far it is.
    pub state: FibState,
    /// Why it is not installed.
    pub error: Option<String>,
    /// Names of WireGuard peers; null for a prefix that leads elsewhere.
    pub tunnel: Option<TunnelGroup>,
    /// In the route tables of the VPC.
    pub vpc: Vec<VpcRoute>,
}

/// A next hop of the kernel's.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct FibNextHop {
    /// The gateway; null on the link itself.
    pub address: Option<IpAddr>,
    /// Name of the link.
    pub interface: String,
    /// Share of the flows.
    pub weight: u32,
}

/// How far a prefix is on its way to the kernel.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FibState {
    /// The kernel has it.
    Installed,
    /// On its way.
    #[default]
    Pending,
    /// The kernel refused it.
    Failed,
    /// Kept although its last path is gone.
    Stale,
    /// Somebody else's route stands in its place.
    Foreign,
}

/// Which WireGuard peers carry a prefix.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct TunnelGroup {
    /// Flows are spread over these.
    pub send: Vec<String>,
    /// In order, when none of those is up.
    pub backup: Vec<String>,
    /// Packets from the prefix may come from these.
    pub accept: Vec<String>,
}

/// A prefix in a route table of the VPC.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct VpcRoute {
    /// `rtb-…`.
    pub route_table: String,
    /// How far it is.
    pub state: FibState,
    /// Why it is not installed.
    pub error: Option<String>,
}

impl FibRoute {
    /// `links`: names of the interfaces.
    pub(crate) fn new(view: &fib::RouteView, links: &[Link]) -> Self {
        let next_hop = |&(address, interface): &(Option<IpAddr>, u32)| FibNextHop {
            address,
            interface: interface_name(interface, links),
            weight: 1,
        };
        Self {
            prefix: view.prefix,
            table: view.table,
            next_hops: view.hops.iter().map(next_hop).collect(),
            discard: view.discard,
            state: view.state.into(),
            error: view.error.clone(),
            tunnel: view.tunnel.clone().map(|[send, backup, accept]| TunnelGroup { send, backup, accept }),
            vpc: Vec::new(),
        }
    }
}

/// A link that is gone has only its index left.
fn interface_name(index: u32, links: &[Link]) -> String {
    links.iter().find(|link| link.index == index).map_or_else(|| format!("#{index}"), |link| link.name.clone())
}

impl From<fib::State> for FibState {
    fn from(state: fib::State) -> Self {
        match state {
            fib::State::Installed => Self::Installed,
            fib::State::Pending => Self::Pending,
            fib::State::Failed => Self::Failed,
            fib::State::Stale => Self::Stale,
            fib::State::Foreign => Self::Foreign,
        }
    }
}
