//! The tunnel's device: made, or taken over from a former run, and what such a run has left.
//!
//! A device that a gateway has made carries a mark with that gateway's protocol number, whatever its name. One of the
//! configured name without a mark belongs to somebody else and is neither used nor removed.

use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::{Context as _, Result, bail, ensure};
use config::Config;
use config::settings::{OnStop, Wireguard};
use wgd::net::{Io, Tunnel};

use super::instance::Instance;
use super::news::Mailbox;
use super::start::preferred_source;
use crate::host;
use crate::kernel::{Kernel, Link, RouteOp};

/// How the alias (IFLA_IFALIAS) of a device begins that a gateway has made; the gateway's protocol number follows.
const MARK: &str = "vpngw ";

/// The tunnel's device: its TUN is kept open here too, for it can be made persistent as long as we live.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) tunnel: Tunnel,
    /// What the tunnel was told last.
    pub(super) settings: wgd::Settings,
    pub(super) interface: u32,
    tun: OwnedFd,
}

impl Device {
    /// Makes the device or takes it over, gives it exactly its addresses, and starts the tunnel behind it.
    pub(super) async fn open(
        wireguard: &Wireguard,
        config: &Config,
        kernel: &Kernel,
        mailbox: &Mailbox,
    ) -> Result<Self> {
        let name = &wireguard.interface;
        if let Some(link) = find(kernel, name).await? {
            ensure!(
                link.alias.is_some_and(|alias| alias.starts_with(MARK)),
                "interface {name} is there already and is not ours: remove it (ip link delete {name}) or set \
                 another name as [wireguard] interface"
            );
        }
        let tun = host::open_tun(name)?;
        let interface = host::interface_index(name).with_context(|| format!("interface {name} is gone again"))?;
        let mark = mark(config.kernel.protocol);
        kernel.set_alias(interface, &mark).await.with_context(|| format!("cannot mark interface {name} as ours"))?;
        remove_old_addresses(wireguard, kernel, interface).await?;
        for address in &wireguard.addresses {
            kernel
                .add_address(interface, *address)
                .await
                .with_context(|| format!("cannot give {address} to interface {name}"))?;
        }
        host::rp_filter(name, config.kernel.rp_filter)?;
        kernel
            .link_up(interface, Some(wireguard.tunnel.mtu.first().into()))
            .await
            .with_context(|| format!("cannot bring interface {name} up"))?;
        let udp = host::udp_sockets(wireguard.listen_port, wireguard.fwmark)?;
        let io = Io { tun: tun.try_clone().context("cannot share the TUN descriptor")?, udp };
        let mailbox = mailbox.clone();
        let own = kernel.addresses().await.context("cannot read this host's addresses")?;
        let icmp_sources = icmp_sources(name, preferred_source(config, &own));
        let settings = wgd::Settings { icmp_sources, ..wireguard.tunnel.clone() };
        let tunnel =
            Tunnel::start(io, settings.clone(), move |event| mailbox.put(event)).context("cannot start the tunnel")?;
        Ok(Self { tunnel, settings, tun, interface })
    }

    /// Whether device, addresses and kernel routes outlive this process, however it ends.
    pub(super) fn outlive_us(&self, on_stop: OnStop) -> Result<()> {
        let keep = on_stop == OnStop::Keep;
        host::set_persistent(self.tun.as_fd(), keep).context("cannot decide whether the device stays")
    }
}

/// Where the tunnel's ICMP errors come from. The kernel takes a packet from one of its own addresses for forged, but where
/// it is told not to; the tunnel's source filter stays.
fn icmp_sources(interface: &str, mut own: Vec<IpAddr>) -> Vec<IpAddr> {
    let accepts = host::accept_local(interface);
    own.retain(|address| address.is_ipv6() || accepts);
    own
}

/// Addresses of an earlier configuration. Link-local ones of IPv6 are the kernel's own.
async fn remove_old_addresses(wireguard: &Wireguard, kernel: &Kernel, interface: u32) -> Result<()> {
    let found = kernel.addresses().await.context("cannot read this host's addresses")?;
    let is_link_local = |address: IpAddr| matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    for old in found.into_iter().filter(|found| found.interface == interface).map(|found| found.address) {
        if wireguard.addresses.contains(&old) || is_link_local(old.addr()) {
            continue;
        }
        let failed = || format!("cannot remove {old} from interface {}", wireguard.interface);
        kernel.delete_address(interface, old).await.with_context(failed)?;
    }
    Ok(())
}

/// What was removed of a former run.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Removed {
    /// How many kernel routes.
    pub routes: usize,
    /// The devices' names.
    pub interfaces: Vec<String>,
}

/// Removes what former runs with this configuration's protocol number have kept: kernel routes in every table, and devices.
/// Where a gateway with that number runs, nothing is touched.
///
/// # Errors
/// One sentence: a gateway runs, or what could not be removed.
pub async fn remove_leftovers(config: &Config) -> Result<Removed> {
    let protocol = config.kernel.protocol;
    let Some(_held) = Instance::claim(protocol).await.context("cannot see whether a gateway runs")? else {
        let socket = config.control.socket.display();
        bail!("nothing was removed: a gateway with protocol {protocol} runs that does not listen on {socket}");
    };
    let (kernel, _events) = Kernel::start(protocol).context("cannot open netlink")?;
    let routes = kernel.own_routes().await.context("cannot read the kernel's routes")?;
    let count = routes.len();
    let results = kernel.routes(routes.into_iter().map(RouteOp::Delete).collect()).await;
    for result in results.context("cannot remove our routes")? {
        result.context("cannot remove a route of ours")?;
    }
    Ok(Removed { routes: count, interfaces: remove_devices(&kernel, protocol, None).await? })
}

/// Removes devices of former runs, whatever their name, but not `wanted`: an interface that the configuration no longer
/// names would keep its addresses, and their routes. The instance is held, so nobody uses one.
pub(super) async fn remove_devices(kernel: &Kernel, protocol: u8, wanted: Option<u32>) -> Result<Vec<String>> {
    let mut links = kernel.links().await.context("cannot read this host's links")?;
    links.retain(|link| link.alias.as_ref() == Some(&mark(protocol)) && Some(link.index) != wanted);
    let mut removed = Vec::new();
    for Link { name, .. } in links {
        let failed = || format!("cannot remove interface {name}");
        let tun = host::open_tun(&name).with_context(failed)?;
        // It goes with this last descriptor.
        host::set_persistent(tun.as_fd(), false).with_context(failed)?;
        removed.push(name);
    }
    Ok(removed)
}

async fn find(kernel: &Kernel, name: &str) -> Result<Option<Link>> {
    let links = kernel.links().await.context("cannot read this host's links")?;
    Ok(links.into_iter().find(|link| link.name == *name))
}

fn mark(protocol: u8) -> String {
    format!("{MARK}{protocol}")
}
