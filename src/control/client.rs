//! The client of the API on the unix socket: the CLI, the lab and the tests ask here.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
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

    async fn request(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| anyhow!("cannot reach vpngw at {}: {error} (is it running?)", self.socket.display()))?;
        match timeout(ANSWER_TIME, exchange(stream, method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => bail!("vpngw at {} did not answer within {} s", self.socket.display(), ANSWER_TIME.as_secs()),
        }
    }
}

/// One request, one connection.
async fn exchange(stream: UnixStream, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "vpngw")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
    };
    let (status, body) = tokio::select! {
        answered = answer => answered,
        Err(error) = connection => Err(error),
    }
    .context("the connection to vpngw broke")?;
    if status.is_success() {
        return Ok(body);
    }
    match serde_json::from_slice::<api::Error>(&body) {
        Ok(api::Error { error }) => bail!(error),
        Err(_) => bail!("vpngw answered with {status}"),
    }
}
