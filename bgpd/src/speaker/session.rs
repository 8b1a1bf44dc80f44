//! What the state machine of a neighbor is told, and what its actions do.

use std::sync::Arc;

use crate::fsm::{self, DownReason, Farewell, Negotiated, Preserved};
use crate::policy::Protocol;
use crate::rib::{Filter, Source};
use crate::settings::{PolicyName, Settings};
use crate::types::ConnectionId;
use crate::view::SessionState;
use crate::wire::{Notification, write_keepalive};

use super::groups::Member;
use super::limits::OverLimit;
use super::neighbor::{AdminState, Neighbor, NeighborId, Session};
use super::record::PastError;
use super::refresh::Refreshes;
use super::room::Room;
use super::{Action, Event, Speaker, Stop};

/// Cease subcodes (RFC 4486 §3).
pub(super) const CEASE: u8 = 6;
pub(super) const ADMINISTRATIVE_SHUTDOWN: u8 = 2;

/// Why a neighbor shall have no session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Obstacle {
    Stopped(Stop),
    Shutdown,
    Disabled(Option<String>),
    TunnelDown(String),
    OverLimit(OverLimit),
}

impl Obstacle {
    /// How the neighbor is left.
    fn farewell(&self) -> Farewell {
        let notification = self.notification();
        match self {
            // Silence keeps routes with or without N. RFC 8538 §5 has a Hard Reset for all the others.
            Self::Stopped(Stop::Keep) | Self::TunnelDown(_) => Farewell::Silent(notification),
            Self::Stopped(Stop::Withdraw) | Self::Shutdown | Self::Disabled(_) | Self::OverLimit(..) => {
                Farewell::Hard(notification)
            }
        }
    }

    fn notification(&self) -> Notification {
        match self {
            Self::Stopped(_) | Self::Shutdown | Self::Disabled(None) => {
                Notification::new(CEASE, ADMINISTRATIVE_SHUTDOWN)
            }
            Self::Disabled(Some(message)) => Notification::cease_with_message(ADMINISTRATIVE_SHUTDOWN, message),
            // RFC 9003 gives a reason in words; there is no code for a tunnel.
            Self::TunnelDown(_) => Notification::cease_with_message(ADMINISTRATIVE_SHUTDOWN, "tunnel down"),
            Self::OverLimit(over) => over.notification(),
        }
    }
}

impl Speaker {
    /// Why this neighbor shall have no session now.
    pub(super) fn obstacle(&self, neighbor: &Neighbor) -> Option<Obstacle> {
        if let Some(how) = self.stopped {
            return Some(Obstacle::Stopped(how));
        }
        if neighbor.settings.shutdown {
            return Some(Obstacle::Shutdown);
        }
        if let AdminState::Disabled(message) = &neighbor.admin {
            return Some(Obstacle::Disabled(message.clone()));
        }
        if let Some(via) = neighbor.settings.via.as_ref().filter(|via| !self.vias.get(*via).is_some_and(|via| via.up)) {
            return Some(Obstacle::TunnelDown(via.clone()));
        }
        neighbor.limits.over.map(Obstacle::OverLimit)
    }

    /// Starts or stops a neighbor's FSM, as it shall be.
    pub(super) fn reconcile(&mut self, id: NeighborId) {
        let Some(neighbor) = self.neighbors.get(id) else { return };
        let obstacle = self.obstacle(neighbor);
        let event = match (&obstacle, neighbor.running) {
            (None, false) => fsm::Event::Start,
            (Some(obstacle), true) => fsm::Event::Stop(obstacle.farewell()),
            (None, true) | (Some(_), false) => return self.forget_behind(id, obstacle.as_ref()),
        };
        let start = matches!(event, fsm::Event::Start);
        if let Some(neighbor) = self.neighbors.get_mut(id) {
            neighbor.running = start;
        }
        self.step(id, event);
        self.forget_behind(id, obstacle.as_ref());
    }

