//! Next hops: how the kernel would send to each, which tunnel peer that is, and what the speaker was told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bgpd::speaker::NextHopState;
use bgpd::types::NextHop;
use ipnet::IpNet;
use wgd::settings::PublicKey;

use super::{TunnelPeer, TunnelSettings};
use crate::kernel::{Hop, Resolution};

/// Every address whose way matters: the speaker's next hops and the tunnel's endpoints.
#[derive(Debug)]
pub(super) struct NextHops {
    tunnel: Option<TunnelSettings>,
    down: BTreeSet<PublicKey>,
    known: BTreeMap<NextHop, Known>,
    to_look_up: BTreeSet<NextHop>,
    looking_up: bool,
    to_tell: BTreeSet<NextHop>,
}

/// One address.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The speaker wants to know of it.
    pub(super) next_hop: bool,
    /// The tunnel sends packets there.
    pub(super) endpoint: bool,
    /// Absent until the kernel was asked.
    pub(super) resolution: Option<Resolution>,
    told: Option<NextHopState>,
}

/// Where packets for a next hop go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// To this host.
    Local,
    /// To a peer of the tunnel.
    Peer(PublicKey),
    /// Out of a link.
    Link(Hop),
    /// Nowhere, and why.
    Nowhere(String),
}

impl NextHops {
    pub(super) fn new(tunnel: Option<TunnelSettings>) -> Self {
        Self {
            tunnel,
            down: BTreeSet::new(),
            known: BTreeMap::new(),
            to_look_up: BTreeSet::new(),
            looking_up: false,
            to_tell: BTreeSet::new(),
        }
    }

    /// The speaker wants to know of a next hop, or no longer.
    pub(super) fn want(&mut self, next_hop: NextHop, wanted: bool) {
        let known = self.known.entry(next_hop).or_default();
        known.next_hop = wanted;
        known.told = None;
        self.settle(next_hop);
    }

    /// Sets the endpoints; returns those that came or went.
    pub(super) fn set_endpoints(&mut self, endpoints: Vec<IpAddr>) -> Vec<IpAddr> {
        let new: BTreeSet<NextHop> = endpoints.into_iter().map(NextHop::from).collect();
        let old: BTreeSet<NextHop> = self.known.iter().filter(|(_, it)| it.endpoint).map(|(it, _)| *it).collect();
        let changed: Vec<NextHop> = old.symmetric_difference(&new).copied().collect();
        for endpoint in &changed {
            self.known.entry(*endpoint).or_default().endpoint = new.contains(endpoint);
            self.settle(*endpoint);
        }
        changed.into_iter().map(|it| it.address).collect()
    }

    /// After a change of interest in an address: forget it, look it up, or tell.
    fn settle(&mut self, next_hop: NextHop) {
        let Some(known) = self.known.get(&next_hop) else { return };
        if !known.next_hop && !known.endpoint {
            self.known.remove(&next_hop);
            self.to_look_up.remove(&next_hop);
        } else if known.resolution.is_none() {
            self.to_look_up.insert(next_hop);
        } else {
            self.to_tell.insert(next_hop);
        }
    }

    /// Every address is to be looked up again.
    pub(super) fn look_up_all(&mut self) {
        self.to_look_up.extend(self.known.keys());
    }

    /// Routes of ours have changed: where one stood in the way, the kernel may know another now.
    pub(super) fn look_up_unreachable(&mut self) {
        let unreachable = |known: &Known| matches!(known.resolution, Some(Resolution::Unreachable(_)));
        self.to_look_up
            .extend(self.known.iter().filter(|(_, known)| unreachable(known)).map(|(next_hop, _)| *next_hop));
    }

    /// Takes the kernel's answers; returns the addresses whose way is another now.
    pub(super) fn resolved(&mut self, resolutions: Vec<(NextHop, Resolution)>) -> Vec<NextHop> {
        self.looking_up = false;
        let mut changed = Vec::new();
        for (next_hop, resolution) in resolutions {
            let Some(known) = self.known.get_mut(&next_hop) else { continue };
            if known.resolution.as_ref() != Some(&resolution) {
                known.resolution = Some(resolution);
                self.to_tell.insert(next_hop);
                changed.push(next_hop);
            }
        }
        changed
    }

    /// Notes whether a peer is alive. One never heard of is: an idle peer that nobody watches never says so.
    pub(super) fn set_peer(&mut self, peer: PublicKey, alive: bool) {
        let changed = if alive { self.down.remove(&peer) } else { self.down.insert(peer) };
        if changed {
            self.to_tell.extend(self.known.keys());
        }
    }

