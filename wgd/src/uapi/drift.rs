//! What is otherwise than it was to be, in words.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ipnet::IpNet;

use crate::settings::{Endpoint, PeerSettings, PublicKey, Settings};

/// How the second differs from the first, a sentence each, in words of the configuration file. No secret is in them.
pub fn differences(before: &Settings, now: &Settings) -> Vec<String> {
    let (old, new) = (by_key(before), by_key(now));
    let mut found = Vec::new();
    if before.private_key != now.private_key {
        found.push(format!("the private key is another one, of public key {}", now.private_key.public_key()));
    }
    let gone = before.peers.iter().filter(|peer| !new.contains_key(&peer.public_key));
    found.extend(gone.map(|peer| format!("peer {} is removed", peer.name)));
    for peer in &now.peers {
        match old.get(&peer.public_key) {
            Some(old) => {
                found.extend(changes(old, peer).into_iter().map(|change| format!("peer {}: {change}", peer.name)))
            }
            None => found.push(added(peer)),
        }
    }
    found
}

fn by_key(settings: &Settings) -> HashMap<PublicKey, &PeerSettings> {
    settings.peers.iter().map(|peer| (peer.public_key, peer)).collect()
}

fn added(peer: &PeerSettings) -> String {
    let with = [
        peer.endpoint.as_ref().map(|endpoint| format!("endpoint {}", address(endpoint))),
        (!peer.allowed_ips.is_empty()).then(|| format!("allowed-ips {}", list(&prefixes(peer)))),
        peer.persistent_keepalive.map(|interval| format!("persistent-keepalive {interval:?}")),
        peer.preshared_key.as_ref().map(|_| "a preshared key".to_owned()),
    ];
    let with: Vec<String> = with.into_iter().flatten().collect();
    match with.is_empty() {
        true => format!("peer {} is added", peer.name),
        false => format!("peer {} is added with {}", peer.name, with.join(", ")),
    }
}

fn changes(old: &PeerSettings, new: &PeerSettings) -> Vec<String> {
    let mut found = Vec::new();
    if old.preshared_key != new.preshared_key {
        let what = if new.preshared_key.is_some() { "another" } else { "no" };
        found.push(format!("it has {what} preshared key"));
    }
    if old.endpoint != new.endpoint {
        let text = |endpoint: &Option<Endpoint>| endpoint.as_ref().map_or_else(|| "none".to_owned(), address);
        found.push(format!("endpoint is {}, not {}", text(&new.endpoint), text(&old.endpoint)));
    }
    if old.persistent_keepalive != new.persistent_keepalive {
        let text = |interval: Option<Duration>| interval.map_or_else(|| "off".to_owned(), |is| format!("{is:?}"));
        let (is, was) = (text(new.persistent_keepalive), text(old.persistent_keepalive));
        found.push(format!("persistent-keepalive is {is}, not {was}"));
    }
    let (was, is) = (prefixes(old), prefixes(new));
    for (verb, some) in [("lacks", &was - &is), ("has also", &is - &was)] {
        if !some.is_empty() {
            found.push(format!("allowed-ips {verb} {}", list(&some)));
        }
    }
    found
}

fn address(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Address(address) => address.to_string(),
        Endpoint::Name(name, port) => format!("{name}:{port}"),
    }
}

fn prefixes(peer: &PeerSettings) -> BTreeSet<IpNet> {
    peer.allowed_ips.iter().map(IpNet::trunc).collect()
}

fn list(prefixes: &BTreeSet<IpNet>) -> String {
    prefixes.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ")
}
