//! The laws between keys: what makes a configuration unusable, and what its writer should know of a usable one.
//!
//! The advice is only given where no law is broken, so that it never rests on half a file.

mod bgp;
mod claims;
mod cover;
mod host;
mod policy;
mod rotation;
mod rules;
mod session;
mod wireguard;

use std::time::SystemTime;

use bgpd::settings::RemoteAs;
use bgpd::types::Asn;
use ipnet::IpNet;

pub(crate) use self::wireguard::holds;
use crate::raw::{Place, Report, nearest};
use crate::read::Draft;

/// What makes a configuration unusable.
pub(crate) fn laws(draft: &Draft, report: &mut Report) {
    host::laws(draft, report);
    if let Some(tunnel) = &draft.wireguard {
        wireguard::laws(tunnel, report);
        rotation::laws(tunnel, report);
    }
    if let Some(bgp) = &draft.bgp {
        bgp::laws(bgp, draft, report);
        session::laws(&bgp.value, draft, report);
        claims::laws(&bgp.value, draft, report);
    }
    policy::laws(draft, report);
}

/// What its writer should know of a usable one.
pub(crate) fn advice(draft: &Draft, now: SystemTime, report: &mut Report) {
    if let Some(tunnel) = &draft.wireguard {
        wireguard::advice(tunnel, draft, report);
        rotation::advice(&tunnel.value, now, report);
    }
    if let Some(bgp) = &draft.bgp {
        session::advice(&bgp.value, draft, report);
        claims::advice(&bgp.value, draft, report);
    }
    policy::advice(draft, report);
}

/// Reports every item that equals an earlier one.
fn duplicates<T: PartialEq>(items: &[(T, Place)], report: &mut Report, title: impl Fn(&T) -> String) {
    for (index, (item, place)) in items.iter().enumerate() {
        if let Some((_, first)) = items[..index].iter().find(|(earlier, _)| earlier == item) {
            report.error(*place, title(item), "given again").also(*first, "given first");
        }
    }
}

/// A name that nothing has, with the one that was probably meant.
fn undefined<'n>(name: &str, known: impl Iterator<Item = &'n str>, otherwise: &str) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_owned(),
    }
}

/// Whether two prefixes have addresses in common.
pub(crate) fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// Whether a speaker of AS `own` takes one of AS `asn` for what it was told.
pub(crate) fn fits(told: &RemoteAs, own: Asn, asn: Asn) -> bool {
    match told {
        RemoteAs::OneOf(numbers) => numbers.contains(&asn),
        RemoteAs::External => asn != own,
        RemoteAs::Internal => asn == own,
    }
}
