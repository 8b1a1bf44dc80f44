//! What is asked: method, path, query and body to a [`Request`], pure.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use bgpd::monitor::Watch;
use bgpd::speaker::{Command, CommandError, Slice};
use hyper::{Method, StatusCode, Uri};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use wgd::device::{Rekey, RekeyError};

use super::{Access, api};
use crate::daemon;

/// How many prefixes a slice has: its default, and what may be asked.
const DEFAULT_LIMIT: usize = 1000;
const LIMITS: RangeInclusive<usize> = 1..=10_000;

/// Octets of a shutdown communication (RFC 9003 §2).
const MAX_MESSAGE: usize = 255;

/// Something to answer.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Health,
    Readiness,
    Status,
    Routes(Slice),
    LongestMatch(IpAddr),
    /// The Loc-RIB in the MRT format, its first prefix with this number.
    Mrt {
        slice: Slice,
        sequence: u32,
    },
    Received {
        neighbor: String,
        slice: Slice,
    },
    Advertised {
        neighbor: String,
        slice: Slice,
    },
    Neighbors,
    Neighbor(String),
    Peers,
    Fib {
        after: Option<IpNet>,
        limit: usize,
    },
    Events {
        after: u64,
    },
    Config,
    Monitor(Watch),
    MonitorTunnel,
    MonitorPackets {
        peer: Option<String>,
        address: Option<IpNet>,
        snap: usize,
    },
    Command {
        neighbor: String,
        command: Command,
    },
    Rekey {
        peer: String,
        how: Rekey,
    },
    Stop(daemon::Stop),
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// For the header `Allow`, with status 405 (RFC 9110 §15.5.6).
    pub(super) allow: Option<&'static str>,
    /// One sentence.
    pub(super) error: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, allow: None, error: error.into() }
    }

    fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    fn method(method: &Method, allow: &'static str) -> Self {
        let error = format!("method {method} is not allowed here: {allow}");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, allow: Some(allow), error }
    }

    fn no_such_path(uri: &Uri) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
    }

    pub(super) fn no_such_neighbor(name: String) -> Self {
        CommandError::NoSuchNeighbor(name).into()
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let status = match error {
            CommandError::NoSuchNeighbor(_) => StatusCode::NOT_FOUND,
            CommandError::NoSession(..) | CommandError::NoSessions => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<RekeyError> for Refusal {
    fn from(error: RekeyError) -> Self {
        let status = match error {
            RekeyError::NoSuchPeer => StatusCode::NOT_FOUND,
            RekeyError::NoEndpoint => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

const READ: &str = "GET, HEAD";
const WRITE: &str = "POST";

/// Whether the path changes something when it is posted to.
fn is_command(path: &[&str]) -> bool {
    matches!(
        path,
        ["v1", "stop"]
            | ["v1", "neighbors", _, "reset" | "refresh" | "resend" | "disable" | "drain" | "enable"]
            | ["v1", "peers", _, "rekey" | "reset"]
    )
}

impl Request {
    /// Reads a request. `body` is empty where there is none.
    pub(super) fn parse(access: Access, method: &Method, uri: &Uri, body: &[u8]) -> Result<Self, Refusal> {
        let segments = segments(uri)?;
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let read = method == Method::GET || method == Method::HEAD;
        match access {
            Access::ReadOnly if !read => Err(Refusal::method(method, READ)),
            // A client of a network may be gone without a word, and its monitor would keep its place.
            Access::ReadOnly if matches!(*path, ["v1", "monitor", ..]) => {
                Err(Refusal::new(StatusCode::FORBIDDEN, "monitors are for the control socket only"))
            }
            _ if is_command(&path) => match *method {
                Method::POST => Self::command(&path, uri, body),
                _ => Err(Refusal::method(method, WRITE)),
            },
            _ if read => Self::question(&path, uri),
            _ => Self::question(&path, uri).and_then(|_| Err(Refusal::method(method, READ))),
        }
    }

    fn question(path: &[&str], uri: &Uri) -> Result<Self, Refusal> {
        let mut query = Query::parse(uri)?;
        let request = match *path {
            ["healthz"] => Self::Health,
            ["readyz"] => Self::Readiness,
            ["v1", "status"] => Self::Status,
            ["v1", "routes"] => query.routes()?,
            ["v1", "mrt"] => {
                let sequence = query.take("sequence", "a number")?.unwrap_or_default();
                Self::Mrt { slice: query.slice()?, sequence }
            }
            ["v1", "received", name] => Self::Received { neighbor: name.into(), slice: query.slice()? },
            ["v1", "advertised", name] => Self::Advertised { neighbor: name.into(), slice: query.slice()? },
            ["v1", "neighbors"] => Self::Neighbors,
            ["v1", "neighbors", name] => Self::Neighbor(name.into()),
            ["v1", "peers"] => Self::Peers,
            ["v1", "fib"] => Self::Fib { after: query.prefix("after")?, limit: query.limit()? },
            ["v1", "events"] => Self::Events { after: query.take("after", "a number")?.unwrap_or_default() },
            ["v1", "config"] => Self::Config,
            ["v1", "monitor", "sessions"] => Self::Monitor(Watch::Sessions),
            ["v1", "monitor", "sessions", "mrt"] => Self::Monitor(Watch::SessionRecords),
            ["v1", "monitor", "routes"] => Self::Monitor(Watch::Routes),
            ["v1", "monitor", "routes", "mrt"] => Self::Monitor(Watch::RouteRecords),
            ["v1", "monitor", "tunnel"] => Self::MonitorTunnel,
            ["v1", "monitor", "packets"] => query.packets()?,
            _ => return Err(Refusal::no_such_path(uri)),
        };
        query.finish()?;
        Ok(request)
    }

    fn command(path: &[&str], uri: &Uri, body: &[u8]) -> Result<Self, Refusal> {
        Query::parse(uri)?.finish()?;
        let neighbor = |name: &str, command| Self::Command { neighbor: name.into(), command };
        Ok(match *path {
            ["v1", "stop"] => Self::Stop(read::<api::Stop>(body)?.into()),
            ["v1", "neighbors", name, "reset"] => neighbor(name, Command::Reset),
            ["v1", "neighbors", name, "refresh"] => neighbor(name, Command::Refresh),
            ["v1", "neighbors", name, "resend"] => neighbor(name, Command::Resend),
            ["v1", "neighbors", name, "disable"] => {
                neighbor(name, Command::Disable(message(read::<api::Disable>(body)?.message)?))
            }
            ["v1", "neighbors", name, "drain"] => neighbor(name, Command::Drain),
            ["v1", "neighbors", name, "enable"] => neighbor(name, Command::Enable),
            ["v1", "peers", name, "rekey"] => Self::Rekey { peer: name.into(), how: Rekey::Rekey },
            ["v1", "peers", name, "reset"] => Self::Rekey { peer: name.into(), how: Rekey::Reset },
            _ => return Err(Refusal::no_such_path(uri)),
        })
    }
}

/// The path's segments, decoded after the cut: a name may hold an encoded slash.
fn segments(uri: &Uri) -> Result<Vec<String>, Refusal> {
    uri.path().split('/').skip(1).map(decode).collect()
}

fn decode(text: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Refusal::bad(format!("{text} is not UTF-8")))
}

/// No body means all defaults.
fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the body is not what is expected: {error}")))
}

/// RFC 9003 §2; a longer one would be cut on its way.
fn message(message: Option<String>) -> Result<Option<String>, Refusal> {
    match message.as_ref().map_or(0, String::len) {
        ..=MAX_MESSAGE => Ok(message),
        long => Err(Refusal::bad(format!("the message has {long} octets: {MAX_MESSAGE} at most (RFC 9003)"))),
    }
}

/// `NAME=VALUE&…`; every parameter must be taken.
struct Query<'a> {
    parameters: Vec<(&'a str, String)>,
}

impl<'a> Query<'a> {
    fn parse(uri: &'a Uri) -> Result<Self, Refusal> {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let parameter = |pair: &'a str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            decode(value).map(|value| (name, value))
        };
        Ok(Self { parameters: pairs.map(parameter).collect::<Result<_, _>>()? })
    }

    fn slice(&mut self) -> Result<Slice, Refusal> {
        Ok(Slice { after: self.prefix("after")?, limit: self.limit()?, within: self.prefix("prefix")? })
    }

    /// All of them, those inside a prefix, or of an address the longest match.
    fn routes(&mut self) -> Result<Request, Refusal> {
        let is_prefix = |(name, _): &&(&str, String)| *name == "prefix";
        let address = self.parameters.iter().find(is_prefix).and_then(|(_, text)| text.parse().ok());
        let slice = self.slice()?;
        Ok(address.map_or(Request::Routes(slice), Request::LongestMatch))
    }

    fn packets(&mut self) -> Result<Request, Refusal> {
        let snap = self.take("snap", "a number of octets")?.unwrap_or(usize::from(u16::MAX));
        let (peer, address) = (self.take("peer", "a peer's name")?, self.prefix("address")?);
        Ok(Request::MonitorPackets { peer, address, snap })
    }

    fn limit(&mut self) -> Result<usize, Refusal> {
        let allowed = format!("{} to {}", LIMITS.start(), LIMITS.end());
        match self.take("limit", &allowed)? {
            None => Ok(DEFAULT_LIMIT),
            Some(limit) if LIMITS.contains(&limit) => Ok(limit),
            Some(limit) => Err(not_allowed("limit", limit, &allowed)),
        }
    }

    fn prefix(&mut self, name: &str) -> Result<Option<IpNet>, Refusal> {
        let allowed = "a prefix or an address";
        let Some(text) = self.take::<String>(name, allowed)? else { return Ok(None) };
        parse_prefix(&text).map(Some).ok_or_else(|| not_allowed(name, text, allowed))
    }

    fn take<T: FromStr>(&mut self, name: &str, allowed: &str) -> Result<Option<T>, Refusal> {
        let Some(place) = self.parameters.iter().position(|(known, _)| *known == name) else { return Ok(None) };
        let (_, text) = self.parameters.remove(place);
        text.parse().map(Some).map_err(|_| not_allowed(name, text, allowed))
    }

    fn finish(self) -> Result<(), Refusal> {
        match self.parameters.first() {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::bad(format!("parameter {name} is unknown here, or given twice"))),
        }
    }
}

fn not_allowed(name: &str, found: impl Display, allowed: &str) -> Refusal {
    Refusal::bad(format!("{name}={found} is not allowed: {allowed}"))
}

/// A prefix, its host bits cleared, or an address as the longest prefix.
pub(crate) fn parse_prefix(text: &str) -> Option<IpNet> {
    let prefix = text.parse::<IpNet>().map(|prefix| prefix.trunc());
    prefix.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()
}
