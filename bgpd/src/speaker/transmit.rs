//! What waits for a neighbor becomes messages.

use bytes::BytesMut;

use super::Speaker;
use super::export::Exporter;
use super::neighbor::NeighborId;
use super::refusals::Refusal;
use super::sender::Sender;
use crate::fsm;
use crate::rib::Pending;
use crate::types::ConnectionId;
use crate::wire;

/// A call ends when it has written so much,
const ENOUGH: usize = 16 * 1024;
/// or looked at so many runs of destinations with equal attributes: policy may leave nothing of them to write.
const RUNS: usize = 256;

impl Speaker {
    /// Appends what waits for a connection; `false`: nothing (more).
    pub(super) fn transmit(&mut self, id: ConnectionId, out: &mut BytesMut) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        out.unsplit(connection.out.split());
        if connection.closing {
            self.connections.remove(id);
            return false;
        }
        let neighbor = connection.neighbor;
        let limit = out.len() + ENOUGH;
        let mut runs = 0;
        let mut more = true;
        while more && runs < RUNS && out.len() < limit {
            more = self.transmit_run(neighbor, id, out);
            runs += 1;
        }
        if !more {
            self.connections.emptied(id);
        }
        self.step(neighbor, fsm::Event::Sent { connection: id, pending: more });
        more
    }

    /// Appends the next run of routes, where the session is on this connection; `false`: there is none.
    fn transmit_run(&mut self, id: NeighborId, connection: ConnectionId, out: &mut BytesMut) -> bool {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return false };
        let Some(session) = neighbor.session.as_mut().filter(|session| session.connection == connection) else {
            return false;
        };
        if self.restart.is_deferring() {
            return false; // RFC 4724 §4.1
        }
        let mut run = Vec::new();
        let best = match session.out.next(&self.rib, &mut run) {
            Pending::Run(best) => best,
            Pending::EndOfRib(families) => {
                families.iter().for_each(|family| wire::write_end_of_rib(out, family)); // RFC 4724 §2
                return true;
            }
            Pending::Nothing => {
                self.collect_soon(); // what this neighbor has been told to forget
                return false;
            }
        };
        let negotiated = &session.negotiated;
        let exporter =
            Exporter::new(negotiated, &session.export, &neighbor.settings.session, &self.settings, &self.companions)
                .draining(neighbor.admin.is_draining());
        let context = &negotiated.context;
        let sender = Sender { exporter, context, rib: &self.rib, own: &self.own, source: session.source };
        let too_long = sender.send(best, &run, &mut session.out, out);
        let (name, remote) = (neighbor.name.clone(), neighbor.settings.address);
        for prefix in too_long {
            let text = format!("{prefix} is too long to be passed on: its attributes leave no room in an UPDATE");
            self.refuse(Refusal { neighbor: Some(name.clone()), remote, text });
        }
        true
    }
}
