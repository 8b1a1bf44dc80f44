//! What a tunnel shows of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::settings::PublicKey;
use crate::table::Generation;

/// Whether a peer answers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PeerState {
    /// It answers, or nobody watches it.
    Up,
    /// Watched, and no answer for 15 s.
    Suspect,
    /// Watched, and no answer for 25 s, or none yet.
    Down,
}

/// What a tunnel tells unasked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// Every worker has this generation of the table.
    TableApplied(Generation),
    /// A watched peer changed its state. A new one is told as down, and one that is removed.
    PeerState(PublicKey, PeerState),
    /// A peer is at another address than before: it roamed, or its name was found.
    Endpoint(PublicKey, SocketAddr),
    /// A handshake with a peer was completed.
    Handshake(PublicKey),
    /// A peer with a name for an endpoint does not answer, or has no address yet: look it up (again) and say
    /// [`Device::endpoint`](crate::device::Device::endpoint).
    EndpointWanted(PublicKey, String, u16),
    /// The worker ended; the tunnel is gone.
    Failed(String),
}

/// One peer.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// For people.
    pub name: String,
    /// Who it is.
    pub public_key: PublicKey,
    /// Where it was heard last, else where it is said to be.
    pub endpoint: Option<SocketAddr>,
    /// Whether it answers.
    pub state: PeerState,
    /// Since the last completed handshake.
    pub handshake_age: Option<Duration>,
    /// Static allowed IPs.
    pub allowed_ips: Vec<IpNet>,
    /// Prefixes of the routed table that accept packets from this peer.
    pub allowed_ips_from_bgp: Vec<IpNet>,
    /// Datagram octets received.
    pub receive_bytes: u64,
    /// Datagram octets sent.
    pub transmit_bytes: u64,
    /// Why nothing comes of it, as far as it is known.
    pub note: Option<String>,
    /// Offloads in use, of the device and towards the endpoint.
    pub offloads: Vec<&'static str>,
    /// Packets dropped, by reason.
    pub drops: BTreeMap<&'static str, u64>,
}
