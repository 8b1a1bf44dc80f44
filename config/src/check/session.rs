//! What every session is told: the laws between its keys, and the policies it names.

use bgpd::settings::{PolicyName, RemoteAs, SessionSettings};
use bgpd::types::Asn;

use super::{undefined, wireguard};
use crate::raw::{Entry, Places, Report};
use crate::read::{Bgp, Draft, Neighbor};

/// A neighbor or a listen range.
struct Session<'d> {
    name: &'d str,
    asn: &'d RemoteAs,
    settings: &'d SessionSettings,
    places: &'d Places,
}

/// What a neighbor is to us. A listen range may be both, and then it is neither.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Relation {
    External,
    Internal,
    Either,
}

pub(super) fn laws(bgp: &Bgp, draft: &Draft, report: &mut Report) {
    for session in sessions(bgp) {
        timers(&session, report);
        hops(&session, report);
        asns(&session, draft.router.value.asn, report);
        policies(&session, draft, report);
    }
    for neighbor in &bgp.neighbors {
        addresses(neighbor, draft, report);
    }
    for dynamic in &bgp.dynamic {
        if !dynamic.places.has("import") {
            let title = format!("dynamic neighbor `{}` needs an import policy", dynamic.value.name);
            let label = "add import = \"POLICY\": whoever dials in from the range could announce anything";
            report.error(dynamic.places.table, title, label);
        }
    }
}

fn timers(session: &Session<'_>, report: &mut Report) {
    let Session { settings, places, .. } = session;
    let Some(hold_time) = settings.hold_time.duration() else {
        if settings.keepalive.is_some() {
            // RFC 4271 §4.4
            let finding = report.error(places.of("keepalive"), "keepalive is not allowed here", "nothing is sent");
            finding.also(places.of("hold-time"), "with a hold time of 0");
        }
        return;
    };
    let seconds = settings.hold_time.seconds();
    if settings.keepalive.is_some_and(|keepalive| keepalive >= hold_time) {
        let label = format!("allowed: less than the hold time of {seconds} s");
        report.error(places.of("keepalive"), "keepalive is too long", label);
    }
    if settings.send_hold_time.is_some_and(|send| send <= hold_time) {
        // RFC 9687
        let label = format!("allowed: more than the hold time of {seconds} s");
        report.error(places.of("send-hold-time"), "send-hold-time is too short", label);
    }
}

fn hops(session: &Session<'_>, report: &mut Report) {
    let Session { settings, places, .. } = session;
    if settings.ttl_security.is_some() && settings.ebgp_multihop.is_some() {
        let title = "ttl-security and ebgp-multihop exclude each other";
        let label = "ttl-security counts hops itself: 1 is directly connected";
        report.error(places.of("ttl-security"), title, label).also(places.of("ebgp-multihop"), "the other");
    }
}

fn asns(session: &Session<'_>, own: Option<Asn>, report: &mut Report) {
    let Session { asn, settings, places, .. } = session;
    let relation = relation(asn, own);
    let mut only_for = |key: &str, who: &str| {
        let title = format!("{key} is not allowed here");
        report.error(places.of(key), title, format!("only for {who} neighbors")).also(places.of("asn"), "the neighbor");
    };
    if relation == Relation::External && settings.route_reflector_client {
        only_for("route-reflector-client", "internal"); // RFC 4456
    }
    if relation == Relation::Internal && settings.role.is_some() {
        only_for("role", "external"); // RFC 9234 §4.1
    }
    if relation == Relation::Internal && settings.ebgp_multihop.is_some() {
        only_for("ebgp-multihop", "external");
    }
    if relation == Relation::Internal && settings.remove_private_asn {
        only_for("remove-private-asn", "external");
    }
    let Some(local) = settings.local_asn else { return };
    if relation == Relation::Internal {
        only_for("local-asn", "external");
    } else if own == Some(local) {
        report.error(places.of("local-asn"), format!("local-asn {local} changes nothing"), "it is our own AS anyway");
    } else if matches!(asn, RemoteAs::OneOf(numbers) if numbers.contains(&local)) {
        let title = format!("local-asn {local} is the neighbor's own");
        report.error(places.of("local-asn"), title, "the neighbor would take us for an internal one");
    }
}

