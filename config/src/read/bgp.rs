//! `[bgp]`: neighbors, listen ranges and prefixes of our own.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use bgpd::role::Role;
use bgpd::settings::{
    Aggregate, DynamicNeighborSettings, GracefulRestartSettings, LimitAction, NeighborSettings, Originate, Password,
    PrefixLimit, RemoteAs, SessionSettings, StationSettings,
};
use bgpd::types::Family;
use wgd::settings::Endpoint;

use super::Names;
use crate::raw::{Entry, Keys};
use crate::value::{
    AtLeastOne, Interval, NeighborAddress, NeighborAsn, Port, Prefix, Seconds, SecretFile, SpeakerAsn, Text, Via,
    Within,
};

/// `[bgp]`.
pub(crate) struct Bgp {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) multipath: u8,
    pub(crate) select_deferral: Duration,
    pub(crate) neighbors: Vec<Entry<Neighbor>>,
    pub(crate) dynamic: Vec<Entry<Dynamic>>,
    pub(crate) originate: Vec<Entry<Originate>>,
    pub(crate) aggregates: Vec<Entry<Aggregate>>,
    pub(crate) stations: Vec<Entry<StationSettings>>,
    /// Of all neighbors and listen ranges, also of those that could not be read.
    pub(crate) names: Names,
}

/// `[[bgp.neighbor]]`.
pub(crate) struct Neighbor {
    pub(crate) name: String,
    /// `via` is not resolved yet.
    pub(crate) settings: NeighborSettings,
    pub(crate) via: Option<Via>,
}

/// `[[bgp.dynamic-neighbor]]`.
pub(crate) struct Dynamic {
    pub(crate) name: String,
    pub(crate) settings: DynamicNeighborSettings,
}

pub(super) fn bgp(keys: &mut Keys<'_, '_>) -> Bgp {
    let everywhere = vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 179))];
    let listen =
        keys.or("listen", everywhere, "Where neighbors may dial in; `[::]` takes both families, `[]` is nowhere.");
    let multipath = keys.or("multipath", Within::<u8, 1, 64>(8), "How many equal paths are installed.");
    let select_deferral = keys.or(
        "select-deferral",
        Interval(Duration::from_secs(180)),
        "How long a gateway that has restarted waits for the neighbors of before, until it announces and removes routes \
         (RFC 4724).",
    );
    let mut names = Names::default();
    let neighbors =
        keys.tables("neighbor", "A neighbor with an address of its own.", |keys| neighbor(keys, &mut names));
    let dynamic = keys.tables(
        "dynamic-neighbor",
        "Neighbors that dial in from a range; their sessions are named NAME/ADDRESS. The longest range wins, then the AS.",
        |keys| dynamic(keys, &mut names),
    );
    let originate = keys.tables("originate", "A prefix of our own. It passes the export policies too.", originate);
    let aggregates =
        keys.tables("aggregate", "A summary, announced while something more specific is accepted.", aggregate);
    let Interval(select_deferral) = select_deferral;
    let mut station_names = Names::default();
    let stations = keys.tables(
        "bmp",
        "A monitoring station (RFC 7854) that hears what each neighbor says, before policy.",
        |keys| station(keys, &mut station_names),
    );
    Bgp { listen, multipath: multipath.0, select_deferral, neighbors, dynamic, originate, aggregates, stations, names }
}

fn neighbor(keys: &mut Keys<'_, '_>, names: &mut Names) -> Option<Neighbor> {
    let name = names.claim(keys, "What people and commands call it.");
    let address: Option<NeighborAddress> =
        keys.required("address", "Its address; a link-local one with its interface, `fe80::1%eth0`.");
    let asn = keys.required("asn", "Its AS; `external` is any but ours, `internal` is ours.");
    let port = keys.or("port", Within(179), "The port we dial.");
    let local_address = keys.optional("local-address", "The address we dial from; absent: chosen by the kernel.");
    let passive = keys.or("passive", false, "Wait for it to dial.");
    let shutdown = keys.or("shutdown", false, "Administratively down.");
    let via = keys.optional(
        "via",
        "The WireGuard peer with which the session lives and dies; `auto`: the one whose `allowed-ips` hold the address. \
         A connection that arrives another way is refused.",
    );
    let session = session(keys);
    let Port { 0: port } = port;
    let address = address?;
    let settings = NeighborSettings {
        address: address.address,
        zone: address.zone,
        port,
        local_address,
        passive,
        shutdown,
        via: None,
        asn: remote_as(&[asn?]),
        session,
    };
    Some(Neighbor { name: name?, settings, via })
}

