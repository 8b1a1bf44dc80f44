//! HTTP/1.1 on an accept loop of its own. Runs on the daemon's runtime.
//!
//! One connection asks one thing and has a fixed time for it, so that a client that stalls anywhere, reading or
//! writing, costs one place of a bounded number, and not for long. Only a monitor has no end: of these the speaker, the
//! tunnel's watchers and its captures together take half as many as there are places. When all places are taken, new
//! connections wait in the kernel's backlog.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, net};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::{self, Answer};
use super::request::{Refusal, Request};
use crate::daemon::Handle;

/// Connections of one listener at the same time: an answer may have 10 MB.
const MAX_CONNECTIONS: usize = 32;
/// From the accepted connection to the end of the request's header.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// For the daemon to answer.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(10);
/// For everything.
pub(super) const CONNECTION_TIME: Duration = Duration::from_secs(60);
/// The largest body, in octets: no command needs more than one short message.
const MAX_BODY: usize = 16 * 1024;
/// After an accept that failed: out of descriptors is no reason to spin, nor to give up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that already listens.
#[derive(Debug)]
pub enum Listener {
    /// The control socket.
    Unix(std::os::unix::net::UnixListener),
    /// An observe listener.
    Tcp(net::TcpListener),
}

/// What a listener's clients may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Read and command.
    Full,
    /// Read.
    ReadOnly,
}

/// Serves the API on one listener until it is dropped, and its connections with it.
///
/// # Errors
///
/// When the listener cannot be given to the runtime.
pub async fn serve(listener: Listener, daemon: Handle, access: Access) -> io::Result<()> {
    serve_with(listener, access, move |request| answer::answer(daemon.clone(), request)).await
}

/// `answer` stands between HTTP and the daemon, so that the one is tested without the other.
pub(super) async fn serve_with<A, F>(listener: Listener, access: Access, answer: A) -> io::Result<()>
where
    A: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    each_connection(listener, move |stream| connection(stream, access, answer.clone())).await
}

/// Gives every connection to `serve`, until it is dropped, and its connections with it.
pub(super) async fn each_connection<F>(listener: Listener, serve: impl Fn(Stream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = Accepting::new(listener)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok(stream) => {
                    connections.spawn(serve(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "a control connection cannot be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

enum Accepting {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A connection.
pub(super) type Stream = Box<dyn Duplex>;

/// Octets both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Accepting {
    fn new(listener: Listener) -> io::Result<Self> {
        Ok(match listener {
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Self::Unix(UnixListener::from_std(listener)?)
            }
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Self::Tcp(TcpListener::from_std(listener)?)
            }
        })
    }

    async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

async fn connection<A, F>(stream: Stream, access: Access, answer: A)
where
    A: Fn(Request) -> F,
    F: Future<Output = Answer>,
{
    let endless = AtomicBool::new(false);
    let service = service_fn(async |request| {
        let answer = respond(request, access, &answer).await;
        endless.store(answer.body().is_endless(), Ordering::Relaxed);
        Ok::<_, Infallible>(answer)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = match timeout(CONNECTION_TIME, connection.as_mut()).await {
        Ok(ended) => ended,
        Err(_) if endless.load(Ordering::Relaxed) => connection.await,
        Err(_) => return tracing::debug!("a control connection took too long"),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a control connection broke");
    }
}

async fn respond<A, F>(request: hyper::Request<Incoming>, access: Access, answer: &A) -> Answer
where
    A: Fn(Request) -> F,
    F: Future<Output = Answer>,
{
    let (head, body) = request.into_parts();
    let parsed = match body_of(&head.method, body).await {
        Ok(body) => Request::parse(access, &head.method, &head.uri, &body),
        Err(refusal) => Err(refusal),
    };
    match parsed {
        Ok(request) => timeout(ANSWER_TIME, answer(request)).await.unwrap_or_else(|_| answer::refuse(&no_answer())),
        Err(refusal) => answer::refuse(&refusal),
    }
}

fn no_answer() -> Refusal {
    let error = format!("the gateway did not answer within {} s", ANSWER_TIME.as_secs());
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error)
}

/// Only commands have a body.
async fn body_of(method: &Method, body: Incoming) -> Result<Bytes, Refusal> {
    if method != Method::POST {
        return Ok(Bytes::new());
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let error = format!("the body is longer than {MAX_BODY} octets");
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error))
        }
        Err(error) => Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))),
    }
}
