//! The BGP session between two ends.

use std::net::IpAddr;

use bgpd::settings::{NeighborSettings, RemoteAs, SessionSettings};
use bgpd::types::{Asn, Families};

use super::tunnel::both_ways;
use super::{End, Findings};
use crate::check::fits;
use crate::settings::Bgp;

/// What an end is told of the other: as a neighbor with an address, or as one of a listen range.
struct View<'c> {
    name: &'c str,
    asn: &'c RemoteAs,
    session: &'c SessionSettings,
    /// Absent for a listen range.
    neighbor: Option<&'c NeighborSettings>,
}

pub(super) fn check(one: End<'_>, other: End<'_>, findings: &mut Findings) {
    let (Some(ours), Some(theirs)) = (one.bgp(), other.bgp()) else { return };
    let (there, here) = (view(ours, other), view(theirs, one));
    match (&there, &here) {
        (Some(there), Some(here)) if there.neighbor.is_some() || here.neighbor.is_some() => {
            pair(one, other, there, here, findings);
        }
        (Some(there), None) if there.neighbor.is_some() => unanswered(one, other, there, findings),
        (None, Some(here)) if here.neighbor.is_some() => unanswered(other, one, here, findings),
        _ => {}
    }
}

fn unanswered(from: End<'_>, to: End<'_>, view: &View<'_>, findings: &mut Findings) {
    let message = format!("neighbor `{}` is {}, which knows no neighbor here", view.name, to.file);
    let addresses: Vec<_> = from.addresses().map(|address| address.to_string()).collect();
    findings.error(from, message, format!("there, one of {} must be a neighbor's address", addresses.join(", ")));
}

fn pair(one: End<'_>, other: End<'_>, there: &View<'_>, here: &View<'_>, findings: &mut Findings) {
    for (from, to, view, shown) in [(one, other, there, here), (other, one, here, there)] {
        asn(from, to, view, shown.session.local_asn, findings);
    }
    both_ways(one, other, |from, to| beyond_ceiling(from, to, findings));
    for (from, to, back) in [(one, other, here), (other, one, there)] {
        repeated_asn(from, to, back, findings);
    }
    router_ids(one, other, findings);
    if there.session.password != here.session.password {
        let message = format!("the password of neighbor `{}` is not the one in {}", there.name, other.file);
        findings.error(one, message, "the same password-file content at both ends, or none at either".to_owned());
    }
    let waits = |view: &View<'_>| view.neighbor.is_none_or(|neighbor| neighbor.passive);
    if waits(there) && waits(here) {
        let message = format!("both neighbor `{}` and {} wait to be dialled", there.name, other.file);
        findings.error(one, message, "take `passive` away at one end".to_owned());
    }
    if (there.session.hold_time.seconds() == 0) != (here.session.hold_time.seconds() == 0) {
        let message = format!("neighbor `{}` has a hold time of 0 at one end alone", there.name);
        findings.error(one, message, "0 is taken only where it is offered too".to_owned());
    }
    let offered = |view: &View<'_>| view.session.families.unwrap_or(Families::ALL);
    if offered(there).intersection(offered(here)).is_empty() {
        let message = format!("neighbor `{}` and {} have no family in common", there.name, other.file);
        findings.error(one, message, "set `families` alike at both ends".to_owned());
    }
}

fn asn(from: End<'_>, to: End<'_>, view: &View<'_>, shown: Option<Asn>, findings: &mut Findings) {
    let (Some(own), Some(real)) = (from.bgp(), to.bgp()) else { return };
    let asn = shown.unwrap_or(real.speaker.asn);
    if !fits(view.asn, own.speaker.asn, asn) {
        let message = format!("the asn of neighbor `{}` does not fit {}", view.name, to.file);
        findings.error(from, message, format!("that one is AS {asn}"));
    }
}

/// RFC 6286 §2.1
fn router_ids(one: End<'_>, other: End<'_>, findings: &mut Findings) {
    let (Some(ours), Some(theirs)) = (one.bgp(), other.bgp()) else { return };
    if ours.speaker.router_id == theirs.speaker.router_id && ours.speaker.asn == theirs.speaker.asn {
        let message = format!("router-id {} is the one of {}", ours.speaker.router_id, other.file);
        findings.error(one, message, "within an AS each router has its own".to_owned());
    }
}

/// What the far end announces of its own and our ceiling does not admit.
fn beyond_ceiling(from: End<'_>, to: End<'_>, findings: &mut Findings) {
    let (Some(wireguard), Some(peer), Some(theirs)) = (from.wireguard(), from.peer(to), to.bgp()) else { return };
    let ceiling = wireguard.routed_ips.iter().filter(|(key, _)| *key == peer.public_key);
    let ceiling: Vec<_> = ceiling.flat_map(|(_, prefixes)| prefixes).collect();
    let originated = theirs.speaker.originate.iter().map(|originate| originate.prefix);
    let aggregated = theirs.speaker.aggregates.iter().map(|aggregate| aggregate.prefix);
    for prefix in originated.chain(aggregated).filter(|prefix| !ceiling.iter().any(|admits| admits.contains(prefix))) {
        let message =
            format!("{prefix}, which {} announces, is outside the routed-ips of peer `{}`", to.file, peer.name);
        findings.warning(from, message, "it will not be used here".to_owned());
    }
}

/// A path with the receiver's own AS in it is dropped without a word (RFC 4271 §9.1.2).
fn repeated_asn(from: End<'_>, to: End<'_>, back: &View<'_>, findings: &mut Findings) {
    let (Some(ours), Some(theirs)) = (from.bgp(), to.bgp()) else { return };
    if back.session.allow_own_asn > 0 {
        return;
    }
    for (name, neighbor) in &ours.speaker.neighbors {
        let same = matches!(&neighbor.asn, RemoteAs::OneOf(numbers) if numbers.contains(&theirs.speaker.asn));
        if same && ours.speaker.asn != theirs.speaker.asn && !to.addresses().any(|address| address == neighbor.address)
        {
            let message = format!("neighbor `{name}` has the AS of {}, {}", to.file, theirs.speaker.asn);
            let help = "its routes would be dropped there, since their path holds that AS: give it another".to_owned();
            findings.warning(from, message, help);
        }
    }
}

/// How one end sees the other: by its tunnel addresses, an address of its own first.
fn view<'c>(bgp: &'c Bgp, other: End<'_>) -> Option<View<'c>> {
    let addresses: Vec<IpAddr> = other.addresses().collect();
    let mut neighbors = bgp.speaker.neighbors.iter();
    if let Some((name, neighbor)) = neighbors.find(|(_, neighbor)| addresses.contains(&neighbor.address)) {
        return Some(View { name, asn: &neighbor.asn, session: &neighbor.session, neighbor: Some(neighbor) });
    }
    let mut ranges = bgp.speaker.dynamic_neighbors.iter();
    let (name, range) = ranges.find(|(_, dynamic)| {
        dynamic.range.iter().any(|range| addresses.iter().any(|address| range.contains(address)))
    })?;
    Some(View { name, asn: &range.asn, session: &range.session, neighbor: None })
}
