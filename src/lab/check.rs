//! Whether an expectation holds now: asks a gateway over its control socket, a kernel, or the path itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ipnet::IpNet;

use super::namespace::Namespace;
use super::network::Network;
use super::request::{Echoes, Fetch, Ping};
use super::running::PROTOCOL;
use super::site::Expectation;
use crate::control::{Client, api};

/// How long one ICMP echo may take before it counts as lost.
const ECHO: Duration = Duration::from_secs(5);
/// How long TCP may take.
const TRANSFER: Duration = Duration::from_secs(30);
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

/// Whom to ask.
#[derive(Debug)]
pub struct Witnesses {
    /// The kernels, and who can send.
    pub network: Arc<Network>,
    /// The gateways, by name.
    pub clients: BTreeMap<&'static str, Client>,
}

impl Witnesses {
    /// Looks once.
    pub async fn check(&self, expectation: &Expectation) -> Finding {
        let mut echoes = Echoes::default();
        let verdict = self.judge(expectation, &mut echoes).await;
        Finding { verdict: verdict.map_err(|error| format!("{error:#}")), echoes }
    }

    async fn judge(&self, expectation: &Expectation, echoes: &mut Echoes) -> anyhow::Result<String> {
        match expectation {
            Expectation::Tunnel { gateway, peer } => tunnel(self.client(gateway)?, peer).await,
            Expectation::Session { gateway, neighbor } => session(self.client(gateway)?, neighbor).await,
            Expectation::Routes { gateway, prefixes } => loc_rib(self.client(gateway)?, prefixes).await,
            Expectation::KernelRoutes { node, prefixes } => kernel(self.network.node(node)?, prefixes).await,
            Expectation::Ping { from, addresses, .. } => ping(self.network.node(from)?, addresses, echoes).await,
            Expectation::Tcp { from, addresses, .. } => tcp(self.network.node(from)?, addresses).await,
        }
    }

    fn client(&self, gateway: &str) -> anyhow::Result<&Client> {
        self.clients.get(gateway).with_context(|| format!("the site has no gateway {gateway}"))
    }
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

async fn kernel(node: &Namespace, expected: &[IpNet]) -> anyhow::Result<String> {
    let routes = node.routes(PROTOCOL).await?;
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
async fn ping(node: &Namespace, addresses: &[(IpAddr, IpAddr)], echoes: &mut Echoes) -> anyhow::Result<String> {
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

async fn tcp(node: &Namespace, addresses: &[(IpAddr, SocketAddr)]) -> anyhow::Result<String> {
    for (from, to) in addresses {
        node.fetch(Fetch { to: *to, from: Some(*from), octets: OCTETS, timeout: TRANSFER }).await?;
    }
    Ok(format!("{OCTETS} octets and back"))
}
