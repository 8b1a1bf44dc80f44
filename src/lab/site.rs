//! A site as data: who is there, how they are joined, which gateways run with which configuration, and what must then be
//! true. [`super::running`] makes it real, [`super::watch`] looks whether it holds.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::request::StaticRoute;

/// A whole site.
#[derive(Clone, Debug)]
pub struct Site {
    /// As on the command line.
    pub name: &'static str,
    /// For people.
    pub drawing: &'static str,
    /// Each gets a network namespace.
    pub nodes: Vec<Node>,
    /// What joins them.
    pub links: Vec<Link>,
    /// Started in this order.
    pub gateways: Vec<Gateway>,
    /// In the order in which they are shown.
    pub expectations: Vec<Expectation>,
}

/// A host, a router, a pod.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: &'static str,
    /// Passes on packets that are not for it.
    pub forwards: bool,
    /// Addresses on its loopback, as a LoadBalancer has them.
    pub addresses: Vec<IpNet>,
    /// Static routes.
    pub routes: Vec<StaticRoute>,
    /// Where it sends back what TCP connections bring.
    pub echo: Vec<SocketAddr>,
}

/// A cable between two ports, or a switch between more.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its name; a switch's namespace has it too.
    pub name: &'static str,
    /// Who is joined.
    pub ports: Vec<Port>,
}

/// One end of a link.
#[derive(Clone, Debug)]
pub struct Port {
    /// At which node.
    pub node: &'static str,
    /// The interface's name there.
    pub interface: &'static str,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
}

/// A `vpngw run`.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its name; the environment of every gateway holds its public key, `NAME_PUBLIC_KEY` in capitals.
    pub name: &'static str,
    /// Where it runs.
    pub node: &'static str,
    /// The configuration. `${LAB}` is a private directory with `NAME.key` for each gateway and `tunnel.psk`; the control
    /// socket must be `${LAB}/NAME.sock`.
    pub config: String,
}

/// Something that must come true, and then stay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expectation {
    /// A WireGuard peer answers.
    Tunnel {
        /// Whose.
        gateway: &'static str,
        /// As in its configuration.
        peer: &'static str,
    },
    /// A BGP session is established.
    Session {
        /// Whose.
        gateway: &'static str,
        /// As in its configuration; `NAME/ADDRESS` for one that dialled in.
        neighbor: &'static str,
    },
    /// The Loc-RIB has a best path for these prefixes and no others: neither is one missing nor did one leak.
    Routes {
        /// Whose.
        gateway: &'static str,
        /// All of them.
        prefixes: Vec<IpNet>,
    },
    /// The node's kernel has routes of a gateway for these prefixes and no others.
    KernelRoutes {
        /// Whose.
        node: &'static str,
        /// All of them.
        prefixes: Vec<IpNet>,
    },
    /// ICMP echoes come back from each address; a request without an answer after the first one counts as lost.
    Ping {
        /// Who asks.
        from: &'static str,
        /// Whom the addresses belong to.
        to: &'static str,
        /// Our address and theirs, of one family each.
        addresses: Vec<(IpAddr, IpAddr)>,
    },
    /// TCP carries octets to each address and back.
    Tcp {
        /// Who connects.
        from: &'static str,
        /// What the addresses belong to.
        to: &'static str,
        /// Our address and their server.
        addresses: Vec<(IpAddr, SocketAddr)>,
    },
}

impl Node {
    /// A host with nothing but its links.
    pub fn host(name: &'static str) -> Self {
        Self { name, forwards: false, addresses: Vec::new(), routes: Vec::new(), echo: Vec::new() }
    }

    /// A host that forwards.
    pub fn router(name: &'static str) -> Self {
        Self { forwards: true, ..Self::host(name) }
    }

    /// With a static route.
    #[must_use]
    pub fn route(mut self, prefix: &str, gateway: &str) -> Self {
        self.routes.push(StaticRoute { prefix: net(prefix), gateway: ip(gateway), source: None });
        self
    }

    /// With a static route whose packets carry this source address where the host itself sends them.
    #[must_use]
    pub fn route_from(mut self, prefix: &str, gateway: &str, source: &str) -> Self {
        self.routes.push(StaticRoute { prefix: net(prefix), gateway: ip(gateway), source: Some(ip(source)) });
        self
    }

    /// With an address on its loopback.
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        self.addresses.push(net(address));
        self
    }

    /// With a TCP echo server.
    #[must_use]
    pub fn echo(mut self, server: &str) -> Self {
        self.echo.push(socket(server));
        self
    }
}

impl Link {
    /// A cable where there are two ports.
    pub fn new(name: &'static str, ports: Vec<Port>) -> Self {
        Self { name, ports }
    }
}

impl Port {
    /// An interface with its addresses.
    pub fn new(node: &'static str, interface: &'static str, addresses: &[&str]) -> Self {
        Self { node, interface, addresses: nets(addresses) }
    }
}

/// A prefix, or an address with the length of its subnet, that stands in a site's description.
///
/// # Panics
/// Where the text is none.
pub fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|_| panic!("{text} is no prefix"))
}

/// Prefixes that stand in a site's description.
///
/// # Panics
/// Where a text is none.
pub fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| net(text)).collect()
}

/// An address that stands in a site's description.
///
/// # Panics
/// Where the text is none.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
}

/// An address and port that stand in a site's description.
///
/// # Panics
/// Where the text is none.
pub fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address and port"))
}
