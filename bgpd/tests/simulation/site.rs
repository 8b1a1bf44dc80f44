//! Gateways of one AS, each with prefixes of its own and a share in some that several announce.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bgpd::settings::{DynamicNeighborSettings, NeighborSettings, RemoteAs, SessionSettings, Settings};
use ipnet::{IpNet, Ipv4Net};

use crate::network::{EVERYTHING, Network, Traffic};
use crate::settings::{Told, range, router};

/// The AS of all.
const AS: u32 = 64512;
/// How much longer the longest link takes than the shortest.
const SPREAD: Duration = Duration::from_millis(80);
/// No UPDATE for so long: it is over. Longer than a gateway waits between two tries to connect.
const QUIET: Duration = Duration::from_secs(30);
/// A power failure is noticed within the hold time, and who does not come back within the restart time is forgotten.
pub(crate) const MISSED: Duration = Duration::from_secs(90 + 120);

/// How the gateways hang together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// Every gateway has a session with each of two reflectors.
    Reflectors,
    /// Every gateway has a session with every other.
    Mesh,
}

/// Gateways, and what each originates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) shape: Shape,
    pub(crate) gateways: usize,
    /// Of its own, each.
    pub(crate) prefixes: usize,
    pub(crate) seed: u64,
}

/// Prefixes that several gateways announce: services.
const SERVICES: usize = 20;
/// How many gateways announce each.
const REPLICAS: usize = 3;

impl Site {
    pub(crate) fn reflectors(&self) -> usize {
        match self.shape {
            Shape::Reflectors => 2,
            Shape::Mesh => 0,
        }
    }

    /// Nobody has moved. The gateways come first, then the reflectors.
    pub(crate) fn build(&self) -> Network {
        let all = (0..self.gateways + self.reflectors()).map(|node| (self.address(node), self.settings(node)));
        let mut network = Network::new(self.seed, all);
        network.spread = SPREAD;
        network
    }

    pub(crate) fn address(&self, node: usize) -> IpAddr {
        Ipv4Addr::from(0x0A00_0001 + node as u32).into()
    }

    pub(crate) fn settings(&self, node: usize) -> Settings {
        let bare = router(AS, &self.address(node).to_string());
        if node >= self.gateways {
            return self.reflector(bare, node);
        }
        let neighbors = match self.shape {
            Shape::Reflectors => self.gateways..self.gateways + self.reflectors(),
            Shape::Mesh => 0..self.gateways,
        };
        let named = neighbors.filter(|other| *other != node);
        let prefixes: Vec<String> = self.originated(node).iter().map(IpNet::to_string).collect();
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        named
            .fold(bare, |settings, other| settings.with_neighbor(&format!("node-{other}"), self.internal(other)))
            .originating(&prefixes)
    }

    /// One listen range for all gateways, and a session with the other reflector.
    fn reflector(&self, bare: Settings, node: usize) -> Settings {
        let client = SessionSettings { route_reflector_client: true, ..internal_session() };
        let gateways = DynamicNeighborSettings { session: client, ..range("10.0.0.0/16", AS, self.gateways) };
        let others = (self.gateways..self.gateways + self.reflectors()).filter(|other| *other != node);
        others
            .fold(bare, |settings, other| settings.with_neighbor(&format!("node-{other}"), self.internal(other)))
            .with_range("gateways", gateways)
    }

    fn internal(&self, other: usize) -> NeighborSettings {
        NeighborSettings {
            asn: RemoteAs::Internal,
            session: internal_session(),
            ..crate::settings::neighbor(&self.address(other).to_string(), AS)
        }
    }

    /// By gateway: its own prefixes, and the services it has a share in.
    fn originated(&self, gateway: usize) -> Vec<IpNet> {
        let own = (0..self.prefixes).map(|index| own_prefix(gateway * self.prefixes + index));
        let services = (0..SERVICES).filter(|service| self.replicas(*service).any(|replica| replica == gateway));
        own.chain(services.map(service_prefix)).collect()
    }

    fn replicas(&self, service: usize) -> impl Iterator<Item = usize> {
        (0..REPLICAS.min(self.gateways))
            .map(move |replica| (service * 7 + replica * self.gateways / REPLICAS) % self.gateways)
    }

    /// Of every prefix the gateway whose path is best: where several announce it, all else being equal, that with the
    /// lowest identifier (RFC 4271 §9.1.2.2 f, RFC 4456 §9).
    pub(crate) fn owners(&self) -> BTreeMap<IpNet, usize> {
        let mut owners = BTreeMap::new();
        for gateway in (0..self.gateways).rev() {
            owners.extend(self.originated(gateway).into_iter().map(|prefix| (prefix, gateway)));
        }
        owners
    }
}

fn own_prefix(number: usize) -> IpNet {
    Ipv4Net::new(Ipv4Addr::from(0x6400_0000 + ((number as u32) << 8)), 24).unwrap().into()
}

fn service_prefix(number: usize) -> IpNet {
    Ipv4Net::new(Ipv4Addr::from(0xC0A8_0000 + number as u32), 32).unwrap().into()
}

/// As an internal neighbor without policies in a file of today.
fn internal_session() -> SessionSettings {
    SessionSettings::default()
}

/// Lets time pass until routes have been at rest for a while; when the last of them were put under way.
pub(crate) fn rest(network: &mut Network) -> Instant {
    loop {
        let last = network.last_update;
        network.run_for(QUIET);
        if network.last_update == last {
            return last;
        }
    }
}

/// What all have sent.
pub(crate) fn traffic(network: &Network) -> Traffic {
    network.nodes.iter().map(|node| node.sent).sum()
}

/// Every gateway has the best path of everybody's prefixes, and its FIB sends to the gateway that announces it.
/// `by`: the reflectors whose paths may be best; in a mesh nobody's.
pub(crate) fn assert_agreement(site: &Site, network: &Network, by: &[usize]) {
    let owners = site.owners();
    let clusters: Vec<Vec<Ipv4Addr>> = match site.shape {
        Shape::Mesh => vec![Vec::new()],
        Shape::Reflectors => by.iter().map(|node| vec![ipv4(site.address(*node))]).collect(),
    };
    for (gateway, node) in network.nodes.iter().enumerate().take(site.gateways) {
        let routes = node.speaker.routes(network.now, EVERYTHING);
        let best = routes.iter().filter(|route| route.paths.iter().any(|path| path.best)).map(|route| route.prefix);
        assert!(best.eq(owners.keys().copied()), "gateway {gateway} has {} prefixes of {}", routes.len(), owners.len());
        let own = site.originated(gateway);
        for route in &routes {
            let (prefix, path) = (route.prefix, &route.paths[0]);
            let why = || format!("gateway {gateway}, {prefix}: {path:?}");
            if own.contains(&prefix) {
                assert_eq!(path.neighbor, "originate", "{}", why()); // our own comes before learned ones
                continue;
            }
            let owner = site.address(owners[&prefix]);
            let attributes = &path.attributes;
            assert_eq!(path.next_hop, Some(owner), "{}", why());
            assert_eq!(attributes.as_path.to_string(), "", "{}", why());
            assert_eq!((attributes.local_pref, attributes.med), (Some(100), None), "{}", why());
            assert!(clusters.contains(&attributes.cluster_list), "{}", why());
            let originator = (site.shape == Shape::Reflectors).then(|| ipv4(owner));
            assert_eq!(attributes.originator_id, originator, "{}", why());
            assert_eq!(node.fib[&prefix].best.first().map(|next_hop| next_hop.address), Some(owner), "{}", why());
        }
    }
}

fn ipv4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => unreachable!("all nodes have IPv4 addresses"),
    }
}
