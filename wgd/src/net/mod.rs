//! The worker threads: TUN, UDP, and the device between them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use crate::settings::{PublicKey, Settings};
use crate::table::{Change, Generation};
use crate::view::{PeerState, PeerView};

/// Descriptors, opened by the caller: a TUN without packet information, in non-blocking mode, and UDP sockets of one port.
#[derive(Debug)]
pub struct Io {
    /// `IFF_TUN | IFF_NO_PI`.
    pub tun: OwnedFd,
    /// IPv4, IPv6, or both.
    pub udp: Vec<UdpSocket>,
}

/// What a worker tells. The sink must not block.
#[derive(Clone, Debug)]
pub enum Event {
    /// Every worker has this generation of the table.
    TableApplied(Generation),
    /// A watched peer changed its state.
    PeerState(PublicKey, PeerState),
    /// A peer with a name for an endpoint does not answer: look it up (again) and say [`Tunnel::endpoint`].
    EndpointWanted(PublicKey, String, u16),
    /// The worker ended; the tunnel is gone.
    Failed(String),
}

/// A running tunnel. Dropping it stops the workers.
#[derive(Debug)]
pub struct Tunnel {}

#[allow(clippy::todo, unused_variables)]
impl Tunnel {
    /// Starts the workers.
    pub fn start(io: Io, settings: Settings, events: impl Fn(Event) + Send + Clone + 'static) -> io::Result<Self> {
        todo!()
    }

    /// A new desired state, whole; only what differs is touched.
    pub fn settings(&self, settings: Settings) {
        todo!()
    }

    /// A batch of changes to the routed table, answered by [`Event::TableApplied`]. At most 1024 changes a batch; full
    /// queue: blocks the caller for less than a batch of packets takes.
    pub fn table(&self, changes: Vec<Change>) -> Generation {
        todo!()
    }

    /// Addresses found for a peer's name, best first.
    pub fn endpoint(&self, peer: PublicKey, addresses: Vec<SocketAddr>) {
        todo!()
    }

    /// Every peer, in the order of the settings.
    pub fn peers(&self) -> Vec<PeerView> {
        todo!()
    }

    /// Ends sessions and threads.
    pub fn stop(self) {
        todo!()
    }
}
