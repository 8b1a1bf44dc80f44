//! The words of `wg` over a real socket.

use std::future::ready;
use std::time::Duration;

use tempfile::{TempDir, tempdir};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wgd::uapi::{Error, MAX_LINE, Request, errno};
use zeroize::Zeroizing;

use super::*;
use crate::control::uapi;

fn served() -> TempDir {
    let scratch = tempdir().unwrap();
    let listener = UnixListener::bind(socket(&scratch)).unwrap();
    let answer = |request: Result<Request, Error>| {
        let shown = if request == Ok(Request::Get) { "listen_port=1\n" } else { "" };
        ready(Zeroizing::new(format!("{shown}{}", errno(&request.map(drop)))))
    };
    tokio::spawn(uapi::serve_with(listener, answer));
    scratch
}

/// Sends, and reads so much of an answer.
async fn ask(stream: &mut UnixStream, sent: &[u8], answer: &str) {
    stream.write_all(sent).await.unwrap();
    let mut received = vec![0; answer.len()];
    stream.read_exact(&mut received).await.unwrap();
    assert_eq!(String::from_utf8(received).unwrap(), answer);
}

#[tokio::test]
async fn a_connection_asks_several_things_in_pieces_of_any_size() {
    let scratch = served();
    let mut stream = UnixStream::connect(socket(&scratch)).await.unwrap();
    ask(&mut stream, b"get=1\n\n", "listen_port=1\nerrno=0\n\n").await;
    for octet in b"set=1\nreplace_peers=true\n" {
        ask(&mut stream, &[*octet], "").await;
    }
    ask(&mut stream, b"\n", "errno=0\n\n").await;
    ask(&mut stream, b"get=1\n\nget=1\n\n", "listen_port=1\nerrno=0\n\nlisten_port=1\nerrno=0\n\n").await;
}

#[tokio::test]
async fn an_error_is_answered_at_the_end_of_the_request_and_the_next_one_is_heard() {
    let scratch = served();
    let mut stream = UnixStream::connect(socket(&scratch)).await.unwrap();
    let long = format!("set=1\nendpoint={}\nreplace_peers=true\n\n", "1".repeat(10 * MAX_LINE));
    ask(&mut stream, long.as_bytes(), "errno=-7\n\n").await;
    ask(&mut stream, b"set=1\nmtu=1\n\n", "errno=-22\n\n").await;
    ask(&mut stream, b"get=1\n\n", "listen_port=1\nerrno=0\n\n").await;
}

#[tokio::test]
async fn a_request_that_breaks_off_is_not_answered() {
    let scratch = served();
    let mut stream = UnixStream::connect(socket(&scratch)).await.unwrap();
    stream.write_all(b"set=1\nreplace_peers=true\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut received = String::new();
    stream.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_dropped() {
    let scratch = served();
    let mut stream = UnixStream::connect(socket(&scratch)).await.unwrap();
    let mut received = Vec::new();
    timeout(Duration::from_secs(61), stream.read_to_end(&mut received)).await.unwrap().unwrap();
    assert_eq!(received, b"");
}
