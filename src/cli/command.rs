//! What changes the running gateway: `stop` and `neighbor`.

use std::time::Duration;

use anyhow::bail;
use bgpd::speaker::ALL;
use config::OnStop;
use tokio::time::{Instant, sleep};

use super::args::{NeighborCommand, PeerCommand, Stop};
use super::check::SOME_ROUTER_ID;
use super::output::say;
use crate::control::{Client, api, segment};
use crate::daemon::{self, Removed};
use crate::host;
use crate::source::load;

/// A stop withdraws every route and ends every session first.
const STOP_TIME: Duration = Duration::from_secs(60);
/// How long a drain that waits lets neighbors be sent everything. A table is sent in less; a neighbor that takes longer
/// does not read.
pub const SEND_TIME: Duration = Duration::from_secs(10);
/// How often a gateway is looked at that is stopping or sending.
const POLL: Duration = Duration::from_millis(50);

/// Stops the gateway and waits until nobody listens on its socket. Where a configuration is named, what its gateway has
/// kept, or could not remove, is removed.
pub(super) async fn stop(client: &Client, arguments: &Stop) -> anyhow::Result<()> {
    let routes = match arguments {
        Stop { withdraw: true, .. } => Some(api::StopRoutes::Withdraw),
        Stop { keep_routes: true, .. } => Some(api::StopRoutes::Keep),
        _ => None,
    };
    let Some(path) = &arguments.config else { return stop_running(client, routes).await };
    let config = load(path, false, Some(SOME_ROUTER_ID), OnStop::Withdraw)?.config;
    let client = Client::new(&config.control.socket);
    if client.is_reachable().await {
        stop_running(&client, routes).await?;
    }
    host::raise_capabilities()?;
    if let Some(text) = told(&daemon::remove_leftovers(&config).await?) {
        say(&text);
    }
    Ok(())
}

/// What was removed, where anything was.
fn told(removed: &Removed) -> Option<String> {
    let routes = match removed.routes {
        0 => None,
        1 => Some("1 route".to_owned()),
        count => Some(format!("{count} routes")),
    };
    let interfaces = removed.interfaces.iter().map(|name| format!("interface {name}"));
    let things: Vec<String> = routes.into_iter().chain(interfaces).collect();
    (!things.is_empty()).then(|| format!("removed {} of a former run", things.join(" and ")))
}

