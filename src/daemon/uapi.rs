//! What `wg` sees of the tunnel, and what it changes.
//!
//! A change lasts until the gateway starts again from its files: nothing is written. Until then it is shown as drift.

use wgd::Settings;
use wgd::uapi::{self, Changes, Errno, Error, Sockets};
use wgd::view::{PeerState, PeerView};

use super::gateway::Gateway;
use super::start::tunnel_peer;

/// The tunnel as it is.
#[derive(Clone, Debug)]
pub struct TunnelView {
    /// What it was told last.
    pub settings: Settings,
    /// What its sockets have.
    pub sockets: Sockets,
    /// Its peers.
    pub peers: Vec<PeerView>,
}

/// Of one change: sentences in the log.
const LOGGED: usize = 16;

impl Gateway {
    pub(super) fn tunnel_view(&self) -> Option<TunnelView> {
        let (sockets, device) = (self.sockets()?, self.device.as_ref()?);
        Some(TunnelView { settings: device.settings.clone(), sockets, peers: device.tunnel.peers() })
    }

    /// How the tunnel differs from the configuration, a sentence each.
    pub(super) fn drift(&self) -> Vec<String> {
        match (&self.config.wireguard, &self.device) {
            (Some(wireguard), Some(device)) => uapi::differences(&wireguard.tunnel, &device.settings),
            _ => Vec::new(),
        }
    }

    /// All of it at once, or nothing.
    pub(super) fn change_tunnel(&mut self, changes: &Changes) -> Result<(), Error> {
        let no_tunnel = || Error::new(Errno::Io, "there is no tunnel");
        let sockets = self.sockets().ok_or_else(no_tunnel)?;
        let (Some(wireguard), Some(device)) = (&self.config.wireguard, &mut self.device) else {
            return Err(no_tunnel());
        };
        let settings = changes.apply(&device.settings, &wireguard.tunnel, &sockets)?;
        let differences = uapi::differences(&device.settings, &settings);
        if differences.is_empty() {
            return Ok(());
        }
        for change in differences.iter().take(LOGGED) {
            tracing::info!(change, "told by wg, until the next start");
            self.journal.write("wg-set", wireguard.interface.clone(), change.clone());
        }
        if differences.len() > LOGGED {
            tracing::info!(changes = differences.len() - LOGGED, "told by wg besides, until the next start");
        }
        device.settings = settings.clone();
        device.tunnel.settings(settings);
        let peers = device.settings.peers.iter().map(|peer| tunnel_peer(wireguard, peer)).collect();
        self.fib.tunnel_peers(peers);
        self.peers_changed();
        Ok(())
    }

    /// What is known of each peer here: a new one begins as the tunnel has it begin, and tells of its way from there.
    fn peers_changed(&mut self) {
        let Some(device) = &self.device else { return };
        let peers = &device.settings.peers;
        let is_peer = |key: &_| peers.iter().any(|peer| peer.public_key == *key);
        self.peer_states.retain(|key, _| is_peer(key));
        for peer in peers {
            let state = if peer.watched { PeerState::Down } else { PeerState::Up };
            self.peer_states.entry(peer.public_key).or_insert(state);
        }
        self.endpoints.set_peers(peers);
        self.fib.endpoints(self.endpoints.addresses());
    }

    fn sockets(&self) -> Option<Sockets> {
        let wireguard = self.config.wireguard.as_ref()?;
        Some(Sockets { listen_port: wireguard.listen_port, fwmark: wireguard.fwmark.unwrap_or_default() })
    }
}
