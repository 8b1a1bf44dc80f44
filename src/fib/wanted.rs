//! What the speaker's choice for a destination means here: an entry of the tunnel's table, a kernel route, or why not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgpd::speaker::FibChoice;
use bgpd::types::{Family, NextHop};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use wgd::settings::PublicKey;
use wgd::table::Group;

use super::Settings;
use super::next_hops::{Known, NextHops, Way};
use crate::kernel::{Hop, Resolution, Route, Target, effective_metric};

/// What one destination should have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Wanted {
    /// Its entry in the tunnel's table.
    pub(super) tunnel: Option<Group>,
    /// Its kernel route.
    pub(super) kernel: Option<Body>,
    /// Why there is no kernel route.
    pub(super) problem: Option<Problem>,
}

/// A kernel route without what all of ours have in common.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Body {
    /// Where to; hops are in order, each once.
    pub(super) target: Target,
    /// Preferred source.
    pub(super) source: Option<IpAddr>,
    /// Packets that take this route enter the tunnel.
    pub(super) into_tunnel: bool,
}

/// Why a destination has no kernel route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Problem {
    /// It may come yet, or is not meant to.
    NotNow(String),
    /// It must never be.
    Refused(String),
}

impl Body {
    pub(super) fn of(settings: &Settings, route: &Route) -> Self {
        Self::new(settings, route.target.clone(), route.source)
    }

    pub(super) fn new(settings: &Settings, target: Target, source: Option<IpAddr>) -> Self {
        let Target::Hops(mut hops) = target else {
            return Self { target: Target::Discard, source: None, into_tunnel: false };
        };
        // The kernel may list them in another order than they were given.
        hops.sort_unstable();
        hops.dedup();
        let tunnel = settings.tunnel.as_ref().map(|tunnel| tunnel.interface);
        let into_tunnel = hops.iter().any(|hop| Some(hop.interface) == tunnel);
        Self { target: Target::Hops(hops), source, into_tunnel }
    }
}

/// What a destination should have, all considered.
pub(super) fn wanted(settings: &Settings, next_hops: &NextHops, prefix: &IpNet, choice: &FibChoice) -> Wanted {
    let (body, problem) = match target(settings, next_hops, choice) {
        Ok(target) => (Some(Body::new(settings, target, source(settings, prefix))), None),
        Err(why) => (None, Some(Problem::NotNow(why))),
    };
    let captured = || captured(settings, next_hops, prefix, body.as_ref()?);
    if let Some(why) = never_installed(prefix).or_else(captured) {
        return Wanted { problem: Some(Problem::Refused(why)), ..Wanted::default() };
    }
    let tunnel = group(next_hops, choice, body.as_ref().is_some_and(|body| body.into_tunnel));
    if settings.install {
        Wanted { tunnel, kernel: body, problem }
    } else {
        // The tunnel's table is not the kernel: it follows all the same.
        let why = "kernel routes are switched off (install = false)".to_owned();
        Wanted { tunnel, kernel: None, problem: Some(Problem::NotNow(why)) }
    }
}

fn source(settings: &Settings, prefix: &IpNet) -> Option<IpAddr> {
    settings.preferred_source.iter().find(|source| Family::of_address(source) == Family::of(prefix)).copied()
}

/// The kernel route's target. A multipath set is one side of the tunnel or the other, never both: the first usable next
/// hop, that of the best path, says which.
fn target(settings: &Settings, next_hops: &NextHops, choice: &FibChoice) -> Result<Target, String> {
    if choice.discard {
        return Ok(Target::Discard);
    }
    if let Some(why) = choice.not_installed {
        return Err(why.to_owned());
    }
    let mut hops = Vec::new();
    let mut unusable = None;
    for next_hop in &choice.best {
        match next_hops.way(next_hop) {
            Way::Peer(_) if hops.is_empty() => {
                let tunnel = settings.tunnel.as_ref().ok_or("there is no tunnel")?;
                return Ok(Target::Hops(vec![Hop { gateway: None, interface: tunnel.interface }]));
            }
            Way::Link(hop) => hops.push(hop),
            Way::Peer(_) => {}
            Way::Local => unusable = unusable.or_else(|| Some(sentence(next_hop, "is an address of this host"))),
            Way::Nowhere(why) => unusable = unusable.or_else(|| Some(sentence(next_hop, &why))),
        }
    }
    if hops.is_empty() {
        return Err(unusable.unwrap_or_else(|| "no path".to_owned()));
    }
    Ok(Target::Hops(hops))
}

fn sentence(next_hop: &NextHop, why: &str) -> String {
    format!("next hop {}: {why}", next_hop.address)
}

/// The entry of the tunnel's table. Where the kernel does not send into the tunnel, it only accepts.
fn group(next_hops: &NextHops, choice: &FibChoice, into_tunnel: bool) -> Option<Group> {
    let peers = |list: &[NextHop]| -> Vec<PublicKey> {
        let peer = |next_hop: &NextHop| match next_hops.way(next_hop) {
            Way::Peer(key) => Some(key),
            _ => None,
        };
        let mut seen = Vec::new();
        list.iter().filter_map(peer).for_each(|key| {
            if !seen.contains(&key) {
                seen.push(key);
            }
        });
        seen
    };
    let mut group = Group { accept: peers(&choice.accepted), ..Group::default() };
    if into_tunnel {
        group.send = peers(&choice.best);
        group.send.sort_unstable();
        group.backup = peers(&choice.backup);
        group.backup.retain(|key| !group.send.contains(key));
    }
    // Whom we send to may answer.
    group.accept.extend(group.send.iter().chain(&group.backup));
    group.accept.sort_unstable();
    group.accept.dedup();
    (!group.accept.is_empty()).then_some(group)
}

/// Destinations that are no business of a routing protocol.
fn never_installed(prefix: &IpNet) -> Option<String> {
    const NEVER: [(IpNet, &str); 7] = [
        (v4([127, 0, 0, 0], 8), "loopback"),
        (v4([169, 254, 0, 0], 16), "link-local"),
        (v4([224, 0, 0, 0], 4), "multicast"),
        (v4([240, 0, 0, 0], 4), "class E"),
        (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)), "loopback"),
        (v6(0xfe80, 10), "link-local"),
        (v6(0xff00, 8), "multicast"),
    ];
    const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
    }
    const fn v6(first: u16, length: u8) -> IpNet {
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0), length))
    }
    let (_, kind) = NEVER.iter().find(|(never, _)| never.contains(prefix))?;
    Some(format!("{kind} destinations are never installed"))
}

/// Whether the route would take away the way on which it depends itself: to a next hop, or, into the tunnel or into
/// nothing, to an endpoint of the tunnel.
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
