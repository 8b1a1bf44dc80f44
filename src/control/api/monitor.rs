//! What monitors hear: a JSON object a line.

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bgpd::monitor::{self, News};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Family, Path, SessionState};

/// A line of a monitor.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Line<T> {
    /// The client did not keep up, and changes were dropped here.
    Missed {
        /// How many.
        missed: u64,
    },
    /// Something has changed.
    Change(T),
}

/// `GET /v1/monitor/sessions`, a line.
pub type SessionLine = Line<SessionChange>;
/// `GET /v1/monitor/routes`, a line.
pub type RouteLine = Line<RouteChange>;
/// `GET /v1/monitor/sessions/mrt` and `GET /v1/monitor/routes/mrt`, a line.
pub type RecordLine = Line<Record>;

/// A session is in another state.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct SessionChange {
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// The neighbor: as configured; `NAME/ADDRESS` for one that dialled in.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its AS: from its OPEN, else as configured where that is one number.
    pub asn: Option<u32>,
    /// The state before.
    pub before: SessionState,
    /// The state now.
    pub state: SessionState,
    /// Why the session, or the try, has ended.
    pub reason: Option<String>,
}

/// A prefix has another best path, or none.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct RouteChange {
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// The destination.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// Its family.
    pub family: Family,
    /// It has no usable path any more.
    pub withdrawn: bool,
    /// Whose the best path is; of a prefix that is withdrawn: whose it was. `originate` or `aggregate` for a prefix of our
    /// own.
    pub neighbor: Option<String>,
    /// The best path, as `show routes` has it; null: withdrawn.
    pub path: Option<Path>,
}

/// A record of BGP4MP_ET (RFC 6396 §4.4), whole.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Record {
    /// In base64.
    pub record: String,
}

/// News as they are sent.
pub(crate) fn lines(news: &[News]) -> Vec<u8> {
    let mut text = Vec::new();
    for news in news {
        match news {
            News::Session(change) => write(&mut text, &SessionLine::Change((&**change).into())),
            News::Route(change) => write(&mut text, &RouteLine::Change(change.into())),
            News::Record(octets) => {
                let record = BASE64_STANDARD.encode(octets);
                write(&mut text, &RecordLine::Change(Record { record }));
            }
            News::Missed(missed) => write(&mut text, &RecordLine::Missed { missed: *missed }),
        }
    }
    text
}

/// Adds a line.
pub(super) fn write<T: Serialize>(text: &mut Vec<u8>, line: &Line<T>) {
    // Names are strings and a Vec takes everything: it cannot fail.
    if let Err(error) = serde_json::to_writer(&mut *text, line) {
        tracing::error!(%error, "a line of a monitor cannot be written as JSON");
    }
    text.push(b'\n');
}

fn timestamp(since: Duration) -> String {
    humantime::format_rfc3339_micros(UNIX_EPOCH + since).to_string()
}

impl From<&monitor::SessionChange> for SessionChange {
    fn from(change: &monitor::SessionChange) -> Self {
        Self {
            at: timestamp(change.at),
            name: change.neighbor.clone(),
            address: change.address,
            asn: change.asn.map(|asn| asn.get()),
            before: change.before.into(),
            state: change.now.into(),
            reason: change.reason.clone(),
        }
    }
}

impl From<&monitor::RouteChange> for RouteChange {
    fn from(change: &monitor::RouteChange) -> Self {
        let path = change.best.as_deref();
        Self {
            at: timestamp(change.at),
            prefix: change.prefix,
            family: Family::of(&change.prefix),
            withdrawn: path.is_none(),
            neighbor: path.map(|path| path.neighbor.clone()).or_else(|| change.neighbor.clone()),
            path: path.map(Path::from),
        }
    }
}