    /// Nothing is kept for a neighbor that is told to forget us.
    fn forget_behind(&mut self, id: NeighborId, obstacle: Option<&Obstacle>) {
        if obstacle.is_some_and(|obstacle| matches!(obstacle.farewell(), Farewell::Hard(_))) {
            self.forget(id);
            if let Some(neighbor) = self.neighbors.get(id) {
                self.restart.done_with(&neighbor.name);
            }
        }
    }

    /// One step of a neighbor's FSM, with all that follows.
    pub(super) fn step(&mut self, id: NeighborId, event: fsm::Event<'_>) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let mut actions = std::mem::take(&mut self.fsm_actions);
        let watched = self.monitors.is_watched().then(|| neighbor.fsm.state());
        neighbor.fsm.step(self.now, event, &mut actions);
        if let Some(before) = watched {
            self.monitor_step(id, before, &actions);
        }
        for action in actions.drain(..) {
            self.perform(id, action);
        }
        self.fsm_actions = actions;
        self.after_step(id);
    }

    fn after_step(&mut self, id: NeighborId) {
        let now = self.now;
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        if let Some(dynamic) = &mut neighbor.dynamic {
            let idle = neighbor.fsm.state() <= SessionState::Active;
            dynamic.idle_since = idle.then(|| dynamic.idle_since.unwrap_or(now));
        }
        if neighbor.session.is_none() && std::mem::take(&mut neighbor.outdated) {
            self.renew(id);
        }
        self.neighbors.schedule(id);
    }

    fn perform(&mut self, id: NeighborId, action: fsm::Action) {
        match action {
            fsm::Action::Connect => self.dial(id),
            fsm::Action::SendOpen { connection, open } => self.send_open(connection, &open),
            fsm::Action::SendKeepalive { connection } => self.send(connection, write_keepalive),
            fsm::Action::Close { connection, notification } => self.close(connection, notification),
            fsm::Action::Established { connection, negotiated } => self.established(id, connection, *negotiated),
            fsm::Action::Down { reason } => self.down(id, reason),
            fsm::Action::Failed { reason: DownReason::Closed } => self.note_failure(id, self.text(&DownReason::Closed)),
            fsm::Action::Failed { reason } => {
                self.failed(id, reason);
            }
        }
    }

    /// Puts a message behind those that wait already.
    pub(super) fn send(&mut self, connection: ConnectionId, write: impl FnOnce(&mut bytes::BytesMut)) {
        if let Some(open) = self.connections.get_mut(connection) {
            write(&mut open.out);
            self.connections.mark_writable(connection);
        }
    }

    fn close(&mut self, connection: ConnectionId, notification: Option<Notification>) {
        if let Some(notification) = notification {
            self.send(connection, |out| notification.write(out));
        }
        match self.connections.get_mut(connection) {
            Some(open) if open.ends.is_some() => open.closing = true,
            _ => {
                self.connections.remove(connection);
            }
        }
        self.actions.push_back(Action::Close { connection });
    }

