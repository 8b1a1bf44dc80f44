//! The FIB against sentences, and (in [`model`]) against a host that does as it is told, slowly and with failures. Here is
//! what they share.

#![allow(clippy::unwrap_used)]

mod host;
mod model;
mod next_hops;
mod routes;

use std::io;

use bgpd::speaker::FibChoice;
use bgpd::types::{Family, NextHop};
use wgd::table::Generation;

use super::*;
use crate::kernel::Hop;

const WG: u32 = 7;
const LAN: u32 = 2;
const EU: PublicKey = PublicKey([1; 32]);
const US: PublicKey = PublicKey([2; 32]);

fn peer(key: PublicKey, name: &str, allowed_ips: &[&str], routed_ips: &[&str]) -> TunnelPeer {
    let prefixes = |list: &[&str]| -> Vec<IpNet> { list.iter().map(|it| net(it)).collect() };
    TunnelPeer {
        key,
        name: name.to_owned(),
        allowed_ips: prefixes(allowed_ips),
        static_routes: false,
        routed_ips: prefixes(routed_ips).into(),
    }
}

fn settings() -> Settings {
    let peers = vec![
        peer(EU, "eu", &["169.254.64.2/32", "fd64:64::2/128"], &["10.0.0.0/8"]),
        peer(US, "us", &["169.254.64.6/32"], &["10.20.0.0/16"]),
    ];
    Settings {
        install: true,
        restarted: false,
        table: 254,
        metric: 20,
        protocol: 157,
        preferred_source: Vec::new(),
        tunnel: Some(TunnelSettings { interface: WG, peers }),
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn nh(text: &str) -> NextHop {
    text.parse::<IpAddr>().unwrap().into()
}

fn via(gateway: Option<&str>, interface: u32, prefix: &str, metric: u32) -> Resolution {
    let hop = Hop { gateway: gateway.map(|it| it.parse().unwrap()), interface };
    Resolution::Via { hop, prefix: net(prefix), metric }
}

fn choice(best: &[&str]) -> FibChoice {
    let best: Vec<NextHop> = best.iter().map(|it| nh(it)).collect();
    FibChoice { accepted: best.clone(), best, ..FibChoice::default() }
}

fn change(prefix: &str, choice: Option<FibChoice>) -> FibChange {
    FibChange { prefix: net(prefix), choice }
}

fn hops(hops: &[(Option<&str>, u32)]) -> Target {
    let hop =
        |&(gateway, interface): &(Option<&str>, u32)| Hop { gateway: gateway.map(|it| it.parse().unwrap()), interface };
    Target::Hops(hops.iter().map(hop).collect())
}

fn route(prefix: &str, target: Target) -> Route {
    Route { prefix: net(prefix), table: 254, metric: 20, protocol: 157, target, source: None }
}

fn replace(prefix: &str, target: Target) -> Work {
    Work::Kernel(vec![RouteOp::Replace(route(prefix, target))])
}

fn delete(prefix: &str) -> Work {
    Work::Kernel(vec![RouteOp::Delete(route(prefix, Target::Hops(Vec::new())))])
}

fn table(prefix: &str, send: &[PublicKey], backup: &[PublicKey], accept: &[PublicKey]) -> Work {
    let group = Group { send: send.to_vec(), backup: backup.to_vec(), accept: accept.to_vec() };
    Work::Tunnel(vec![Change { prefix: net(prefix), group: Some(group) }])
}

fn no_table(prefix: &str) -> Work {
    Work::Tunnel(vec![Change { prefix: net(prefix), group: None }])
}

fn refused() -> io::Result<Vec<io::Result<()>>> {
    Ok(vec![Err(io::Error::other("Nexthop has invalid gateway"))])
}

fn foreign() -> io::Result<Vec<io::Result<()>>> {
    Ok(vec![Err(io::Error::new(io::ErrorKind::AlreadyExists, "a route of another program stands there"))])
}

/// A FIB with a clock, a tunnel that counts generations, and what the kernel says of addresses.
struct Bench {
    fib: Fib,
    now: Instant,
    generation: u64,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self::with(settings, Vec::new())
    }

    fn with(settings: Settings, found: Vec<Route>) -> Self {
        Self { fib: Fib::new(settings, found), now: Instant::now(), generation: 0 }
    }

    /// A bench whose speaker knows the usual next hops: two peers and two neighbors on the LAN.
    fn usual() -> Self {
        Self::usual_with(settings(), Vec::new())
    }

    fn usual_with(settings: Settings, found: Vec<Route>) -> Self {
        let mut bench = Self::with(settings, found);
        bench.resolve("169.254.64.2", via(None, WG, "169.254.64.0/30", 0));
        bench.resolve("169.254.64.6", via(None, WG, "169.254.64.4/30", 0));
        bench.resolve("192.168.2.21", via(None, LAN, "192.168.2.0/24", 0));
        bench.resolve("192.168.2.22", via(None, LAN, "192.168.2.0/24", 0));
        bench
    }

    /// The speaker asks for a next hop and gets this.
    fn resolve(&mut self, address: &str, resolution: Resolution) -> Option<NextHopState> {
        self.fib.next_hop(nh(address), true);
        self.answer(vec![(nh(address), resolution)])
    }

    /// The kernel's answer, and what the speaker hears of it.
    fn answer(&mut self, resolutions: Vec<(NextHop, Resolution)>) -> Option<NextHopState> {
        let asked = self.work();
        assert!(asked.is_none() || matches!(asked, Some(Work::Resolve(_))), "{asked:?}");
        self.fib.resolved(resolutions);
        match self.work() {
            Some(Work::NextHops(mut states)) => states.pop().map(|(_, state)| state),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    fn work(&mut self) -> Option<Work> {
        let work = self.fib.poll_work(self.now);
        if matches!(work, Some(Work::Tunnel(_))) {
            self.generation += 1;
            self.fib.tunnel_sent(Generation(self.generation));
        }
        work
    }

    fn want(&mut self, prefix: &str, choice: Option<FibChoice>) {
        self.fib.changes(vec![change(prefix, choice)]);
    }

    fn applied(&mut self) {
        self.fib.tunnel_applied(Generation(self.generation));
    }

    /// Does all work at once, every part with success.
    fn finish(&mut self) {
        while let Some(work) = self.work() {
            match work {
                Work::Tunnel(_) => self.applied(),
                Work::Kernel(ops) => self.fib.kernel_done(Ok(ops.iter().map(|_| Ok(())).collect())),
                Work::NextHops(_) => {}
                Work::Resolve(_) => panic!("nobody knows the answer"),
            }
        }
        assert!(self.fib.idle());
    }

    fn view(&self, prefix: &str) -> RouteView {
        self.fib.route(&net(prefix)).unwrap()
    }

    fn state(&self, prefix: &str) -> (State, Option<String>) {
        let view = self.view(prefix);
        (view.state, view.error)
    }
}
