//! The readers: one function per section fills the engines' settings, one call per key.

mod bgp;
mod host;
mod martians;
mod names;
mod policy;
mod sets;
mod wireguard;

use bgpd::types::{Asn, BgpIdentifier};

pub(crate) use bgp::{Bgp, Dynamic, Neighbor};
pub(crate) use names::Names;
pub(crate) use policy::{Policies, PolicyRule};
pub(crate) use sets::{Claim, Sets};
pub(crate) use wireguard::{Fwmark, Peer, Tunnel};

use crate::raw::{Entry, Keys};
use crate::settings::{Control, Kernel, Log, OnStop};
use crate::value::SpeakerAsn;

/// Everything that was read, each table with its places: what the laws between keys look at.
pub(crate) struct Draft {
    pub(crate) router: Entry<Router>,
    pub(crate) wireguard: Option<Entry<Tunnel>>,
    pub(crate) bgp: Option<Entry<Bgp>>,
    pub(crate) sets: Sets,
    pub(crate) policies: Policies,
    pub(crate) kernel: Entry<Kernel>,
    pub(crate) control: Control,
    pub(crate) log: Log,
}

/// `[router]`.
pub(crate) struct Router {
    pub(crate) asn: Option<Asn>,
    pub(crate) router_id: Option<BgpIdentifier>,
    pub(crate) on_stop: OnStop,
}

/// Reads all of it.
pub(crate) fn everything(keys: &mut Keys<'_, '_>) -> Draft {
    let router = keys.section("router", "The router as a whole.", router);
    let wireguard = keys.table("wireguard", "The tunnel. Absent: a gateway without one.", wireguard::tunnel);
    let bgp = keys.table("bgp", "The BGP speaker. Absent: a tunnel without one.", bgp::bgp);
    let sets = sets::sets(keys);
    let policies = policy::policies(keys, &sets);
    let kernel = keys.section("kernel", "What is programmed into the kernel.", host::kernel);
    let control = keys.section("control", "The local API.", host::control).value;
    let log = keys.section("log", "What is logged, to stderr.", host::log).value;
    Draft { router, wireguard, bgp, sets, policies, kernel, control, log }
}

fn router(keys: &mut Keys<'_, '_>) -> Router {
    Router {
        asn: keys.optional("asn", "Our AS number; needed where `[bgp]` is there.").map(|asn: SpeakerAsn| asn.0),
        router_id: keys.optional(
            "router-id",
            "Our BGP Identifier; absent: the first IPv4 address of this host. On a Kubernetes node it must differ from \
             the node's address, which Cilium uses.",
        ),
        on_stop: keys.or(
            "on-stop",
            keys.walk.context.default_on_stop,
            "What SIGTERM leaves behind: `withdraw` removes our routes and the device, `keep` leaves both, also after a \
             crash. Absent: as `vpngw run --on-stop` says; the systemd unit says `keep`.",
        ),
    }
}
