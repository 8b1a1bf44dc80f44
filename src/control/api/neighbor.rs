//! BGP neighbors.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use bgpd::{view, wire};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Family, before};
use crate::daemon;

/// `GET /v1/neighbors`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Neighbors {
    /// By name.
    pub neighbors: Vec<Neighbor>,
}

/// A BGP neighbor. `GET /v1/neighbors/NAME`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Neighbor {
    /// As configured; `NAME/ADDRESS` for one that dialled in.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its address.
    pub address: IpAddr,
    /// Its AS: from its OPEN, else as configured where that is one number.
    pub asn: Option<u32>,
    /// Its BGP Identifier, from its OPEN.
    pub router_id: Option<Ipv4Addr>,
    /// State of the session.
    pub state: SessionState,
    /// What stands in the way of the session or of its routes.
    pub note: Option<String>,
    /// Since Established.
    pub uptime_seconds: Option<u64>,
    /// Negotiated.
    pub families: Vec<Family>,
    /// Prefixes it sent.
    pub received: usize,
    /// Of these, let in by the import policy.
    pub accepted: usize,
    /// The others.
    pub rejected: usize,
    /// Prefixes it was told.
    pub advertised: usize,
    /// Prefixes it is still to be told of, at most: with those that are still to be judged again.
    pub pending: usize,
    /// What it was sent and has not acknowledged, and what waits to be sent.
    pub unsent_bytes: usize,
    /// Its paths are about to go (RFC 8326), by `drain`.
    pub draining: bool,
    /// Messages that it sent since it was configured.
    pub messages_received: Messages,
    /// Messages that it was sent.
    pub messages_sent: Messages,
    /// What stood in its UPDATEs, and what was wrong with them.
    pub counters: Counters,
    /// The last times a session came up or ended, the newest first.
    pub history: Vec<Past>,
    /// Why the last session, or try, ended; or the last fault that a session survived.
    pub last_error: Option<LastError>,
    /// Negotiated; null before, 0 = none.
    pub hold_time_seconds: Option<u64>,
    /// Names of the capabilities it sent.
    pub capabilities: Vec<String>,
    /// The WireGuard peer with which the session lives and dies.
    pub via: Option<String>,
    /// Always null: this version has no BFD.
    pub bfd: (),
}

/// The states of RFC 4271 §8.2.2.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum SessionState {
    #[default]
    Idle,
    Connect,
    Active,
    OpenSent,
    OpenConfirm,
    Established,
}

/// Messages by type, since the neighbor was configured.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Messages {
    pub open: u64,
    pub update: u64,
    pub notification: u64,
    pub keepalive: u64,
    pub route_refresh: u64,
}

/// What stood in a neighbor's UPDATEs since it was configured, and what was wrong with them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Counters {
    /// Prefixes, each as often as it was announced.
    pub announced: u64,
    /// Prefixes, each as often as it was withdrawn.
    pub withdrawn: u64,
    /// Prefixes that `max-prefixes` kept out since this session was last asked for all.
    pub discarded: u64,
    /// UPDATEs whose routes counted as withdrawn (RFC 7606).
    pub treat_as_withdraw: u64,
    /// Attributes that were dropped (RFC 7606).
    pub attribute_discard: u64,
    /// UPDATEs with a family that was not agreed on, which was ignored.
    pub ignored_families: u64,
    /// Sessions that ended.
    pub flaps: u64,
}

/// A session came up, or ended.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Past {
    /// It came up.
    pub up: bool,
    /// Why it ended.
    pub text: String,
    /// When, in UTC (RFC 3339).
    pub at: String,
}

/// The end of a session, or a fault that it survived.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct LastError {
    /// We ended it; else the neighbor or the network did.
    pub sent: bool,
    /// Error code of the NOTIFICATION (RFC 4271 §4.5), or of the one that would have ended the session; null where there
    /// was none.
    pub code: Option<u8>,
    /// Error subcode.
    pub subcode: Option<u8>,
    /// What was done in place of a NOTIFICATION (RFC 7606): the session went on. Null where it ended.
    pub treatment: Option<Treatment>,
    /// In one line.
    pub text: String,
    /// Data of the NOTIFICATION; of a fault that the session survived: the attribute.
    pub data_hex: String,
    /// When, in UTC (RFC 3339).
    pub at: String,
}

