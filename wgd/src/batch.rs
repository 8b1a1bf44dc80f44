//! Packets one behind the other in a buffer that is used again: nothing is allocated per packet.
//!
//! The shell owns the buffer, the device writes into it. It grows when a call makes more than it ever held and keeps
//! that size. That packets lie side by side lets many of them leave in one piece.

/// Octets that are free behind the last packet: the largest packet there is with padding and overhead.
const ROOM: usize = 65_536 + 192;
const _: () = assert!(ROOM >= 40 + 65_535 + 15 + 32); // IPv6 packet, padding, transport header and tag

/// Packets, each with what the shell must know `about` it: an address, or nothing.
#[derive(Debug)]
pub struct Batch<A> {
    storage: Vec<u8>,
    end: usize,
    packets: Vec<Packet<A>>,
}

#[derive(Debug)]
struct Packet<A> {
    start: usize,
    len: usize,
    about: A,
}

impl<A> Default for Batch<A> {
    fn default() -> Self {
        Self { storage: Vec::new(), end: 0, packets: Vec::new() }
    }
}

impl<A> Batch<A> {
    /// The buffer that the next packet goes into.
    pub fn room(&mut self) -> &mut [u8] {
        if self.storage.len() < self.end + ROOM {
            let size = (self.end + ROOM).max(self.storage.len() * 2);
            self.storage.resize(size, 0);
        }
        &mut self.storage[self.end..]
    }

    /// The first `len` octets of [`Self::room`] are a packet.
    pub fn push(&mut self, len: usize, about: A) {
        let len = len.min(self.room().len());
        self.packets.push(Packet { start: self.end, len, about });
        self.end += len;
    }

    /// The packets.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &A)> {
        self.packets.iter().map(|packet| (&self.storage[packet.start..packet.start + packet.len], &packet.about))
    }

    /// One packet.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let packet = self.packets.get(index)?;
        self.storage.get(packet.start..packet.start + packet.len)
    }

    /// One packet, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let packet = self.packets.get(index)?;
        self.storage.get_mut(packet.start..packet.start + packet.len)
    }

    /// All packets in one piece.
    pub fn octets(&self) -> &[u8] {
        &self.storage[..self.end]
    }

    /// How many packets there are.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Forgets the packets, keeps the buffer.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.end = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_lie_side_by_side_and_their_buffer_is_used_again() {
        let mut batch = Batch::default();
        for (octet, about) in [(1, 'a'), (2, 'b')] {
            batch.room()[..2].fill(octet);
            batch.push(2, about);
        }
        assert_eq!(batch.iter().collect::<Vec<_>>(), [(&[1, 1][..], &'a'), (&[2, 2][..], &'b')]);
        assert_eq!((batch.octets(), batch.len()), (&[1, 1, 2, 2][..], 2));
        if let Some(packet) = batch.get_mut(0) {
            packet[1] = 9;
        }
        assert_eq!((batch.get(0), batch.get(2)), (Some(&[1, 9][..]), None));
        let first = batch.octets().as_ptr();
        batch.clear();
        assert!(batch.is_empty() && batch.octets().is_empty());
        assert_eq!(batch.room().as_ptr(), first);
    }

    #[test]
    fn there_is_room_for_the_largest_packet_behind_any_other() {
        let mut batch = Batch::default();
        for _ in 0..100 {
            assert!(batch.room().len() >= ROOM);
            batch.push(60_000, ());
        }
        assert_eq!(batch.octets().len(), 6_000_000);
    }
}
