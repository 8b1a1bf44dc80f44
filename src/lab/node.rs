//! The agent of one network namespace: `vpngw lab-node`, which only the lab starts.
//!
//! It makes links and addresses, pings and opens TCP connections *inside*, so the lab itself never enters a namespace.
//! It ends with its standard input, and the namespace with it. One thread, current-thread runtime.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use ipnet::IpNet;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::request::{Answer, Call, KernelHop, KernelRoute, Request, StaticRoute};
use super::{flood, ping, relay, stream, tcp};
use crate::kernel::{Hop, Kernel, Link, Route, RouteOp, Target};

/// RTPROT_STATIC: what an administrator configured.
const STATIC: u8 = 4;
const TABLE_MAIN: u32 = 254;
/// Below the 20 of what a gateway learns, as a static route's distance is below BGP's.
const METRIC: u32 = 10;

/// Set before the first link is made, which inherits the `default`s. No duplicate address detection: an address works at
/// once; ping sockets for everybody; no router advertisements, whose routes nobody described.
const SYSCTLS: [(&str, &str); 6] = [
    ("net/ipv4/ping_group_range", "0 2147483647"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
];

/// Serves until standard input ends.
///
/// # Errors
/// Where it was not started in a namespace of its own, or the kernel refuses what every node needs.
pub fn run() -> anyhow::Result<ExitCode> {
    refuse_the_namespace_of_the_parent()?;
    for (name, value) in SYSCTLS {
        write_sysctl(name, value)?;
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())?;
    Ok(ExitCode::SUCCESS)
}

/// Started by hand it would change the host's own network.
fn refuse_the_namespace_of_the_parent() -> anyhow::Result<()> {
    let ours = fs::read_link("/proc/self/ns/net")?;
    let parents = fs::read_link(format!("/proc/{}/ns/net", std::os::unix::process::parent_id()))?;
    if ours == parents {
        bail!("lab-node is started by vpngw lab, in a network namespace of its own");
    }
    Ok(())
}

async fn serve() -> anyhow::Result<()> {
    let agent = Arc::new(Agent::default());
    agent.up("lo").await.context("loopback")?;
    answer(Answer { number: 0, result: Ok(Value::Null) })?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let call: Call = serde_json::from_str(&line).context("a call")?;
        let agent = Arc::clone(&agent);
        tokio::spawn(async move {
            let result = agent.perform(call.request).await.map_err(|error| format!("{error:#}"));
            answer(Answer { number: call.number, result })
        });
    }
    Ok(())
}

fn answer(answer: Answer) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&line)?;
    Ok(stdout.flush()?)
}

fn write_sysctl(name: &str, value: &str) -> anyhow::Result<()> {
    fs::write(format!("/proc/sys/{name}"), value).with_context(|| format!("set {name} to {value}"))
}

#[derive(Default)]
struct Agent {
    /// One for each protocol number that was asked for; a handle shows and changes only its own.
    kernels: Mutex<BTreeMap<u8, Kernel>>,
    streams: Mutex<Streams>,
    relays: Mutex<Vec<relay::Running>>,
}

#[derive(Default)]
struct Streams {
    last: u64,
    running: BTreeMap<u64, stream::Running>,
}

