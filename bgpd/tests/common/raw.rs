//! A neighbor that says what a test wants, and shows what it hears as text.

use std::net::{IpAddr, SocketAddr};

use bgpd::speaker::Input;
use bgpd::types::{Asn, BgpIdentifier, ConnectionId, Family};
use bgpd::wire::{self, Capability, Context, Message, MpNextHop, Notification, Open, PathAttributes, Update};
use bytes::BytesMut;
use ipnet::IpNet;

use crate::network::Network;
use crate::settings::{address, asn};

/// A neighbor without a speaker.
pub(crate) struct Raw {
    node: usize,
    connection: ConnectionId,
    context: Context,
}

impl Raw {
    /// Connects to the node from an address, and opens a session with all that this speaker knows.
    pub(crate) fn establish(network: &mut Network, node: usize, from: &str, number: u32) -> Self {
        Self::establish_with(network, node, from, number, &[])
    }

    /// The same, with these capabilities besides.
    pub(crate) fn establish_with(
        network: &mut Network,
        node: usize,
        from: &str,
        number: u32,
        more: &[Capability],
    ) -> Self {
        let mut raw = Self::connect(network, node, from, number);
        let mut open = open(number, from);
        open.capabilities.extend_from_slice(more);
        raw.say(network, |out| open.write(out));
        raw.say(network, wire::write_keepalive);
        raw
    }

    /// The same with more capabilities, and what follows from them; it has heard what a new session is told.
    pub(crate) fn with(
        network: &mut Network,
        node: usize,
        from: &str,
        number: u32,
        capabilities: &[Capability],
        agreed: impl FnOnce(&mut Context),
    ) -> Self {
        let mut raw = Self::establish_with(network, node, from, number, capabilities);
        agreed(&mut raw.context);
        raw.hear(network);
        raw
    }

    /// The same, and has heard what a new external session is told.
    pub(crate) fn settled(network: &mut Network, node: usize, from: &str, number: u32) -> Self {
        let mut raw = Self::establish(network, node, from, number);
        raw.hear(network);
        raw
    }

    /// Its connection, as the speaker knows it.
    pub(crate) fn id(&self) -> ConnectionId {
        self.connection
    }

    /// Only connects.
    pub(crate) fn connect(network: &mut Network, node: usize, from: &str, number: u32) -> Self {
        let local = SocketAddr::new(network.nodes[node].address, 179);
        Self::connect_to(network, node, local, from, number)
    }

    /// Takes the connection that the node dials to it, before anything else becomes of the dial.
    pub(crate) fn dialled(network: &mut Network, node: usize, at: &str, number: u32) -> Self {
        let dial = network.nodes[node].dials.iter().rev().find(|dial| dial.remote.ip() == address(at)).unwrap();
        let (connection, remote) = (dial.connection, dial.remote);
        network.nodes[node].heard.insert(connection, BytesMut::new());
        let local = SocketAddr::new(network.nodes[node].address, 40000);
        network.input(node, Input::Connected { connection, local, remote });
        Self::over(node, connection, number)
    }

    pub(crate) fn connect_to(network: &mut Network, node: usize, local: SocketAddr, from: &str, number: u32) -> Self {
        let connection = network.stranger(node, local, SocketAddr::new(address(from), 40000));
        Self::over(node, connection, number)
    }

    fn over(node: usize, connection: ConnectionId, number: u32) -> Self {
        let context = Context { enforce_first_asn: false, ..Context::new(asn(number)) };
        Self { node, connection, context }
    }

    /// What it hears is read as from an internal neighbor, and what it says written so.
    pub(crate) fn internal(mut self) -> Self {
        self.context.internal = true;
        self
    }

    /// What it hears is read as one that knows two-octet AS numbers only reads it, and what it says written so.
    pub(crate) fn two_octet(mut self) -> Self {
        self.context.four_octet_as = false;
        self
    }

    pub(crate) fn say(&mut self, network: &mut Network, write: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        write(&mut out);
        network.say(self.node, self.connection, &out);
    }

