//! From what was read to what the engines are told: names that stand for something else are resolved.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bgpd::policy::Policy;
use bgpd::types::BgpIdentifier;

use crate::check::holds;
use crate::raw::{Entry, Report, nearest};
use crate::read::{Draft, Neighbor, Peer, Tunnel};
use crate::settings::{Bgp, Config, Wireguard};
use crate::value::Via;
use crate::{Context, settings};

/// How often a peer that a neighbor's life hangs on is heard of.
const VIA_KEEPALIVE: Duration = Duration::from_secs(10);

/// Fills in what one key leaves to another: the default router ID, `via`, and what a `via` makes of its peer.
pub(crate) fn resolve(mut draft: Draft, context: &Context<'_>, report: &mut Report) -> Draft {
    let Draft { router, wireguard, bgp, .. } = &mut draft;
    let Some(bgp) = bgp else { return draft };
    require_router(router, context, report);
    for neighbor in &mut bgp.value.neighbors {
        let tunnel = wireguard.as_mut().map(|tunnel| &mut tunnel.value);
        resolve_via(neighbor, tunnel, report);
    }
    draft
}

fn require_router(router: &mut Entry<crate::read::Router>, context: &Context<'_>, report: &mut Report) {
    let Entry { value, places } = router;
    if value.router_id.is_none() && !places.has("router-id") {
        value.router_id = context.default_router_id.and_then(BgpIdentifier::new);
    }
    if value.router_id.is_none() && !places.has("router-id") {
        let label =
            "[bgp] needs it, and this host has no IPv4 address to take: add router-id = \"A.B.C.D\" to [router]";
        report.missing(places.table, "`router-id` is missing", label);
    }
    if value.asn.is_none() && !places.has("asn") {
        report.missing(places.table, "`asn` is missing", "[bgp] needs it: add asn = NUMBER to [router]");
    }
}

/// Finds the WireGuard peer of a neighbor's `via`, which is watched from now on.
fn resolve_via(neighbor: &mut Entry<Neighbor>, tunnel: Option<&mut Tunnel>, report: &mut Report) {
    let Some(via) = &neighbor.value.via else { return };
    let place = neighbor.places.of("via");
    let Some(Tunnel { peers, names, .. }) = tunnel else {
        report.error(place, "via needs a tunnel", "there is no [wireguard]");
        return;
    };
    let address = neighbor.value.settings.address;
    let all_read = names.iter().count() == peers.len();
    let peer = match via {
        Via::Auto => owner(peers, address),
        Via::Peer(name) => peers.iter_mut().find(|peer| peer.value.settings.name == *name),
    };
    match (peer, via) {
        (Some(peer), _) => {
            neighbor.value.settings.via = Some(peer.value.settings.name.clone());
            watch(peer);
        }
        (None, Via::Auto) if all_read => {
            let title = format!("no WireGuard peer owns {address}");
            report.error(place, title, "allowed: \"auto\" where a peer's `allowed-ips` hold the neighbor's address");
        }
        (None, Via::Peer(name)) if !names.contains(name) => {
            let label = match nearest(name, names.iter()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "define it as [[wireguard.peer]]".to_owned(),
            };
            report.error(place, format!("there is no WireGuard peer `{name}`"), label);
        }
        (None, _) => {} // the peer is there, but broken: that is reported
    }
}

/// The peer whose static allowed IPs hold an address; the longest match, as the tunnel itself would choose.
fn owner(peers: &mut [Entry<Peer>], address: IpAddr) -> Option<&mut Entry<Peer>> {
    let (_, peer) =
        peers.iter_mut().filter_map(|peer| Some((holds(peer, address)?, peer))).max_by_key(|(length, _)| *length)?;
    Some(peer)
}

fn watch(peer: &mut Entry<Peer>) {
    peer.value.settings.watched = true;
    if !peer.places.has("persistent-keepalive") {
        peer.value.settings.persistent_keepalive = Some(VIA_KEEPALIVE);
    }
}

/// `None` where something that must be there is not, which was reported.
pub(crate) fn config(draft: Draft) -> Option<Config> {
    let Draft { router, wireguard, bgp, policies, kernel, control, log, .. } = draft;
    let policies = policies.into_iter().map(|(name, rules)| {
        let rules = rules.into_iter().map(|rule| rule.value.rule).collect();
        (name.clone(), Arc::new(Policy { name, rules }))
    });
    let (wireguard, own_peers) = match wireguard {
        Some(tunnel) => {
            let (wireguard, own) = tunnel_settings(tunnel.value)?;
            (Some(wireguard), own)
        }
        None => (None, Vec::new()),
    };
    let bgp = match bgp {
        Some(Entry { value: bgp, .. }) => {
            let ours = |neighbor: &Neighbor| neighbor.settings.via.as_ref().is_some_and(|via| own_peers.contains(via));
            let neighbors = bgp.neighbors.into_iter().map(|neighbor| neighbor.value).filter(|n| !ours(n));
            let dynamic = bgp.dynamic.into_iter().map(|dynamic| dynamic.value);
            let speaker = bgpd::Settings {
                asn: router.value.asn?,
                router_id: router.value.router_id?,
                multipath: bgp.multipath,
                select_deferral: bgp.select_deferral,
                neighbors: neighbors.map(|neighbor| (neighbor.name, neighbor.settings)).collect(),
                dynamic_neighbors: dynamic.map(|dynamic| (dynamic.name, dynamic.settings)).collect(),
                originate: bgp.originate.into_iter().map(|originate| originate.value).collect(),
                aggregates: bgp.aggregates.into_iter().map(|aggregate| aggregate.value).collect(),
                policies: policies.collect(),
                stations: bgp.stations.into_iter().map(|station| station.value).collect(),
            };
            Some(Bgp { listen: bgp.listen, speaker })
        }
        None => None,
    };
    Some(Config { on_stop: router.value.on_stop, wireguard, bgp, kernel: kernel.value, control, log })
}

/// With the names of the peers that are ourselves: one list of peers may serve a whole mesh.
fn tunnel_settings(tunnel: Tunnel) -> Option<(settings::Wireguard, Vec<String>)> {
    let private_key = tunnel.private_key?;
    let own_key = private_key.public_key();
    let peers = tunnel.peers.into_iter().map(|peer| peer.value);
    let is_own = |peer: &Peer| peer.settings.public_key == own_key || peer.settings.next_public_key == Some(own_key);
    let (own, peers): (Vec<_>, Vec<_>) = peers.partition(is_own);
    let with_static_routes = peers.iter().filter(|peer| peer.static_routes);
    let wireguard = Wireguard {
        interface: tunnel.interface,
        listen_port: tunnel.listen_port,
        fwmark: tunnel.fwmark.and_then(|fwmark| fwmark.value.value),
        addresses: tunnel.addresses.clone(),
        static_routes: with_static_routes.map(|peer| peer.settings.public_key).collect(),
        routed_ips: peers.iter().map(|peer| (peer.settings.public_key, peer.routed_ips.clone())).collect(),
        tunnel: wgd::Settings {
            private_key,
            next_private_key: tunnel.next_private_key.and_then(|next| next.value),
            peers: peers.into_iter().map(|peer| peer.settings).collect(),
            clamp_mss: tunnel.clamp_mss,
            mtu: tunnel.mtu,
            addresses: tunnel.addresses,
            icmp_sources: Vec::new(), // the host's
        },
    };
    Some((wireguard, own.into_iter().map(|peer| peer.settings.name).collect()))
}
