//! `[wireguard]` and its peers.

use std::net::IpAddr;

use ipnet::IpNet;
use wgd::settings::{Endpoint, Mtu};

use super::{duplicates, overlap};
use crate::raw::{Entry, Place, Report};
use crate::read::{Draft, Fwmark, Peer, Tunnel};

/// RFC 8200 §5.
const IPV6_MTU: u16 = 1280;
/// Bits of a packet's mark that others on a host may set and clear.
const OTHERS_MARKS: [(u32, &str); 3] = [(0x0f00, "Cilium"), (0xc000, "Kubernetes"), (0x00ff_0000, "Tailscale")];

pub(super) fn laws(tunnel: &Entry<Tunnel>, report: &mut Report) {
    let Entry { value: tunnel, places } = tunnel;
    let addresses: Vec<_> = tunnel.addresses.iter().enumerate().collect();
    let placed: Vec<_> = addresses.iter().map(|(i, address)| (address.addr(), places.item("addresses", *i))).collect();
    duplicates(&placed, report, |address| format!("address {address} is given twice"));
    if let Some((index, address)) = addresses.iter().find(|(_, address)| address.addr().is_ipv6())
        && let Mtu::Octets(mtu) = tunnel.mtu
        && mtu < IPV6_MTU
    {
        let title = format!("mtu {mtu} is too small for IPv6");
        let other = places.item("addresses", *index);
        report.error(places.of("mtu"), title, "allowed: 1280 and more").also(other, format!("{address} is IPv6"));
    }
    duplicates(&allowed_ips(tunnel), report, |prefix| format!("allowed-ips {prefix} is given twice"));
    for peer in &tunnel.peers {
        static_routes(peer, report);
    }
    if let Some(fwmark) = &tunnel.fwmark {
        mark_in_mask(fwmark, report);
    }
}

/// A rule that looks at the mask alone never finds the rest of the mark.
fn mark_in_mask(fwmark: &Entry<Fwmark>, report: &mut Report) {
    let Entry { value: Fwmark { value: Some(value), mask: Some(mask) }, places } = fwmark else { return };
    if value & !mask != 0 {
        let title = format!("the mark {value:#x} has bits outside its mask {mask:#x}");
        let label = format!("allowed: only bits of {mask:#x}");
        report.error(places.of("value"), title, label).also(places.of("mask"), "the mask");
    }
}

/// A kernel route into the tunnel for the tunnel's own packets swallows the tunnel.
fn static_routes(peer: &Entry<Peer>, report: &mut Report) {
    let Entry { value: Peer { settings, static_routes: true, .. }, places } = peer else { return };
    let Some(endpoint) = fixed_endpoint(peer) else { return };
    for (index, prefix) in settings.allowed_ips.iter().enumerate().filter(|(_, prefix)| prefix.contains(&endpoint)) {
        let title = format!("static-routes would send the tunnel's own packets into the tunnel: {prefix}");
        let label = format!("holds the endpoint {endpoint}");
        report.error(places.item("allowed-ips", index), title, label).also(places.of("endpoint"), "the endpoint");
    }
}

pub(super) fn advice(tunnel: &Entry<Tunnel>, draft: &Draft, report: &mut Report) {
    let tunnel = &tunnel.value;
    nested_allowed_ips(tunnel, report);
    if let Some(fwmark) = &tunnel.fwmark {
        marks_of_others(fwmark, report);
    }
    for peer in &tunnel.peers {
        let Entry { value: Peer { settings, routed_ips, .. }, places } = peer;
        if settings.allowed_ips.is_empty() {
            let title = format!("nothing may pass to or from peer `{}`", settings.name);
            report.warning(places.of("allowed-ips"), title, "allowed-ips is empty: not even BGP can start");
        }
        if draft.bgp.is_none() && !routed_ips.is_empty() {
            let label = "there is no [bgp] that could add anything";
            report.warning(places.of("routed-ips"), "routed-ips has no effect", label);
        }
        captured_underlay(peer, tunnel, draft, report);
    }
}

