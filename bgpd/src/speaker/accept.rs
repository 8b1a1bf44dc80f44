//! Connections come and go: who may connect, and with what socket.

use std::net::{IpAddr, SocketAddr};

use super::neighbor::{Neighbor, NeighborId};
use super::{Action, Connect, Event, SocketSettings, Speaker};
use crate::fsm;
use crate::settings::{DynamicNeighborSettings, Settings};
use crate::types::ConnectionId;

impl Speaker {
    /// A listener took a connection.
    pub(super) fn accepted(&mut self, connection: ConnectionId, local: SocketAddr, remote: SocketAddr) {
        let (local, remote) = (canonical(local), canonical(remote));
        match self.admit(local, remote) {
            Ok(id) => {
                self.connections.accept(connection, id, (local, remote));
                if let Some(neighbor) = self.neighbors.get(id) {
                    let socket = socket(neighbor, &self.settings);
                    self.actions.push_back(Action::Adopt { connection, socket });
                }
                self.step(id, fsm::Event::Accepted { connection, local, remote });
            }
            Err(text) => {
                self.events.push_back(Event::Refused { neighbor: None, remote: remote.ip(), text });
                self.actions.push_back(Action::Close { connection });
            }
        }
    }

    /// The neighbor that may connect so, a new one where it dials in for the first time.
    fn admit(&mut self, local: SocketAddr, remote: SocketAddr) -> Result<NeighborId, String> {
        if self.stopped {
            return Err("the speaker is stopping".to_owned());
        }
        match self.neighbors.owner(local, remote.ip()) {
            Some(id) => Ok(id),
            None => self.admit_dynamic(local, remote),
        }
    }

    fn admit_dynamic(&mut self, local: SocketAddr, remote: SocketAddr) -> Result<NeighborId, String> {
        let Some((range, settings)) = longest_range(&self.settings, remote.ip()) else {
            return Err("no neighbor has this address, and it is in no range of neighbors that dial in".to_owned());
        };
        let (range, settings) = (range.clone(), settings.clone());
        if self.neighbors.count_of(&range) >= settings.limit && !self.evict(&range) {
            return Err(format!("{range} has its {} neighbors", settings.limit));
        }
        let name = self.neighbors.free_name(&range, local, remote.ip());
        let seed = self.next_seed();
        let neighbor = Neighbor::dialled_in(name, &range, &settings, (local, remote), &self.settings, seed);
        let id = self.neighbors.insert(neighbor);
        self.reconcile(id);
        Ok(id)
    }

    /// Makes room: the neighbor of a range that has been without session the longest goes.
    fn evict(&mut self, range: &str) -> bool {
        let idle = self.neighbors.iter().filter_map(|(id, neighbor)| {
            let dynamic = neighbor.dynamic.as_ref().filter(|dynamic| dynamic.range == range)?;
            Some((dynamic.idle_since?, id))
        });
        let Some((_, id)) = idle.min() else { return false };
        self.neighbors.remove(id);
        true
    }

    /// A dial of ours stands.
    pub(super) fn connected(&mut self, connection: ConnectionId, local: SocketAddr, remote: SocketAddr) {
        let (local, remote) = (canonical(local), canonical(remote));
        let Some(dial) = self.connections.get_mut(connection) else {
            self.actions.push_back(Action::Close { connection }); // given up meanwhile
            return;
        };
        dial.ends = Some((local, remote));
        let id = dial.neighbor;
        self.step(id, fsm::Event::Connected { connection, local, remote });
    }

    /// A dial of ours failed.
    pub(super) fn connect_failed(&mut self, connection: ConnectionId, error: &str) {
        let Some(dial) = self.connections.remove(connection) else { return };
        self.note_failure(dial.neighbor, format!("no connection: {error}"));
        self.step(dial.neighbor, fsm::Event::ConnectFailed { connection });
    }

    /// A connection is gone.
    pub(super) fn closed(&mut self, connection: ConnectionId, error: Option<String>) {
        let Some(gone) = self.connections.remove(connection).filter(|gone| !gone.closing) else { return };
        self.lost = error;
        self.step(gone.neighbor, fsm::Event::Closed { connection });
        self.lost = None;
    }

    /// The FSM wants a connection.
    pub(super) fn dial(&mut self, id: NeighborId) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let connection = self.connections.dial(id);
        neighbor.fsm.dialling(connection);
        let settings = &neighbor.settings;
        self.actions.push_back(Action::Connect(Connect {
            connection,
            remote: SocketAddr::new(settings.address, settings.port),
            zone: settings.zone.clone(),
            local: settings.local_address,
            password: settings.session.password.clone(),
            socket: socket(neighbor, &self.settings),
            timeout: settings.session.connect_retry,
        }));
    }
}

/// The same address, whatever the family of the socket.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address, // with its scope
    }
}

/// TTL of what we send, and the lowest that may arrive.
fn socket(neighbor: &Neighbor, router: &Settings) -> SocketSettings {
    let session = &neighbor.settings.session;
    match (session.ttl_security, session.ebgp_multihop) {
        // RFC 5082 §3
        (Some(hops), _) => SocketSettings { ttl: Some(u8::MAX), min_ttl: Some(u8::MAX - hops.saturating_sub(1)) },
        (None, Some(ttl)) => SocketSettings { ttl: Some(ttl), min_ttl: None },
        // External neighbors are one hop away, unless told otherwise. What arrives may have any TTL: Cilium sends 1.
        (None, None) if neighbor.is_surely_external(router) => SocketSettings { ttl: Some(1), min_ttl: None },
        (None, None) => SocketSettings::default(),
    }
}

/// The longest range wins; of equal ones the first by name.
fn longest_range(settings: &Settings, remote: IpAddr) -> Option<(&String, &DynamicNeighborSettings)> {
    let lengths = settings.dynamic_neighbors.iter().filter_map(|(name, settings)| {
        let covering = settings.range.iter().filter(|range| range.contains(&remote));
        Some((covering.map(ipnet::IpNet::prefix_len).max()?, name, settings))
    });
    let longest = lengths.reduce(|best, other| if other.0 > best.0 { other } else { best });
    longest.map(|(_, name, settings)| (name, settings))
}
