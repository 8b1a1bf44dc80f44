//! `vpngw show`: one question to the gateway, as a table for people or as its JSON.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::args::{Show, What};
use super::output::{print, print_again};
use super::text;
use crate::control::{Answer, Client, segment};

/// Between two looks of `--watch`.
const WATCH: Duration = Duration::from_secs(1);

/// Shows something once, or again and again.
pub(super) async fn show(client: &Client, arguments: &Show) -> anyhow::Result<()> {
    print(&look(client, arguments).await?)?;
    if !arguments.watch {
        return Ok(());
    }
    loop {
        sleep(WATCH).await;
        // A gateway that restarts is watched on: only the first look may fail.
        let seen = look(client, arguments).await.unwrap_or_else(|error| format!("{error:#}\n"));
        print_again(&seen)?;
    }
}

async fn look(client: &Client, arguments: &Show) -> anyhow::Result<String> {
    let ask = Ask { client, json: arguments.json };
    match &arguments.what {
        What::Status => ask.of("/v1/status", text::status).await,
        What::Neighbors => ask.of("/v1/neighbors", text::neighbors).await,
        What::Neighbor { name } => ask.of(&format!("/v1/neighbors/{}", segment(name)), text::neighbor).await,
        What::Routes { prefix: None } => ask.of("/v1/routes", text::routes).await,
        What::Routes { prefix: Some(prefix) } => ask.of(&format!("/v1/routes?prefix={prefix}"), text::routes).await,
        What::Received { name } => ask.of(&format!("/v1/received/{}", segment(name)), text::received).await,
        What::Advertised { name } => ask.of(&format!("/v1/advertised/{}", segment(name)), text::advertised).await,
        What::Fib => ask.of("/v1/fib", text::fib).await,
        What::Peers => ask.of("/v1/peers", text::peers).await,
        What::Events => ask.of("/v1/events", text::events).await,
        What::Config => ask.of("/v1/config", text::config).await,
    }
}

struct Ask<'a> {
    client: &'a Client,
    json: bool,
}

impl Ask<'_> {
    async fn of<T: Answer + Serialize>(&self, path: &str, text: fn(&T) -> String) -> anyhow::Result<String> {
        let answer: T = self.client.get(path).await?;
        Ok(if self.json { serde_json::to_string_pretty(&answer)? + "\n" } else { text(&answer) })
    }
}
