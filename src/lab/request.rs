//! What the lab asks of the agent in a namespace: one JSON object a line, each answered by one with the same number.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One line to the agent.
#[derive(Debug, Deserialize, Serialize)]
pub struct Call {
    /// Comes back with the answer; answers come in any order.
    pub number: u64,
    /// What to do.
    pub request: Request,
}

/// One line from the agent.
#[derive(Debug, Deserialize, Serialize)]
pub struct Answer {
    /// Of the [`Call`].
    pub number: u64,
    /// What the request returns, or one sentence.
    pub result: Result<Value, String>,
}

/// What an agent can do in its namespace.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Writes a file under `/proc/sys`. Returns nothing.
    Sysctl {
        /// With slashes: `net/ipv4/ip_forward`.
        name: String,
        /// What is written.
        value: String,
    },
    /// Makes a bridge and brings it up. Returns nothing.
    Bridge {
        /// Its name.
        name: String,
    },
    /// Makes a veth pair, both ends down. Returns nothing.
    Cable {
        /// The end that stays here.
        name: String,
        /// The other end's name.
        far_name: String,
        /// The process in whose namespace the other end lies.
        far_pid: u32,
    },
    /// Puts a link under a bridge. Returns nothing.
    Enslave {
        /// The port.
        link: String,
        /// The bridge.
        bridge: String,
    },
    /// Brings a link up. Returns nothing.
    Up {
        /// Which.
        link: String,
    },
    /// Adds an address. Returns nothing.
    Address {
        /// To which link.
        link: String,
        /// With the length of its subnet.
        address: IpNet,
    },
    /// Adds a static route. Returns nothing.
    Route(StaticRoute),
    /// Every route with this protocol number, in every table. Returns a list of [`KernelRoute`], by prefix.
    Routes {
        /// 157 unless configured otherwise.
        protocol: u8,
    },
    /// ICMP echo. Returns [`Echoes`].
    Ping(Ping),
    /// Starts a stream of echo requests. Returns its number.
    Stream(Stream),
    /// What became of a stream's requests so far: a list of [`Run`].
    Streamed {
        /// Which.
        number: u64,
        /// Sends no more, and waits for the last answers first.
        end: bool,
    },
    /// Starts a UDP relay with bad weather. Returns its [`SocketAddr`].
    Relay(Relay),
    /// What became of the datagrams of the relay at this address: [`Relayed`].
    Relayed {
        /// As [`Request::Relay`] returned it.
        address: SocketAddr,
    },
    /// Starts a TCP server that sends everything back. Returns its [`SocketAddr`].
    Serve {
        /// Port 0: chosen by the kernel.
        address: SocketAddr,
    },
    /// Sends octets to such a server and reads them back. Returns the number read back, which is all of them.
    Fetch(Fetch),
    /// Sends datagrams from forged addresses. Returns how many.
    Flood(Flood),
}

/// A route that is configured, not learned.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StaticRoute {
    /// Destination.
    pub prefix: IpNet,
    /// The router; it must be on a link.
    pub gateway: IpAddr,
    /// Source address of what this host itself sends there.
    pub source: Option<IpAddr>,
}

/// A route as the kernel has it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct KernelRoute {
    /// Destination.
    pub prefix: IpNet,
    /// Table.
    pub table: u32,
    /// Where to; none: a discard route.
    pub hops: Vec<KernelHop>,
}

/// One hop of a route.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct KernelHop {
    /// The router; absent on the link itself.
    pub gateway: Option<IpAddr>,
    /// The link's name.
    pub link: String,
}

/// ICMP echo requests, one after the other.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Ping {
    /// Who is asked.
    pub to: IpAddr,
    /// Our address; absent: the kernel's choice.
    pub from: Option<IpAddr>,
    /// How many.
    pub count: u16,
    /// From one to the next.
    pub interval: Duration,
    /// How long each may take.
    pub timeout: Duration,
}

/// What became of echo requests.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Echoes {
    /// Requests.
    pub sent: u64,
    /// Round-trip time of each answer.
    pub round_trips: Vec<Duration>,
    /// Why the last request that got no answer got none.
    pub error: Option<String>,
}

/// ICMP echo requests in a steady beat, whether they are answered or not: at most 65,536.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Stream {
    /// Who is asked.
    pub to: IpAddr,
    /// Our address; absent: the kernel's choice.
    pub from: Option<IpAddr>,
    /// From one to the next.
    pub interval: Duration,
}

/// What became of an echo request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The answer came.
    Answered,
    /// Somebody, perhaps we ourselves, said that there is no way.
    Unreachable,
    /// Nothing was heard of it.
    Lost,
}

/// Requests of a stream in a row that had the same fate.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Run {
    /// Theirs.
    pub fate: Fate,
    /// How many there are.
    pub requests: usize,
}

/// UDP datagrams that nobody of ours sends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Flood {
    /// Where to; IPv4.
    pub to: SocketAddr,
    /// Whence, each address in turn; IPv4.
    pub sources: IpNet,
    /// What, in turn.
    pub datagrams: Vec<Vec<u8>>,
    /// How many a second.
    pub per_second: u32,
    /// How long.
    pub time: Duration,
}

/// Datagrams of one client to a server and back, in the same weather both ways. Rates are of ten thousand.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Relay {
    /// Port 0: chosen by the kernel.
    pub listen: SocketAddr,
    /// The server.
    pub to: SocketAddr,
    /// How many are lost.
    pub loss: u32,
    /// How long each is on its way.
    pub delay: Duration,
    /// How many are not delayed, and so overtake those that are.
    pub reorder: u32,
    /// How many are sent three times more by an attacker, from another address: as they were, cut, and with a bit changed.
    pub attack: u32,
    /// Chooses them.
    pub seed: u64,
}

/// What became of the datagrams of a relay.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Relayed {
    /// Sent on.
    pub passed: u64,
    /// Of these, before others that had come earlier.
    pub overtook: u64,
    /// Not sent on.
    pub lost: u64,
    /// Sent by the attacker.
    pub forged: u64,
}

/// Octets to an echo server and back.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Fetch {
    /// The server.
    pub to: SocketAddr,
    /// Our address; absent: the kernel's choice.
    pub from: Option<IpAddr>,
    /// How many octets.
    pub octets: u64,
    /// How long it may take altogether.
    pub timeout: Duration,
}