fn dynamic(keys: &mut Keys<'_, '_>, names: &mut Names) -> Option<Dynamic> {
    let name = names.claim(keys, "What people and commands call them.");
    let range: Option<AtLeastOne<Prefix>> = keys.required("range", "Where they may come from.");
    let asn: Option<AtLeastOne<NeighborAsn>> = keys.required("asn", "What AS they may have.");
    let limit = keys.required("limit", "How many sessions at most.");
    let session = session(keys);
    if asn.as_ref().is_some_and(|asn| asn.0.len() > 1 && asn.0.iter().any(NeighborAsn::is_word)) {
        let label = "allowed: AS numbers, or \"external\" or \"internal\" alone";
        keys.walk.report.error(keys.places.of("asn"), "asn mixes words and numbers", label);
    }
    let limit: Within<usize, 1, 65535> = limit?;
    let settings = DynamicNeighborSettings {
        range: range?.0.into_iter().map(|prefix| prefix.0).collect(),
        asn: remote_as(&asn?.0),
        limit: limit.0,
        session,
    };
    Some(Dynamic { name: name?, settings })
}

/// A word stands for more than any number, so it wins.
fn remote_as(allowed: &[NeighborAsn]) -> RemoteAs {
    let numbers = allowed.iter().map(|asn| match asn {
        NeighborAsn::Number(asn) => Ok(*asn),
        NeighborAsn::External => Err(RemoteAs::External),
        NeighborAsn::Internal => Err(RemoteAs::Internal),
    });
    numbers.collect::<Result<_, _>>().map_or_else(|word| word, RemoteAs::OneOf)
}

fn session(keys: &mut Keys<'_, '_>) -> SessionSettings {
    let default = SessionSettings::default();
    let text = |text: Text| text.0;
    let seconds = |interval: Interval| interval.0;
    let role = keys.optional(
        "role",
        "What we are to this external neighbor (RFC 9234): a session with one whose own role does not fit is refused, and \
         routes that must not go between the two do not.",
    );
    SessionSettings {
        description: keys.optional("description", "For people.").map(text),
        local_asn: keys.optional("local-asn", "The AS we show in place of our own.").map(|asn: SpeakerAsn| asn.0),
        families: keys
            .optional("families", "What is offered; absent: the families that the session's link has addresses of on our side when it begins.")
            .map(|families: AtLeastOne<Family>| families.0.into_iter().collect()),
        import: keys.optional(
            "import",
            "What is taken; absent: nothing from an external neighbor (RFC 8212), everything from an internal one.",
        ),
        export: keys.optional(
            "export",
            "What is announced, our own prefixes too; absent: nothing to an external neighbor (RFC 8212), everything to \
             an internal one.",
        ),
        hold_time: keys.or(
            "hold-time",
            default.hold_time,
            "The hold time we offer. 0, no hold timer at all, is taken from the neighbor only where it stands here too.",
        ),
        keepalive: keys
            .optional("keepalive", "Between our KEEPALIVEs; absent: a third of the negotiated hold time.")
            .map(seconds),
        connect_retry: keys.or("connect-retry", Interval(default.connect_retry), "Between two tries to connect.").0,
        send_hold_time: keys
            .optional(
                "send-hold-time",
                "How long the neighbor may read nothing (RFC 9687); absent: the greater of 8 minutes and twice the hold \
                 time.",
            )
            .map(seconds),
        password: keys
            .optional("password-file", "File with the TCP-MD5 password.")
            .map(|password: SecretFile<Password>| password.0),
        ttl_security: keys
            .optional("ttl-security", "How many hops away at most (RFC 5082), 1 = directly connected.")
            .map(|hops: Within<u8, 1, 254>| hops.0),
        ebgp_multihop: keys
            .optional("ebgp-multihop", "TTL towards an external neighbor that is not directly connected.")
            .map(|ttl: Within<u8, 1, 255>| ttl.0),
        max_prefixes: prefix_limit(
            keys,
            "max-prefixes",
            "How many prefixes of one family it may send. A number alone is the `limit`.",
            "What happens beyond: `cease` ends the session, `discard` does not take those beyond, until `vpngw neighbor NAME refresh`, `warn` only says so.",
        ),
        max_prefixes_out: prefix_limit(
            keys,
            "max-prefixes-out",
            "How many prefixes of one family it is told. A number alone is the `limit`.",
            "What happens beyond: `cease` ends the session, `discard` lets those beyond wait for room, `warn` only says so.",
        ),
        next_hop_self: keys.or(
            "next-hop-self",
            default.next_hop_self,
            "Announce ourselves as next hop; `auto` is RFC 4271's rule, and on internal sessions where the next hop lies \
             behind a tunnel.",
        ),
        route_reflector_client: keys.or(
            "route-reflector-client",
            default.route_reflector_client,
            "Reflect internal routes to this internal neighbor (RFC 4456).",
        ),
        enforce_first_asn: keys
            .optional(
                "enforce-first-asn",
                "Refuse routes whose first AS is not the neighbor's; absent: true, but false where `role` is `rs-client`.",
            )
            .unwrap_or(role != Some(Role::RouteServerClient)), // RFC 7947 §2.2.2.1
        graceful_restart: keys
            .section_or_false(
                "graceful-restart",
                "Routes outlive a session that is lost (RFC 4724, RFC 8538): ours at the neighbor, the neighbor's here.",
                graceful_restart,
            )
            .map(|entry| entry.value),
        allow_own_asn: keys
            .or(
                "allow-own-asn",
                Within::<u8, 0, 255>(default.allow_own_asn),
                "How often our own AS may stand in a received path.",
            )
            .0,
        role,
        extended_next_hop: keys.or(
            "extended-next-hop",
            default.extended_next_hop,
            "Offer IPv4 routes over IPv6 next hops (RFC 8950); where the link has no IPv4 address, `families` must name \
             `ipv4` too.",
        ),
        add_path: keys.optional(
            "add-path",
            "Several paths to a prefix (RFC 7911): take them, send every usable one up to `multipath`, or both. \
             `max-prefixes` then counts paths.",
        ),
        extended_messages: keys.or(
            "extended-messages",
            default.extended_messages,
            "Offer messages of up to 65535 octets (RFC 8654).",
        ),
        remove_private_asn: keys.or(
            "remove-private-asn",
            default.remove_private_asn,
            "Take private AS numbers out of the paths that this external neighbor is told, but for its own; our own stays.",
        ),
    }
}

