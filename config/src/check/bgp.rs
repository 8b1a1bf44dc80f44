//! `[bgp]`: who dials in where, and what prefixes are our own.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bgpd::forbidden::never_installed;
use bgpd::settings::RemoteAs;
use bgpd::speaker::ALL;
use bgpd::types::Asn;

use super::{duplicates, fits};
use crate::raw::{Entry, Report};
use crate::read::{Bgp, Draft, Dynamic};

pub(super) fn laws(bgp: &Entry<Bgp>, draft: &Draft, report: &mut Report) {
    listeners(bgp, report);
    let bgp = &bgp.value;
    for neighbor in bgp.neighbors.iter().filter(|neighbor| neighbor.value.name == ALL) {
        let label = "in commands it stands for every neighbor";
        report.error(neighbor.places.of("name"), format!("name \"{ALL}\" is not allowed"), label);
    }
    let addresses: Vec<_> = bgp
        .neighbors
        .iter()
        .map(|neighbor| {
            ((neighbor.value.settings.address, &neighbor.value.settings.zone), neighbor.places.of("address"))
        })
        .collect();
    duplicates(&addresses, report, |(address, _)| format!("neighbor {address} is given twice"));
    own_addresses(bgp, draft, report);
    ranges(bgp, draft.router.value.asn, report);
    own_prefixes(bgp, report);
}

fn listeners(bgp: &Entry<Bgp>, report: &mut Report) {
    let Entry { value: bgp, places } = bgp;
    let sockets: Vec<_> =
        bgp.listen.iter().enumerate().map(|(index, socket)| (*socket, places.item("listen", index))).collect();
    duplicates(&sockets, report, |socket| format!("listen {socket} is given twice"));
    for (socket, place) in &sockets {
        let all = sockets.iter().find(|(all, _)| both_families(all, socket));
        if let Some((all, first)) = all {
            let label = format!("{all} takes IPv4 too");
            report.error(*place, format!("listen {socket} is taken"), label).also(*first, "taken here");
        }
    }
    if !bgp.listen.is_empty() {
        return;
    }
    let waits = bgp.neighbors.iter().filter(|neighbor| neighbor.value.settings.passive);
    let waits = waits.map(|neighbor| neighbor.places.of("passive"));
    let dynamic = bgp.dynamic.iter().map(|dynamic| dynamic.places.table);
    for place in waits.chain(dynamic) {
        report
            .error(place, "nobody can dial in", "it waits to be dialled")
            .also(places.of("listen"), "listen is empty");
    }
}

/// A socket on `[::]` takes IPv4 too.
fn both_families(all: &SocketAddr, socket: &SocketAddr) -> bool {
    all.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && socket.is_ipv4() && all.port() == socket.port()
}

/// Nobody is a neighbor of himself; only one list of a whole mesh has oneself in it, and then `via` says so.
fn own_addresses(bgp: &Bgp, draft: &Draft, report: &mut Report) {
    let Some(tunnel) = &draft.wireguard else { return };
    for neighbor in bgp.neighbors.iter().filter(|neighbor| neighbor.value.via.is_none()) {
        let address = neighbor.value.settings.address;
        if let Some(index) = tunnel.value.addresses.iter().position(|own| own.addr() == address) {
            let place = neighbor.places.of("address");
            let own = tunnel.places.item("addresses", index);
            report.error(place, format!("neighbor {address} is ourselves"), "our own address").also(own, "given here");
        }
    }
}

/// Which listen range a connection belongs to is known by its longest prefix, then by the AS of its OPEN. The password is
/// asked for before there is an OPEN.
fn ranges(bgp: &Bgp, own: Option<Asn>, report: &mut Report) {
    for (index, Entry { value: Dynamic { settings, .. }, places }) in bgp.dynamic.iter().enumerate() {
        for Entry { value: Dynamic { settings: earlier, .. }, places: earlier_places } in &bgp.dynamic[..index] {
            let Some(same) = settings.range.iter().position(|range| earlier.range.contains(range)) else { continue };
            let range = settings.range[same];
            if own.is_some_and(|own| share(&settings.asn, &earlier.asn, own)) {
                let title = format!("range {range} is given twice for the same AS");
                let finding = report.error(places.item("range", same), title, "given again");
                finding.also(earlier_places.of("range"), "given first");
            }
            if settings.session.password != earlier.session.password {
                let title = format!("range {range} has two passwords");
                let label = "it is asked for before the AS is known: use one password-file for both";
                let finding = report.error(places.of("password-file"), title, label);
                finding.also(earlier_places.of("password-file"), "the other");
            }
        }
    }
}

/// Whether some AS is taken by both.
fn share(one: &RemoteAs, other: &RemoteAs, own: Asn) -> bool {
    match (one, other) {
        (RemoteAs::OneOf(numbers), told) | (told, RemoteAs::OneOf(numbers)) => {
            numbers.iter().any(|number| fits(told, own, *number))
        }
        (one, other) => one == other,
    }
}

fn own_prefixes(bgp: &Bgp, report: &mut Report) {
    let originated = bgp.originate.iter().map(|own| (own.value.prefix, own.places.of("prefix")));
    let aggregated = bgp.aggregates.iter().map(|own| (own.value.prefix, own.places.of("prefix")));
    let prefixes: Vec<_> = originated.chain(aggregated).collect();
    duplicates(&prefixes, report, |prefix| format!("prefix {prefix} is given twice"));
    for (prefix, place) in &prefixes {
        if never_installed(prefix).is_some() {
            let label = "loopback, multicast, reserved and link-local prefixes are not routed";
            report.error(*place, format!("prefix {prefix} is not allowed"), label);
        }
    }
    for Entry { value: aggregate, places } in &bgp.aggregates {
        if aggregate.prefix.prefix_len() == aggregate.prefix.max_prefix_len() {
            let title = format!("prefix {} cannot be an aggregate", aggregate.prefix);
            report.error(places.of("prefix"), title, "nothing is more specific");
        }
    }
    for Entry { value: originate, places } in &bgp.originate {
        let Some(next_hop) = originate.next_hop else { continue };
        let place = places.of("next-hop");
        if originate.discard {
            let other = places.of("discard");
            report.error(place, "next-hop and discard exclude each other", "this").also(other, "or this");
        }
        if next_hop.is_ipv4() != originate.prefix.addr().is_ipv4() {
            let title = format!("next-hop {next_hop} is of another family than {}", originate.prefix);
            report.error(place, title, "allowed: an address of the prefix's family");
        }
    }
}
