//! What monitors of the tunnel hear: changes of its peers, and its packets.

use std::net::SocketAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wgd::capture::{self, Captured, Packets};

use super::monitor::{Line, write};
use super::peer::PeerState;
use crate::daemon::{PeerNews, TunnelNews};

/// `GET /v1/monitor/tunnel`, a line.
pub type PeerLine = Line<PeerChange>;
/// `GET /v1/monitor/packets`, a line.
pub type PacketLine = Line<Packet>;

/// Something has become of a WireGuard peer.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct PeerChange {
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// As configured.
    pub name: String,
    /// In base64.
    pub public_key: String,
    /// What it is.
    pub change: PeerChangeKind,
    /// Of `state`: whether it answered before.
    pub before: Option<PeerState>,
    /// Of `state`: whether it answers now.
    pub state: Option<PeerState>,
    /// Of `endpoint`: where it is now.
    pub endpoint: Option<SocketAddr>,
}

/// What has become of a WireGuard peer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerChangeKind {
    /// It answers, or answers no more.
    State,
    /// It is at another address.
    Endpoint,
    /// A handshake was completed, so that there are new session keys.
    Handshake,
}

/// A packet inside the tunnel.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Packet {
    /// When the tunnel took its batch up, in UTC (RFC 3339).
    pub at: String,
    /// Which way.
    pub direction: Direction,
    /// The WireGuard peer that it is from or for.
    pub peer: String,
    /// Its octets.
    pub length: usize,
    /// The first of them, in base64.
    pub packet: String,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From a peer to this host.
    In,
    /// From this host to a peer.
    Out,
}

/// News as they are sent.
pub(crate) fn tunnel_line(news: &TunnelNews) -> Vec<u8> {
    let mut text = Vec::new();
    match news {
        TunnelNews::Missed(missed) => write(&mut text, &PeerLine::Missed { missed: *missed }),
        TunnelNews::Peer(change) => {
            let (kind, states, endpoint) = match change.what {
                PeerNews::State(before, now) => (PeerChangeKind::State, Some((before, now)), None),
                PeerNews::Endpoint(endpoint) => (PeerChangeKind::Endpoint, None, Some(endpoint)),
                PeerNews::Handshake => (PeerChangeKind::Handshake, None, None),
            };
            let change = PeerChange {
                at: humantime::format_rfc3339_micros(change.at).to_string(),
                name: change.name.clone(),
                public_key: change.public_key.to_string(),
                change: kind,
                before: states.and_then(|(before, _)| before).map(PeerState::from),
                state: states.map(|(_, now)| now.into()),
                endpoint,
            };
            write(&mut text, &PeerLine::Change(change));
        }
    }
    text
}

/// Packets as they are sent.
pub(crate) fn packet_lines(packets: &Packets, time: impl Fn(&Captured<'_>) -> SystemTime) -> Vec<u8> {
    let mut text = Vec::new();
    for captured in packets.iter() {
        if captured.missed > 0 {
            write(&mut text, &PacketLine::Missed { missed: captured.missed });
        }
        let packet = Packet {
            at: humantime::format_rfc3339_nanos(time(&captured)).to_string(),
            direction: match captured.direction {
                capture::Direction::Inbound => Direction::In,
                capture::Direction::Outbound => Direction::Out,
            },
            peer: captured.peer.to_owned(),
            length: captured.length,
            packet: BASE64_STANDARD.encode(captured.octets),
        };
        write(&mut text, &PacketLine::Change(packet));
    }
    text
}