/// A limit, by its number alone or with what goes with it; `action` is what its key says of `action`.
fn prefix_limit(keys: &mut Keys<'_, '_>, name: &str, doc: &'static str, action: &'static str) -> Option<PrefixLimit> {
    keys.table_or_value(name, doc, "limit", |keys| whole_prefix_limit(keys, action)).and_then(|limit| limit.value)
}

fn whole_prefix_limit(keys: &mut Keys<'_, '_>, action: &'static str) -> Option<PrefixLimit> {
    let limit = keys.required("limit", "So many.").map(|limit: Within<u32, 1, { u32::MAX }>| limit.0);
    let default = PrefixLimit::new(limit.unwrap_or(1));
    let limits = PrefixLimit {
        warning: keys
            .or("warning", Within::<u8, 1, 100>(default.warning), "Percent of it from which on there is a warning.")
            .0,
        action: keys.or("action", default.action, action),
        restart_after: keys
            .optional(
                "restart-after",
                "When a session that has ended may come back; absent: after `vpngw neighbor NAME reset`.",
            )
            .map(|interval: Interval| interval.0),
        ..default
    };
    if limits.restart_after.is_some() && limits.action != LimitAction::Cease {
        let place = keys.places.of("restart-after");
        keys.walk.report.error(
            place,
            "restart-after is not allowed here",
            "only with action = \"cease\" does a session end",
        );
    }
    limit.map(|_| limits)
}

fn graceful_restart(keys: &mut Keys<'_, '_>) -> GracefulRestartSettings {
    let default = GracefulRestartSettings::default();
    let restart_time = Seconds::<1, 4095>(default.restart_time); // twelve bits (RFC 4724 §3)
    GracefulRestartSettings {
        restart_time: keys.or("restart-time", restart_time, "How long the neighbor shall wait for us.").0,
        stale_time: keys
            .or(
                "stale-time",
                Interval(default.stale_time),
                "How long the neighbor's routes are kept at most, until it has told all of them again.",
            )
            .0,
        long_lived_stale_time: keys
            .optional(
                "long-lived-stale-time",
                "How long routes are kept after the restart time as the last resort, on both sides (RFC 9494); absent: \
                 they are not.",
            )
            .map(|time: Seconds<1, 0xFF_FFFF>| time.0),
    }
}

fn station(keys: &mut Keys<'_, '_>, names: &mut Names) -> Option<StationSettings> {
    let name = names.claim(keys, "What the log calls it.");
    let address: Option<Endpoint> = keys.required("address", "Where it listens: HOST:PORT.");
    let address = match address? {
        Endpoint::Address(address) => address.to_string(),
        Endpoint::Name(host, port) => format!("{host}:{port}"),
    };
    Some(StationSettings { name: name?, address })
}

fn originate(keys: &mut Keys<'_, '_>) -> Option<Originate> {
    let prefix = keys.required("prefix", "What is announced.");
    let next_hop = keys.optional("next-hop", "Where our kernel sends it; absent: the kernel already knows.");
    let discard = keys.or("discard", false, "Install a discard route for it.");
    let Prefix(prefix) = prefix?;
    Some(Originate { prefix, next_hop, discard })
}

fn aggregate(keys: &mut Keys<'_, '_>) -> Option<Aggregate> {
    let prefix = keys.required("prefix", "The summary.");
    let discard = keys.or("discard", true, "Install a discard route for the parts that nobody announces.");
    let summary_only = keys.or("summary-only", true, "Announce the summary in place of what is more specific.");
    let Prefix(prefix) = prefix?;
    Some(Aggregate { prefix, discard, summary_only })
}
