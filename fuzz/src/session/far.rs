//! Neighbors that are played: what they say, and what they have been told.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bgpd::settings::RemoteAs;
use bgpd::types::{BgpIdentifier, Community, ConnectionId, Family};
use bgpd::view::SessionState;
use bgpd::wire::{
    Capability, Context, MAX_MESSAGE, Message, MpNextHop, Open, PathAttributes, RouteRefresh, Update, decode,
    frame_length, write_keepalive, write_reach, write_route_refresh, write_unreach,
};
use bytes::{BufMut, BytesMut};
use ipnet::IpNet;

use super::bench::{Bench, address, asn};

/// A neighbor of the bench.
pub(crate) struct Far {
    pub(crate) name: &'static str,
    pub(crate) at: &'static str,
    pub(crate) asn: u32,
    pub(crate) internal: bool,
    connection: ConnectionId,
    /// The paths that the speaker has from it, as they were said.
    pub(crate) said: BTreeMap<IpNet, Variant>,
    /// What it has heard, each path with its next hop.
    pub(crate) told: BTreeMap<IpNet, (PathAttributes, IpAddr)>,
}

/// A path that it may have: a few that are alike enough to compete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Variant(pub(crate) u8);

impl Far {
    pub(crate) fn all() -> [Self; 4] {
        let far = |name, at, asn| Self {
            name,
            at,
            asn,
            internal: asn == 64512,
            connection: ConnectionId(0),
            said: BTreeMap::new(),
            told: BTreeMap::new(),
        };
        [
            far("left", "10.0.0.11", 64513),
            far("right", "10.0.0.12", 64514),
            far("inner", "10.0.0.21", 64512),
            far("client", "10.0.0.22", 64512),
        ]
    }

    pub(crate) fn remote_as(&self) -> RemoteAs {
        RemoteAs::OneOf(vec![asn(self.asn)])
    }

    pub(crate) fn context(&self) -> Context {
        Context { internal: self.internal, enforce_first_asn: false, ..Context::new(asn(self.asn)) }
    }

    pub(crate) fn is_up(&self, bench: &Bench) -> bool {
        bench.is_open(self.connection) && bench.state(self.name) == SessionState::Established
    }

    /// Opens a session where it has none.
    pub(crate) fn connect(&mut self, bench: &mut Bench, number: u64) {
        if bench.is_open(self.connection) {
            return;
        }
        self.forget();
        self.connection = ConnectionId(number);
        bench.accept(self.connection, self.at);
        let mut out = BytesMut::new();
        self.open().write(&mut out);
        write_keepalive(&mut out);
        bench.receive(self.connection, &out);
    }

    fn open(&self) -> Open {
        let IpAddr::V4(id) = address(self.at) else { unreachable!("all have IPv4 addresses") };
        let families = Family::ALL.map(Capability::from);
        Open {
            asn: asn(self.asn),
            hold_time: 0xFFFF,
            router_id: BgpIdentifier::new(id).unwrap_or_else(|| unreachable!("none is zero")),
            capabilities: families
                .into_iter()
                .chain([Capability::RouteRefresh, Capability::FourOctetAs(self.asn)])
                .collect(),
        }
    }

    pub(crate) fn close(&mut self, bench: &mut Bench) {
        bench.close(self.connection);
        self.forget();
    }

    pub(crate) fn forget(&mut self) {
        self.said.clear();
        self.told.clear();
    }

    pub(crate) fn set_deaf(&self, bench: &mut Bench, deaf: bool) {
        bench.set_deaf(self.connection, deaf);
    }

    pub(crate) fn announce(&mut self, bench: &mut Bench, prefix: IpNet, variant: Variant) {
        if !self.is_up(bench) {
            return;
        }
        let next_hop = MpNextHop { address: variant.next_hop(self.at, prefix), link_local: None };
        let mut out = BytesMut::new();
        write_reach(&mut out, &self.context(), &variant.attributes(self.asn, self.internal), next_hop, &[prefix]);
        bench.receive(self.connection, &out);
        self.said.insert(prefix, variant);
    }

