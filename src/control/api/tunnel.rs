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
use crate::daemon::{self, PeerNews, TunnelNews};

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
    /// Of `keys`: our static public key that is in use now, in base64.
    pub our_public_key: Option<String>,
    /// Of `keys`: the peer's.
    pub their_public_key: Option<String>,
    /// Of `mtu`: the longest packet that is sent to it now, in octets.
    pub mtu: Option<u16>,
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
    /// The session in use is under other static keys than before: one of them is being replaced.
    Keys,
    /// Its path was found to take more or less than before.
    Mtu,
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
            write(&mut text, &PeerLine::Change(change.into()));
        }
    }
    text
}

impl From<&daemon::PeerChange> for PeerChange {
    fn from(daemon::PeerChange { at, name, public_key, what }: &daemon::PeerChange) -> Self {
        let change = Self {
            at: humantime::format_rfc3339_micros(*at).to_string(),
            name: name.clone(),
            public_key: public_key.to_string(),
            change: PeerChangeKind::Handshake,
            before: None,
            state: None,
            endpoint: None,
            our_public_key: None,
            their_public_key: None,
            mtu: None,
        };
        match *what {
            PeerNews::Handshake => change,
            PeerNews::State(before, now) => {
                let (before, state) = (before.map(PeerState::from), Some(now.into()));
                Self { change: PeerChangeKind::State, before, state, ..change }
            }
            PeerNews::Endpoint(endpoint) => {
                Self { change: PeerChangeKind::Endpoint, endpoint: Some(endpoint), ..change }
            }
            PeerNews::Keys { ours, theirs } => {
                let [our_public_key, their_public_key] = [ours, theirs].map(|key| Some(key.to_string()));
                Self { change: PeerChangeKind::Keys, our_public_key, their_public_key, ..change }
            }
            PeerNews::Mtu(mtu) => Self { change: PeerChangeKind::Mtu, mtu: Some(mtu), ..change },
        }
    }
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
