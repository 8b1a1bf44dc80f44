//! Routes on the wire, written by hand: one reused buffer, only the attributes that this program uses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use libc::{
    AF_INET, AF_INET6, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RTA_DST, RTA_GATEWAY, RTA_MULTIPATH,
    RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_TABLE, RTA_VIA, RTN_BLACKHOLE, RTN_UNICAST,
};

use super::message::{Message, attributes, padded, u16_at, u32_at};
use super::{Hop, Route, Target};

/// Length of `struct rtmsg`.
const RTMSG: usize = 12;
/// Length of `struct rtnexthop`.
const RTNEXTHOP: usize = 8;
/// What the kernel makes of metric 0 in IPv6 (IP6_RT_PRIO_USER).
const IPV6_DEFAULT_METRIC: u32 = 1024;

/// RTNH_F_DEAD and RTNH_F_LINKDOWN: nothing gets through.
const HOP_DOWN: u32 = 1 | 16;

/// A route of the kernel, also one that is not ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct KernelRoute {
    /// The parts that routes of ours have; other types than RTN_BLACKHOLE have hops.
    pub(super) route: Route,
    /// `rtm_type`.
    pub(super) kind: u8,
    /// For each hop: whether its link is down.
    pub(super) down: Vec<bool>,
}

/// The metric under which the kernel keeps a route for which this one is asked.
pub fn effective_metric(prefix: &IpNet, metric: u32) -> u32 {
    match prefix {
        IpNet::V6(_) if metric == 0 => IPV6_DEFAULT_METRIC,
        _ => metric,
    }
}

/// The body of RTM_NEWROUTE.
pub(super) fn put_route(message: &mut Message<'_>, route: &Route) {
    let (kind, scope, hops) = match &route.target {
        Target::Discard => (RTN_BLACKHOLE, RT_SCOPE_UNIVERSE, &[][..]),
        Target::Hops(hops) if hops.iter().any(|hop| hop.gateway.is_some()) => {
            (RTN_UNICAST, RT_SCOPE_UNIVERSE, &hops[..])
        }
        Target::Hops(hops) => (RTN_UNICAST, RT_SCOPE_LINK, &hops[..]),
    };
    put_key(message, route, kind, scope);
    if let Some(source) = route.source {
        message.attribute(RTA_PREFSRC, octets(&source).as_slice());
    }
    match hops {
        [] => {}
        [hop] => {
            message.attribute(RTA_OIF, &hop.interface.to_ne_bytes());
            put_gateway(message, route, hop);
        }
        hops => message.nest(RTA_MULTIPATH, |message| hops.iter().for_each(|hop| put_hop(message, route, hop))),
    }
}

/// The body of RTM_DELROUTE: protocol and metric are named, so that nothing but ours can go.
pub(super) fn put_deletion(message: &mut Message<'_>, route: &Route) {
    put_key(message, route, 0, RT_SCOPE_NOWHERE);
}

/// The body of a dump, filtered by the kernel.
pub(super) fn put_filter(message: &mut Message<'_>, family: u8, table: u32, protocol: u8) {
    message.put(&[family, 0, 0, 0, 0, protocol, 0, 0, 0, 0, 0, 0]);
    if table != 0 {
        message.attribute(RTA_TABLE, &table.to_ne_bytes());
    }
}

/// The body of RTM_GETROUTE for one address.
pub(super) fn put_lookup(message: &mut Message<'_>, address: &IpAddr, interface: u32, flags: u32) {
    let octets = octets(address);
    let bits = u8::try_from(octets.as_slice().len() * 8).unwrap_or(u8::MAX);
    message.put(&[family_of(address), bits, 0, 0, 0, 0, 0, 0]);
    message.put(&flags.to_ne_bytes());
    message.attribute(RTA_DST, octets.as_slice());
    if interface != 0 {
        message.attribute(RTA_OIF, &interface.to_ne_bytes());
    }
}

fn put_key(message: &mut Message<'_>, route: &Route, kind: u8, scope: u8) {
    let network = route.prefix.network();
    message.put(&[family_of(&network), route.prefix.prefix_len(), 0, 0, 0, route.protocol, scope, kind, 0, 0, 0, 0]);
    message.attribute(RTA_DST, octets(&network).as_slice());
    message.attribute(RTA_TABLE, &route.table.to_ne_bytes());
    message.attribute(RTA_PRIORITY, &effective_metric(&route.prefix, route.metric).to_ne_bytes());
}

