//! The site of every test here, and the gateway's configuration in it.
//!
//! ```text
//! gateway 192.0.2.1 --- switch --- 192.0.2.2 daemon
//!                          |
//!                      192.0.2.3 third
//! ```

use std::fmt::Write as _;
use std::net::IpAddr;

use vpngw::lab::site::{Gateway, Link, Node, Port, Site};

use crate::common::daemon::{Attributes, Route};

pub(crate) const GATEWAY: &str = "192.0.2.1";
pub(crate) const GATEWAY_IPV6: &str = "2001:db8::1";
pub(crate) const DAEMON: &str = "192.0.2.2";
pub(crate) const DAEMON_IPV6: &str = "2001:db8::2";
pub(crate) const THIRD: &str = "192.0.2.3";
pub(crate) const THIRD_IPV6: &str = "2001:db8::3";

/// The gateway's AS: of four octets.
pub(crate) const OUR_AS: u32 = 4_200_000_513;
/// The daemon's.
pub(crate) const THEIR_AS: u32 = 64_600;
/// That of a third, whose routes the gateway passes on.
pub(crate) const THIRD_AS: u32 = 65_010;

/// What the gateway is told.
pub(crate) struct Config {
    asn: u32,
    sections: String,
    routes: Vec<Route>,
}

impl Config {
    /// With one neighbor by the name of `daemon` for each address; `keys` stand in each of its sections.
    pub(crate) fn new(neighbors: &[&str], asn: u32, keys: &str) -> Self {
        let mut config = Self { asn: OUR_AS, sections: String::new(), routes: Vec::new() };
        for address in neighbors {
            config = config.neighbor(&name(address), address, asn, keys);
        }
        config
    }

    /// One more neighbor.
    #[must_use]
    pub(crate) fn neighbor(mut self, name: &str, address: &str, asn: u32, keys: &str) -> Self {
        writeln!(
            self.sections,
            "[[bgp.neighbor]]\nname = \"{name}\"\naddress = \"{address}\"\nasn = {asn}\nconnect-retry = \"1s\"\n\
             import = \"accept-all\"\nexport = \"out\"\n{keys}"
        )
        .unwrap();
        self
    }

    /// The neighbor `third`.
    #[must_use]
    pub(crate) fn third(self, keys: &str) -> Self {
        self.neighbor("third", THIRD, THIRD_AS, keys)
    }

    /// Prefixes of its own, told with these attributes.
    #[must_use]
    pub(crate) fn routes(mut self, routes: &[Route]) -> Self {
        self.routes.extend_from_slice(routes);
        self
    }

    fn text(&self) -> String {
        let mut text = format!(
            "[router]\nasn = {}\nrouter-id = \"{GATEWAY}\"\n\n[bgp]\nlisten = [\"[::]:179\"]\n\n{}\n\
             [control]\nsocket = \"${{LAB}}/gateway.sock\"\n\n[log]\nlevel = \"debug\"\n",
            self.asn, self.sections
        );
        for route in &self.routes {
            writeln!(text, "[[bgp.originate]]\nprefix = \"{}\"", route.prefix).unwrap();
        }
        for route in self.routes.iter().filter(|route| route.attributes != Attributes::default()) {
            let (prefix, set) = (route.prefix, set(&route.attributes));
            writeln!(
                text,
                "[[policy.out]]\nmatch = {{ prefix = \"{prefix}\" }}\nset = {{ {set} }}\naction = \"accept\""
            )
            .unwrap();
        }
        text + "[[policy.out]]\naction = \"accept\"\n"
    }

    pub(crate) fn site(&self) -> Site {
        let port = |node, addresses: &[&str]| Port::new(node, "eth0", addresses);
        Site {
            name: "interop",
            drawing: "",
            nodes: vec![Node::router("gateway"), Node::router("daemon"), Node::router("third")],
            links: vec![Link::new(
                "switch",
                vec![
                    port("gateway", &["192.0.2.1/24", "2001:db8::1/64"]),
                    port("daemon", &["192.0.2.2/24", "2001:db8::2/64"]),
                    port("third", &["192.0.2.3/24", "2001:db8::3/64"]),
                ],
            )],
            gateways: vec![Gateway { name: "gateway", node: "gateway", config: self.text() }],
            expectations: Vec::new(),
        }
    }
}

/// What the gateway calls the neighbor with this address, where nothing else is said.
pub(crate) fn name(address: &str) -> String {
    let family = if address.parse::<IpAddr>().unwrap().is_ipv4() { "ipv4" } else { "ipv6" };
    format!("daemon-{family}")
}

/// `set` of a policy's rule.
fn set(attributes: &Attributes) -> String {
    let mut keys = Vec::new();
    let mut list = |key: &str, texts: Vec<String>| {
        if !texts.is_empty() {
            let texts: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
            keys.push(format!("{key} = [{}]", texts.join(", ")));
        }
    };
    list("add-community", attributes.communities.iter().map(|(asn, value)| format!("{asn}:{value}")).collect());
    let large = attributes.large_communities.iter().map(|(global, one, two)| format!("{global}:{one}:{two}"));
    list("add-large-community", large.collect());
    let extended = attributes.extended_communities.iter().map(|community| format!("0x{community:016x}"));
    list("add-extended-community", extended.collect());
    if let Some(med) = attributes.med {
        keys.push(format!("med = {med}"));
    }
    if let Some(local_pref) = attributes.local_pref {
        keys.push(format!("local-pref = {local_pref}"));
    }
    if !attributes.as_path.is_empty() {
        keys.push(format!("prepend = {}", attributes.as_path.len()));
    }
    keys.join(", ")
}