    fn established(&mut self, id: NeighborId, connection: ConnectionId, negotiated: Negotiated) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let internal = negotiated.context.internal;
        let session = &neighbor.settings.session;
        let source = Source {
            address: negotiated.remote.ip(),
            scope: scope(&negotiated),
            local: negotiated.local,
            router_id: negotiated.router_id,
            local_asn: neighbor.local_asn(&self.settings),
            context: negotiated.context,
            multihop: session.ebgp_multihop.is_some() || session.ttl_security.is_some_and(|hops| hops > 1),
            reflector_client: session.route_reflector_client,
            allow_own_asn: session.allow_own_asn,
            most: session.max_prefixes.and_then(|limit| limit.most()),
            role: negotiated.role,
            draining: neighbor.admin.is_draining(),
            import: filter(&self.settings, session.import.as_ref(), internal),
            ..Source::new(Protocol::Bgp, Arc::clone(&neighbor.names), &self.settings)
        };
        let graceful = negotiated.graceful.is_some();
        let source = self.resume(id, source, negotiated.graceful.as_ref());
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        neighbor.fsm.preserved = Preserved { restarted: false, forwarding: true }; // RFC 8538 §4.1: while we run
        let session = &neighbor.settings.session;
        let member = Member { neighbor: id, connection, source, address: negotiated.remote.ip(), own: 0 };
        neighbor.session = Some(Session {
            connection,
            since: self.now,
            source,
            export: filter(&self.settings, session.export.as_ref(), internal),
            group: self.groups.begin(member, &negotiated.context, session.max_prefixes_out.as_ref().map(Room::new)),
            untold: negotiated.families,
            refresh: Refreshes::default(),
            negotiated,
        });
        self.rib.set_tells_several(self.groups.tell_several());
        neighbor.record.up(self.now);
        self.events.push_back(Event::SessionUp { neighbor: neighbor.name.clone(), graceful });
        self.connections.mark_writable(connection);
        self.monitor_up(id);
        self.back(id);
        self.update_source(id); // that of an earlier session may be judged by settings of before
    }

    fn down(&mut self, id: NeighborId, reason: DownReason) {
        let text = self.failed(id, reason.clone());
        self.monitor_down(id, &reason);
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let name = neighbor.name.clone();
        neighbor.record.down(self.now, &text);
        if let Some(session) = neighbor.session.take() {
            self.groups.leave(session.group, id);
            self.rib.set_tells_several(self.groups.tell_several());
            self.leave(id, &session, &reason);
        }
        let (sent, notification) = parts(reason);
        self.events.push_back(Event::SessionDown { neighbor: name, sent, notification, text });
    }

    pub(super) fn text(&self, reason: &DownReason) -> String {
        match reason {
            DownReason::Sent(notification) => format!("sent {}", notification.text()),
            DownReason::Received(notification) => format!("received {}", notification.text()),
            DownReason::Left(notification) => format!("left without a NOTIFICATION: {}", notification.text()),
            DownReason::Replaced => "the neighbor has lost it, and opened another".to_owned(),
            DownReason::Closed => match &self.lost {
                Some(error) => format!("connection lost: {error}"),
                None => "the neighbor closed the connection".to_owned(),
            },
        }
    }

    /// Keeps the reason for people.
    fn failed(&mut self, id: NeighborId, reason: DownReason) -> String {
        let text = self.text(&reason);
        let (sent, notification) = parts(reason);
        if let Some(neighbor) = self.neighbors.get_mut(id) {
            let treatment = None;
            neighbor.record.last_error =
                Some(PastError { sent, notification, treatment, text: text.clone(), at: self.now });
        }
        text
    }

    /// A try that came to nothing without a word; a NOTIFICATION says more, so one that is kept stays.
    pub(super) fn note_failure(&mut self, id: NeighborId, text: String) {
        if let Some(neighbor) = self.neighbors.get_mut(id)
            && neighbor.record.last_error.as_ref().is_none_or(|error| error.notification.is_none())
        {
            let (notification, treatment) = (None, None);
            neighbor.record.last_error = Some(PastError { sent: false, notification, treatment, text, at: self.now });
        }
    }
}

fn parts(reason: DownReason) -> (bool, Option<Notification>) {
    match reason {
        DownReason::Sent(notification) => (true, Some(notification)),
        DownReason::Received(notification) => (false, Some(notification)),
        DownReason::Left(_) => (true, None),
        DownReason::Closed | DownReason::Replaced => (false, None),
    }
}

/// The interface of a session between link-local addresses.
fn scope(negotiated: &Negotiated) -> u32 {
    match negotiated.remote {
        std::net::SocketAddr::V6(remote) => remote.scope_id(),
        std::net::SocketAddr::V4(_) => 0,
    }
}

/// What a policy's name stands for. RFC 8212: without one nothing passes from or to an external neighbor.
pub(super) fn filter(settings: &Settings, name: Option<&PolicyName>, internal: bool) -> Filter {
    match name {
        None if internal => Filter::Everything,
        None => Filter::Nothing,
        Some(PolicyName::AcceptAll) => Filter::Everything,
        // A name that nobody defined passes nothing; the configuration's reader does not let it come here.
        Some(PolicyName::Named(name)) => settings.policies.get(name).cloned().map_or(Filter::Nothing, Filter::Policy),
    }
}
