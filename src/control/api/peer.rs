//! WireGuard peers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wgd::view;

/// `GET /v1/peers`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Peers {
    /// In the order of the configuration.
    pub peers: Vec<Peer>,
}

/// A WireGuard peer.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Peer {
    /// As configured.
    pub name: String,
    /// In base64.
    pub public_key: String,
    /// Where it was heard last, else where it is said to be.
    pub endpoint: Option<SocketAddr>,
    /// Whether it answers.
    pub state: PeerState,
    /// Why nothing comes of it, as far as it is known; else which keys are in use, where a rotation leaves a choice.
    pub note: Option<String>,
    /// Since the last completed handshake.
    pub handshake_age_seconds: Option<u64>,
    /// Handshake messages.
    pub handshakes: Handshakes,
    /// Allowed by the configuration.
    #[schemars(with = "Vec<String>")]
    pub allowed_ips: Vec<IpNet>,
    /// Allowed because BGP has a path there.
    #[schemars(with = "Vec<String>")]
    pub allowed_ips_from_bgp: Vec<IpNet>,
    /// Octets of its datagrams.
    pub receive_bytes: u64,
    /// Octets of datagrams to it.
    pub transmit_bytes: u64,
    /// Datagrams from it, as `receive_bytes` counts them.
    pub receive_packets: u64,
    /// Datagrams to it.
    pub transmit_packets: u64,
    /// Packets that wait for a session.
    pub queued_packets: usize,
    /// Since the last datagram from it that proves that it is alive.
    pub received_age_seconds: Option<u64>,
    /// Since the last datagram to it.
    pub sent_age_seconds: Option<u64>,
    /// Dropped packets by reason.
    pub drops: BTreeMap<String, u64>,
    /// The longest packet that is sent to it, in octets.
    pub mtu: u16,
    /// Why that is not what its path was found to take.
    pub mtu_note: Option<String>,
    /// Offloads in use: `tun-tso` and `tun-uso`, super-segments of TCP and UDP from the host; `tun-gro`, those to the host;
    /// `udp-gso` and `udp-gro`, trains of datagrams to and from the peer.
    pub offloads: Vec<String>,
}

/// Handshake messages of a WireGuard peer, since it is known.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
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

impl From<view::Handshakes> for Handshakes {
    fn from(view: view::Handshakes) -> Self {
        let view::Handshakes { initiations_sent, initiations_received, responses_sent, responses_received, completed } =
            view;
        Self { initiations_sent, initiations_received, responses_sent, responses_received, completed }
    }
}

/// Whether a WireGuard peer answers.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// It answers, or nobody watches it.
    Up,
    /// No answer for 15 s.
    Suspect,
    /// No answer for 25 s, or none yet.
    #[default]
    Down,
}

impl From<&view::PeerView> for Peer {
    fn from(view: &view::PeerView) -> Self {
        Self {
            name: view.name.clone(),
            public_key: view.public_key.to_string(),
            endpoint: view.endpoint,
            state: view.state.into(),
            note: view.note.clone(),
            handshake_age_seconds: view.handshake_age.map(|age| age.as_secs()),
            handshakes: view.handshakes.into(),
            allowed_ips: view.allowed_ips.clone(),
            allowed_ips_from_bgp: view.allowed_ips_from_bgp.clone(),
            receive_bytes: view.receive_bytes,
            transmit_bytes: view.transmit_bytes,
            receive_packets: view.receive_packets,
            transmit_packets: view.transmit_packets,
            queued_packets: view.queued_packets,
            received_age_seconds: view.received_age.map(|age| age.as_secs()),
            sent_age_seconds: view.sent_age.map(|age| age.as_secs()),
            drops: view.drops.iter().map(|(reason, count)| ((*reason).into(), *count)).collect(),
            mtu: view.mtu,
            mtu_note: view.mtu_note.clone(),
            offloads: view.offloads.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<view::PeerState> for PeerState {
    fn from(state: view::PeerState) -> Self {
        match state {
            view::PeerState::Up => Self::Up,
            view::PeerState::Suspect => Self::Suspect,
            view::PeerState::Down => Self::Down,
        }
    }
}