impl Agent {
    async fn perform(&self, request: Request) -> anyhow::Result<Value> {
        match request {
            Request::Sysctl { name, value } => write_sysctl(&name, &value)?,
            Request::Bridge { name } => {
                self.kernel(STATIC).await?.add_bridge(&name).await?;
                self.up(&name).await?;
            }
            Request::Cable { name, far_name, far_pid } => {
                self.kernel(STATIC).await?.add_veth(&name, &far_name, Some(far_pid)).await?;
            }
            Request::Enslave { link, bridge } => {
                let (link, bridge) = (self.index(&link).await?, self.index(&bridge).await?);
                self.kernel(STATIC).await?.set_master(link, bridge).await?;
            }
            Request::Up { link } => self.up(&link).await?,
            Request::Address { link, address } => {
                let link = self.index(&link).await?;
                self.kernel(STATIC).await?.add_address(link, address).await?;
            }
            Request::Route(route) => self.route(route).await?,
            Request::Routes { protocol } => return Ok(json!(self.routes(protocol).await?)),
            Request::Ping(request) => return Ok(json!(ping::ping(&request).await?)),
            Request::Stream(request) => {
                let mut streams = self.streams.lock().await;
                let stream = stream::Running::start(&request)?;
                streams.last += 1;
                let number = streams.last;
                streams.running.insert(number, stream);
                return Ok(json!(number));
            }
            Request::Streamed { number, end } => {
                let mut streams = self.streams.lock().await;
                let stream = streams.running.remove(&number).with_context(|| format!("no stream {number}"))?;
                if end {
                    drop(streams);
                    return Ok(json!(stream.end().await?));
                }
                let runs = stream.runs();
                streams.running.insert(number, stream);
                return Ok(json!(runs));
            }
            Request::Relay(request) => {
                let relay = relay::Running::start(request).await?;
                let address = relay.address;
                self.relays.lock().await.push(relay);
                return Ok(json!(address));
            }
            Request::Relayed { address } => {
                let relays = self.relays.lock().await;
                let relay = relays.iter().find(|relay| relay.address == address);
                return Ok(json!(relay.with_context(|| format!("no relay at {address}"))?.counts()));
            }
            Request::Serve { address } => return Ok(json!(tcp::serve(address).await?)),
            Request::Fetch(request) => return Ok(json!(tcp::fetch(&request).await?)),
            Request::Flood(request) => return Ok(json!(spawn_blocking(move || flood::flood(&request)).await??)),
        }
        Ok(Value::Null)
    }

    async fn kernel(&self, protocol: u8) -> anyhow::Result<Kernel> {
        let mut kernels = self.kernels.lock().await;
        if let Some(kernel) = kernels.get(&protocol) {
            return Ok(kernel.clone());
        }
        // Nobody here follows the events: what is asked is looked up then.
        let (kernel, _events) = Kernel::start(protocol).context("netlink")?;
        kernels.insert(protocol, kernel.clone());
        Ok(kernel)
    }

    async fn links(&self) -> anyhow::Result<Vec<Link>> {
        Ok(self.kernel(STATIC).await?.links().await?)
    }

    async fn index(&self, name: &str) -> anyhow::Result<u32> {
        let links = self.links().await?;
        let link = links.iter().find(|link| link.name == name).with_context(|| format!("no link {name}"))?;
        Ok(link.index)
    }

    async fn up(&self, name: &str) -> anyhow::Result<()> {
        let index = self.index(name).await?;
        Ok(self.kernel(STATIC).await?.link_up(index, None).await?)
    }

    async fn route(&self, route: StaticRoute) -> anyhow::Result<()> {
        let StaticRoute { prefix, gateway, source } = route;
        let hop = Hop { gateway: Some(gateway), interface: self.link_towards(gateway).await? };
        let target = Target::Hops(vec![hop]);
        let route = Route { prefix, table: TABLE_MAIN, metric: METRIC, protocol: STATIC, target, source };
        for result in self.kernel(STATIC).await?.routes(vec![RouteOp::Replace(route)]).await? {
            result.with_context(|| format!("route {prefix} via {gateway}"))?;
        }
        Ok(())
    }

    /// The link whose subnet holds the address.
    async fn link_towards(&self, gateway: IpAddr) -> anyhow::Result<u32> {
        let addresses = self.kernel(STATIC).await?.addresses().await?;
        let covering = addresses.iter().filter(|address| address.address.contains(&gateway));
        let longest = covering.max_by_key(|address| address.address.prefix_len());
        Ok(longest.with_context(|| format!("gateway {gateway} is on no link"))?.interface)
    }

    async fn routes(&self, protocol: u8) -> anyhow::Result<Vec<KernelRoute>> {
        let names: BTreeMap<u32, String> =
            self.links().await?.into_iter().map(|link| (link.index, link.name)).collect();
        let name = |index: u32| names.get(&index).cloned().unwrap_or_else(|| index.to_string());
        let found = self.kernel(protocol).await?.own_routes().await?;
        let mut routes: Vec<KernelRoute> = found.into_iter().map(|route| kernel_route(route, name)).collect();
        routes.sort();
        Ok(routes)
    }
}

fn kernel_route(route: Route, name: impl Fn(u32) -> String) -> KernelRoute {
    let hops = match route.target {
        Target::Discard => Vec::new(),
        Target::Hops(hops) => {
            hops.into_iter().map(|hop| KernelHop { gateway: hop.gateway, link: name(hop.interface) }).collect()
        }
    };
    let prefix: IpNet = route.prefix;
    KernelRoute { prefix, table: route.table, hops }
}
