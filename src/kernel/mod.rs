//! The kernel's links, addresses and routes over netlink. One thread owns the sockets and all encoding.
//!
//! Routes carry our protocol number; nothing else is ever touched.

mod apply;
mod links;
mod message;
mod monitor;
mod resolve;
mod route;
mod socket;
mod thread;

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot};

pub use self::route::effective_metric;
use self::thread::{Job, Netlink};

/// Jobs that wait for the thread; when it is full, the callers wait to hand theirs in.
const JOBS: usize = 64;

/// Events that wait for their reader; when it is full, they are folded into one [`Event::Lost`].
const EVENTS: usize = 64;

/// A handle to the thread. The netlink sockets belong to the network namespace in which [`Kernel::start`] was called.
#[derive(Clone, Debug)]
pub struct Kernel {
    jobs: mpsc::Sender<Job>,
}

/// One route of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// Destination.
    pub prefix: IpNet,
    /// Table, 254 = main.
    pub table: u32,
    /// Metric (priority).
    pub metric: u32,
    /// Routing protocol number.
    pub protocol: u8,
    /// Where to.
    pub target: Target,
    /// Preferred source.
    pub source: Option<IpAddr>,
}

/// Where a route leads.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Target {
    /// One or more hops; several are equal-cost.
    Hops(Vec<Hop>),
    /// RTN_BLACKHOLE.
    Discard,
}

/// One hop.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hop {
    /// The gateway; absent on the link itself. May be IPv6 for an IPv4 route (RFC 8950).
    pub gateway: Option<IpAddr>,
    /// The link's index.
    pub interface: u32,
}

/// One operation on a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RouteOp {
    /// Adds the route, or puts it in the place of ours with the same prefix, table and metric.
    Replace(Route),
    /// The route of ours with this prefix, table and metric.
    Delete(Route),
}

/// A link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// IFF_UP.
    pub up: bool,
    /// Carrier and operational state allow traffic.
    pub running: bool,
    /// In octets.
    pub mtu: u32,
    /// IFLA_IFALIAS: what somebody wrote on it.
    pub alias: Option<String>,
}

/// An address of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Address {
    /// The link's index.
    pub interface: u32,
    /// Address with the length of its subnet.
    pub address: IpNet,
}

/// How the kernel would send to an address, our own routes (by protocol) left aside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// An address of this host.
    Local,
    /// On a link, by a gateway or directly.
    Via {
        /// Where to.
        hop: Hop,
        /// The covering route.
        prefix: IpNet,
        /// Its metric.
        metric: u32,
    },
    /// No way there, and why.
    Unreachable(String),
}

/// Something changed that others may care about. Many changes are told as one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// Links, addresses or foreign routes are not what they were: resolve next hops again.
    Changed,
    /// A route with our protocol number was deleted or changed by somebody else, or by the kernel with its link.
    OwnRoute(Route),
    /// Messages were lost, or the kernel may have removed routes without one (with a link or an address): compare
    /// everything, next hops too.
    Lost,
}

impl Kernel {
    /// Opens the sockets in the caller's network namespace and starts the thread. `protocol`: our own. Events go to the
    /// receiver; when it is full they are folded into one [`Event::Lost`].
    pub fn start(protocol: u8) -> io::Result<(Self, mpsc::Receiver<Event>)> {
        let (jobs, inbox) = mpsc::channel(JOBS);
        let (sender, events) = mpsc::channel(EVENTS);
        thread::spawn(Netlink::open(protocol)?, inbox, sender)?;
        Ok((Self { jobs }, events))
    }

    /// All links, by index.
    pub async fn links(&self) -> io::Result<Vec<Link>> {
        self.ask(Netlink::links).await
    }

    /// All addresses.
    pub async fn addresses(&self) -> io::Result<Vec<Address>> {
        self.ask(Netlink::addresses).await
    }

    /// Sets MTU and brings a link up.
    pub async fn link_up(&self, interface: u32, mtu: Option<u32>) -> io::Result<()> {
        self.ask(move |netlink| netlink.link_up(interface, mtu)).await
    }

    /// Sets a link's MTU.
    pub async fn set_mtu(&self, interface: u32, mtu: u32) -> io::Result<()> {
        self.ask(move |netlink| netlink.set_mtu(interface, mtu)).await
    }

    /// Writes an alias on a link.
    pub async fn set_alias(&self, interface: u32, alias: &str) -> io::Result<()> {
        let alias = alias.to_owned();
        self.ask(move |netlink| netlink.set_alias(interface, alias)).await
    }

    /// Removes a link.
    pub async fn delete_link(&self, interface: u32) -> io::Result<()> {
        self.ask(move |netlink| netlink.delete_link(interface)).await
    }

    /// A veth pair: `name` here, `peer` in the namespace of the process `pid` (here where absent).
    pub async fn add_veth(&self, name: &str, peer: &str, pid: Option<u32>) -> io::Result<()> {
        let (name, peer) = (name.to_owned(), peer.to_owned());
        self.ask(move |netlink| netlink.add_veth(&name, &peer, pid)).await
    }

    /// A bridge.
    pub async fn add_bridge(&self, name: &str) -> io::Result<()> {
        let name = name.to_owned();
        self.ask(move |netlink| netlink.add_bridge(&name)).await
    }

    /// Puts a link under a bridge.
    pub async fn set_master(&self, interface: u32, bridge: u32) -> io::Result<()> {
        self.ask(move |netlink| netlink.set_master(interface, bridge)).await
    }

    /// Adds an address (IPv6 without duplicate detection); one that exists is no error.
    pub async fn add_address(&self, interface: u32, address: IpNet) -> io::Result<()> {
        self.ask(move |netlink| netlink.add_address(interface, address)).await
    }

    /// Removes an address; to remove what is not there is no error.
    pub async fn delete_address(&self, interface: u32, address: IpNet) -> io::Result<()> {
        self.ask(move |netlink| netlink.delete_address(interface, address)).await
    }

    /// Answers when every job handed in before is done: the thread is alive.
    pub async fn answers(&self) -> io::Result<()> {
        self.ask(|_| Ok(())).await
    }

    /// Applies a batch in order, at most one operation a destination; one result each. A route of another program in the
    /// place of a [`RouteOp::Replace`] is [`io::ErrorKind::AlreadyExists`]. To delete what is not there is no error.
    pub async fn routes(&self, ops: Vec<RouteOp>) -> io::Result<Vec<io::Result<()>>> {
        self.ask(move |netlink| netlink.apply(&ops)).await
    }

    /// Every route with our protocol number, in every table.
    pub async fn own_routes(&self) -> io::Result<Vec<Route>> {
        self.ask(Netlink::own_routes).await
    }

    /// How the kernel would send to these addresses (scope: interface index or 0).
    pub async fn resolve(&self, addresses: Vec<(IpAddr, u32)>) -> io::Result<Vec<Resolution>> {
        self.ask(move |netlink| netlink.resolve(&addresses)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Netlink) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (reply, answer) = oneshot::channel();
        // A caller that no longer waits is no error.
        let job: Job = Box::new(move |netlink| drop(reply.send(job(netlink))));
        let ended = || io::Error::new(io::ErrorKind::BrokenPipe, "the kernel thread has ended");
        self.jobs.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl RouteOp {
    /// The route in question.
    pub fn route(&self) -> &Route {
        match self {
            Self::Replace(route) | Self::Delete(route) => route,
        }
    }
}

#[cfg(test)]
mod tests;