    /// The same, with what was agreed on.
    pub(crate) fn say_agreed(&mut self, network: &mut Network, write: impl FnOnce(&mut BytesMut, &Context)) {
        let context = self.context;
        self.say(network, |out| write(out, &context));
    }

    pub(crate) fn announce(
        &mut self,
        network: &mut Network,
        attributes: &PathAttributes,
        via: &str,
        prefixes: &[&str],
    ) {
        let prefixes: Vec<IpNet> = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let next_hop = MpNextHop { address: address(via), link_local: None };
        self.say_agreed(network, |out, context| {
            assert_eq!(wire::write_reach(out, context, attributes, next_hop, &prefixes), prefixes.len());
        });
    }

    /// Several paths, each with its identifier (RFC 7911).
    pub(crate) fn announce_paths(
        &mut self,
        network: &mut Network,
        attributes: &PathAttributes,
        via: &str,
        paths: &[(u32, &str)],
    ) {
        let paths: Vec<(u32, IpNet)> = paths.iter().map(|(id, prefix)| (*id, prefix.parse().unwrap())).collect();
        let next_hop = MpNextHop { address: address(via), link_local: None };
        let context = self.context;
        self.say(network, |out| {
            assert_eq!(wire::write_reach(out, &context, attributes, next_hop, &paths), paths.len());
        });
    }

    pub(crate) fn withdraw_paths(&mut self, network: &mut Network, paths: &[(u32, &str)]) {
        let paths: Vec<(u32, IpNet)> = paths.iter().map(|(id, prefix)| (*id, prefix.parse().unwrap())).collect();
        let context = self.context;
        self.say(network, |out| {
            wire::write_unreach(out, &context, &paths);
        });
    }

    pub(crate) fn withdraw(&mut self, network: &mut Network, prefixes: &[&str]) {
        let prefixes: Vec<IpNet> = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        self.say_agreed(network, |out, context| {
            wire::write_unreach(out, context, &prefixes);
        });
    }

    /// It has told all of these families.
    pub(crate) fn end_of_rib(&mut self, network: &mut Network, families: &[Family]) {
        self.say(network, |out| families.iter().for_each(|family| wire::write_end_of_rib(out, *family)));
    }

    /// Its connection breaks.
    pub(crate) fn lose(&self, network: &mut Network) {
        network.input(self.node, Input::Closed { connection: self.connection, error: None });
    }

    /// It reads nothing any more until the node closes the connection.
    pub(crate) fn stop_reading(&self, network: &mut Network) {
        network.nodes[self.node].unread_by.insert(self.connection);
    }

    /// Whether the node has closed the connection.
    pub(crate) fn is_closed(&self, network: &Network) -> bool {
        network.nodes[self.node].closed.contains(&self.connection)
    }

    /// What came since the last time, as it came.
    pub(crate) fn take(&mut self, network: &mut Network) -> BytesMut {
        network.nodes[self.node].heard.get_mut(&self.connection).unwrap().split()
    }

    /// What came since the last time, a line a message; KEEPALIVEs are left out.
    pub(crate) fn hear(&mut self, network: &mut Network) -> Vec<String> {
        let heard = network.nodes[self.node].heard.get_mut(&self.connection).unwrap();
        let mut lines = Vec::new();
        while let Some(length) = wire::frame_length(heard, self.context.max_received).unwrap() {
            let frame = heard.split_to(length);
            lines.extend(self.show(&wire::decode(&frame, &self.context).unwrap()));
        }
        lines
    }

    fn show(&self, message: &Message<'_>) -> Option<String> {
        match message {
            Message::Open(open) => Some(format!("open {} hold {}{}", open.asn, open.hold_time, restart_of(open))),
            Message::Keepalive => None,
            Message::Notification(notification) => Some(show_notification(notification)),
            Message::RouteRefresh(refresh) => {
                let what = ["refresh", "begin of refresh", "end of refresh"][usize::from(refresh.subtype)];
                Some(format!("{what} {}", refresh.family.unwrap()))
            }
            Message::Update(update) => Some(self.show_update(update)),
        }
    }

