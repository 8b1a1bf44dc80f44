//! The site of every test here, and the gateway's configuration in it.
//!
//! ```text
//! gateway 192.0.2.1 --- switch --- 192.0.2.2 daemon
//!                          |
//!                      192.0.2.3 third
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use anyhow::{Context as _, ensure};
use ipnet::IpNet;
use serde_json::Value;
use vpngw::lab::site::{Gateway, Link, Node, Port, Site};

use crate::common::daemon::attributes::of_vpngw;
use crate::common::daemon::{Attributes, Daemon, Route, Session, Settings, Table};
use crate::common::{Lab, eventually};

pub(crate) const GATEWAY: &str = "192.0.2.1";
pub(crate) const GATEWAY_IPV6: &str = "2001:db8::1";
pub(crate) const DAEMON: &str = "192.0.2.2";
pub(crate) const DAEMON_IPV6: &str = "2001:db8::2";
/// The daemon's where a router stands between.
pub(crate) const FAR: &str = "198.51.100.2";
pub(crate) const FAR_IPV6: &str = "2001:db8:ffff::2";
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
    sections: String,
    routes: Vec<Route>,
}

impl Config {
    /// With one neighbor by the name of `daemon` for each address; `keys` stand in each of its sections.
    pub(crate) fn new(neighbors: &[&str], asn: u32, keys: &str) -> Self {
        let mut config = Self { sections: String::new(), routes: Vec::new() };
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

    /// Neighbors that dial in from the daemon's networks, by the name of `range`.
    #[must_use]
    pub(crate) fn range(mut self, asn: u32, keys: &str) -> Self {
        writeln!(
            self.sections,
            "[[bgp.dynamic-neighbor]]\nname = \"range\"\nrange = [\"192.0.2.0/24\", \"2001:db8::/64\"]\nasn = [{asn}]\n\
             limit = 4\nimport = \"accept-all\"\nexport = \"out\"\n{keys}"
        )
        .unwrap();
        self
    }

    /// Prefixes of its own, told with these attributes.
    #[must_use]
    pub(crate) fn routes(mut self, routes: &[Route]) -> Self {
        self.routes.extend_from_slice(routes);
        self
    }

    fn text(&self) -> String {
        let mut text = format!(
            "[router]\nasn = {OUR_AS}\nrouter-id = \"{GATEWAY}\"\n\n[bgp]\nlisten = [\"[::]:179\"]\n\n{}\n\
             [control]\nsocket = \"${{LAB}}/gateway.sock\"\n\n[log]\nlevel = \"debug\"\n",
            self.sections
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

    /// All on one switch.
    pub(crate) fn site(&self) -> Site {
        let switch = vec![
            port("gateway", "eth0", &[GATEWAY, GATEWAY_IPV6]),
            port("daemon", "eth0", &[DAEMON, DAEMON_IPV6]),
            port("third", "eth0", &[THIRD, THIRD_IPV6]),
        ];
        self.site_of([Node::router("gateway"), Node::router("daemon"), Node::router("third")], [("switch", switch)])
    }

    /// `third` is a router between the gateway and the daemon, which is at [`FAR`].
    pub(crate) fn beyond_a_router(&self) -> Site {
        let gateway = Node::router("gateway").route("198.51.100.0/24", THIRD).route("2001:db8:ffff::/64", THIRD_IPV6);
        let daemon =
            Node::router("daemon").route("192.0.2.0/24", "198.51.100.1").route("2001:db8::/64", "2001:db8:ffff::1");
        let near = vec![port("gateway", "eth0", &[GATEWAY, GATEWAY_IPV6]), port("third", "eth0", &[THIRD, THIRD_IPV6])];
        let far = vec![
            port("third", "eth1", &["198.51.100.1", "2001:db8:ffff::1"]),
            port("daemon", "eth0", &[FAR, FAR_IPV6]),
        ];
        self.site_of([gateway, daemon, Node::router("third")], [("near", near), ("far", far)])
    }

    fn site_of(&self, nodes: impl Into<Vec<Node>>, links: impl IntoIterator<Item = (&'static str, Vec<Port>)>) -> Site {
        Site {
            name: "interop",
            drawing: "",
            nodes: nodes.into(),
            links: links.into_iter().map(|(name, ports)| Link::new(name, ports)).collect(),
            gateways: vec![Gateway { name: "gateway", node: "gateway", config: self.text() }],
            expectations: Vec::new(),
        }
    }
}

fn port(node: &'static str, interface: &'static str, addresses: &[&str]) -> Port {
    let length = |address: &str| if address.contains(':') { 64 } else { 24 };
    let addresses: Vec<String> = addresses.iter().map(|address| format!("{address}/{}", length(address))).collect();
    Port::new(node, interface, &addresses.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The daemon's own.
pub(crate) fn settings(sessions: Vec<Session>, routes: &[Route]) -> Settings {
    Settings { asn: THEIR_AS, router_id: DAEMON.parse().unwrap(), sessions, routes: routes.to_vec() }
}

/// What the gateway shows of a neighbor.
pub(crate) fn neighbor(lab: &Lab, name: &str) -> anyhow::Result<Value> {
    lab.show("gateway", &["neighbor", name])
}

/// Whether the gateway's session with a neighbor is up; what it shows, where not.
pub(crate) fn established(lab: &Lab, name: &str) -> anyhow::Result<Value> {
    let shown = neighbor(lab, name)?;
    ensure!(shown["state"] == "established", "{shown}");
    Ok(shown)
}

/// What a neighbor has told the gateway and is not our own that came back: FRR sends everything to everybody, and it is
/// received and never used (RFC 4271 section 9.1.2).
pub(crate) fn received(lab: &Lab, name: &str) -> anyhow::Result<Table> {
    let mut table = of_vpngw(&lab.show("gateway", &["received", name])?)?;
    table.retain(|_, attributes| !attributes.as_path.contains(&OUR_AS));
    Ok(table)
}

/// Whether the only path that the daemon told for a prefix is taken (`None`), or is not for this reason.
pub(crate) fn fate_is(lab: &Lab, prefix: &str, rejected: Option<&str>) -> anyhow::Result<()> {
    let shown = lab.show("gateway", &["received", &name(DAEMON)])?;
    let routes = shown["routes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let route = routes.iter().find(|route| route["prefix"] == prefix).with_context(|| format!("{prefix}: {shown}"))?;
    let path = &route["paths"][0];
    ensure!(path["accepted"] == rejected.is_none() && path["rejected"].as_str() == rejected, "{path}");
    Ok(())
}

/// Waits until every session is up on both sides and the daemon's own prefixes are at the gateway.
pub(crate) async fn sessions_are_up<D: Daemon>(lab: &Lab, daemon: &D, settings: &Settings) {
    eventually(&format!("the sessions with {}", D::NAME), async || {
        let mut found = BTreeSet::new();
        for session in &settings.sessions {
            let name = name(&session.local.to_string());
            established(lab, &name)?;
            let state = daemon.session(session.neighbor)?;
            ensure!(state.established, "{}", state.text);
            found.extend(received(lab, &name)?.into_keys());
        }
        let wanted: BTreeSet<IpNet> = settings.routes.iter().map(|route| route.prefix).collect();
        ensure!(found == wanted, "found {found:?}, wanted {wanted:?}");
        Ok(())
    })
    .await;
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