fn put_hop(message: &mut Message<'_>, route: &Route, hop: &Hop) {
    message.record(|message| {
        message.put(&[0, 0]);
        message.put(&hop.interface.to_ne_bytes());
        put_gateway(message, route, hop);
    });
}

fn put_gateway(message: &mut Message<'_>, route: &Route, hop: &Hop) {
    let Some(gateway) = hop.gateway else { return };
    let address = octets(&gateway);
    if gateway.is_ipv4() == matches!(route.prefix, IpNet::V4(_)) {
        message.attribute(RTA_GATEWAY, address.as_slice());
    } else {
        message.nest(RTA_VIA, |message| {
            message.put(&u16::from(family_of(&gateway)).to_ne_bytes());
            message.put(address.as_slice());
        });
    }
}

/// Reads the payload of RTM_NEWROUTE or RTM_DELROUTE; `None` for families other than IP and for what is malformed.
pub(super) fn decode(payload: &[u8]) -> Option<KernelRoute> {
    let &[family, length, _, _, table, protocol, _, kind, ..] = payload.get(..RTMSG)? else { return None };
    let unspecified: IpAddr = match i32::from(family) {
        AF_INET => Ipv4Addr::UNSPECIFIED.into(),
        AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let mut network = unspecified;
    let mut route = Route {
        prefix: unspecified.into(),
        table: table.into(),
        metric: 0,
        protocol,
        target: Target::Discard,
        source: None,
    };
    let mut single = (Hop { gateway: None, interface: 0 }, u32_at(payload, 8)? & HOP_DOWN != 0);
    let mut several = Vec::new();
    for (attribute, value) in attributes(&payload[RTMSG..]) {
        match attribute {
            RTA_DST => network = address(value)?,
            RTA_TABLE => route.table = u32_at(value, 0)?,
            RTA_PRIORITY => route.metric = u32_at(value, 0)?,
            RTA_PREFSRC => route.source = address(value),
            RTA_OIF => single.0.interface = u32_at(value, 0)?,
            RTA_GATEWAY => single.0.gateway = address(value),
            RTA_VIA => single.0.gateway = address(value.get(2..)?),
            RTA_MULTIPATH => several = hops(value),
            _ => {}
        }
    }
    route.prefix = IpNet::new(network, length).ok()?;
    if several.is_empty() && single.0.interface != 0 {
        several.push(single);
    }
    let (hops, down) = several.into_iter().unzip();
    if kind != RTN_BLACKHOLE {
        route.target = Target::Hops(hops);
    }
    Some(KernelRoute { route, kind, down })
}

/// The hops of RTA_MULTIPATH, each with whether its link is down.
fn hops(mut octets: &[u8]) -> Vec<(Hop, bool)> {
    std::iter::from_fn(|| {
        let length = usize::from(u16_at(octets, 0)?);
        let record = octets.get(..length)?;
        let interface = u32_at(record, 4)?;
        let down = u32::from(record[2]) & HOP_DOWN != 0;
        let gateway = attributes(record.get(RTNEXTHOP..)?).find_map(|(attribute, value)| match attribute {
            RTA_GATEWAY => address(value),
            RTA_VIA => address(value.get(2..)?),
            _ => None,
        });
        octets = octets.get(padded(length)..).unwrap_or_default();
        Some((Hop { gateway, interface }, down))
    })
    .collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

/// AF_INET or AF_INET6, which both fit an octet.
pub(super) const fn family_of(address: &IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => AF_INET as u8,
        IpAddr::V6(_) => AF_INET6 as u8,
    }
}

/// The octets of an address, without an allocation.
struct Octets {
    bytes: [u8; 16],
    length: usize,
}

impl Octets {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn octets(address: &IpAddr) -> Octets {
    let mut bytes = [0; 16];
    let length = match address {
        IpAddr::V4(address) => {
            bytes[..4].copy_from_slice(&address.octets());
            4
        }
        IpAddr::V6(address) => {
            bytes = address.octets();
            16
        }
    };
    Octets { bytes, length }
}

#[cfg(test)]
mod tests;