    pub(crate) fn withdraw(&mut self, bench: &mut Bench, prefix: IpNet) {
        let mut out = BytesMut::new();
        write_unreach(&mut out, &self.context(), &[prefix]);
        self.say(bench, &out);
        self.said.remove(&prefix);
    }

    /// RFC 7606: an ORIGIN that there is not withdraws.
    pub(crate) fn malform(&mut self, bench: &mut Bench, prefix: IpNet) {
        let IpNet::V4(net) = prefix else { return };
        let mut out = BytesMut::new();
        out.put_bytes(0xFF, 16);
        out.put_slice(&[0, 19 + 4 + 4 + 4, 2, 0, 0, 0, 4, 0x40, 1, 1, 7, 24]);
        out.put_slice(&net.addr().octets()[..3]);
        self.say(bench, &out);
        self.said.remove(&prefix);
    }

    pub(crate) fn refresh(&mut self, bench: &mut Bench, family: Family) {
        let mut out = BytesMut::new();
        write_route_refresh(family, RouteRefresh::REQUEST, &mut out);
        self.say(bench, &out);
    }

    /// While the session is up: a message before that ends the connection.
    pub(crate) fn say(&mut self, bench: &mut Bench, bytes: &[u8]) {
        if self.is_up(bench) {
            bench.receive(self.connection, bytes);
        }
    }

    /// Reads what came.
    pub(crate) fn hear(&mut self, bench: &mut Bench) {
        let mut heard = bench.heard(self.connection);
        while let Ok(Some(length)) = frame_length(&heard, MAX_MESSAGE) {
            let frame = heard.split_to(length);
            match decode(&frame, &self.context()) {
                Ok(Message::Update(update)) => self.hear_update(&update),
                Ok(_) => {}
                Err(error) => panic!("{} cannot read what it hears: {error}", self.name),
            }
        }
        assert!(heard.is_empty(), "{} hears half a message", self.name);
    }

    fn hear_update(&mut self, update: &Update<'_>) {
        for prefix in update.withdrawn.iter().chain(update.mp_withdrawn.iter().flat_map(|nlri| nlri.iter())) {
            assert!(self.told.remove(&prefix).is_some(), "{} never heard of {prefix}", self.name);
        }
        let parsed = update.attributes.parse(&self.context());
        assert_eq!(parsed.errors, [], "{} hears something malformed", self.name);
        let own = parsed
            .next_hop
            .into_iter()
            .flat_map(|next_hop| update.nlri.iter().map(move |prefix| (prefix, next_hop.into())));
        let mp =
            update.mp_nlri.iter().flat_map(|(next_hop, nlri)| nlri.iter().map(|prefix| (prefix, next_hop.address)));
        for (prefix, next_hop) in own.chain(mp) {
            self.told.insert(prefix, (parsed.attributes.clone(), next_hop));
        }
    }
}

impl Variant {
    /// Whether it may leave the AS, or be told to anybody.
    pub(crate) fn community(self) -> Option<Community> {
        match self.0 >> 5 {
            6 => Some(Community::NO_EXPORT),
            7 => Some(Community::NO_ADVERTISE),
            _ => None,
        }
    }

    fn attributes(self, number: u32, internal: bool) -> PathAttributes {
        let bit = |bit: u8| self.0 >> bit & 1;
        let first = (!internal).then_some(number);
        let path = first.into_iter().chain([65001, 65002].into_iter().take(usize::from(bit(0)) + 1));
        PathAttributes {
            as_path: path.map(asn).collect(),
            med: (bit(1) == 1).then_some(u32::from(bit(2))),
            local_pref: internal.then_some(100 + u32::from(bit(3))),
            communities: self.community().into_iter().collect(),
            ..PathAttributes::default()
        }
    }

    fn next_hop(self, at: &str, prefix: IpNet) -> IpAddr {
        match (prefix, self.0 >> 4 & 1) {
            (IpNet::V4(_), 0) => address(at),
            (IpNet::V4(_), _) => address("10.0.0.99"),
            (IpNet::V6(_), 0) => address("fd00::11"),
            (IpNet::V6(_), _) => address("fd00::99"),
        }
    }
}