    fn show_update(&self, update: &Update<'_>) -> String {
        if let Some(family) = update.end_of_rib() {
            return format!("end of {family}");
        }
        let withdrawn: Vec<_> =
            update.withdrawn.paths().chain(update.mp_withdrawn.iter().flat_map(|nlri| nlri.paths())).collect();
        if !withdrawn.is_empty() {
            return format!("withdraw {}", list(withdrawn.into_iter().map(show_path)));
        }
        let parsed = update.attributes.parse(&self.context);
        assert_eq!(parsed.errors, [], "a speaker of ours sends nothing malformed");
        let (next_hop, prefixes): (IpAddr, Vec<_>) = match &update.mp_nlri {
            Some((next_hop, nlri)) => (next_hop.address, nlri.paths().collect()),
            None => (parsed.next_hop.unwrap().into(), update.nlri.paths().collect()),
        };
        format!("{} via {next_hop} {}", list(prefixes.into_iter().map(show_path)), show_attributes(&parsed.attributes))
    }
}

/// `10.0.0.0/8`, with its identifier `10.0.0.0/8#7`.
fn show_path((id, prefix): (Option<u32>, IpNet)) -> String {
    id.map_or_else(|| prefix.to_string(), |id| format!("{prefix}#{id}"))
}

/// An OPEN with both families.
pub(crate) fn open(number: u32, id: &str) -> Open {
    let multiprotocol = Family::ALL.map(|family| {
        let (afi, safi) = family.afi_safi();
        Capability::Multiprotocol { afi, safi }
    });
    let id = match address(id) {
        IpAddr::V4(id) => id,
        IpAddr::V6(_) => [192, 0, 2, 6].into(),
    };
    Open {
        asn: asn(number),
        hold_time: 90,
        router_id: BgpIdentifier::new(id).unwrap(),
        capabilities: multiprotocol
            .into_iter()
            .chain([Capability::RouteRefresh, Capability::FourOctetAs(number)])
            .collect(),
    }
}

/// The capabilities of graceful restart, as people see them.
fn restart_of(open: &Open) -> String {
    let is_it =
        |capability: &&Capability| matches!(capability, Capability::GracefulRestart(_) | Capability::LongLived(_));
    open.capabilities.iter().filter(is_it).map(|capability| format!(" {}", capability.name())).collect()
}

/// Attributes with nothing but a path.
pub(crate) fn path(asns: &[u32]) -> PathAttributes {
    PathAttributes {
        as_path: asns.iter().map(|number| Asn::new(*number).unwrap()).collect(),
        ..PathAttributes::default()
    }
}

fn show_notification(notification: &Notification) -> String {
    format!("notification {}/{} {}", notification.code, notification.subcode, notification.text())
}

fn show_attributes(attributes: &PathAttributes) -> String {
    let mut text = format!("{} [{}]", attributes.origin, attributes.as_path);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(" {name} {value}"));
        }
    };
    add("med", attributes.med.map(|med| med.to_string()));
    add("pref", attributes.local_pref.map(|local_pref| local_pref.to_string()));
    add("atomic", attributes.atomic_aggregate.then(|| "yes".to_owned()));
    add("aggregator", attributes.aggregator.map(|aggregator| format!("{} {}", aggregator.asn, aggregator.address)));
    add("communities", some_list(&attributes.communities));
    add("originator", attributes.originator_id.map(|id| id.to_string()));
    add("clusters", some_list(&attributes.cluster_list));
    add("large", some_list(&attributes.large_communities));
    add("otc", attributes.only_to_customer.map(|asn| asn.to_string()));
    add("unknown", (!attributes.unknown.is_empty()).then(|| format!("{:?}", attributes.unknown)));
    text
}

fn some_list<T: std::fmt::Display>(items: &[T]) -> Option<String> {
    (!items.is_empty()).then(|| list(items))
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}