    /// Sets the tunnel's peers; returns every address, for any of them may be another's now.
    pub(super) fn set_peers(&mut self, peers: Vec<TunnelPeer>) -> Vec<NextHop> {
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.peers = peers;
        }
        self.to_tell.extend(self.known.keys());
        self.known.keys().copied().collect()
    }

    /// What to ask the kernel now; one question at a time, so that answers cannot overtake each other.
    pub(super) fn poll_look_up(&mut self) -> Option<Vec<NextHop>> {
        if self.looking_up || self.to_look_up.is_empty() {
            return None;
        }
        self.looking_up = true;
        Some(std::mem::take(&mut self.to_look_up).into_iter().collect())
    }

    /// What to tell the speaker now.
    pub(super) fn poll_tell(&mut self) -> Option<Vec<(NextHop, NextHopState)>> {
        let mut news = Vec::new();
        for next_hop in std::mem::take(&mut self.to_tell) {
            let state = self.state(&next_hop);
            let Some(known) = self.known.get_mut(&next_hop).filter(|known| known.next_hop) else { continue };
            if state.is_some() && known.told != state {
                known.told.clone_from(&state);
                news.extend(state.map(|state| (next_hop, state)));
            }
        }
        (!news.is_empty()).then_some(news)
    }

    /// Whether nothing is asked or to be told.
    #[cfg(test)]
    pub(super) fn idle(&self) -> bool {
        !self.looking_up && self.to_look_up.is_empty() && self.to_tell.is_empty()
    }

    /// Where packets for a next hop go.
    pub(super) fn way(&self, next_hop: &NextHop) -> Way {
        match self.known.get(next_hop).and_then(|known| known.resolution.as_ref()) {
            None => Way::Nowhere("not looked up yet".to_owned()),
            Some(Resolution::Local) => Way::Local,
            Some(Resolution::Unreachable(why)) => Way::Nowhere(why.clone()),
            Some(Resolution::Via { hop, .. }) => match &self.tunnel {
                Some(tunnel) if tunnel.interface == hop.interface => {
                    let address = hop.gateway.unwrap_or(next_hop.address);
                    let nobody = || Way::Nowhere(format!("no WireGuard peer has {address} in its allowed-ips"));
                    tunnel.peer_of(address).map_or_else(nobody, |peer| Way::Peer(peer.key))
                }
                _ => Way::Link(Hop { gateway: hop.gateway.or(Some(next_hop.address)), interface: hop.interface }),
            },
        }
    }

    /// The addresses inside a prefix.
    pub(super) fn inside(&self, prefix: &IpNet) -> impl Iterator<Item = (&NextHop, &Known)> {
        let first = NextHop { address: prefix.network(), scope: 0 };
        let last = NextHop { address: prefix.broadcast(), scope: u32::MAX };
        self.known.range(first..=last)
    }

    fn state(&self, next_hop: &NextHop) -> Option<NextHopState> {
        let resolution = self.known.get(next_hop)?.resolution.as_ref()?;
        let (connected, metric) = match resolution {
            Resolution::Local => (true, 0),
            Resolution::Via { hop, metric, .. } => (hop.gateway.is_none(), *metric),
            Resolution::Unreachable(_) => (false, 0),
        };
        let state = NextHopState { up: true, connected, metric, ..NextHopState::default() };
        Some(match self.way(next_hop) {
            Way::Local => NextHopState { local: true, ..state },
            Way::Link(_) => state,
            Way::Nowhere(why) => NextHopState { up: false, reason: Some(why), ..state },
            Way::Peer(key) => self.peer_state(&key, state),
        })
    }

    fn peer_state(&self, key: &PublicKey, state: NextHopState) -> NextHopState {
        let Some(peer) = self.tunnel.as_ref().and_then(|tunnel| tunnel.peer(key)) else { return state };
        let down = self.down.contains(key);
        NextHopState {
            up: !down,
            reason: down.then(|| format!("the WireGuard peer {} is down", peer.name)),
            admits: Some(peer.routed_ips.clone()),
            tunnel: true,
            wireguard_peer: Some(peer.name.clone()),
            ..state
        }
    }
}

impl TunnelSettings {
    /// The peer with this key.
    pub(super) fn peer(&self, key: &PublicKey) -> Option<&TunnelPeer> {
        self.peers.iter().find(|peer| peer.key == *key)
    }

    /// The peer to which an address belongs: the longest match in the static allowed IPs.
    fn peer_of(&self, address: IpAddr) -> Option<&TunnelPeer> {
        let matches = |peer: &TunnelPeer| {
            peer.allowed_ips.iter().filter(|prefix| prefix.contains(&address)).map(IpNet::prefix_len).max()
        };
        let longest = self.peers.iter().filter_map(|peer| Some((matches(peer)?, peer)));
        longest.max_by_key(|(length, _)| *length).map(|(_, peer)| peer)
    }
}
