//! Packets from the tunnel, put together again: what follows each other in a flow goes to the host as one.
//!
//! The host takes a super-segment apart into the very packets that were put in, or hands their octets to a socket in
//! one go. So only packets are taken together that differ in nothing but what it can work out (as the kernel's own
//! `tcp_gro_receive` does), and only with checksums that are right: the host does not look at them again.
//!
//! The order of a flow's packets stays; flows may pass each other.

use super::header::{Kind, NetHeader};
use super::train::SEGMENTS;
use crate::batch::Batch;

mod candidate;

use candidate::Candidate;

/// Flows that are watched at a time.
const FLOWS: usize = 64;
/// The most packets in one, for the sake of whoever writes them with one call.
pub(crate) const PACKETS: usize = 128;
/// Octets in one: what the length field of IPv4 can say.
const OCTETS: usize = 65_535;
const NONE: u32 = u32::MAX;

/// Of what the host takes super-segments.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Accepts {
    /// Of TCP.
    pub tcp: bool,
    /// Of UDP.
    pub udp: bool,
}

impl Accepts {
    /// It refused one of this kind.
    pub fn remove(&mut self, kind: Kind) {
        match kind {
            Kind::TcpIpv4 | Kind::TcpIpv6 => self.tcp = false,
            Kind::Udp => self.udp = false,
            Kind::Single | Kind::Unknown(_) => {}
        }
    }
}

/// Finds the packets of a batch that go to the host as one. Its memory is used again.
#[derive(Debug)]
pub struct Coalescer {
    runs: Vec<Run>,
    /// For each packet of the batch the next one of its run.
    next: Vec<u32>,
    /// The run that a flow's next packet may join, by the flow's hash.
    open: [u32; FLOWS],
}

/// One packet, or several as one.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// What to tell the host.
    pub header: NetHeader,
    /// Where it is in the batch; it has the headers of all.
    pub first: usize,
    last: usize,
    packets: usize,
    /// Octets of all, with the headers of the first.
    octets: usize,
    /// What the first is; none: nothing can join.
    candidate: Option<Candidate>,
    /// What the last is.
    end: Option<Candidate>,
}

impl Default for Coalescer {
    fn default() -> Self {
        Self { runs: Vec::new(), next: Vec::new(), open: [NONE; FLOWS] }
    }
}

impl Coalescer {
    /// Looks at all packets of a batch, and gives the first of each run the headers of the whole.
    pub fn coalesce(&mut self, batch: &mut Batch<()>, accepts: Accepts) {
        self.runs.clear();
        self.next.clear();
        self.open.fill(NONE);
        for index in 0..batch.len() {
            self.next.push(NONE);
            self.add(batch, index, accepts);
        }
        for run in self.runs.iter_mut().filter(|run| run.packets > 1) {
            run.finish(batch);
        }
    }

    /// In the order in which they are to be written.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }

    /// Where the other packets of a run are in the batch. Of each is written what comes after [`Run::header_len`].
    pub fn others(&self, run: &Run) -> impl Iterator<Item = usize> {
        let following = |index: usize| self.next.get(index).filter(|next| **next != NONE).map(|next| *next as usize);
        std::iter::successors(following(run.first), move |index| following(*index))
    }

    fn add(&mut self, batch: &Batch<()>, index: usize, accepts: Accepts) {
        let Some(packet) = batch.get(index) else { return };
        let (flow, candidate) = Candidate::parse(packet);
        let candidate = candidate.filter(|candidate| if candidate.is_udp { accepts.udp } else { accepts.tcp });
        let place = &mut self.open[flow as usize % FLOWS];
        if let (Some(run), Some(candidate)) = (self.runs.get_mut(*place as usize), candidate)
            && run.takes(batch, packet, candidate)
        {
            self.next[run.last] = index as u32;
            (run.last, run.packets, run.octets) = (index, run.packets + 1, run.octets + candidate.payload);
            run.end = Some(candidate);
            return;
        }
        // Whatever the flow has now comes after what it had
        *place = if candidate.is_some() { self.runs.len() as u32 } else { NONE };
        let (header, octets) = (NetHeader::default(), packet.len());
        self.runs.push(Run { header, first: index, last: index, packets: 1, octets, candidate, end: candidate });
    }
}

impl Run {
    /// How many packets it holds.
    pub fn packets(&self) -> usize {
        self.packets
    }

    /// Octets that the packets after the first have before their payload.
    pub fn header_len(&self) -> usize {
        usize::from(self.header.header_len)
    }

    fn takes(&mut self, batch: &Batch<()>, packet: &[u8], other: Candidate) -> bool {
        let (Some(own), Some(end), Some(first)) = (self.candidate, self.end, batch.get(self.first)) else {
            return false;
        };
        // There are kernels whose TUN refuses more datagrams than their sockets do
        let most = if own.is_udp { SEGMENTS } else { PACKETS };
        let fits = self.packets < most && self.octets + other.payload <= OCTETS;
        let is_next = end.payload == own.payload && other.payload <= own.payload && end.precedes(&other);
        if !fits || !is_next || !own.same_headers(first, packet, self.packets) || !other.is_intact(packet) {
            return false;
        }
        // The first is summed only when there is a second
        if self.packets == 1 && !own.is_intact(first) {
            self.candidate = None;
        }
        self.candidate.is_some()
    }

    /// Gives the first packet the headers of all.
    fn finish(&mut self, batch: &mut Batch<()>) {
        let (Some(own), Some(end), Some(first)) = (self.candidate, self.end, batch.get_mut(self.first)) else {
            return;
        };
        self.header = own.head(first, self.octets as u16, end.pushes);
    }
}

#[cfg(test)]
mod tests;
