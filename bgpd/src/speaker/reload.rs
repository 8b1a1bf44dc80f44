//! A new desired state: what has changed is found here, and only that is touched.

use std::sync::Arc;

use super::accept::longest_ranges;
use super::limits::{Direction, Limits};
use super::neighbor::{Neighbor, NeighborId};
use super::session::{CEASE, filter};
use super::sweep::Sweep;
use super::{Action, Speaker};
use crate::fsm::{self, Farewell};
use crate::settings::{NeighborSettings, SessionSettings, Settings};
use crate::wire::Notification;

/// RFC 4486 §3.
const PEER_DECONFIGURED: Notification = Notification::new(CEASE, 3);
const OTHER_CONFIGURATION_CHANGE: Notification = Notification::new(CEASE, 6);

impl Speaker {
    /// The first settings.
    pub(super) fn begin(&mut self) {
        self.reload_own();
        self.add_neighbors();
        self.reload_listen_keys();
        self.turn();
    }

    /// Replaces the settings.
    pub(super) fn reload(&mut self, mut settings: Settings) {
        keep_known_policies(&self.settings, &mut settings);
        let before = std::mem::replace(&mut self.settings, settings);
        if before.multipath != self.settings.multipath {
            self.rib.set_multipath(self.settings.multipath);
        }
        for id in self.neighbors.ids() {
            self.reload_neighbor(id, &before);
        }
        self.add_neighbors();
        if (&before.originate, &before.aggregates, before.asn, before.router_id)
            != (&self.settings.originate, &self.settings.aggregates, self.settings.asn, self.settings.router_id)
        {
            self.reload_own();
        }
        if before.aggregates != self.settings.aggregates {
            self.resend_all(); // what a summary stands for has changed
        }
        self.reload_listen_keys();
    }

    fn reload_own(&mut self) {
        let since = self.since();
        self.own.reload(&mut self.rib, &self.settings, since);
    }

    fn resend_all(&mut self) {
        for group in self.groups.iter_mut() {
            group.out.mark_all();
            self.connections.wake(group);
        }
    }

    /// Neighbors that are new, or were removed because they changed too much.
    fn add_neighbors(&mut self) {
        let missing: Vec<_> = self
            .settings
            .neighbors
            .iter()
            .filter(|(name, _)| self.neighbors.named(name).is_none())
            .map(|(name, settings)| (name.clone(), settings.clone()))
            .collect();
        for (name, settings) in missing {
            let seed = self.next_seed();
            let id = self.neighbors.insert(Neighbor::configured(&name, &settings, &self.settings, seed));
            self.reconcile(id);
        }
    }

    /// Brings one neighbor up to date.
    fn reload_neighbor(&mut self, id: NeighborId, before: &Settings) {
        let Some(neighbor) = self.neighbors.get(id) else { return };
        let Some(settings) = wanted(neighbor, &self.settings) else {
            self.remove_neighbor(id, PEER_DECONFIGURED);
            return;
        };
        let same_router = (before.asn, before.router_id) == (self.settings.asn, self.settings.router_id);
        if !same_router || needs_reset(&neighbor.settings, &settings) {
            self.restart(id, settings);
            return;
        }
        self.change(id, settings);
        self.reconcile(id);
    }