fn policies(session: &Session<'_>, draft: &Draft, report: &mut Report) {
    for (key, policy) in [("import", &session.settings.import), ("export", &session.settings.export)] {
        let Some(PolicyName::Named(name)) = policy else { continue };
        if !draft.policies.contains_key(name) {
            let known = draft.policies.keys().map(String::as_str).chain(["accept-all"]);
            let label = undefined(name, known, &format!("define it as [[policy.{name}]]"));
            report.error(session.places.of(key), format!("there is no policy `{name}`"), label);
        }
    }
}

/// A session goes from one address to another of the same family, through the peer that owns the far one.
fn addresses(neighbor: &Entry<Neighbor>, draft: &Draft, report: &mut Report) {
    let Entry { value: Neighbor { settings, .. }, places } = neighbor;
    let address = settings.address;
    if let Some(local) = settings.local_address.filter(|local| local.is_ipv4() != address.is_ipv4()) {
        let title = format!("local-address {local} is of another family than the neighbor's");
        report.error(places.of("local-address"), title, "allowed: an address of the same family");
    }
    let (Some(tunnel), Some(via)) = (&draft.wireguard, &settings.via) else { return };
    let peers = &tunnel.value.peers;
    let Some(peer) = peers.iter().find(|peer| peer.value.settings.name == *via) else { return };
    let owner = peers.iter().max_by_key(|peer| wireguard::holds(peer, address));
    let length = wireguard::holds(peer, address);
    if length.is_some() && owner.is_some_and(|owner| wireguard::holds(owner, address) == length) {
        return;
    }
    let title = format!("{address} is not reached via `{via}`");
    let label = "allowed: the peer whose `allowed-ips` hold the neighbor's address";
    let finding = report.error(places.of("via"), title, label);
    match owner.filter(|_| length.is_some()) {
        Some(owner) => finding.also(owner.places.of("allowed-ips"), "these hold it by a longer prefix"),
        None => finding.also(peer.places.of("allowed-ips"), "these do not"),
    };
}

pub(super) fn advice(bgp: &Bgp, draft: &Draft, report: &mut Report) {
    for session in sessions(bgp) {
        if relation(session.asn, draft.router.value.asn) != Relation::Internal {
            without_policy(&session, report);
        }
    }
    for dynamic in bgp.dynamic.iter().filter(|dynamic| dynamic.value.settings.session.password.is_none()) {
        let title = format!("whoever has an address in the range can be `{}`", dynamic.value.name);
        report.warning(dynamic.places.of("range"), title, "add password-file to ask for a password");
    }
    let Some(tunnel) = &draft.wireguard else { return };
    for neighbor in bgp.neighbors.iter().filter(|neighbor| neighbor.value.settings.via.is_none()) {
        if wireguard::owned(&tunnel.value, neighbor.value.settings.address) {
            let title = format!(
                "neighbor `{}` lies behind the tunnel, and its session is not bound to it",
                neighbor.value.name
            );
            let label = "add via = \"auto\": the session then ends with the tunnel, not with its hold time";
            report.warning(neighbor.places.of("address"), title, label);
        }
    }
}

fn without_policy(session: &Session<'_>, report: &mut Report) {
    for (key, policy, what) in
        [("import", &session.settings.import, "taken from"), ("export", &session.settings.export, "announced to")]
    {
        if policy.is_none() && !session.places.has(key) {
            let title = format!("nothing is {what} external neighbor `{}`", session.name);
            let label = format!("without an {key} policy nothing passes (RFC 8212); \"accept-all\" passes everything");
            report.warning(session.places.table, title, label);
        }
    }
}

fn sessions(bgp: &Bgp) -> impl Iterator<Item = Session<'_>> {
    let neighbors = bgp.neighbors.iter().map(|Entry { value, places }| Session {
        name: &value.name,
        asn: &value.settings.asn,
        settings: &value.settings.session,
        places,
    });
    let dynamic = bgp.dynamic.iter().map(|Entry { value, places }| Session {
        name: &value.name,
        asn: &value.settings.asn,
        settings: &value.settings.session,
        places,
    });
    neighbors.chain(dynamic)
}

fn relation(asn: &RemoteAs, own: Option<Asn>) -> Relation {
    match (asn, own) {
        (RemoteAs::External, _) => Relation::External,
        (RemoteAs::Internal, _) => Relation::Internal,
        (RemoteAs::OneOf(numbers), Some(own)) if !numbers.contains(&own) => Relation::External,
        (RemoteAs::OneOf(numbers), Some(own)) if numbers.iter().all(|number| *number == own) => Relation::Internal,
        (RemoteAs::OneOf(_), _) => Relation::Either,
    }
}
