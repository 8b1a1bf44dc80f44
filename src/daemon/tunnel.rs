//! What the tunnel tells, and what is done about it: who answers, who is elsewhere, which names are to be looked up, and what
//! its device should be.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use anyhow::{Result, bail};
use bgpd::speaker::{Input, Via};
use tracing::{info, warn};
use wgd::device::{Rekey, RekeyError};
use wgd::settings::PublicKey;
use wgd::view::{PeerState, PeerView};

use super::endpoints::in_turn;
use super::gateway::{Done, Gateway};
use super::news::News;
use super::watchers::PeerNews;
use crate::kernel::Address;

impl Gateway {
    /// Liveness first: the FIB flips before the speaker hears of it.
    pub(super) async fn news(&mut self, news: News) -> Result<()> {
        if let Some(why) = news.failed {
            bail!("the tunnel ended: {why}");
        }
        if let Some(generation) = news.applied {
            self.fib.tunnel_applied(generation);
        }
        if let Some(mtu) = news.mtu {
            self.set_mtu(mtu);
        }
        self.states(news.peers).await;
        for (peer, (name, port)) in news.endpoints {
            if !self.endpoints.wanted(peer) {
                continue;
            }
            self.jobs.spawn(async move {
                let found = tokio::net::lookup_host((name.as_str(), port)).await.map(Iterator::collect);
                Done::Endpoint(peer, name, found)
            });
        }
        let handshakes = news.handshakes.iter().map(|peer| (*peer, PeerNews::Handshake));
        let moved = news.moved.iter().map(|(peer, address)| (*peer, PeerNews::Endpoint(*address)));
        let keys =
            news.keys.iter().map(|(peer, (ours, theirs))| (*peer, PeerNews::Keys { ours: *ours, theirs: *theirs }));
        let mtus = news.mtus.iter().map(|(peer, mtu)| (*peer, PeerNews::Mtu(*mtu)));
        for (peer, what) in moved.chain(handshakes).chain(keys).chain(mtus) {
            if let Some(name) = self.peer_name(&peer) {
                self.watchers.tell(&name, peer, what);
            }
        }
        if !news.moved.is_empty() {
            self.moved(news.moved);
        }
        Ok(())
    }

    async fn states(&mut self, states: BTreeMap<PublicKey, PeerState>) {
        let mut vias = Vec::new();
        for (peer, state) in states {
            let alive = state != PeerState::Down;
            self.fib.peer(peer, alive);
            let Some(name) = self.peer_name(&peer) else { continue };
            if let Some(wireguard) = &self.config.wireguard {
                vias.push(Via { name: name.clone(), up: alive, interface: wireguard.interface.clone() });
            }
            // One that is removed is told as down, once and for all.
            if !self.peer_states.contains_key(&peer) {
                continue;
            }
            // That a peer has not answered yet is how it begins, and no event.
            let before = self.peer_states.insert(peer, state);
            if before == Some(state) {
                continue;
            }
            self.watchers.tell(&name, peer, PeerNews::State(before, state));
            let (kind, text) = match state {
                PeerState::Up => ("peer-up", "answers"),
                PeerState::Suspect => ("peer-suspect", "slow to answer"),
                PeerState::Down => ("peer-down", "does not answer"),
            };
            info!(peer = name, "{text}");
            self.journal.write(kind, name, text);
        }
        if let Some(bgp) = self.bgp.as_ref().filter(|_| !vias.is_empty()) {
            bgp.call(move |speaker, now| speaker.input(now, Input::Vias(vias))).await;
        }
    }

    /// Peers are elsewhere than before.
    fn moved(&mut self, peers: BTreeMap<PublicKey, SocketAddr>) {
        let mut is_new = false;
        // One may have been removed meanwhile
        for (peer, address) in peers.into_iter().filter(|(peer, _)| self.peer_states.contains_key(peer)) {
            self.endpoints.moved(peer, address.ip());
            is_new |= self.endpoints.learned.contains(&peer) && self.memory.note_endpoint(&peer, address);
        }
        self.fib.endpoints(self.endpoints.addresses());
        if is_new {
            self.remember_soon();
        }
    }

    /// Peers whose place must be learned are asked where the gateway before has heard them. A hint, no more: one that is
    /// elsewhere now is heard from there.
    pub(super) fn recall_endpoints(&mut self) {
        self.memory.retain_endpoints(&self.endpoints.learned);
        let Some(device) = &self.device else { return };
        for peer in &self.endpoints.learned {
            if let Some(address) = self.memory.endpoint(peer) {
                device.tunnel.endpoint(*peer, vec![address]);
            }
        }
    }

    pub(super) fn endpoint(&mut self, peer: PublicKey, name: &str, addresses: io::Result<Vec<SocketAddr>>) {
        self.endpoints.answered(&peer);
        let Some(device) = &self.device else { return };
        match addresses {
            Ok(addresses) if !addresses.is_empty() => device.tunnel.endpoint(peer, in_turn(addresses)),
            Ok(_) => warn!(name, "endpoint has no address"),
            Err(error) => warn!(name, %error, "endpoint not found"),
        }
    }

    /// The device follows the paths behind it.
    fn set_mtu(&mut self, mtu: u16) {
        let Some(interface) = self.device.as_ref().map(|device| device.interface) else { return };
        info!(mtu, "the tunnel's MTU is another");
        self.journal.write("mtu", "tunnel", mtu.to_string());
        let kernel = self.kernel.clone();
        tokio::spawn(async move {
            if let Err(error) = kernel.set_mtu(interface, mtu.into()).await {
                warn!(mtu, %error, "cannot set the MTU of the tunnel's device");
            }
        });
    }

    /// Our device keeps its addresses, whoever takes them away; the kernel takes IPv6 ones when a link goes down.
    pub(super) fn restore_addresses(&self, own: &[Address]) {
        let (Some(device), Some(wireguard)) = (&self.device, &self.config.wireguard) else { return };
        let interface = device.interface;
        let there = |address| own.iter().any(|own| own.interface == interface && own.address == address);
        for address in wireguard.addresses.iter().copied().filter(|address| !there(*address)) {
            let (kernel, name) = (self.kernel.clone(), wireguard.interface.clone());
            tokio::spawn(async move {
                match kernel.add_address(interface, address).await {
                    Ok(()) => warn!(%address, interface = name, "an address was taken away, and is back"),
                    Err(error) => warn!(%address, interface = name, %error, "an address was taken away"),
                }
            });
        }
    }

    /// One that was removed still has the name of the configuration.
    fn peer_name(&self, key: &PublicKey) -> Option<String> {
        let configured = self.config.wireguard.iter().flat_map(|wireguard| &wireguard.tunnel.peers);
        let mut peers = self.device.iter().flat_map(|device| &device.settings.peers).chain(configured);
        peers.find(|peer| peer.public_key == *key).map(|peer| peer.name.clone())
    }

    /// Waits for the tunnel's worker.
    pub(super) fn tunnel_answers(&self) {
        if let Some(device) = &self.device {
            device.tunnel.drops();
        }
    }

    /// Every WireGuard peer, as the tunnel has it.
    pub(super) fn peers(&self) -> Vec<PeerView> {
        self.device.as_ref().map(|device| device.tunnel.peers()).unwrap_or_default()
    }

    /// A new session with a WireGuard peer.
    pub(super) fn rekey(&self, peer: String, how: Rekey) -> Result<(), RekeyError> {
        self.device.as_ref().map_or(Err(RekeyError::NoSuchPeer), |device| device.tunnel.rekey(peer, how))
    }
}
