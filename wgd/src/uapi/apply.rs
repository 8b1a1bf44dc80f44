//! Changes to a whole desired state.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use ipnet::IpNet;

use super::{Changes, Errno, Error, PeerChange, Sockets, Verb};
use crate::settings::{Endpoint, PeerSettings, PrivateKey, PublicKey, Settings};

impl Changes {
    /// What is to be after the changes. What a peer is called and whether it is watched stays as `configured`; one that
    /// is not in there is called after its public key.
    ///
    /// # Errors
    /// What cannot be, or not while the tunnel runs; then nothing is changed.
    pub fn apply(&self, current: &Settings, configured: &Settings, sockets: &Sockets) -> Result<Settings, Error> {
        self.leaves(sockets)?;
        let private_key = match &self.private_key {
            Some(None) => return Err(Error::invalid("the tunnel needs a private key: private_key cannot be zeros")),
            Some(Some(key)) if !is_ours(key, current) => key.clone(),
            _ => current.private_key.clone(),
        };
        let own = private_key.public_key();
        let mut peers = Peers::new(configured, if self.replace_peers { &[] } else { &current.peers });
        self.peers.iter().filter(|change| change.public_key != own).for_each(|change| peers.change(change));
        Ok(Settings { private_key, peers: peers.finish(own), ..current.clone() })
    }

    /// What the sockets have stays. Port 0 means any.
    fn leaves(&self, sockets: &Sockets) -> Result<(), Error> {
        let refused = |what: &str, value: u32, has: u32| {
            let text = format!("{what} {value} needs a restart with another configuration: it is {has}");
            Err(Error::new(Errno::NotSupported, text))
        };
        match (self.listen_port, self.fwmark) {
            (Some(port), _) if port != 0 && port != sockets.listen_port => {
                refused("listen_port", port.into(), sockets.listen_port.into())
            }
            (_, Some(mark)) if mark != sockets.fwmark => refused("fwmark", mark, sockets.fwmark),
            _ => Ok(()),
        }
    }
}

/// Whether a key is there already, or is the next one. Shown and set again it may have other octets, and is the same key.
fn is_ours(key: &PrivateKey, current: &Settings) -> bool {
    let next = current.next_private_key.as_ref().map(|next| &next.key);
    [Some(&current.private_key), next].into_iter().flatten().any(|ours| ours.public_key() == key.public_key())
}

/// Peers while they change.
struct Peers<'a> {
    configured: HashMap<PublicKey, (usize, &'a PeerSettings)>,
    /// With a number that says in which order they came.
    peers: HashMap<PublicKey, (usize, PeerSettings)>,
    came: usize,
    /// By a next public key: the present one of the peer that is to have it.
    present: HashMap<PublicKey, PublicKey>,
    /// Prefixes that were given to somebody, and to whom last.
    given: HashMap<IpNet, PublicKey>,
}

impl<'a> Peers<'a> {
    fn new(configured: &'a Settings, peers: &[PeerSettings]) -> Self {
        let numbered = |(number, peer): (usize, &PeerSettings)| (peer.public_key, (number, peer.clone()));
        let all = configured.peers.iter().chain(peers);
        Self {
            present: all.filter_map(|peer| Some((peer.next_public_key?, peer.public_key))).collect(),
            configured: configured
                .peers
                .iter()
                .enumerate()
                .map(|(number, peer)| (peer.public_key, (number, peer)))
                .collect(),
            peers: peers.iter().enumerate().map(numbered).collect(),
            came: peers.len(),
            given: HashMap::new(),
        }
    }

    fn change(&mut self, change: &PeerChange) {
        let key = *self.present.get(&change.public_key).unwrap_or(&change.public_key);
        if change.remove {
            self.peers.remove(&key);
            return;
        }
        let peer = match self.peers.entry(key) {
            Entry::Occupied(peer) => peer.into_mut(),
            Entry::Vacant(_) if change.update_only => return,
            Entry::Vacant(place) => {
                self.came += 1;
                place.insert((self.came, fresh(key, self.configured.get(&key).map(|(_, peer)| *peer))))
            }
        };
        change.apply(&mut peer.1);
        let added = change.allowed_ips.iter().filter(|(verb, _)| *verb == Verb::Add);
        self.given.extend(added.map(|(_, prefix)| (*prefix, key)));
    }

    /// As in the configuration, then as they came.
    fn finish(self, own: PublicKey) -> Vec<PeerSettings> {
        let Self { configured, peers, given, .. } = self;
        let mut peers: Vec<(usize, PeerSettings)> = peers.into_values().collect();
        let place = |peer: &PeerSettings| configured.get(&peer.public_key).map_or(usize::MAX, |(number, _)| *number);
        peers.sort_by_key(|(came, peer)| (place(peer), *came));
        let mut peers: Vec<PeerSettings> = peers.into_iter().map(|(_, peer)| peer).collect();
        peers.retain(|peer| peer.public_key != own); // as in the file: one list of peers does for a whole mesh
        for peer in &mut peers {
            let key = peer.public_key;
            peer.allowed_ips.retain(|prefix| given.get(&prefix.trunc()).is_none_or(|owner| *owner == key));
        }
        peers
    }
}

impl PeerChange {
    fn apply(&self, peer: &mut PeerSettings) {
        if let Some(key) = &self.preshared_key {
            peer.preshared_key.clone_from(key);
        }
        if let Some(address) = self.endpoint {
            peer.endpoint = Some(Endpoint::Address(address));
        }
        if let Some(interval) = self.persistent_keepalive {
            peer.persistent_keepalive = interval;
        }
        if self.replace_allowed_ips || !self.allowed_ips.is_empty() {
            peer.allowed_ips = self.allowed_ips_of(&peer.allowed_ips);
        }
    }

    /// Those of before that stay, then the new ones in their order, each once.
    fn allowed_ips_of(&self, before: &[IpNet]) -> Vec<IpNet> {
        let before = if self.replace_allowed_ips { &[] } else { before };
        let mut allowed: HashSet<IpNet> = before.iter().map(IpNet::trunc).collect();
        for (verb, prefix) in &self.allowed_ips {
            match verb {
                Verb::Add => allowed.insert(*prefix),
                Verb::Remove => allowed.remove(prefix),
            };
        }
        let named = self.allowed_ips.iter().map(|(_, prefix)| prefix);
        before.iter().chain(named).filter(|prefix| allowed.remove(&prefix.trunc())).copied().collect()
    }
}

/// A peer of which nothing is said yet.
fn fresh(public_key: PublicKey, configured: Option<&PeerSettings>) -> PeerSettings {
    let name = configured.map_or_else(|| name(&public_key), |peer| peer.name.clone());
    PeerSettings {
        next_public_key: configured.and_then(|peer| peer.next_public_key),
        watched: configured.is_some_and(|peer| peer.watched),
        ..PeerSettings::new(name, public_key)
    }
}

/// As the configuration allows it, so that it can stand in commands: no base64.
fn name(key: &PublicKey) -> String {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    format!("wg-{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}
