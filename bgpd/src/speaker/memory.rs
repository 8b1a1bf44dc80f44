//! What one neighbor may have us keep: without `max-prefixes` one that invents routes without end would take all the
//! memory there is, and everybody's sessions with it.
//!
//! A message bounds the attributes of a route, this bounds how many there are. Everything else that a neighbor causes
//! is bounded where it is kept: a message under way, a bit a prefix for what it does not read, a count for its errors.

use super::Speaker;
use super::neighbor::NeighborId;
use super::session::CEASE;
use crate::rib::Source;
use crate::types::Family;
use crate::wire::Notification;

/// In octets: several times what the whole Internet's tables take.
const MOST: usize = 512 << 20;

/// What a prefix takes: its record, its place in the index and among the bits.
const PREFIX: usize = 64;

const OUT_OF_RESOURCES: Notification = Notification::new(CEASE, 8); // RFC 4486 §4

impl Speaker {
    /// RFC 4271 §6.7.
    ///
    /// # Errors
    /// It keeps too much: the session ends.
    pub(super) fn check_memory(&self, id: NeighborId) -> Result<(), Notification> {
        let session = self.neighbors.get(id).and_then(|neighbor| neighbor.session.as_ref());
        let kept = session.map_or(0, |session| kept(self.rib.source(session.source)));
        if kept > MOST { Err(OUT_OF_RESOURCES) } else { Ok(()) }
    }
}

fn kept(source: &Source) -> usize {
    let prefixes = Family::ALL.into_iter().map(|family| source.prefixes_of(family)).sum::<usize>();
    source.set_octets + prefixes * PREFIX
}
