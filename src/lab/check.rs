//! Whether an expectation holds now: asks a gateway over its control socket, a kernel, or the path itself.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use ipnet::IpNet;

use super::network::Network;
use super::request::{Echoes, Fetch, Ping};
use super::running::PROTOCOL;
use super::site::Expectation;
use crate::control::{Client, api};

/// How long one ICMP echo may take before it counts as lost.
const ECHO: Duration = Duration::from_secs(1);
/// How long TCP may take.
const TRANSFER: Duration = Duration::from_secs(5);
/// Enough for many full segments.
const OCTETS: u64 = 100_000;

/// What was found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// In a few words, where the expectation holds; else why it does not.
    pub verdict: Result<String, String>,
    /// Echoes that were sent for it.
    pub echoes: Echoes,
}

/// Looks once. `client` opens the control socket of a gateway.
pub async fn check(expectation: &Expectation, network: &Network, client: impl Fn(&str) -> Client) -> Finding {
    let mut echoes = Echoes::default();
    let verdict = match expectation {
        Expectation::Tunnel { gateway, peer } => tunnel(&client(gateway), peer).await,
        Expectation::Session { gateway, neighbor } => session(&client(gateway), neighbor).await,
        Expectation::Routes { gateway, prefixes } => loc_rib(&client(gateway), prefixes).await,
        Expectation::KernelRoutes { node, prefixes } => kernel(network, node, prefixes).await,
        Expectation::Ping { from, addresses, .. } => ping(network, from, addresses, &mut echoes).await,
        Expectation::Tcp { from, addresses, .. } => tcp(network, from, addresses).await,
    };
    Finding { verdict: verdict.map_err(|error| format!("{error:#}")), echoes }
}

async fn tunnel(client: &Client, name: &str) -> anyhow::Result<String> {
    let peers: api::Peers = client.get("/v1/peers").await?;
    let peer = peers.peers.iter().find(|peer| peer.name == name).context("no such peer")?;
    match (peer.state, peer.endpoint, peer.handshake_age_seconds) {
        (api::PeerState::Up, Some(endpoint), Some(age)) => Ok(format!("up, {endpoint}, handshake {age} s ago")),
        (_, _, None) => bail!("no handshake yet"),
        (_, _, Some(age)) => bail!("no answer, handshake {age} s ago"),
    }
}

async fn session(client: &Client, name: &str) -> anyhow::Result<String> {
    let neighbors: api::Neighbors = client.get("/v1/neighbors").await?;
    let neighbor = neighbors.neighbors.iter().find(|neighbor| neighbor.name == name).context("not seen yet")?;
    if neighbor.state != api::SessionState::Established {
        let why = neighbor.last_error.as_ref().map_or_else(String::new, |error| format!(" ({})", error.text));
        bail!("not established{why}");
    }
    Ok(format!("established, {} received, {} advertised", neighbor.received, neighbor.advertised))
}

async fn loc_rib(client: &Client, expected: &[IpNet]) -> anyhow::Result<String> {
    let routes: api::Routes = client.get("/v1/routes").await?;
    let usable = routes.routes.iter().filter(|route| route.paths.iter().any(|path| path.best));
    compare(expected, usable.map(|route| route.prefix).collect())
}

async fn kernel(network: &Network, node: &str, expected: &[IpNet]) -> anyhow::Result<String> {
    let routes = network.node(node)?.routes(PROTOCOL).await?;
    compare(expected, routes.iter().map(|route| route.prefix).collect())
}

fn compare(expected: &[IpNet], found: BTreeSet<IpNet>) -> anyhow::Result<String> {
    let expected: BTreeSet<IpNet> = expected.iter().copied().collect();
    let list = |prefixes: Vec<&IpNet>| prefixes.iter().map(|prefix| format!(" {prefix}")).collect::<String>();
    let missing = list(expected.difference(&found).collect());
    let leaked = list(found.difference(&expected).collect());
    match (missing.is_empty(), leaked.is_empty()) {
        (true, true) if found.is_empty() => Ok("none".to_owned()),
        (true, true) => Ok(list(found.iter().collect()).trim_start().to_owned()),
        (false, true) => bail!("missing{missing}"),
        (true, false) => bail!("not expected{leaked}"),
        (false, false) => bail!("missing{missing}, not expected{leaked}"),
    }
}

/// One echo to each address.
async fn ping(
    network: &Network,
    node: &str,
    addresses: &[(IpAddr, IpAddr)],
    echoes: &mut Echoes,
) -> anyhow::Result<String> {
    let node = network.node(node)?;
    let mut answered = Vec::new();
    let mut failed = Vec::new();
    for (from, to) in addresses {
        let ping = Ping { to: *to, from: Some(*from), count: 1, interval: Duration::ZERO, timeout: ECHO };
        echoes.sent += 1;
        match node.ping(ping).await {
            Ok(Echoes { round_trips, error: None, .. }) => {
                answered.extend(round_trips.iter().map(|time| format!("{to} in {time:.2?}")));
                echoes.round_trips.extend(round_trips);
            }
            Ok(Echoes { error: Some(why), .. }) => failed.push(format!("{to}: {why}")),
            Err(why) => failed.push(format!("{to}: {why:#}")),
        }
    }
    if failed.is_empty() { Ok(answered.join(", ")) } else { bail!(failed.join("; ")) }
}

async fn tcp(network: &Network, node: &str, addresses: &[(IpAddr, SocketAddr)]) -> anyhow::Result<String> {
    let node = network.node(node)?;
    for (from, to) in addresses {
        node.fetch(Fetch { to: *to, from: Some(*from), octets: OCTETS, timeout: TRANSFER }).await?;
    }
    Ok(format!("{OCTETS} octets and back"))
}
