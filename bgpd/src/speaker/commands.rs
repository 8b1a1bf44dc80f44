//! What the operator asks of neighbors.

use std::fmt;

use super::neighbor::{Neighbor, NeighborId};
use super::session::CEASE;
use super::sweep::Sweep;
use super::{ALL, Command, Speaker};
use crate::fsm::{self, Farewell};
use crate::view::SessionState;
use crate::wire::{Notification, RouteRefresh, write_route_refresh};

/// RFC 4486 §3.
const ADMINISTRATIVE_RESET: Notification = Notification::new(CEASE, 4);

/// Why nothing was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CommandError {
    /// No neighbor has this name or address, or several have the address.
    NoSuchNeighbor(String),
    /// It has no session, and why.
    NoSession(String, String),
    /// Nobody has one.
    NoSessions,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchNeighbor(neighbor) => write!(f, "there is no neighbor {neighbor}"),
            Self::NoSession(neighbor, why) => write!(f, "neighbor {neighbor} has no session: {why}"),
            Self::NoSessions => f.write_str("no neighbor has a session"),
        }
    }
}

impl std::error::Error for CommandError {}

impl Speaker {
    /// For everybody it is done where it can be; only that it could be done nowhere is an error.
    pub(super) fn do_command(&mut self, neighbor: &str, command: &Command) -> Result<(), CommandError> {
        if neighbor != ALL {
            let id = self.neighbors.find(neighbor);
            return self.command_one(id.ok_or_else(|| CommandError::NoSuchNeighbor(neighbor.to_owned()))?, command);
        }
        let mut ids = self.neighbors.ids();
        if *command == Command::Enable && self.neighbors.any_draining() {
            // Maintenance is over, and who was disabled for another reason stays so.
            ids.retain(|id| self.neighbors.get(*id).is_some_and(|neighbor| neighbor.admin.is_draining()));
        }
        self.neighbors.newcomers.follow(command);
        let done: Vec<_> = ids.into_iter().map(|id| self.command_one(id, command)).collect();
        if done.is_empty() || done.iter().any(Result::is_ok) { Ok(()) } else { Err(CommandError::NoSessions) }
    }

    fn command_one(&mut self, id: NeighborId, command: &Command) -> Result<(), CommandError> {
        let done = match command {
            Command::Reset => self.reset(id),
            Command::Refresh => self.refresh(id),
            Command::Resend => self.resend(id),
            Command::Disable(_) | Command::Drain | Command::Enable => self.administer(id, command),
        };
        match self.neighbors.get(id) {
            Some(neighbor) if !done => Err(CommandError::NoSession(neighbor.name.clone(), self.why_none(neighbor))),
            _ => Ok(()),
        }
    }

    /// Why a neighbor has no session.
    fn why_none(&self, neighbor: &Neighbor) -> String {
        match self.obstacle(neighbor) {
            Some(obstacle) => obstacle.to_string(),
            None => format!("its state is {:?}", neighbor.fsm.state()),
        }
    }

    /// `false`: there is nothing to end.
    fn reset(&mut self, id: NeighborId) -> bool {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return false };
        if std::mem::take(&mut neighbor.limits).over.is_some() {
            self.reconcile(id);
            return true;
        }
        // Idle while it runs: it waits because of earlier faults.
        let has_retained = neighbor.retained.is_some();
        let has_none = matches!(neighbor.fsm.state(), SessionState::Connect | SessionState::Active);
        if !neighbor.running || has_none && !has_retained {
            return false;
        }
        self.step(id, fsm::Event::Reset(Farewell::Hard(ADMINISTRATIVE_RESET))); // RFC 8538 §5 leaves it to us
        self.forget(id);
        true
    }

    /// What lasts: a session to come begins so.
    fn administer(&mut self, id: NeighborId, command: &Command) -> bool {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return false };
        let was_draining = neighbor.admin.is_draining();
        neighbor.admin.follow(command);
        let draining = neighbor.admin.is_draining();
        self.reconcile(id);
        if draining != was_draining {
            self.drain(id);
        }
        true
    }

    /// RFC 8326 §4.2, both ways: what it is told, and what it told.
    fn drain(&mut self, id: NeighborId) {
        self.update_source(id);
        self.resend(id);
    }

    /// Asks for all routes again; from a neighbor that cannot be asked, what is kept is judged again.
    pub(super) fn refresh(&mut self, id: NeighborId) -> bool {
        let Some(session) = self.neighbors.get(id).and_then(|neighbor| neighbor.session.as_ref()) else { return false };
        let (connection, source, families) = (session.connection, session.source, session.negotiated.families);
        if session.negotiated.route_refresh {
            self.rib.source_mut(source).discarded = [0; 2]; // they come again
            for family in families.iter() {
                self.send(connection, |out| write_route_refresh(family, RouteRefresh::REQUEST, out));
            }
        } else {
            self.sweep(Sweep::import(source));
        }
        true
    }

    /// Sends everything again. `false`: there is no session.
    pub(super) fn resend(&mut self, id: NeighborId) -> bool {
        let Some(group) = self.leave_group(id).and_then(|group| self.groups.get_mut(group)) else { return false };
        group.out.mark_all();
        self.connections.wake(group);
        true
    }
}
