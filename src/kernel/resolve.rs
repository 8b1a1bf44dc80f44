//! How the kernel would send to an address: RTM_GETROUTE with RTM_F_FIB_MATCH, which names the matching route.

use std::io;
use std::net::IpAddr;

use libc::{
    EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH, RTM_GETROUTE, RTN_BLACKHOLE, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST,
    RTN_PROHIBIT, RTN_UNICAST, RTN_UNREACHABLE,
};

use super::route::{self, KernelRoute};
use super::socket::Refused;
use super::thread::Netlink;
use super::{Resolution, Target};

/// RTM_F_FIB_MATCH: the answer is the route of the table, not what it makes of this address.
const FIB_MATCH: u32 = 0x2000;

impl Netlink {
    /// One resolution for each address and its scope (interface index or 0).
    pub(super) fn resolve(&mut self, addresses: &[(IpAddr, u32)]) -> io::Result<Vec<Resolution>> {
        let mut matches = self.matches(addresses, FIB_MATCH)?;
        // A route by a next-hop object does not tell its hops there (net.ipv4.nexthop_compat_mode = 0).
        let hopless: Vec<usize> = (0..addresses.len()).filter(|&index| is_hopless(&matches[index])).collect();
        let questions: Vec<(IpAddr, u32)> = hopless.iter().map(|&index| addresses[index]).collect();
        for (index, plain) in hopless.into_iter().zip(self.matches(&questions, 0)?) {
            if let (Ok(found), Ok(plain)) = (&mut matches[index], plain) {
                found.route.target = plain.route.target;
                found.down = plain.down;
            }
        }
        let protocol = self.protocol;
        Ok(matches
            .into_iter()
            .map(|found| found.map_or_else(Resolution::Unreachable, |found| resolution(&found, protocol)))
            .collect())
    }

    /// The kernel's answer for each address, or why there is none.
    fn matches(&mut self, addresses: &[(IpAddr, u32)], flags: u32) -> io::Result<Vec<Result<KernelRoute, String>>> {
        let answers = self.requests.questions(RTM_GETROUTE, addresses, |(address, scope), message| {
            route::put_lookup(message, address, *scope, flags);
        })?;
        let unreadable = || "the kernel's answer could not be read".to_owned();
        let read = |payload: Vec<u8>| route::decode(&payload).ok_or_else(unreadable);
        Ok(answers.into_iter().map(|answer| answer.map_err(|error| refused(&error)).and_then(read)).collect())
    }
}

fn is_hopless(found: &Result<KernelRoute, String>) -> bool {
    let is_empty = |target: &Target| matches!(target, Target::Hops(hops) if hops.is_empty());
    found.as_ref().is_ok_and(|found| found.kind == RTN_UNICAST && is_empty(&found.route.target))
}

fn refused(refused: &Refused) -> String {
    match refused.errno {
        // In IPv4 the type of the matching route comes back as an error.
        ENETUNREACH => "the kernel has no route there".to_owned(),
        EHOSTUNREACH => not_forwarded(RTN_UNREACHABLE),
        EACCES => not_forwarded(RTN_PROHIBIT),
        EINVAL => not_forwarded(RTN_BLACKHOLE),
        _ => refused.to_string(),
    }
}

fn resolution(found: &KernelRoute, own_protocol: u8) -> Resolution {
    match found.kind {
        RTN_LOCAL => Resolution::Local,
        _ if found.route.protocol == own_protocol => {
            Resolution::Unreachable(format!("reached only by {}, a route of ours", found.route.prefix))
        }
        RTN_UNICAST => unicast(found),
        kind => Resolution::Unreachable(not_forwarded(kind)),
    }
}

fn unicast(found: &KernelRoute) -> Resolution {
    let Target::Hops(hops) = &found.route.target else {
        return Resolution::Unreachable(not_forwarded(RTN_BLACKHOLE));
    };
    match hops.iter().zip(&found.down).find(|(_, down)| !**down) {
        Some((hop, _)) => Resolution::Via { hop: *hop, prefix: found.route.prefix, metric: found.route.metric },
        None if hops.is_empty() => Resolution::Unreachable(format!("the route {} names no link", found.route.prefix)),
        None => Resolution::Unreachable(format!("the link of the route {} is down", found.route.prefix)),
    }
}

fn not_forwarded(kind: u8) -> String {
    let name = match kind {
        RTN_BLACKHOLE => "a blackhole route",
        RTN_UNREACHABLE => "an unreachable route",
        RTN_PROHIBIT => "a prohibit route",
        RTN_BROADCAST => "a broadcast address",
        RTN_MULTICAST => "a multicast address",
        _ => "a route that does not forward",
    };
    format!("the kernel has {name} there")
}
