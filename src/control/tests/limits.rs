//! What slow and silent clients cost. The clock of these tests jumps to the next deadline whenever nothing else can go on.

use std::future::pending;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::{echo, raw, served, socket};

/// Longer than any limit.
const LONG: Duration = Duration::from_secs(600);

async fn until_closed(sent: &[u8]) -> (String, Duration) {
    let scratch = served(echo);
    let start = Instant::now();
    let received = timeout(LONG, raw(&scratch, sent)).await.expect("the connection was never closed");
    (received, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_dropped() {
    let (_, elapsed) = until_closed(b"").await;
    assert!(elapsed < Duration::from_secs(61), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_end_its_header_is_dropped() {
    let (received, elapsed) = until_closed(b"GET /v1/status HTTP/1.1\r\nHost:").await;
    assert!(elapsed < Duration::from_secs(6), "{elapsed:?} {received}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_send_its_body_is_dropped() {
    let (received, elapsed) = until_closed(b"POST /v1/stop HTTP/1.1\r\nHost: v\r\nContent-Length: 9\r\n\r\n{").await;
    assert!(elapsed < Duration::from_secs(61), "{elapsed:?} {received}");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_does_not_answer_is_said_to() {
    let scratch = served(|_| pending());
    let received = raw(&scratch, b"GET /healthz HTTP/1.1\r\nHost: v\r\n\r\n").await;
    assert!(received.starts_with("HTTP/1.1 503 "), "{received}");
    assert!(received.ends_with(r#"{"error":"the gateway did not answer within 10 s"}"#), "{received}");
}

#[tokio::test(start_paused = true)]
async fn silent_clients_do_not_keep_others_out_for_long() {
    let scratch = served(echo);
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(UnixStream::connect(socket(&scratch)).await.unwrap());
    }
    let received = timeout(LONG, raw(&scratch, b"GET /healthz HTTP/1.1\r\nHost: v\r\n\r\n")).await.unwrap();
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received}");
}
