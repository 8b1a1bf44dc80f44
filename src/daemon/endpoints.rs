//! Where the tunnel's peers are: what their names say, and for the FIB's recursion guard where each is now.
//!
//! A look-up is a job of its own, since a name server may take long; of each peer one is under way at most.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use wgd::settings::{Endpoint, PeerSettings, PublicKey};

/// Addresses of one name that are tried: whoever answers for it may send thousands.
const MOST: usize = 16;

/// Of every peer.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    now: BTreeMap<PublicKey, IpAddr>,
    /// Without an endpoint in the configuration: where they are is learned.
    pub(super) learned: BTreeSet<PublicKey>,
    looking_up: BTreeSet<PublicKey>,
}

impl Endpoints {
    /// Every peer there is. Those of before stay where they are: the tunnel tells of each that moves.
    pub(super) fn set_peers(&mut self, peers: &[PeerSettings]) {
        self.now.retain(|key, _| peers.iter().any(|peer| peer.public_key == *key));
        self.learned.clear();
        for peer in peers {
            match peer.endpoint {
                Some(Endpoint::Address(address)) => drop(self.now.entry(peer.public_key).or_insert(address.ip())),
                Some(Endpoint::Name(..)) => {}
                None => drop(self.learned.insert(peer.public_key)),
            }
        }
    }

    /// Where the tunnel's own packets go.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.now.values().copied().collect()
    }

    pub(super) fn moved(&mut self, peer: PublicKey, address: IpAddr) {
        self.now.insert(peer, address);
    }

    /// A peer's name is to be looked up. True: now; else it is under way.
    pub(super) fn wanted(&mut self, peer: PublicKey) -> bool {
        self.looking_up.insert(peer)
    }

    /// The look-up is over.
    pub(super) fn answered(&mut self, peer: &PublicKey) {
        self.looking_up.remove(peer);
    }
}

/// The order in which addresses are tried: as the resolver has sorted them, but the families in turn, so that a family
/// without a way costs one try (RFC 8305 §4).
pub(super) fn in_turn(found: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let unique: Vec<SocketAddr> = found.into_iter().filter(|address| seen.insert(*address)).collect();
    let first_is_ipv4 = unique.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) = unique.into_iter().partition(|address| address.is_ipv4() == first_is_ipv4);
    let mut ranked: Vec<_> = first.into_iter().enumerate().chain(second.into_iter().enumerate()).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, address)| address).take(MOST).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn addresses(hosts: &[&str]) -> Vec<SocketAddr> {
        hosts.iter().map(|host| SocketAddr::new(host.parse().unwrap(), 51820)).collect()
    }

    #[test]
    fn families_take_turns_and_each_keeps_its_order() {
        let found = addresses(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2"]);
        let expected = addresses(&["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]);
        assert_eq!(in_turn(found), expected);
    }

    #[test]
    fn an_address_is_tried_once_and_of_a_thousand_some() {
        assert_eq!(in_turn(addresses(&["192.0.2.1", "192.0.2.1"])), addresses(&["192.0.2.1"]));
        let thousand = (0..1000).map(|port| SocketAddr::new([192, 0, 2, 1].into(), port));
        assert_eq!(in_turn(thousand).len(), MOST);
        assert!(in_turn([]).is_empty());
    }

    #[test]
    fn of_each_peer_one_look_up_is_under_way() {
        let (mut endpoints, peer) = (Endpoints::default(), PublicKey([1; 32]));
        assert!(endpoints.wanted(peer));
        assert!(!endpoints.wanted(peer));
        endpoints.answered(&peer);
        assert!(endpoints.wanted(peer));
    }
}