/// RFC 7606 §2.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Treatment {
    AttributeDiscard,
    TreatAsWithdraw,
}

/// Body of `POST /v1/neighbors/NAME/disable`; may be left out.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Disable {
    /// Told to the neighbor (RFC 9003).
    pub message: Option<String>,
}

impl Default for Neighbor {
    /// Nobody: what an older gateway does not tell of one.
    fn default() -> Self {
        Self {
            name: String::new(),
            description: None,
            address: Ipv4Addr::UNSPECIFIED.into(),
            asn: None,
            router_id: None,
            state: SessionState::default(),
            note: None,
            uptime_seconds: None,
            families: Vec::new(),
            received: 0,
            accepted: 0,
            rejected: 0,
            advertised: 0,
            pending: 0,
            unsent_bytes: 0,
            draining: false,
            messages_received: Messages::default(),
            messages_sent: Messages::default(),
            counters: Counters::default(),
            history: Vec::new(),
            last_error: None,
            hold_time_seconds: None,
            capabilities: Vec::new(),
            via: None,
            bfd: (),
        }
    }
}

impl Neighbor {
    /// `now`: when it was looked at.
    pub(crate) fn new(neighbor: &daemon::Neighbor, now: SystemTime) -> Self {
        let view = &neighbor.view;
        Self {
            name: view.name.clone(),
            description: view.description.clone(),
            address: view.address,
            asn: view.asn.map(|asn| asn.get()),
            router_id: view.router_id.map(|id| id.address()),
            state: view.state.into(),
            note: view.note.clone(),
            uptime_seconds: view.uptime.map(|uptime| uptime.as_secs()),
            families: Family::list(view.families),
            received: view.received,
            accepted: view.accepted,
            rejected: view.received.saturating_sub(view.accepted),
            advertised: view.advertised,
            pending: view.pending,
            unsent_bytes: neighbor.unsent_bytes,
            draining: view.draining,
            messages_received: view.counters.received.into(),
            messages_sent: view.counters.sent.into(),
            counters: view.counters.into(),
            history: view.history.iter().map(|past| Past::new(past, now)).collect(),
            last_error: view.last_error.as_ref().map(|error| LastError::new(error, now)),
            hold_time_seconds: view.hold_time.map(|time| time.as_secs()),
            capabilities: view.capabilities.clone(),
            via: view.via.clone(),
            bfd: (),
        }
    }
}

impl LastError {
    fn new(view: &view::LastError, now: SystemTime) -> Self {
        let notification = view.notification.as_ref();
        Self {
            sent: view.sent,
            code: notification.map(|notification| notification.code),
            subcode: notification.map(|notification| notification.subcode),
            treatment: view.treatment.and_then(|treatment| match treatment {
                wire::Treatment::AttributeDiscard => Some(Treatment::AttributeDiscard),
                wire::Treatment::TreatAsWithdraw => Some(Treatment::TreatAsWithdraw),
                wire::Treatment::SessionReset => None,
            }),
            text: view.text.clone(),
            data_hex: notification.map(|notification| hex(&notification.data)).unwrap_or_default(),
            at: before(now, view.age),
        }
    }
}

impl Past {
    fn new(view: &view::PastView, now: SystemTime) -> Self {
        Self { up: view.up, text: view.text.clone(), at: before(now, view.age) }
    }
}

impl From<view::Messages> for Messages {
    fn from(view: view::Messages) -> Self {
        let view::Messages { open, update, notification, keepalive, route_refresh } = view;
        Self { open, update, notification, keepalive, route_refresh }
    }
}

impl From<view::Counters> for Counters {
    fn from(view: view::Counters) -> Self {
        Self {
            announced: view.announced,
            withdrawn: view.withdrawn,
            discarded: view.discarded,
            treat_as_withdraw: view.treat_as_withdraw,
            attribute_discard: view.attribute_discard,
            ignored_families: view.ignored_families,
            flaps: view.flaps,
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

impl From<view::SessionState> for SessionState {
    fn from(state: view::SessionState) -> Self {
        match state {
            view::SessionState::Idle => Self::Idle,
            view::SessionState::Connect => Self::Connect,
            view::SessionState::Active => Self::Active,
            view::SessionState::OpenSent => Self::OpenSent,
            view::SessionState::OpenConfirm => Self::OpenConfirm,
            view::SessionState::Established => Self::Established,
        }
    }
}
