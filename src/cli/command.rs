//! What changes the running gateway: `stop` and `neighbor`.

use std::time::Duration;

use anyhow::bail;
use config::OnStop;
use tokio::time::{Instant, sleep};

use super::args::{NeighborCommand, Stop};
use super::check::SOME_ROUTER_ID;
use super::output::say;
use crate::control::{Client, api, segment};
use crate::daemon::{self, Removed};
use crate::source::load;

/// A stop withdraws every route and ends every session first.
const STOP_TIME: Duration = Duration::from_secs(60);
/// How often a stopping gateway is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Stops the gateway and waits until nobody listens on its socket. Where a configuration is named and its gateway does
/// not run, what that has kept is removed.
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
        return stop_running(&client, routes).await;
    }
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
    let interface = removed.interface.as_ref().map(|name| format!("interface {name}"));
    let things: Vec<String> = routes.into_iter().chain(interface).collect();
    (!things.is_empty()).then(|| format!("removed {} of a former run", things.join(" and ")))
}

async fn stop_running(client: &Client, routes: Option<api::StopRoutes>) -> anyhow::Result<()> {
    match client.post("/v1/stop", &api::Stop { routes }).await {
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

/// One command to one session.
pub(super) async fn neighbor(client: &Client, name: &str, command: NeighborCommand) -> anyhow::Result<()> {
    let (verb, message) = match command {
        NeighborCommand::Reset => ("reset", None),
        NeighborCommand::Refresh => ("refresh", None),
        NeighborCommand::Resend => ("resend", None),
        NeighborCommand::Disable { message } => ("disable", message),
        NeighborCommand::Enable => ("enable", None),
    };
    client.post(&format!("/v1/neighbors/{}/{verb}", segment(name)), &api::Disable { message }).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use tempfile::{TempDir, tempdir};
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixListener;

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

    #[tokio::test]
    async fn a_gateway_that_does_not_run_cannot_be_stopped() {
        let (_directory, listener, client) = gateway();
        drop(listener);
        let error = stop(&client, &AS_CONFIGURED).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot reach vpngw at "), "{error}");
    }
}