async fn stop_running(client: &Client, routes: Option<api::StopRoutes>) -> anyhow::Result<()> {
    match client.post_with("/v1/stop", &api::Stop { routes }).await {
        // It may be gone before its answer is on the way.
        Err(error) if error.is::<hyper::Error>() => {}
        result => result?,
    }
    let deadline = Instant::now() + STOP_TIME;
    while client.is_reachable().await {
        if Instant::now() > deadline {
            bail!("vpngw was told to stop and is still running after {} s", STOP_TIME.as_secs());
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// One command to one session, or to all.
pub(super) async fn neighbor(client: &Client, name: &str, command: NeighborCommand) -> anyhow::Result<()> {
    let path = |verb: &str| format!("/v1/neighbors/{}/{verb}", segment(name));
    match command {
        NeighborCommand::Reset => client.post(&path("reset")).await,
        NeighborCommand::Refresh => client.post(&path("refresh")).await,
        NeighborCommand::Resend => client.post(&path("resend")).await,
        NeighborCommand::Disable { message } => client.post_with(&path("disable"), &api::Disable { message }).await,
        NeighborCommand::Drain { wait } => {
            client.post(&path("drain")).await?;
            let Some(time) = wait else { return Ok(()) };
            until_sent(client, name).await?;
            sleep(time).await;
            Ok(())
        }
        NeighborCommand::Enable => client.post(&path("enable")).await,
    }
}

/// One command to one peer's tunnel.
pub(super) async fn peer(client: &Client, name: &str, command: PeerCommand) -> anyhow::Result<()> {
    let verb = match command {
        PeerCommand::Rekey => "rekey",
        PeerCommand::Reset => "reset",
    };
    client.post(&format!("/v1/peers/{}/{verb}", segment(name))).await
}

/// Waits until every neighbor with a session has been sent everything, or until it is clear that one does not read.
async fn until_sent(client: &Client, name: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + SEND_TIME;
    loop {
        let waiting = unsent(client, name).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let (waiting, time) = (waiting.join(", "), SEND_TIME.as_secs());
            say(&format!("not everything was sent within {time} s to: {waiting}"));
            return Ok(());
        }
        sleep(POLL).await;
    }
}

/// Who of these has a session, and has not been sent everything.
async fn unsent(client: &Client, name: &str) -> anyhow::Result<Vec<String>> {
    let neighbors = if name == ALL {
        client.get::<api::Neighbors>("/v1/neighbors").await?.neighbors
    } else {
        vec![client.get(&format!("/v1/neighbors/{}", segment(name))).await?]
    };
    let waits = |neighbor: &api::Neighbor| {
        neighbor.state == api::SessionState::Established && (neighbor.pending > 0 || neighbor.unsent_bytes > 0)
    };
    Ok(neighbors.into_iter().filter(waits).map(|neighbor| neighbor.name).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::sync::{Arc, Mutex};

    use tempfile::{TempDir, tempdir};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};

    use super::*;

    const AS_CONFIGURED: Stop = Stop { withdraw: false, keep_routes: false, config: None };

    fn gateway() -> (TempDir, UnixListener, Client) {
        let directory = tempdir().unwrap();
        let socket = directory.path().join("sock");
        (directory, UnixListener::bind(&socket).unwrap(), Client::new(socket))
    }

    #[tokio::test]
    async fn a_gateway_that_ends_before_it_answers_has_stopped() {
        let (directory, listener, client) = gateway();
        let dying = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
            fs::remove_file(directory.path().join("sock")).unwrap();
        };
        let (stopped, ()) = tokio::join!(stop(&client, &AS_CONFIGURED), dying);
        stopped.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_goes_on_has_not_stopped() {
        let (_directory, listener, client) = gateway();
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let error = stop(&client, &AS_CONFIGURED).await.unwrap_err();
        assert_eq!(error.to_string(), "vpngw was told to stop and is still running after 60 s");
    }

    /// Answers each request with the next of these, the last of them again and again; what was asked comes back.
    fn answering(listener: UnixListener, answers: Vec<String>) -> Arc<Mutex<Vec<String>>> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut answers = answers.into_iter().peekable();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (head, sent) = read_request(&mut stream).await;
                let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
                notes.lock().unwrap().push(format!("{line} {sent}").trim_end().to_owned());
                let body = answers.next_if(|_| true).unwrap_or_default();
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                if answers.peek().is_none() {
                    answers = vec![body].into_iter().peekable();
                }
            }
        });
        asked
    }

    /// Head and body.
    async fn read_request(stream: &mut UnixStream) -> (String, String) {
        let mut read = String::new();
        loop {
            let mut octets = [0; 4096];
            let length = stream.read(&mut octets).await.unwrap();
            read.push_str(std::str::from_utf8(&octets[..length]).unwrap());
            let Some((head, body)) = read.split_once("\r\n\r\n") else { continue };
            let told = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= told.map_or(0, |length| length.parse().unwrap()) {
                return (head.to_owned(), body.to_owned());
            }
        }
    }

    #[tokio::test]
    async fn only_disable_has_a_body() {
        let (_directory, listener, client) = gateway();
        let asked = answering(listener, vec![String::new()]);
        let why = Some("for good".to_owned());
        for command in [
            NeighborCommand::Reset,
            NeighborCommand::Refresh,
            NeighborCommand::Resend,
            NeighborCommand::Drain { wait: None },
            NeighborCommand::Enable,
            NeighborCommand::Disable { message: why },
        ] {
            neighbor(&client, "edge", command).await.unwrap();
        }
        let expected = ["reset", "refresh", "resend", "drain", "enable", r#"disable {"message":"for good"}"#];
        assert_eq!(*asked.lock().unwrap(), expected.map(|asked| format!("POST /v1/neighbors/edge/{asked}")));
    }

    fn neighbor_json(state: &str, pending: usize, unsent_bytes: usize) -> String {
        let messages = serde_json::to_string(&api::Messages::default()).unwrap();
        let counters = serde_json::to_string(&api::Counters::default()).unwrap();
        format!(
            r#"{{"name": "edge", "address": "192.0.2.1", "state": "{state}", "families": [], "received": 0,
                "accepted": 0, "rejected": 0, "advertised": 0, "pending": {pending}, "unsent_bytes": {unsent_bytes},
                "draining": true, "messages_received": {messages}, "messages_sent": {messages}, "counters": {counters},
                "history": [], "capabilities": [], "bfd": null}}"#
        )
    }

    fn neighbors_json(neighbors: &[String]) -> String {
        format!(r#"{{"neighbors": [{}]}}"#, neighbors.join(","))
    }

    const FIVE_SECONDS: NeighborCommand = NeighborCommand::Drain { wait: Some(Duration::from_secs(5)) };

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_until_everything_is_sent_and_then_its_time() {
        let (_directory, listener, client) = gateway();
        let idle = neighbor_json("active", 9, 9);
        let look = |pending, unsent| {
            neighbors_json(&[idle.clone(), neighbor_json("established", pending, unsent), idle.clone()])
        };
        let asked = answering(listener, vec![String::new(), look(7, 0), look(0, 7), look(0, 0), "no more".to_owned()]);
        let began = Instant::now();
        neighbor(&client, "all", FIVE_SECONDS).await.unwrap();
        assert_eq!(
            *asked.lock().unwrap(),
            ["POST /v1/neighbors/all/drain", "GET /v1/neighbors", "GET /v1/neighbors", "GET /v1/neighbors"]
        );
        assert!(began.elapsed() >= Duration::from_secs(5) + 2 * POLL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_neighbor_that_does_not_read_holds_a_drain_up_for_a_while_only() {
        let (_directory, listener, client) = gateway();
        let asked = answering(listener, vec![String::new(), neighbor_json("established", 1, 0)]);
        let began = Instant::now();
        neighbor(&client, "edge", FIVE_SECONDS).await.unwrap();
        let took = began.elapsed();
        assert!((SEND_TIME..SEND_TIME + Duration::from_secs(6)).contains(&took.saturating_sub(POLL)), "{took:?}");
        assert_eq!(asked.lock().unwrap().last().unwrap(), "GET /v1/neighbors/edge");
    }

    #[tokio::test]
    async fn a_drain_without_neighbors_or_without_wait_returns_at_once() {
        let (_directory, listener, client) = gateway();
        let asked = answering(listener, vec![String::new(), neighbors_json(&[])]);
        neighbor(&client, "all", NeighborCommand::Drain { wait: None }).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), ["POST /v1/neighbors/all/drain"]);
        let wait = Some(Duration::ZERO);
        neighbor(&client, "all", NeighborCommand::Drain { wait }).await.unwrap();
        assert_eq!(asked.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_gateway_that_does_not_run_cannot_be_stopped() {
        let (_directory, listener, client) = gateway();
        drop(listener);
        let error = stop(&client, &AS_CONFIGURED).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot reach vpngw at "), "{error}");
    }
}
