//! What the operator asks of a neighbor, once.

use super::neighbor::{Disabled, NeighborId};
use super::session::CEASE;
use super::sweep::Sweep;
use super::{Command, Speaker};
use crate::fsm;
use crate::wire::{Notification, write_route_refresh};

/// RFC 4486 §3.
const ADMINISTRATIVE_RESET: Notification = Notification::new(CEASE, 4);

impl Speaker {
    /// Does what the operator asks; a neighbor that is not there is the caller's to notice.
    pub(super) fn command(&mut self, neighbor: &str, command: Command) {
        let Some(id) = self.neighbors.find(neighbor) else { return };
        match command {
            Command::Reset => self.reset(id),
            Command::Refresh => self.refresh(id),
            Command::Resend => self.resend(id),
            Command::Disable(message) => self.disable(id, Some(Disabled { message })),
            Command::Enable => self.disable(id, None),
        }
    }

    fn reset(&mut self, id: NeighborId) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        if neighbor.over_limit.take().is_some() {
            self.reconcile(id);
        } else {
            self.step(id, fsm::Event::Reset(ADMINISTRATIVE_RESET));
        }
    }

    fn disable(&mut self, id: NeighborId, disabled: Option<Disabled>) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        neighbor.disabled = disabled;
        self.reconcile(id);
    }

    /// Asks for all routes again; from a neighbor that cannot be asked, what is kept is judged again.
    fn refresh(&mut self, id: NeighborId) {
        let Some(session) = self.neighbors.get(id).and_then(|neighbor| neighbor.session.as_ref()) else { return };
        let (connection, source, families) = (session.connection, session.source, session.negotiated.families);
        if session.negotiated.route_refresh {
            families.iter().for_each(|family| self.send(connection, |out| write_route_refresh(family, out)));
        } else {
            self.sweep(Sweep::import(source));
        }
    }

    /// Sends everything again.
    pub(super) fn resend(&mut self, id: NeighborId) {
        let Some(session) = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.session.as_mut()) else { return };
        session.out.mark_all(&self.rib);
        self.connections.mark_writable(session.connection);
    }
}
