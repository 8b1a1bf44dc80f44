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
        let answers = self.requests.questions(RTM_GETROUTE, addresses, |(address, scope), message| {
            route::put_lookup(message, address, *scope, FIB_MATCH);
        })?;
        let protocol = self.protocol;
        Ok(answers
            .into_iter()
            .map(|answer| answer.map_or_else(refused, |payload| resolution(&payload, protocol)))
            .collect())
    }
}

fn refused(refused: Refused) -> Resolution {
    Resolution::Unreachable(match refused.errno {
        // In IPv4 the type of the matching route comes back as an error.
        ENETUNREACH => "the kernel has no route there".to_owned(),
        EHOSTUNREACH => not_forwarded(RTN_UNREACHABLE),
        EACCES => not_forwarded(RTN_PROHIBIT),
        EINVAL => not_forwarded(RTN_BLACKHOLE),
        _ => refused.to_string(),
    })
}

fn resolution(payload: &[u8], own_protocol: u8) -> Resolution {
    match route::decode(payload) {
        None => Resolution::Unreachable("the kernel's answer could not be read".to_owned()),
        Some(KernelRoute { kind: RTN_LOCAL, .. }) => Resolution::Local,
        Some(found) if found.route.protocol == own_protocol => {
            Resolution::Unreachable(format!("reached only by {}, a route of ours", found.route.prefix))
        }
        Some(found) if found.kind == RTN_UNICAST => unicast(&found),
        Some(found) => Resolution::Unreachable(not_forwarded(found.kind)),
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
