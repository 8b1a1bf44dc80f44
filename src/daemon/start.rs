//! Starting, in order: the claim to the protocol number, the kernel's thread, the device, the tunnel, the speaker, and last the control socket, which
//! appears when everything that does not wait for others is up.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use bgpd::net::Bgp;
use bgpd::speaker::{Input, Restarted};
use config::settings::{OnStop, Wireguard};
use config::{Config, Source};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::device::{Device, remove_devices};
use super::gateway::{CALLS, Gateway, Held, companions};
use super::handle::Handle;
use super::inputs::Inputs;
use super::instance::Instance;
use super::memory::Memory;
use super::news::Mailbox;
use super::systemd;
use crate::control::{self, Access, Listener};
use crate::fib::{self, Fib};
use crate::host;
use crate::kernel::{Address, Kernel};

pub(super) async fn start(config: Config, sources: Vec<Source>) -> Result<(Gateway, Inputs)> {
    let protocol = config.kernel.protocol;
    let Some(instance) = Instance::claim(protocol).await.context("cannot see whether another gateway runs")? else {
        bail!("another vpngw with [kernel] protocol {protocol} runs in this network namespace: two must differ in it");
    };
    host::forwarding(config.kernel.forwarding)?;
    let (kernel, kernel_events) = Kernel::start(protocol).context("cannot open netlink")?;
    let mailbox = Mailbox::default();
    let device = match &config.wireguard {
        Some(wireguard) => Some(Device::open(wireguard, &config, &kernel, &mailbox).await?),
        None => None,
    };
    let own = kernel.addresses().await.context("cannot read this host's addresses")?;
    let restarted = forwarding_was_kept(&config, &kernel).await?;
    let mut memory = Memory::recall(protocol);
    if !restarted {
        memory.forget_before();
    }
    let (bgp, outputs) = match &config.bgp {
        Some(bgp) => {
            let listeners =
                bgp.listen.iter().map(|address| host::tcp_listener(*address)).collect::<Result<Vec<_>>>()?;
            let before = Restarted { neighbors: memory.before().clone(), forwarding: true };
            let first = restarted.then_some(Input::Restarted(before)).into_iter();
            let first = first.chain([Input::Companions(companions(&own))]).collect();
            let (bgp, outputs) =
                Bgp::start(bgp.speaker.clone(), listeners, first, seed()).context("cannot start the speaker")?;
            (Some(bgp), Some(outputs))
        }
        None => (None, None),
    };
    let (calls, inbox) = mpsc::channel(CALLS);
    let handle = Handle::new(calls, bgp.clone(), Arc::new(sources));
    let (observers, wg_socket) = serve(&config, &handle)?;
    // From here on a crash too leaves what is to be kept; a start that fails leaves only what it has found.
    if let Some(device) = &device {
        device.outlive_us(config.on_stop)?;
    }
    match remove_devices(&kernel, protocol, device.as_ref().map(|device| device.interface)).await {
        Ok(removed) => removed.iter().for_each(|name| info!(interface = name, "removed what a former run has left")),
        Err(error) => warn!("{error:#}"),
    }
    let found = kernel.own_routes().await.context("cannot read the kernel's routes")?;
    let restarted = restarted && !memory.before().is_empty();
    let settings = fib::Settings { restarted, ..fib_settings(&config, device.as_ref(), &own) };
    if let Some(bgp) = bgp.as_ref().filter(|_| !settings.programs()) {
        bgp.call(|speaker, _| speaker.leave_fib()).await; // a route reflector: its table is kept once
    }
    let fib = Fib::new(settings, found);
    tokio::spawn(systemd::watchdog(handle));
    systemd::ready();
    info!(
        asn = config.bgp.as_ref().map(|bgp| bgp.speaker.asn.get()),
        router_id = config.bgp.as_ref().map(|bgp| bgp.speaker.router_id.to_string()),
        interface = config.wireguard.as_ref().map(|wireguard| wireguard.interface.as_str()),
        "running"
    );
    let inputs = Inputs { calls: inbox, speaker: outputs, kernel: kernel_events, mailbox };
    let held = Held { instance, observers, wg_socket };
    Ok((Gateway::new(config, kernel, fib, bgp, device, memory, held), inputs))
}

/// Whether packets still take the ways that a gateway before this one knew: it was to leave its routes, and has.
async fn forwarding_was_kept(config: &Config, kernel: &Kernel) -> Result<bool> {
    let found = kernel.own_routes().await.context("cannot read the kernel's routes")?;
    Ok(config.bgp.is_some() && config.on_stop == OnStop::Keep && !found.is_empty())
}

/// Opens the control socket, last, and the listeners of others, which are given back: those of `observe`, and the socket of
/// `wg` with its path. It cannot be had everywhere, and a gateway does its work without.
fn serve(config: &Config, handle: &Handle) -> Result<(JoinSet<io::Result<()>>, Option<PathBuf>)> {
    let (mut observers, mut wg_socket) = (JoinSet::new(), None);
    for address in &config.control.observe {
        let listener = Listener::Tcp(host::tcp_listener(*address)?);
        observers.spawn(control::serve(listener, handle.clone(), Access::ReadOnly));
    }
    match config.wireguard.as_ref().map(|wireguard| host::wg_listener(&wireguard.interface)) {
        Some(Ok((listener, path))) => {
            observers.spawn(control::serve_wg(listener, handle.clone()));
            wg_socket = Some(path);
        }
        Some(Err(error)) => warn!("wg does not see the tunnel: {error:#}"),
        None => {}
    }
    let listener = host::control_listener(&config.control.socket, config.control.group.as_deref())?;
    tokio::spawn(control::serve(Listener::Unix(listener), handle.clone(), Access::Full));
    Ok((observers, wg_socket))
}

fn fib_settings(config: &Config, device: Option<&Device>, own: &[Address]) -> fib::Settings {
    let tunnel = config.wireguard.as_ref().zip(device).map(|(wireguard, device)| fib::TunnelSettings {
        interface: device.interface,
        peers: wireguard.tunnel.peers.iter().map(|peer| tunnel_peer(wireguard, peer)).collect(),
    });
    fib::Settings {
        install: config.kernel.install,
        restarted: false,
        table: config.kernel.table,
        metric: config.kernel.metric,
        protocol: config.kernel.protocol,
        preferred_source: preferred_source(config, own),
        tunnel,
    }
}

pub(super) fn tunnel_peer(wireguard: &Wireguard, peer: &wgd::settings::PeerSettings) -> fib::TunnelPeer {
    let ceiling = wireguard.routed_ips.iter().filter(|(key, _)| *key == peer.public_key);
    fib::TunnelPeer {
        key: peer.public_key,
        name: peer.name.clone(),
        allowed_ips: peer.allowed_ips.clone(),
        static_routes: wireguard.static_routes.contains(&peer.public_key),
        routed_ips: ceiling.flat_map(|(_, prefixes)| prefixes.iter().copied()).collect(),
    }
}

/// As configured; else the router ID where that is an address of this host.
pub(super) fn preferred_source(config: &Config, own: &[Address]) -> Vec<IpAddr> {
    if !config.kernel.preferred_source.is_empty() {
        return config.kernel.preferred_source.clone();
    }
    let router_id = config.bgp.as_ref().map(|bgp| IpAddr::V4(bgp.speaker.router_id.address()));
    router_id.into_iter().filter(|id| own.iter().any(|address| address.address.addr() == *id)).collect()
}

/// Feeds jitter alone: two gateways that start together must not keep step.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64 ^ u64::from(std::process::id()) << 32
}
