//! The client of the API on the unix socket: the CLI, the lab and the tests ask here.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::api;

/// For one answer; the gateway itself gives up before.
const ANSWER_TIME: Duration = Duration::from_secs(15);

const BROKE: &str = "the connection to vpngw broke";

/// What stays as it is in a segment of a path (RFC 3986 §2.3, and `:`).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A name as one segment of a path: that of a neighbor that dialled in has a slash.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// An answer that may come in slices.
pub trait Answer: DeserializeOwned {
    /// The last prefix of this slice, where more follow.
    fn next(&self) -> Option<IpNet> {
        None
    }

    /// Adds the next slice.
    fn append(&mut self, _slice: Self) {}
}

impl<R: DeserializeOwned> Answer for api::Table<R> {
    fn next(&self) -> Option<IpNet> {
        self.next
    }

    fn append(&mut self, slice: Self) {
        self.routes.extend(slice.routes);
        self.next = slice.next;
    }
}

impl Answer for api::Status {}
impl Answer for api::Neighbors {}
impl Answer for api::Neighbor {}
impl Answer for api::Peers {}
impl Answer for api::Events {}
impl Answer for api::ConfigFiles {}

/// Asks the gateway behind one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client; nothing is opened before the first question.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The whole answer at `path` (with its query), all slices joined.
    ///
    /// # Errors
    ///
    /// When the gateway is not reached, refuses, or answers what is not expected: one sentence.
    pub async fn get<T: Answer>(&self, path: &str) -> anyhow::Result<T> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut whole: T = self.read(path).await?;
        while let Some(after) = whole.next() {
            whole.append(self.read(&format!("{path}{separator}after={after}")).await?);
        }
        Ok(whole)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.request(Method::GET, path, Bytes::new()).await?;
        serde_json::from_slice(&answer).with_context(|| format!("vpngw answered {path} with something else"))
    }

    /// The answer at `path` as it is, where it is no JSON.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn octets(&self, path: &str) -> anyhow::Result<Bytes> {
        self.request(Method::GET, path, Bytes::new()).await
    }

    /// Commands something that its path says.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn post(&self, path: &str) -> anyhow::Result<()> {
        self.request(Method::POST, path, Bytes::new()).await.map(drop)
    }

    /// Commands something that needs words of its own.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn post_with(&self, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        let body = serde_json::to_vec(body)?;
        self.request(Method::POST, path, body.into()).await.map(drop)
    }

    /// Whether somebody listens.
    pub async fn is_reachable(&self) -> bool {
        UnixStream::connect(&self.socket).await.is_ok()
    }

    /// The lines of a monitor.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn lines(&self, path: &str) -> anyhow::Result<Lines> {
        let body = self.in_time(self.open(Method::GET, path, Bytes::new())).await?;
        Ok(Lines { body, rest: BytesMut::new(), socket: self.socket.clone() })
    }

    async fn request(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let answer = async { whole(self.open(method, path, body).await?).await };
        self.in_time(answer).await
    }

    async fn in_time<T>(&self, answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        match timeout(ANSWER_TIME, answer).await {
            Ok(answer) => answer,
            Err(_) => bail!("vpngw at {} did not answer within {} s", self.socket.display(), ANSWER_TIME.as_secs()),
        }
    }

    /// One request, one connection: to the begin of its answer.
    async fn open(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Incoming> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| anyhow!("cannot reach vpngw at {}: {error} (is it running?)", self.socket.display()))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // What is wrong with it is said where its answer is read.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "vpngw")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let answer = sender.send_request(request).await.context(BROKE)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        match serde_json::from_slice::<api::Error>(&whole(answer.into_body()).await?) {
            Ok(api::Error { error }) => bail!(error),
            Err(_) => bail!("vpngw answered with {status}"),
        }
    }
}

async fn whole(body: Incoming) -> anyhow::Result<Bytes> {
    Ok(body.collect().await.context(BROKE)?.to_bytes())
}

/// What a monitor hears.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    /// A line that has begun.
    rest: BytesMut,
    socket: PathBuf,
}

impl Lines {
    /// The next lines, one or more, whole.
    ///
    /// # Errors
    ///
    /// When the gateway stops: one sentence.
    pub async fn next(&mut self) -> anyhow::Result<Bytes> {
        loop {
            // An end in order and a cut are the same here: a monitor ends with its gateway.
            let Some(Ok(frame)) = self.body.frame().await else {
                bail!("vpngw at {} has stopped", self.socket.display());
            };
            self.rest.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            if let Some(end) = self.rest.iter().rposition(|octet| *octet == b'\n') {
                return Ok(self.rest.split_to(end + 1).freeze());
            }
        }
    }
}
