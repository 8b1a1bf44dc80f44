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
    /// The longest packet that is sent to a peer is another one, of so many octets.
    PeerMtu(PublicKey, u16),
    /// Packets to a peer leave by a session under other static keys than before: our public key, and the peer's.
    Keys(PublicKey, (PublicKey, PublicKey)),
    /// A peer with a name for an endpoint does not answer, or has no address yet: look it up (again) and say
    /// [`Device::endpoint`](crate::device::Device::endpoint).
    EndpointWanted(PublicKey, String, u16),
    /// With `mtu = "auto"`: the MTU that the device is to have now, in octets.
    Mtu(u16),
    /// The worker ended; the tunnel is gone.
    Failed(String),
}

/// Handshake messages of one peer, since it is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Handshakes {
    /// Initiations that we sent.
    pub initiations_sent: u64,
    /// Initiations of the peer's that we answered.
    pub initiations_received: u64,
    /// Our answers.
    pub responses_sent: u64,
    /// Answers of the peer's that made a session.
    pub responses_received: u64,
    /// Sessions that both ends have confirmed.
    pub completed: u64,
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
    /// Prefixes of the routed table that accept packets from this peer, in order. The tunnel itself leaves them out: a walk over
    /// its table would stop packets, and who has given it the table knows them.
    pub allowed_ips_from_bgp: Vec<IpNet>,
    /// Datagram octets received.
    pub receive_bytes: u64,
    /// Datagram octets sent.
    pub transmit_bytes: u64,
    /// Datagrams received.
    pub receive_packets: u64,
    /// Datagrams sent.
    pub transmit_packets: u64,
    /// Packets that wait for a session.
    pub queued_packets: usize,
    /// Since it was heard last.
    pub received_age: Option<Duration>,
    /// Since something was sent to it.
    pub sent_age: Option<Duration>,
    /// Why nothing comes of it, as far as it is known; else which keys are in use, where there is a choice.
    pub note: Option<String>,
    /// The longest packet that is sent to it, in octets.
    pub mtu: u16,
    /// Why that is not what its path was found to take.
    pub mtu_note: Option<String>,
    /// Handshake messages.
    pub handshakes: Handshakes,
    /// Offloads in use, of the device and towards the endpoint.
    pub offloads: Vec<&'static str>,
    /// Packets dropped, by reason.
    pub drops: BTreeMap<&'static str, u64>,
}