    /// Takes over settings that a session survives.
    fn change(&mut self, id: NeighborId, settings: NeighborSettings) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let before = std::mem::replace(&mut neighbor.settings, settings);
        neighbor.outdated |= fsm_view(&before) != fsm_view(&neighbor.settings);
        let session = &neighbor.settings.session;
        let limited_otherwise = session.max_prefixes != before.session.max_prefixes;
        let room_otherwise = session.max_prefixes_out != before.session.max_prefixes_out;
        if limited_otherwise || room_otherwise {
            neighbor.limits = Limits::default();
        }
        let reflects_otherwise = session.route_reflector_client != before.session.route_reflector_client;
        let words_otherwise = room_otherwise
            || session.next_hop_self != before.session.next_hop_self
            || session.remove_private_asn != before.session.remove_private_asn;
        let mut told_otherwise = false;
        if let Some(up) = &mut neighbor.session {
            let export = filter(&self.settings, session.export.as_ref(), up.negotiated.context.internal);
            let room = self.groups.get_mut(up.group).and_then(|group| group.room.as_mut());
            if let (Some(room), Some(limit)) = (room, &session.max_prefixes_out) {
                room.set_limit(limit);
            }
            told_otherwise = words_otherwise || export != up.export;
            up.export = export;
        } else if std::mem::take(&mut neighbor.outdated) {
            self.renew(id);
        }
        self.update_source(id);
        if reflects_otherwise {
            self.resend_all();
        } else if told_otherwise {
            self.resend(id);
        }
        let up = self.neighbors.get(id).and_then(|neighbor| neighbor.session.as_ref());
        let Some(source) = up.map(|up| up.source) else { return };
        if limited_otherwise && self.rib.source(source).discarded() > 0 {
            self.refresh(id); // what was discarded may have room now
        }
        self.enforce_limit(id, Direction::In);
    }

    /// Brings what a neighbor has said, in its session or the last one, into line with its settings.
    pub(super) fn update_source(&mut self, id: NeighborId) {
        let Some(neighbor) = self.neighbors.get(id) else { return };
        let Some(source_id) = neighbor.source() else { return };
        let session = &neighbor.settings.session;
        let source = self.rib.source_mut(source_id);
        let import = filter(&self.settings, session.import.as_ref(), source.context.internal);
        let draining = neighbor.admin.is_draining();
        let judged_otherwise =
            (&import, session.allow_own_asn, draining) != (&source.import, source.allow_own_asn, source.draining);
        source.reflector_client = session.route_reflector_client;
        source.allow_own_asn = session.allow_own_asn;
        source.most = session.max_prefixes.and_then(|limit| limit.most());
        if judged_otherwise {
            source.judge_by(import, draining);
            self.sweep(Sweep::import(source_id));
        }
    }

    /// Ends the session and begins anew.
    fn restart(&mut self, id: NeighborId, settings: NeighborSettings) {
        let same_neighbor = self.neighbors.get(id).is_some_and(|neighbor| who(&neighbor.settings) == who(&settings));
        if same_neighbor {
            self.step(id, fsm::Event::Stop(Farewell::Plain(OTHER_CONFIGURATION_CHANGE))); // RFC 8538 §5
        } else {
            self.step(id, fsm::Event::Stop(Farewell::Hard(OTHER_CONFIGURATION_CHANGE)));
            self.forget(id);
        }
        if let Some(neighbor) = self.neighbors.get_mut(id) {
            neighbor.settings = settings;
            neighbor.limits = Limits::default();
        }
        self.renew(id);
    }

    /// Gives a neighbor without session an FSM with its settings as they are now.
    pub(super) fn renew(&mut self, id: NeighborId) {
        self.step(id, fsm::Event::Stop(OTHER_CONFIGURATION_CHANGE.into()));
        let seed = self.next_seed();
        if let Some(neighbor) = self.neighbors.get_mut(id) {
            neighbor.renew_fsm(&self.settings, seed);
        }
        self.reconcile(id);
    }

    fn remove_neighbor(&mut self, id: NeighborId, notification: Notification) {
        self.step(id, fsm::Event::Stop(Farewell::Hard(notification)));
        self.remove(id);
    }

    /// A neighbor without session is no more.
    pub(super) fn remove(&mut self, id: NeighborId) {
        self.forget(id);
        if let Some(neighbor) = self.neighbors.remove(id) {
            self.restart.done_with(&neighbor.name);
        }
    }

    /// Listening sockets know the keys before a connection comes.
    fn reload_listen_keys(&mut self) {
        let configured = self
            .settings
            .neighbors
            .values()
            .filter_map(|neighbor| Some((neighbor.address.into(), neighbor.session.password.clone()?)));
        let ranges = self.settings.dynamic_neighbors.values().flat_map(|dynamic| {
            dynamic.range.iter().filter_map(|range| Some((*range, dynamic.session.password.clone()?)))
        });
        let keys: Vec<_> = configured.chain(ranges).collect();
        if keys != self.listen_keys {
            self.listen_keys.clone_from(&keys);
            self.actions.push_back(Action::ListenKeys(keys));
        }
    }
}

/// What a neighbor shall be; `None`: gone.
fn wanted(neighbor: &Neighbor, settings: &Settings) -> Option<NeighborSettings> {
    match &neighbor.dynamic {
        None => settings.neighbors.get(&neighbor.name).cloned(),
        Some(dynamic) => {
            let address = neighbor.settings.address;
            let of_range = settings.dynamic_neighbors.get(&dynamic.range)?;
            let configured = settings.neighbors.values().any(|other| {
                other.address == address && other.local_address.is_none_or(|local| local == dynamic.local.ip())
            });
            // A configured neighbor comes before any range.
            let stays = !configured && longest_ranges(settings, address).contains(&dynamic.range);
            stays.then(|| of_range.of(address))
        }
    }
}

/// Whether a session cannot go on with what changed: it is negotiated in its OPEN, or belongs to its socket.
fn needs_reset(before: &NeighborSettings, now: &NeighborSettings) -> bool {
    session_view(before) != session_view(now)
}

/// Whose routes they are.
fn who(settings: &NeighborSettings) -> impl PartialEq + use<'_> {
    (settings.address, &settings.zone, &settings.asn)
}

/// What a session is built on.
fn session_view(settings: &NeighborSettings) -> impl PartialEq + use<'_> {
    let session = &settings.session;
    (
        (settings.address, &settings.zone, settings.local_address, &settings.asn),
        (session.local_asn, session.families, session.hold_time, session.keepalive, &session.password),
        (session.ttl_security, session.ebgp_multihop, session.enforce_first_asn),
        session.max_prefixes_out.is_some(), // what was told is counted from its beginning
        (session.role, session.extended_next_hop, session.extended_messages, session.add_path),
        session.graceful_restart.as_ref().map(|restart| (restart.restart_time, restart.long_lived_stale_time)),
    )
}

/// What the FSM knows besides.
fn fsm_view(settings: &NeighborSettings) -> impl PartialEq + use<> {
    let SessionSettings { connect_retry, send_hold_time, .. } = settings.session;
    (settings.passive, connect_retry, send_hold_time)
}

/// A policy that is as before stays the same, so that nothing is judged again.
fn keep_known_policies(before: &Settings, now: &mut Settings) {
    for (name, policy) in &mut now.policies {
        if let Some(known) = before.policies.get(name).filter(|known| *known == policy) {
            *policy = Arc::clone(known);
        }
    }
}
