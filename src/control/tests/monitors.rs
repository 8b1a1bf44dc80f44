//! Answers without an end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bgpd::monitor::News;
use hyper::Response;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{served, socket};
use crate::control::Client;
use crate::control::body::Body;
use crate::control::lines::Lines;

const PATH: &str = "/v1/monitor/routes";

/// A gateway with one monitor, which hears what the sender is given.
fn monitored() -> (TempDir, mpsc::Sender<Vec<News>>) {
    let (news, monitor) = mpsc::channel(4);
    let monitor = Arc::new(Mutex::new(Some(monitor)));
    let scratch = served(move |_| {
        let monitor = monitor.lock().unwrap().take().unwrap();
        std::future::ready(Response::new(Body::Lines(Lines::Speaker(monitor))))
    });
    (scratch, news)
}

#[tokio::test(start_paused = true)]
async fn a_monitor_has_no_end_of_its_own() {
    let (scratch, news) = monitored();
    let mut lines = Client::new(socket(&scratch)).lines(PATH).await.unwrap();
    for count in [1, 2] {
        sleep(Duration::from_secs(600)).await; // longer than any limit
        news.send(vec![News::Missed(count), News::Missed(7)]).await.unwrap();
        let expected = format!("{{\"missed\":{count}}}\n{{\"missed\":7}}\n");
        assert_eq!(lines.next().await.unwrap(), expected.as_bytes());
    }
}

#[tokio::test]
async fn a_monitor_ends_with_its_gateway_and_says_so() {
    let (scratch, news) = monitored();
    let mut lines = Client::new(socket(&scratch)).lines(PATH).await.unwrap();
    news.send(vec![News::Missed(1)]).await.unwrap();
    drop(news);
    assert!(lines.next().await.is_ok());
    let end = lines.next().await.unwrap_err().to_string();
    assert_eq!(end, format!("vpngw at {} has stopped", socket(&scratch).display()));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_monitor() {
    let (scratch, news) = monitored();
    let lines = Client::new(socket(&scratch)).lines(PATH).await.unwrap();
    assert!(!news.is_closed());
    drop(lines);
    timeout(Duration::from_secs(30), news.closed()).await.expect("the monitor goes on");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_no_more_than_its_socket_takes() {
    let (scratch, news) = monitored();
    let _lines = Client::new(socket(&scratch)).lines(PATH).await.unwrap();
    let batch: Vec<News> = (0..128).map(|_| News::Record(vec![0; 4096].into())).collect();
    let mut taken = 0;
    while let Ok(sent) = timeout(Duration::from_millis(500), news.send(batch.clone())).await {
        sent.unwrap();
        taken += 1;
        assert!(taken < 64, "32 MiB were taken of a client that does not read");
    }
}
