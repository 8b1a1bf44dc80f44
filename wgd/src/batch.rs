//! Packets in buffers that are used again: nothing is allocated per packet.
//!
//! The shell owns the buffers, the device writes into them. A batch grows when a call makes more than it ever held
//! and keeps that size.

/// Octets of one buffer: the largest packet there is with padding and overhead, and not a multiple of a cache's way,
/// so that neighboring buffers do not fall into the same sets.
const ROOM: usize = 65_536 + 192;
const _: () = assert!(ROOM >= 40 + 65_535 + 15 + 32); // IPv6 packet, padding, transport header and tag

/// Packets, each with what the shell must know `about` it: an address, or nothing.
#[derive(Debug)]
pub struct Batch<A> {
    slots: Vec<Slot<A>>,
    filled: usize,
}

#[derive(Debug)]
struct Slot<A> {
    room: Box<[u8]>,
    len: usize,
    about: Option<A>,
}

impl<A> Slot<A> {
    fn new() -> Self {
        Self { room: vec![0; ROOM].into_boxed_slice(), len: 0, about: None }
    }
}

impl<A> Default for Batch<A> {
    fn default() -> Self {
        Self { slots: Vec::new(), filled: 0 }
    }
}

impl<A> Batch<A> {
    /// The buffer that the next packet goes into.
    pub fn room(&mut self) -> &mut [u8] {
        if self.filled == self.slots.len() {
            self.slots.push(Slot::new());
        }
        &mut self.slots[self.filled].room
    }

    /// The first `len` octets of [`Self::room`] are a packet.
    pub fn push(&mut self, len: usize, about: A) {
        let len = len.min(self.room().len());
        let slot = &mut self.slots[self.filled]; // `room` made it
        (slot.len, slot.about) = (len, Some(about));
        self.filled += 1;
    }

    /// The next `count` buffers, for a system call that fills several. Each that it filled is then to be pushed.
    pub fn rooms(&mut self, count: usize) -> impl Iterator<Item = &mut [u8]> {
        while self.slots.len() < self.filled + count {
            self.slots.push(Slot::new());
        }
        self.slots.iter_mut().skip(self.filled).take(count).map(|slot| &mut *slot.room)
    }

    /// The packets, each as its buffer, its length and what it is about. The octets after it are free.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&mut [u8], usize, &A)> {
        self.slots
            .iter_mut()
            .take(self.filled)
            .filter_map(|slot| Some((&mut *slot.room, slot.len, slot.about.as_ref()?)))
    }

    /// The packets.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &A)> {
        self.slots.iter().take(self.filled).filter_map(|slot| Some((&slot.room[..slot.len], slot.about.as_ref()?)))
    }

    /// How many packets there are.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Forgets the packets, keeps the buffers.
    pub fn clear(&mut self) {
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_filled_in_order_and_used_again() {
        let mut batch = Batch::default();
        for (number, room) in batch.rooms(3).enumerate() {
            room[0] = number as u8;
        }
        batch.push(1, 'a');
        batch.push(1, 'b');
        assert_eq!(batch.iter().collect::<Vec<_>>(), [(&[0][..], &'a'), (&[1][..], &'b')]);
        assert_eq!(batch.room()[0], 2);
        let first = batch.iter().next().map(|(packet, _)| packet.as_ptr());
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(Some(batch.room().as_ptr()), first);
    }
}
