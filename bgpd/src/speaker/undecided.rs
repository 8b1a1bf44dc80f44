//! Connections from an address that several ranges of neighbors claim: the AS of the OPEN decides between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::refusals::Refusal;
use super::{Action, Speaker};
use crate::rib::plain_context;
use crate::settings::{RemoteAs, Settings};
use crate::types::{Asn, ConnectionId};
use crate::wire::{self, MAX_MESSAGE, Message};

/// How long the OPEN may take to come. Whoever dials sends it at once (RFC 4271 §8.2.2).
const PATIENCE: Duration = Duration::from_secs(30);

/// How many of one address may wait: one a range, and one that its end has given up.
const PER_ADDRESS: usize = 4;

/// Connections that have not said who they are, few of one address. Bounded by the shell, which has not adopted them.
#[derive(Debug, Default)]
pub(super) struct Undecided(BTreeMap<ConnectionId, Stranger>);

#[derive(Debug)]
struct Stranger {
    ends: (SocketAddr, SocketAddr),
    ranges: Vec<String>,
    until: Instant,
}

impl Undecided {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.values().map(|stranger| stranger.until).min()
    }

    pub(super) fn contains(&self, connection: ConnectionId) -> bool {
        self.0.contains_key(&connection)
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) {
        self.0.remove(&connection);
    }
}

impl Speaker {
    /// Keeps a connection until its OPEN is here.
    pub(super) fn wait_for_open(
        &mut self,
        connection: ConnectionId,
        ends: (SocketAddr, SocketAddr),
        ranges: Vec<String>,
    ) {
        let of_this_address = self.undecided.0.iter().filter(|(_, stranger)| stranger.ends.1.ip() == ends.1.ip());
        let earlier: Vec<_> = of_this_address.map(|(id, stranger)| (*id, stranger.ends.1)).collect();
        if let Some((oldest, remote)) = earlier.first().filter(|_| earlier.len() >= PER_ADDRESS) {
            self.undecided.remove(*oldest);
            let text = format!("it has {PER_ADDRESS} newer connections without an OPEN");
            self.turn_away(*oldest, *remote, text);
        }
        self.undecided.0.insert(connection, Stranger { ends, ranges, until: self.now + PATIENCE });
    }

    /// Looks at the first message of an undecided connection, and hands it over to its neighbor.
    pub(super) fn decide_connection(&mut self, connection: ConnectionId, bytes: &BytesMut) {
        let Some(stranger) = self.undecided.0.get(&connection) else { return };
        let Some(asn) = first_asn(bytes, &self.settings) else { return };
        let admits = |range: &&String| asn.is_some_and(|asn| self.range_admits(range, asn));
        // Where no range admits it, the first one refuses it in due form.
        let range = stranger.ranges.iter().find(admits).or(stranger.ranges.first()).cloned().unwrap_or_default();
        let (local, remote) = stranger.ends;
        self.undecided.remove(connection);
        match self.neighbor_of(&range, local, remote) {
            Ok(id) => self.take_over(connection, id, local, remote),
            Err(text) => self.turn_away(connection, remote, text),
        }
    }

    fn range_admits(&self, range: &str, asn: Asn) -> bool {
        let Some(dynamic) = self.settings.dynamic_neighbors.get(range) else { return false };
        let local_asn = dynamic.session.local_asn.unwrap_or(self.settings.asn);
        match &dynamic.asn {
            RemoteAs::OneOf(asns) => asns.contains(&asn),
            RemoteAs::External => asn != local_asn,
            RemoteAs::Internal => asn == local_asn,
        }
    }

    /// Those that said nothing are closed.
    pub(super) fn close_silent(&mut self) {
        let now = self.now;
        let silent = self.undecided.0.iter().filter(|(_, stranger)| stranger.until <= now);
        for (connection, remote) in silent.map(|(id, stranger)| (*id, stranger.ends.1)).collect::<Vec<_>>() {
            self.undecided.remove(connection);
            self.turn_away(connection, remote, "it sent no OPEN".to_owned());
        }
    }

    /// Closes a connection without a word.
    pub(super) fn turn_away(&mut self, connection: ConnectionId, remote: SocketAddr, text: String) {
        self.refuse(Refusal { neighbor: None, remote: remote.ip(), text });
        self.actions.push_back(Action::Close { connection });
    }
}

/// The AS of the OPEN at the front; `Some(None)`: it is something else, which its neighbor's FSM refuses. `None`: it is
/// not complete.
fn first_asn(bytes: &[u8], settings: &Settings) -> Option<Option<Asn>> {
    let length = match wire::frame_length(bytes, MAX_MESSAGE) {
        Ok(length) => length?,
        Err(_) => return Some(None),
    };
    match wire::decode(&bytes[..length], &plain_context(settings)) {
        Ok(Message::Open(open)) => Some(Some(open.asn)),
        _ => Some(None),
    }
}
