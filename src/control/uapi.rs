//! The socket on which `wg` and exporters find the tunnel, beside the API. Runs on the daemon's runtime.
//!
//! The words are [`wgd::uapi`]'s. A connection may ask several things, one after the other, and has the time of a
//! connection of the API for all of them. What was read and what is sent is wiped: keys are in it.

use std::io;
use std::os::unix::net::UnixListener;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wgd::uapi::{self, Errno, Error, MAX_LINE, Reader, Request};
use zeroize::Zeroizing;

use super::server::{ANSWER_TIME, CONNECTION_TIME, Listener, Stream, each_connection};
use crate::daemon::{Handle, TunnelView};

/// Octets of one read.
const CHUNK: usize = 4096;

/// Serves the socket until it is dropped, and its connections with it.
///
/// # Errors
///
/// When the listener cannot be given to the runtime.
pub async fn serve_wg(listener: UnixListener, daemon: Handle) -> io::Result<()> {
    serve_with(listener, move |request| answer(daemon.clone(), request)).await
}

/// `answer` stands between the protocol and the daemon, so that the one is tested without the other.
pub(super) async fn serve_with<A, F>(listener: UnixListener, answer: A) -> io::Result<()>
where
    A: Fn(Result<Request, Error>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Zeroizing<String>> + Send + 'static,
{
    each_connection(Listener::Unix(listener), move |stream| {
        let answer = answer.clone();
        async move {
            match timeout(CONNECTION_TIME, connection(stream, answer)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a connection of wg broke"),
                Err(_) => tracing::debug!("a connection of wg took too long"),
            }
        }
    })
    .await
}

/// Until the client closes it. A request that breaks off is none.
async fn connection<A, F>(stream: Stream, answer: A) -> io::Result<()>
where
    A: Fn(Result<Request, Error>) -> F,
    F: Future<Output = Zeroizing<String>>,
{
    let (mut input, mut output) = split(stream);
    let (mut reader, mut chunk) = (Reader::default(), Zeroizing::new([0; CHUNK]));
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    loop {
        let read = input.read(chunk.as_mut_slice()).await?;
        if read == 0 {
            return Ok(());
        }
        for octet in &chunk[..read] {
            match octet {
                b'\n' => {
                    let request = reader.line(&line);
                    line.clear();
                    if let Some(request) = request {
                        output.write_all(answer(request).await.as_bytes()).await?;
                    }
                }
                _ if line.len() < MAX_LINE => line.push(*octet),
                _ => {} // it is refused already
            }
        }
    }
}

async fn answer(daemon: Handle, request: Result<Request, Error>) -> Zeroizing<String> {
    let done = match request {
        Ok(Request::Get) => match timeout(ANSWER_TIME, daemon.tunnel()).await {
            Ok(Some(view)) => return shown(view).await,
            _ => Err(no_answer()),
        },
        Ok(Request::Set(changes)) => {
            timeout(ANSWER_TIME, daemon.change_tunnel(changes)).await.ok().flatten().unwrap_or_else(|| Err(no_answer()))
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &done {
        tracing::warn!(%error, "a request of wg was refused, and nothing changed");
    }
    Zeroizing::new(uapi::errno(&done))
}

/// On a thread of its own: a peer may have a whole routing table for allowed IPs.
async fn shown(view: TunnelView) -> Zeroizing<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let write = move || uapi::state(&view.settings, &view.sockets, &view.peers, now);
    spawn_blocking(write).await.unwrap_or_else(|_| Zeroizing::new(uapi::errno(&Err(no_answer()))))
}

fn no_answer() -> Error {
    Error::new(Errno::Io, "the gateway did not answer in time")
}
