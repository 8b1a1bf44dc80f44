//! The tunnel between two ends.

use wgd::settings::{Endpoint, Mtu, PeerSettings};

use super::{End, Findings, allows};

pub(super) fn check(one: End<'_>, other: End<'_>, only_two: bool, findings: &mut Findings) {
    if one.wireguard().is_none() || other.wireguard().is_none() {
        return;
    }
    for address in one.addresses().filter(|address| other.addresses().any(|other| other == *address)) {
        let help = format!("{} has it too: give each end its own", one.file);
        findings.error(other, format!("tunnel address {address} is taken"), help);
    }
    match (one.peer(other), other.peer(one)) {
        (Some(there), Some(here)) => {
            preshared_keys(one, other, there, here, findings);
            next_keys(one, other, there, findings);
            next_keys(other, one, here, findings);
            endpoints(one, other, there, here, findings);
            both_ways(one, other, |from, to| allowed(from, to, findings));
            sizes(one, other, findings);
        }
        (None, None) if !only_two => {}
        (there, here) => {
            for (from, to, peer) in [(one, other, there), (other, one, here)] {
                if peer.is_none() {
                    unknown(from, to, findings);
                }
            }
        }
    }
}

/// Runs a check from each end.
pub(super) fn both_ways<'c>(one: End<'c>, other: End<'c>, mut check: impl FnMut(End<'c>, End<'c>)) {
    check(one, other);
    check(other, one);
}

fn unknown(from: End<'_>, to: End<'_>, findings: &mut Findings) {
    let help = match to.public_key() {
        Some(key) => format!("its public key is {key}"),
        None => "no peer's allowed-ips hold its addresses".to_owned(),
    };
    findings.error(from, format!("no peer here is {}", to.file), help);
}

fn preshared_keys(one: End<'_>, other: End<'_>, there: &PeerSettings, here: &PeerSettings, findings: &mut Findings) {
    if there.preshared_key != here.preshared_key {
        let message = format!("the preshared key of peer `{}` is not the one in {}", there.name, other.file);
        findings.error(one, message, "the same preshared-key-file content at both ends, or none at either".to_owned());
    }
}

/// `peer` is what `from` knows of the other end.
fn next_keys(from: End<'_>, to: End<'_>, peer: &PeerSettings, findings: &mut Findings) {
    let Some(key) =
        to.next_public_key().filter(|key| ![Some(peer.public_key), peer.next_public_key].contains(&Some(*key)))
    else {
        return;
    };
    let message = format!("peer `{}` does not have the next key of {}", peer.name, to.file);
    findings.error(from, message, format!("give it next-public-key = \"{key}\""));
}

fn endpoints(one: End<'_>, other: End<'_>, there: &PeerSettings, here: &PeerSettings, findings: &mut Findings) {
    if there.endpoint.is_none() && here.endpoint.is_none() {
        let message = format!("neither end knows where the other is: no endpoint here, none in {}", other.file);
        findings.error(one, message, "give one of them the other's endpoint".to_owned());
    }
    for (from, to, peer) in [(one, other, there), (other, one, here)] {
        let Some(port) = peer.endpoint.as_ref().map(port) else { continue };
        let Some(listen) = to.wireguard().map(|wireguard| wireguard.listen_port) else { continue };
        if port != listen {
            let message =
                format!("the endpoint of peer `{}` has port {port}, {} listens on {listen}", peer.name, to.file);
            findings.warning(from, message, "right only where something between them translates the port".to_owned());
        }
    }
}

fn port(endpoint: &Endpoint) -> u16 {
    match endpoint {
        Endpoint::Address(address) => address.port(),
        Endpoint::Name(_, port) => *port,
    }
}

/// What the far end sends from its own addresses must be allowed, or not even BGP starts.
fn allowed(from: End<'_>, to: End<'_>, findings: &mut Findings) {
    let Some(peer) = from.peer(to) else { return };
    for address in to.addresses().filter(|address| !allows(peer, address)) {
        let message = format!("{address} of {} is not in the allowed-ips of peer `{}`", to.file, peer.name);
        findings.error(from, message, "its packets would be dropped, and no next hop reached there".to_owned());
    }
}

fn sizes(one: End<'_>, other: End<'_>, findings: &mut Findings) {
    let mtu = |end: End<'_>| match end.wireguard()?.tunnel.mtu {
        Mtu::Octets(octets) => Some(octets),
        Mtu::Auto => None, // what fits is found out
    };
    if let (Some(ours), Some(theirs)) = (mtu(one), mtu(other))
        && ours != theirs
    {
        let message = format!("the MTU of the tunnel is {ours} here and {theirs} in {}", other.file);
        findings.warning(one, message, "packets that fit one end may not fit the other".to_owned());
    }
}
