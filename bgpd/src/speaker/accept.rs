//! Connections come and go: who may connect, and with what socket.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::neighbor::{Neighbor, NeighborId};
use super::refusals::Refusal;
use super::{Action, Connect, SocketSettings, Speaker};
use crate::fsm;
use crate::settings::Settings;
use crate::types::{ConnectionId, Family};

impl Speaker {
    /// A listener took a connection.
    pub(super) fn accepted(
        &mut self,
        connection: ConnectionId,
        (local, remote): (SocketAddr, SocketAddr),
        interface: Option<&str>,
    ) {
        if self.stopped.is_some() {
            return self.turn_away(connection, remote, "the speaker is stopping".to_owned());
        }
        if let Some(id) = self.neighbors.owner(local, remote.ip(), interface) {
            return match self.astray(id, interface) {
                Some(text) => self.turn_away(connection, remote, text),
                None => self.take_over(connection, id, local, remote),
            };
        }
        let ranges = longest_ranges(&self.settings, remote.ip());
        match ranges.as_slice() {
            [] => self.turn_away(connection, remote, "no neighbor has this address or a range with it".to_owned()),
            [range] => match self.neighbor_of(range, local, remote) {
                Ok(id) => self.take_over(connection, id, local, remote),
                Err(text) => self.turn_away(connection, remote, text),
            },
            _ => self.wait_for_open(connection, (local, remote), ranges),
        }
    }

    /// Whether it matters on which interface a connection from there arrives: only then the host is asked.
    pub fn asks_for_interface(&self, remote: IpAddr) -> bool {
        let asks = |neighbor: &Neighbor| neighbor.settings.zone.is_some() || neighbor.settings.via.is_some();
        self.neighbors.iter().any(|(_, neighbor)| neighbor.settings.address == remote && asks(neighbor))
    }

    /// Why a connection is not a neighbor's, although it has its address: it arrived on another way than by the tunnel.
    fn astray(&self, id: NeighborId, interface: Option<&str>) -> Option<String> {
        let neighbor = self.neighbors.get(id)?;
        let via = self.vias.get(neighbor.settings.via.as_ref()?)?; // never heard of: there is no session anyway
        let (name, tunnel) = (&neighbor.name, &via.interface);
        (interface != Some(tunnel)).then(|| match interface {
            Some(interface) => format!("neighbor {name} is reached via {}: {tunnel}, not {interface}", via.name),
            None => format!("neighbor {name} is reached via {}, and the host does not say how this came", via.name),
        })
    }

    /// The connection is this neighbor's.
    pub(super) fn take_over(
        &mut self,
        connection: ConnectionId,
        id: NeighborId,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        let Some(neighbor) = self.neighbors.get(id) else { return };
        let socket = socket(neighbor, &self.settings);
        if let Some(obstacle) = self.obstacle(neighbor) {
            let text = format!("no session is wanted: {obstacle}");
            let neighbor = Some(neighbor.name.clone());
            self.refuse(Refusal { neighbor, remote: remote.ip(), text });
        }
        self.connections.accept(connection, id, (local, remote));
        self.actions.push_back(Action::Adopt { connection, socket });
        let ends = self.ends(local, remote);
        self.step(id, fsm::Event::Accepted { connection, ends });
    }

    /// The neighbor of a range that dialled in so, a new one for the first time.
    pub(super) fn neighbor_of(
        &mut self,
        range: &str,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<NeighborId, String> {
        if let Some(id) = self.neighbors.dialled_in(range, local, remote.ip()) {
            return Ok(id);
        }
        let Some(settings) = self.settings.dynamic_neighbors.get(range).cloned() else {
            return Err(format!("there is no range {range} any more"));
        };
        if self.neighbors.count_of(range) >= settings.limit && !self.evict(range) {
            return Err(format!("{range} has its {} neighbors", settings.limit));
        }
        let name = self.neighbors.free_name(range, local, remote.ip());
        let seed = self.next_seed();
        let mut neighbor = Neighbor::dialled_in(name, range, &settings, (local, remote), &self.settings, seed);
        neighbor.fsm.preserved = self.restart.preserved();
        let id = self.neighbors.insert(neighbor);
        self.reconcile(id);
        Ok(id)
    }

    /// Makes room: the neighbor of a range that has been without session the longest goes.
    fn evict(&mut self, range: &str) -> bool {
        let of_range = |neighbor: &Neighbor| neighbor.dynamic.as_ref().is_some_and(|dynamic| dynamic.range == range);
        let all = self.neighbors.iter().filter(|(_, neighbor)| of_range(neighbor));
        let idle = all.filter_map(|(id, neighbor)| Some((neighbor.forgotten_at()?, id)));
        let Some((_, id)) = idle.min() else { return false };
        self.remove(id);
        true
    }

    /// A dial of ours stands.
    pub(super) fn connected(&mut self, connection: ConnectionId, local: SocketAddr, remote: SocketAddr) {
        let Some(dial) = self.connections.get_mut(connection) else {
            self.actions.push_back(Action::Close { connection }); // given up meanwhile
            return;
        };
        dial.ends = Some((local, remote));
        let id = dial.neighbor;
        let ends = self.ends(local, remote);
        self.step(id, fsm::Event::Connected { connection, ends });
    }

    /// With the families that our end's link has addresses of.
    pub(super) fn ends(&self, local: SocketAddr, remote: SocketAddr) -> fsm::Ends {
        let addresses = [Some(local.ip()), self.companions.get(&local.ip()).copied()];
        let families = addresses.iter().flatten().map(Family::of_address).collect();
        fsm::Ends { local, remote, families }
    }

    /// A dial of ours failed.
    pub(super) fn connect_failed(&mut self, connection: ConnectionId, error: &str) {
        let Some(dial) = self.connections.remove(connection) else { return };
        self.note_failure(dial.neighbor, format!("no connection: {error}"));
        self.step(dial.neighbor, fsm::Event::ConnectFailed { connection });
    }

    /// A connection is gone.
    pub(super) fn closed(&mut self, connection: ConnectionId, error: Option<String>) {
        self.undecided.remove(connection);
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
            // Before the ConnectRetryTimer, spread down to three quarters (RFC 4271 §10), gives it up without a reason.
            timeout: settings.session.connect_retry * 7 / 10,
        }));
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

/// The longest range wins; which of equal ones it is, the OPEN says.
pub(super) fn longest_ranges(settings: &Settings, remote: IpAddr) -> Vec<String> {
    let lengths = settings.dynamic_neighbors.iter().filter_map(|(name, settings)| {
        let covering = settings.range.iter().filter(|range| range.contains(&remote));
        Some((covering.map(IpNet::prefix_len).max()?, name))
    });
    let longest = lengths.clone().map(|(length, _)| length).max();
    lengths.filter(|(length, _)| Some(*length) == longest).map(|(_, name)| name.clone()).collect()
}
