//! What changes the running gateway: `stop` and `neighbor`.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::time::sleep;

use super::args::{NeighborCommand, Stop};
use crate::control::{Client, api, segment};

/// A stop withdraws every route and ends every session first.
const STOP_TIME: Duration = Duration::from_secs(60);
/// How often a stopping gateway is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Stops the gateway and waits until nobody listens on its socket.
pub(super) async fn stop(client: &Client, arguments: &Stop) -> anyhow::Result<()> {
    let routes = match arguments {
        Stop { withdraw: true, .. } => Some(api::StopRoutes::Withdraw),
        Stop { keep_routes: true, .. } => Some(api::StopRoutes::Keep),
        _ => None,
    };
    client.post("/v1/stop", &api::Stop { routes }).await?;
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
