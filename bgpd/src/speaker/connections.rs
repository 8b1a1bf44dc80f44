//! Connections with the shell: whose they are, and what waits to be sent besides routes.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::BytesMut;

use super::groups::Group;
use super::neighbor::NeighborId;
use crate::types::ConnectionId;

/// Connections that we dial are numbered from here.
const DIALLED: u64 = 1 << 63;

/// One connection, or a dial under way.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) neighbor: NeighborId,
    /// The ends; absent while a dial is under way.
    pub(super) ends: Option<(SocketAddr, SocketAddr)>,
    /// Messages that wait, whole. Bounded by the FSM: OPEN, KEEPALIVEs until the send hold time, NOTIFICATION.
    pub(super) out: BytesMut,
    /// Only what is in `out` is still sent.
    pub(super) closing: bool,
    /// It is among those that the shell is told of, and has not been emptied since.
    announced: bool,
    /// The OPENs, sent and received: monitoring stations are shown them as they were.
    opens: [Box<[u8]>; 2],
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    all: BTreeMap<ConnectionId, Connection>,
    writable: VecDeque<ConnectionId>,
    dialled: u64,
}

impl Connections {
    /// A dial begins.
    pub(super) fn dial(&mut self, neighbor: NeighborId) -> ConnectionId {
        let id = ConnectionId(DIALLED | self.dialled);
        self.dialled += 1;
        self.insert(id, neighbor, None);
        id
    }

    /// A listener took a connection.
    pub(super) fn accept(&mut self, id: ConnectionId, neighbor: NeighborId, ends: (SocketAddr, SocketAddr)) {
        self.insert(id, neighbor, Some(ends));
    }

    fn insert(&mut self, id: ConnectionId, neighbor: NeighborId, ends: Option<(SocketAddr, SocketAddr)>) {
        let connection = Connection {
            neighbor,
            ends,
            out: BytesMut::new(),
            closing: false,
            announced: false,
            opens: Default::default(),
        };
        self.all.insert(id, connection);
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.all.get_mut(&id)
    }

    /// One that is not being closed.
    pub(super) fn open(&self, id: ConnectionId) -> Option<&Connection> {
        self.all.get(&id).filter(|connection| !connection.closing)
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.all.remove(&id)
    }

    /// Keeps an OPEN, whole: 0 = sent, 1 = received.
    pub(super) fn keep_open(&mut self, id: ConnectionId, which: usize, open: &[u8]) {
        if let Some(connection) = self.all.get_mut(&id) {
            connection.opens[which] = open.into();
        }
    }

    /// The OPENs, sent and received.
    pub(super) fn opens(&self, id: ConnectionId) -> [&[u8]; 2] {
        self.all.get(&id).map_or([&[]; 2], |connection| [&connection.opens[0], &connection.opens[1]])
    }

    /// There is something to send.
    pub(super) fn mark_writable(&mut self, id: ConnectionId) {
        if let Some(connection) = self.all.get_mut(&id)
            && !std::mem::replace(&mut connection.announced, true)
        {
            self.writable.push_back(id);
        }
    }

    /// There is something to send to all of an update group.
    pub(super) fn wake(&mut self, group: &Group) {
        group.members.iter().for_each(|member| self.mark_writable(member.connection));
    }

    /// There is nothing more to send.
    pub(super) fn emptied(&mut self, id: ConnectionId) {
        if let Some(connection) = self.all.get_mut(&id) {
            connection.announced = false;
        }
    }

    pub(super) fn poll_writable(&mut self) -> Option<ConnectionId> {
        self.writable.pop_front()
    }
}
