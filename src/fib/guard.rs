//! Routes that must never be: destinations that are nobody's business, and routes that take away the way on which they
//! depend themselves.

use bgpd::forbidden::never_installed;
use bgpd::types::NextHop;
use ipnet::IpNet;

use super::Settings;
use super::next_hops::{Known, NextHops};
use super::plan::Body;
use crate::kernel::{Resolution, Target, effective_metric};

/// Why a destination must not have this route. A route of the configuration itself may lead anywhere but to the tunnel's
/// own endpoints: tunnels are numbered from link-local addresses.
pub(super) fn refusal(
    settings: &Settings,
    next_hops: &NextHops,
    prefix: &IpNet,
    body: Option<&Body>,
    pinned: bool,
) -> Option<String> {
    never_installed(prefix)
        .filter(|_| !pinned)
        .map(str::to_owned)
        .or_else(|| captured(settings, next_hops, prefix, body?))
}

/// A route to a next hop's address would make the next hop depend on itself; one into the tunnel, or into nothing, to an
/// endpoint of the tunnel would stop the tunnel.
fn captured(settings: &Settings, next_hops: &NextHops, prefix: &IpNet, body: &Body) -> Option<String> {
    let swallows = body.into_tunnel || body.target == Target::Discard;
    next_hops.inside(prefix).find_map(|(NextHop { address, .. }, known)| {
        if known.endpoint && swallows && takes_endpoint(settings, prefix, known) {
            return Some(format!("it would capture {address}, to which the tunnel itself sends"));
        }
        let taken = known.next_hop && known.resolution.as_ref().is_some_and(|way| takes(settings, prefix, way));
        taken.then(|| format!("it would capture the next hop {address}"))
    })
}

/// An endpoint to which the kernel has no way, or perhaps one of ours, is in danger from every route.
fn takes_endpoint(settings: &Settings, prefix: &IpNet, known: &Known) -> bool {
    match &known.resolution {
        None | Some(Resolution::Unreachable(_)) => true,
        Some(resolution) => takes(settings, prefix, resolution),
    }
}

/// Whether the kernel would prefer our route to the one it uses now.
fn takes(settings: &Settings, prefix: &IpNet, resolution: &Resolution) -> bool {
    let Resolution::Via { prefix: used, metric, .. } = resolution else { return false };
    prefix.prefix_len() > used.prefix_len() || (prefix == used && effective_metric(prefix, settings.metric) < *metric)
}
