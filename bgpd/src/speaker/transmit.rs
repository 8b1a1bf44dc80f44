//! What waits for a neighbor becomes messages, for all of its update group at once.

use bytes::BytesMut;
use ipnet::IpNet;

use super::Speaker;
use super::export::Exporter;
use super::groups::{Group, GroupId, Member};
use super::neighbor::NeighborId;
use super::refusals::Refusal;
use super::sender::{Sender, Writing};
use crate::fsm;
use crate::rib::Pending;
use crate::types::ConnectionId;
use crate::wire::{self, RouteRefresh};

/// A call ends when it has written so much,
const ENOUGH: usize = 16 * 1024;
/// or looked at so many runs of destinations with equal attributes: policy may leave nothing of them to write.
const RUNS: usize = 256;
/// A member for which so much waits leaves its group: the others go on without it.
const BEHIND: usize = 256 * 1024;

impl Speaker {
    /// Appends what waits for a connection; `false`: nothing (more).
    pub(super) fn transmit(&mut self, id: ConnectionId, out: &mut BytesMut) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let waited = !connection.out.is_empty();
        out.unsplit(connection.out.split());
        if connection.closing {
            self.connections.remove(id);
            return false;
        }
        let neighbor = connection.neighbor;
        // What its group wrote for it goes first, and alone: it may be as much as a neighbor can be behind.
        let more = self.transmit_group(neighbor, id, out, waited);
        if !more {
            self.connections.emptied(id);
        }
        self.step(neighbor, fsm::Event::Sent { connection: id, pending: more });
        more
    }

    /// Appends the next routes, where the session is on this connection; `false`: there are none.
    fn transmit_group(&mut self, id: NeighborId, connection: ConnectionId, out: &mut BytesMut, waited: bool) -> bool {
        let session = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.session_on(connection));
        let Some(group) = session.map(|session| session.group) else { return false };
        if self.restart.is_deferring() {
            return false; // RFC 4724 §4.1
        }
        if waited && out.len() >= ENOUGH {
            return true;
        }
        if self.groups.get(group).is_none_or(|group| group.out.is_idle()) {
            self.join(id, group);
            return false;
        }
        self.leave_laggards(group, id);
        let mut writing = std::mem::take(&mut self.writing);
        let more = self.write_runs(id, group, &mut writing);
        self.hand_out(group, connection, &mut writing, out);
        for prefix in writing.too_long.drain(..) {
            self.report_too_long(id, prefix);
        }
        self.writing = writing;
        if !more {
            self.collect_soon(); // what these neighbors have been told to forget
            self.join(id, group);
        }
        more
    }

    /// Writes runs of routes until it is enough for a turn; `false`: that was all.
    fn write_runs(&mut self, id: NeighborId, group: GroupId, writing: &mut Writing) -> bool {
        let (Some(neighbor), Some(group)) = (self.neighbors.get(id), self.groups.get_mut(group)) else { return false };
        let Some(session) = &neighbor.session else { return false };
        let context = &session.negotiated.context;
        let exporter = Exporter::new(neighbor, session, &self.settings, &self.companions);
        let sender = Sender { exporter, context, rib: &self.rib, own: &self.own };
        for _ in 0..RUNS {
            match group.out.next(&self.rib, &mut writing.run) {
                Pending::Run(_) if writing.run.is_empty() => {}
                Pending::Run(best) => {
                    if let Some(mut told) = group.paths.take() {
                        sender.send_paths(&mut told, group, writing);
                        group.paths = Some(told);
                    }
                    sender.send(best, group, writing);
                }
                Pending::EndOfRib(families) => {
                    writing.end_of_rib(families); // RFC 4724 §2
                }
                Pending::BeginOfRefresh(families) => {
                    writing.mark_refresh(families, RouteRefresh::BEGIN, context);
                }
                Pending::EndOfRefresh(families) => {
                    writing.mark_refresh(families, RouteRefresh::END, context);
                }
                Pending::Nothing if group.fill_room() => {}
                Pending::Nothing => return false,
            }
            if writing.bytes.len() >= ENOUGH {
                break;
            }
        }
        true
    }

    /// Gives every member of a group what it hears of what was written.
    fn hand_out(&mut self, group: GroupId, polled: ConnectionId, writing: &mut Writing, out: &mut BytesMut) {
        let Some(group) = self.groups.get(group) else { return };
        for member in &group.members {
            if member.connection == polled {
                writing.copy_for(member, out);
            } else if let Some(connection) = self.connections.get_mut(member.connection) {
                writing.copy_for(member, &mut connection.out);
                if !connection.out.is_empty() {
                    self.connections.mark_writable(member.connection);
                }
            }
        }
        writing.clear();
    }

    /// Members that are far behind go their own way.
    fn leave_laggards(&mut self, group: GroupId, asking: NeighborId) {
        let Some(members) = self.groups.get(group).map(|group| &group.members).filter(|members| members.len() > 1)
        else {
            return;
        };
        let waits = |member: &&Member| {
            let connection = self.connections.open(member.connection);
            connection.is_some_and(|connection| connection.out.len() >= BEHIND)
        };
        let behind = members.iter().filter(|member| member.neighbor != asking).filter(waits);
        let behind: Vec<NeighborId> = behind.map(|member| member.neighbor).collect();
        behind.into_iter().for_each(|neighbor| {
            self.leave_group(neighbor);
        });
    }

    /// A neighbor gets an update group of its own.
    pub(super) fn leave_group(&mut self, id: NeighborId) -> Option<GroupId> {
        let session = self.neighbors.get_mut(id)?.session.as_mut()?;
        session.group = self.groups.split(session.group, id);
        Some(session.group)
    }

    /// A group that has nothing left to tell joins another that has nothing left and tells the same.
    fn join(&mut self, id: NeighborId, group: GroupId) {
        let is_idle = |group: &Group| group.out.is_idle() && group.room.is_none() && group.paths.is_none();
        if !self.groups.get(group).is_some_and(is_idle) {
            return;
        }
        let others = self.groups.iter().filter(|(other, members)| *other != group && is_idle(members));
        let members = others.filter_map(|(other, group)| Some((other, group.members.first()?.neighbor)));
        let same =
            members.into_iter().find(|(_, member)| self.words(*member) == self.words(id)).map(|(other, _)| other);
        let Some(into) = same else { return };
        for neighbor in self.groups.merge(group, into) {
            if let Some(session) = self.neighbors.get_mut(neighbor).and_then(|neighbor| neighbor.session.as_mut()) {
                session.group = into;
            }
        }
    }

    /// All that decides about how a neighbor is told of a route.
    fn words(&self, id: NeighborId) -> Option<(Exporter<'_>, wire::Context)> {
        let neighbor = self.neighbors.get(id)?;
        let session = neighbor.session.as_ref()?;
        let exporter = self.exporter(neighbor, session);
        Some((exporter, session.negotiated.context.writing()))
    }

    fn report_too_long(&mut self, id: NeighborId, prefix: IpNet) {
        let Some(neighbor) = self.neighbors.get(id) else { return };
        let (name, remote) = (neighbor.name.clone(), neighbor.settings.address);
        let text = format!("{prefix} is too long to be passed on: its attributes leave no room in an UPDATE");
        self.refuse(Refusal { neighbor: Some(name), remote, text });
    }
}
