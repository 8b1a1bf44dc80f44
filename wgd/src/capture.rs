//! Captures: copies of the packets inside the tunnel, for whoever looks on.
//!
//! Outbound packets are seen as they are encrypted: cut out of their super-segment and with their MSS clamped; inbound
//! ones as they were decrypted and let in, before they are gathered. What was dropped is not seen.
//!
//! Without a capture a packet costs one branch. With one it is copied into memory that is there already, which the shell
//! empties between two batches; what has no room there is counted.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Instant;

use ipnet::IpNet;

use crate::packet::Header;
use crate::settings::{PeerSettings, PublicKey};

/// Captures at a time.
pub const MOST: usize = 4;
/// Octets that wait in a capture for the end of the batch, and for who reads.
const ROOM: usize = 1 << 20;
/// And packets.
const PACKETS: usize = 4096;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From a peer to the host.
    Inbound,
    /// From the host to a peer.
    Outbound,
}

/// What a capture is about.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Absent: all peers.
    pub peer: Option<PublicKey>,
    /// Only packets whose source or destination lies inside.
    pub address: Option<IpNet>,
    /// Octets that are kept of a packet.
    pub snap: usize,
}

impl Filter {
    fn takes(&self, peer: &PublicKey, header: &Header) -> bool {
        self.peer.is_none_or(|wanted| wanted == *peer)
            && self.address.is_none_or(|net| net.contains(&header.source) || net.contains(&header.destination))
    }
}

/// Packets in the order in which they passed.
#[derive(Clone, Debug, Default)]
pub struct Packets {
    /// Of each the peer's name, then what is kept of it.
    octets: Vec<u8>,
    packets: Vec<Packet>,
    missed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    at: Instant,
    direction: Direction,
    /// Octets of the peer's name, and those that are kept.
    name: usize,
    kept: usize,
    length: usize,
    missed: u64,
}

/// A packet that passed.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// When its batch was taken up.
    pub at: Instant,
    /// Which way it went.
    pub direction: Direction,
    /// The peer's name.
    pub peer: &'a str,
    /// Octets of the packet.
    pub length: usize,
    /// The first of them.
    pub octets: &'a [u8],
    /// So many packets before it had no room.
    pub missed: u64,
}

impl Packets {
    fn with_room() -> Self {
        Self { octets: Vec::with_capacity(ROOM), packets: Vec::with_capacity(PACKETS), missed: 0 }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Captured<'_>> {
        let mut rest = self.octets.as_slice();
        self.packets.iter().map(move |packet| {
            let (name, behind) = rest.split_at(packet.name);
            let (octets, behind) = behind.split_at(packet.kept);
            rest = behind;
            let Packet { at, direction, length, missed, .. } = *packet;
            // It was a string when it was kept
            let peer = std::str::from_utf8(name).unwrap_or_default();
            Captured { at, direction, peer, length, octets, missed }
        })
    }

    /// Takes them out, in memory of their own.
    pub fn take(&mut self) -> Self {
        let taken = self.clone();
        self.octets.clear();
        self.packets.clear();
        taken
    }

    fn keep(&mut self, now: Instant, direction: Direction, peer: &str, packet: &[u8], snap: usize) {
        let kept = &packet[..packet.len().min(snap)];
        let room = self.octets.capacity() - self.octets.len();
        if room < peer.len() + kept.len() || self.packets.len() == self.packets.capacity() {
            self.missed += 1;
            return;
        }
        self.octets.extend_from_slice(peer.as_bytes());
        self.octets.extend_from_slice(kept);
        let missed = std::mem::take(&mut self.missed);
        let (name, kept, length) = (peer.len(), kept.len(), packet.len());
        self.packets.push(Packet { at: now, direction, name, kept, length, missed });
    }
}

/// Takes packets with [`Packets::take`], or leaves them where they are. Break: nobody reads any more.
pub type Sink = Box<dyn FnMut(&mut Packets) -> ControlFlow<()> + Send>;

/// A capture that runs.
pub struct Capture {
    filter: Filter,
    packets: Packets,
    sink: Sink,
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Capture {
    /// One that has seen nothing yet. The sink is called between batches and must not block.
    pub fn new(filter: Filter, sink: Sink) -> Self {
        Self { filter, packets: Packets::with_room(), sink }
    }

    /// False: nobody reads any more.
    fn hand_over(&mut self) -> bool {
        (self.sink)(&mut self.packets).is_continue()
    }
}

/// Where packets pass all captures.
#[derive(Debug, Default)]
pub struct Tap {
    captures: Vec<Capture>,
}

impl Tap {
    /// Begins a capture. False: there are [`MOST`] already.
    pub fn add(&mut self, capture: Capture) -> bool {
        self.captures.retain_mut(Capture::hand_over);
        let has_room = self.captures.len() < MOST;
        if has_room {
            self.captures.push(capture);
        }
        has_room
    }

    /// To be called between two batches: what was captured goes to who reads it.
    pub fn hand_over(&mut self) {
        if !self.captures.is_empty() {
            self.captures.retain_mut(|capture| capture.packets.is_empty() || capture.hand_over());
        }
    }

    /// A packet passes.
    pub(crate) fn pass(&mut self, now: Instant, direction: Direction, peer: &PeerSettings, packet: &[u8]) {
        if self.captures.is_empty() {
            return;
        }
        let Some(header) = Header::parse(packet) else { return };
        for capture in &mut self.captures {
            if capture.filter.takes(&peer.public_key, &header) {
                capture.packets.keep(now, direction, &peer.name, packet, capture.filter.snap);
            }
        }
    }
}

#[cfg(test)]
mod tests;