/// Whoever owns the bits takes our packets for its own, or takes the mark off.
fn marks_of_others(fwmark: &Entry<Fwmark>, report: &mut Report) {
    let Entry { value: Fwmark { value, mask }, places } = fwmark;
    let bits = value.unwrap_or_default() | mask.unwrap_or_default();
    for (theirs, owner) in OTHERS_MARKS.iter().filter(|(theirs, _)| bits & theirs != 0) {
        let title = format!("fwmark {bits:#x} has bits that {owner} uses");
        let label = format!("where {owner} runs on this host, {theirs:#x} is not free; 0x10 is");
        report.warning(places.table, title, label);
    }
}

/// A ceiling that holds what the tunnel itself runs on: a route to it may be learned through the tunnel.
fn captured_underlay(peer: &Entry<Peer>, tunnel: &Tunnel, draft: &Draft, report: &mut Report) {
    let endpoints = tunnel
        .peers
        .iter()
        .filter_map(|other| Some((fixed_endpoint(other)?, other.places.of("endpoint"), "an endpoint of the tunnel")));
    let neighbors = draft.bgp.iter().flat_map(|bgp| &bgp.value.neighbors);
    let direct = neighbors.filter(|neighbor| !owned(tunnel, neighbor.value.settings.address)).map(|neighbor| {
        (neighbor.value.settings.address, neighbor.places.of("address"), "a neighbor outside the tunnel")
    });
    for (address, place, what) in endpoints.chain(direct) {
        for (index, prefix) in peer.value.routed_ips.iter().enumerate().filter(|(_, prefix)| prefix.contains(&address))
        {
            let title = format!("routed-ips {prefix} holds {address}, {what}");
            let label = "a route to it could be learned through the tunnel";
            report.warning(peer.places.item("routed-ips", index), title, label).also(place, "this address");
        }
    }
}

/// Taken apart by longest match, as WireGuard does, but seldom meant.
fn nested_allowed_ips(tunnel: &Tunnel, report: &mut Report) {
    let all = tunnel.peers.iter().flat_map(|peer| {
        let name = &peer.value.settings.name;
        placed_allowed_ips(peer).map(move |(prefix, place)| (name, prefix, place))
    });
    let all: Vec<_> = all.collect();
    for (index, (name, prefix, place)) in all.iter().enumerate() {
        for (other_name, other, other_place) in &all[..index] {
            if name != other_name && prefix != other && overlap(prefix, other) {
                let title = format!("allowed-ips {prefix} of `{name}` and {other} of `{other_name}` overlap");
                report.warning(*place, title, "the longer prefix wins").also(*other_place, "the other");
            }
        }
    }
}

fn allowed_ips(tunnel: &Tunnel) -> Vec<(IpNet, Place)> {
    tunnel.peers.iter().flat_map(placed_allowed_ips).collect()
}

fn placed_allowed_ips(peer: &Entry<Peer>) -> impl Iterator<Item = (IpNet, Place)> {
    let prefixes = peer.value.settings.allowed_ips.iter().enumerate();
    prefixes.map(|(index, prefix)| (*prefix, peer.places.item("allowed-ips", index)))
}

/// Whether an address is reached through the tunnel.
pub(super) fn owned(tunnel: &Tunnel, address: IpAddr) -> bool {
    tunnel.peers.iter().flat_map(|peer| &peer.value.settings.allowed_ips).any(|prefix| prefix.contains(&address))
}

/// The length of the longest of a peer's prefixes that hold an address: the longest of all has it.
pub(crate) fn holds(peer: &Entry<Peer>, address: IpAddr) -> Option<u8> {
    let holding = peer.value.settings.allowed_ips.iter().filter(|prefix| prefix.contains(&address));
    holding.map(IpNet::prefix_len).max()
}

/// As far as the file knows: a name may be any address.
fn fixed_endpoint(peer: &Entry<Peer>) -> Option<IpAddr> {
    match peer.value.settings.endpoint {
        Some(Endpoint::Address(address)) => Some(address.ip()),
        Some(Endpoint::Name(..)) | None => None,
    }
}
