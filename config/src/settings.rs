//! A whole configuration. What the engines are told is theirs ([`bgpd::Settings`], [`wgd::Settings`]); here stands the rest.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

/// One gateway.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// `[router]` as far as it is not the speaker's.
    pub on_stop: OnStop,
    /// `[wireguard]`.
    pub wireguard: Option<Wireguard>,
    /// `[bgp]`, with everything the speaker is told.
    pub bgp: Option<Bgp>,
    /// `[kernel]`.
    pub kernel: Kernel,
    /// `[control]`.
    pub control: Control,
    /// `[log]`.
    pub log: Log,
}

/// What SIGTERM leaves behind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnStop {
    /// Cease to all neighbors, our routes and the device removed.
    #[default]
    Withdraw,
    /// Kernel routes and device stay.
    Keep,
}

/// The tunnel and its device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wireguard {
    /// Device name.
    pub interface: String,
    /// UDP port.
    pub listen_port: u16,
    /// The mark of the tunnel's own packets.
    pub fwmark: Option<u32>,
    /// Addresses of the device.
    pub addresses: Vec<IpNet>,
    /// Peers whose `allowed-ips` become kernel routes, by public key.
    pub static_routes: Vec<wgd::settings::PublicKey>,
    /// What BGP may add to a peer, by public key.
    pub routed_ips: Vec<(wgd::settings::PublicKey, Vec<IpNet>)>,
    /// What the engine is told.
    pub tunnel: wgd::Settings,
}

/// The speaker and its listeners.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bgp {
    /// Listening sockets; `[::]` takes both families.
    pub listen: Vec<SocketAddr>,
    /// What the engine is told.
    pub speaker: bgpd::Settings,
}

/// What is programmed into the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kernel {
    /// False: learn and announce, program nothing.
    pub install: bool,
    /// Routing table, 254 = main.
    pub table: u32,
    /// Metric of our routes.
    pub metric: u32,
    /// The routing protocol number by which we know our own.
    pub protocol: u8,
    /// Source address of what this host sends itself; absent: the router ID where that is an own address.
    pub preferred_source: Vec<IpAddr>,
    /// `net.ipv4.ip_forward` and its IPv6 twin; absent: only checked.
    pub forwarding: Option<bool>,
    /// `rp_filter` of the tunnel's device: true = loose (2), false = off (0); absent: only checked.
    pub rp_filter: Option<bool>,
}

/// The local API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Control {
    /// Unix socket, mode 0660.
    pub socket: PathBuf,
    /// Group of the socket.
    pub group: Option<String>,
    /// Read-only listeners.
    pub observe: Vec<SocketAddr>,
}

/// What is logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// A filter: `info`, `debug`, `bgpd=debug,info`.
    pub level: String,
    /// How it looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// Text; colour only on a terminal.
    #[default]
    Auto,
    /// One line each, no colour.
    Text,
    /// One JSON object each.
    Json,
}

/// A file as its caller has read it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// How diagnostics name it.
    pub name: String,
    /// What stands in it.
    pub text: String,
}
