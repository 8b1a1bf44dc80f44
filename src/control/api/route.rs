//! Loc-RIB, Adj-RIB-In and Adj-RIB-Out.

use std::collections::HashMap;
use std::net::IpAddr;

use bgpd::view::{PathView, PolicyView, RouteView};
use bgpd::wire;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Family, Routes};
use crate::fib;

/// A prefix of the Loc-RIB.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Route {
    /// The destination.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// Its family.
    pub family: Family,
    /// The kernel has it.
    pub installed: bool,
    /// Why the kernel does not have it.
    pub not_installed: Option<String>,
    /// Every accepted path, the best first.
    pub paths: Vec<Path>,
}

/// A prefix that a neighbor sent.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct ReceivedRoute {
    /// The destination.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// Its family.
    pub family: Family,
    /// As they came, before the import policy.
    pub paths: Vec<ReceivedPath>,
}

/// A path as a neighbor sent it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct ReceivedPath {
    /// The path.
    #[serde(flatten)]
    pub path: Path,
    /// The import policy lets it in.
    pub accepted: bool,
    /// Why it does not.
    pub rejected: Option<String>,
}

/// A prefix that a neighbor was told.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct AdvertisedRoute {
    /// The destination.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// Its family.
    pub family: Family,
    /// As it was told.
    pub paths: Vec<Path>,
}

/// One way to a prefix.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Path {
    /// The neighbor's name; `originate` or `aggregate` for a prefix of our own.
    pub neighbor: String,
    /// Its address; null for a prefix of our own.
    pub neighbor_address: Option<IpAddr>,
    /// The decision chose this path; it is the one announced.
    pub best: bool,
    /// Used together with the best path.
    pub multipath: bool,
    /// The step of the decision that another path won, or why this one may not be used.
    pub not_best: Option<String>,
    /// Kept although its session is gone (RFC 4724).
    pub stale: bool,
    /// AS_PATH as numbers, the nearest first.
    pub as_path: Vec<u32>,
    /// AS_PATH as people write it.
    pub as_path_text: String,
    /// ORIGIN.
    pub origin: Origin,
    /// The next hop; null for a prefix of our own without one.
    pub next_hop: Option<IpAddr>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// COMMUNITIES (RFC 1997), `64513:100`.
    pub communities: Vec<String>,
    /// LARGE_COMMUNITY (RFC 8092), `64513:1:2`.
    pub large_communities: Vec<String>,
    /// EXTENDED COMMUNITIES (RFC 4360): `rt:A:B`, `ro:A:B`, or eight octets in hexadecimal.
    pub extended_communities: Vec<String>,
    /// OTC (RFC 9234): the AS that has marked it for customers only; null without.
    pub only_to_customer: Option<u32>,
    /// The identifier of RFC 7911; null without ADD-PATH.
    pub path_id: Option<u32>,
    /// How long this path is as it is.
    pub age_seconds: u64,
    /// The policy rule that let it pass; null where no policy was asked.
    pub policy: Option<Policy>,
    /// The WireGuard peer behind its next hop.
    pub wireguard_peer: Option<String>,
}

/// A rule of a policy.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Policy {
    /// The policy.
    pub name: String,
    /// Which of its rules, from 1.
    pub rule: usize,
    /// Its line in the configuration; null for a built-in policy.
    pub line: Option<u32>,
}

/// ORIGIN (RFC 4271 §5.1.1).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Origin {
    Igp,
    Egp,
    #[default]
    Incomplete,
}

impl Routes {
    /// A slice made from at most `limit` views. `fib`: those of their prefixes that the FIB knows.
    pub(crate) fn new(views: &[RouteView], limit: usize, fib: &[fib::RouteView]) -> Self {
        let fib: HashMap<IpNet, _> = fib.iter().map(|route| (route.prefix, route)).collect();
        let convert = |view: &RouteView| Route::new(view, fib.get(&view.prefix).copied());
        let mut slice = Self::slice(views, limit, |view| view.prefix, convert);
        // A prefix whose every path the policy refused is in the Adj-RIB-In alone (RFC 4271 §3.2).
        slice.routes.retain(|route| !route.paths.is_empty());
        slice
    }
}

impl Route {
    /// `fib`: the prefix in the FIB, where it is known there.
    pub(super) fn new(view: &RouteView, fib: Option<&fib::RouteView>) -> Self {
        let not_installed = not_installed(view, fib);
        Self {
            prefix: view.prefix,
            family: Family::of(&view.prefix),
            installed: not_installed.is_none(),
            not_installed,
            paths: view.paths.iter().map(Path::from).collect(),
        }
    }
}

/// `None`: the kernel has it.
fn not_installed(view: &RouteView, fib: Option<&fib::RouteView>) -> Option<String> {
    let Some(fib) = fib else {
        return Some(match view.paths.iter().find(|path| path.best) {
            None => "no usable path".into(),
            Some(own) if own.neighbor_address.is_none() => "our own, left to the kernel".into(),
            Some(_) => "not yet given to the kernel".into(),
        });
    };
    let reason = match fib.state {
        fib::State::Installed | fib::State::Stale => return None,
        fib::State::Pending => "on its way to the kernel",
        fib::State::Failed => "the kernel refused it",
        fib::State::Foreign => "somebody else's route stands in its place",
    };
    Some(fib.error.clone().unwrap_or_else(|| reason.into()))
}

impl From<&RouteView> for ReceivedRoute {
    fn from(view: &RouteView) -> Self {
        Self {
            prefix: view.prefix,
            family: Family::of(&view.prefix),
            paths: view.paths.iter().map(ReceivedPath::from).collect(),
        }
    }
}

impl From<&PathView> for ReceivedPath {
    fn from(view: &PathView) -> Self {
        Self { path: view.into(), accepted: view.rejected.is_none(), rejected: view.rejected.clone() }
    }
}

impl From<&RouteView> for AdvertisedRoute {
    fn from(view: &RouteView) -> Self {
        Self {
            prefix: view.prefix,
            family: Family::of(&view.prefix),
            paths: view.paths.iter().map(Path::from).collect(),
        }
    }
}

impl From<&PathView> for Path {
    fn from(view: &PathView) -> Self {
        let attributes = &view.attributes;
        let as_path: Vec<u32> = attributes.as_path.iter().map(|asn| asn.get()).collect();
        Self {
            neighbor: view.neighbor.clone(),
            neighbor_address: view.neighbor_address,
            best: view.best,
            multipath: view.multipath,
            not_best: view.not_best.clone(),
            stale: view.stale,
            as_path_text: texts(&as_path).join(" "),
            as_path,
            origin: attributes.origin.into(),
            next_hop: view.next_hop,
            local_pref: attributes.local_pref,
            med: attributes.med,
            communities: texts(&attributes.communities),
            large_communities: texts(&attributes.large_communities),
            extended_communities: texts(&attributes.extended_communities),
            only_to_customer: attributes.only_to_customer,
            path_id: view.path_id,
            age_seconds: view.age.as_secs(),
            policy: view.policy.as_ref().map(Policy::from),
            wireguard_peer: view.wireguard_peer.clone(),
        }
    }
}

fn texts(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

impl From<&PolicyView> for Policy {
    fn from(view: &PolicyView) -> Self {
        Self { name: view.name.clone(), rule: view.rule, line: (view.line > 0).then_some(view.line) }
    }
}

impl From<wire::Origin> for Origin {
    fn from(origin: wire::Origin) -> Self {
        match origin {
            wire::Origin::Igp => Self::Igp,
            wire::Origin::Egp => Self::Egp,
            wire::Origin::Incomplete => Self::Incomplete,
        }
    }
}
