//! FRR behind the questions of [`Daemon`]: told by `vtysh` while it runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use bgpd::types::Family;
use ipnet::IpNet;
use serde_json::{Deserializer, Value};

use super::attributes::{as_path, community, extended_community, extended_text, large_community, number, parsed};
use super::{
    Attributes, Counters, Daemon, Feature, Lab, Origin, Route, Session, Settings, State, Table, family_number,
};
use crate::common::{eventually, frr};

/// A running FRR and what it was told.
pub struct Frr {
    settings: Settings,
    frr: frr::Frr,
    log: PathBuf,
    name: String,
}

impl Daemon for Frr {
    const NAME: &'static str = "FRR";
    const PROGRAMS: &'static [&'static str] = &["zebra", "vtysh"];

    fn lacks(feature: Feature) -> Option<&'static str> {
        match feature {
            Feature::TwoOctetAs => Some("it has no switch for it"),
            _ => None,
        }
    }

    async fn start(lab: &mut Lab, node: &str, settings: &Settings) -> Self {
        let name = format!("{node}-frr");
        let log = lab.running.directory().file(&format!("{name}-bgpd.log"));
        let frr = Self { settings: settings.clone(), frr: lab.frr(&name, node, &text(settings)).await, log, name };
        eventually("FRR", async || frr.frr.vtysh(&["show bgp summary"])).await;
        frr
    }

    async fn kill(self, lab: &mut Lab) {
        for daemon in ["bgpd", "zebra"] {
            lab.kill(&format!("{}-{daemon}", self.name)).await;
        }
    }

    fn change(&mut self, edit: impl FnOnce(&mut Settings)) -> anyhow::Result<()> {
        let before = self.settings.clone();
        edit(&mut self.settings);
        let (gone, new) = before.difference(&self.settings);
        let mut lines = String::new();
        for prefix in gone {
            let family = family_number(Family::of(&prefix));
            lines += &in_family(&self.settings, family, &format!("no network {prefix}"));
        }
        for route in new {
            lines += &route_map(&route);
            lines += &in_family(&self.settings, family_number(route.family()), &network(&route));
        }
        let commands: Vec<&str> = ["configure terminal"].into_iter().chain(lines.lines()).collect();
        self.frr.vtysh(&commands).map(drop)
    }

    fn session(&self, neighbor: IpAddr) -> anyhow::Result<State> {
        let shown = self.frr.ask(&format!("show bgp neighbors {neighbor} json"))?;
        let shown = &shown[neighbor.to_string()];
        Ok(State { established: shown["bgpState"] == "Established", text: shown.to_string() })
    }

    fn received(&self, neighbor: IpAddr) -> anyhow::Result<Table> {
        let prefixes = self.prefixes(neighbor)?;
        if prefixes.is_empty() {
            return Ok(Table::new());
        }
        let commands: Vec<String> = prefixes
            .iter()
            .map(|prefix| format!("show bgp ipv{} unicast {prefix} json", family_number(Family::of(prefix))))
            .collect();
        let text = self.frr.vtysh(&commands.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut table = Table::new();
        for (shown, prefix) in Deserializer::from_str(&text).into_iter::<Value>().zip(prefixes) {
            let shown = shown?;
            let paths = shown["paths"].as_array().map(Vec::as_slice).unwrap_or_default();
            let path = paths.iter().find(|path| path["peer"]["peerId"] == neighbor.to_string());
            table.insert(prefix, attributes(path.with_context(|| shown.to_string())?)?);
        }
        Ok(table)
    }

    fn prefixes(&self, neighbor: IpAddr) -> anyhow::Result<BTreeSet<IpNet>> {
        let session = self.settings.sessions.iter().find(|session| session.neighbor == neighbor);
        let mut prefixes = BTreeSet::new();
        for family in &session.with_context(|| format!("FRR has no neighbor {neighbor}"))?.families {
            let family = family_number(*family);
            let shown = self.frr.ask(&format!("show bgp ipv{family} unicast neighbors {neighbor} routes json"))?;
            let routes = shown["routes"].as_object().map(|routes| routes.keys()).into_iter().flatten();
            for prefix in routes {
                prefixes.insert(prefix.parse().with_context(|| prefix.clone())?);
            }
        }
        Ok(prefixes)
    }

    fn counters(&self, neighbor: IpAddr) -> anyhow::Result<Counters> {
        let shown = self.frr.ask(&format!("show bgp neighbors {neighbor} json"))?;
        let counts = &shown[neighbor.to_string()]["messageStats"];
        let count = |key: &str| counts[key].as_u64().with_context(|| counts.to_string());
        Ok(Counters { updates: count("updatesRecv")?, route_refreshes: count("routeRefreshRecv")? })
    }

    fn said(&self) -> anyhow::Result<String> {
        std::fs::read_to_string(&self.log).map_err(Into::into)
    }

    fn says_of_cease(subcode: u8) -> &'static str {
        match subcode {
            1 => " 6/1 (Cease/Maximum Number of Prefixes Reached)",
            2 => " 6/2 (Cease/Administrative Shutdown)",
            4 => " 6/4 (Cease/Administrative Reset)",
            _ => " 6/",
        }
    }

    fn refresh(&self, neighbor: IpAddr) -> anyhow::Result<()> {
        self.frr.vtysh(&[&format!("clear bgp {neighbor} soft in")]).map(drop)
    }

    fn disable(&self, neighbor: IpAddr, message: &str) -> anyhow::Result<()> {
        self.configure(&format!("neighbor {neighbor} shutdown message {message}"))
    }

    fn enable(&self, neighbor: IpAddr) -> anyhow::Result<()> {
        self.configure(&format!("no neighbor {neighbor} shutdown"))
    }
}

impl Frr {
    /// A line of `router bgp`.
    fn configure(&self, line: &str) -> anyhow::Result<()> {
        let router = format!("router bgp {}", self.settings.asn);
        self.frr.vtysh(&["configure terminal", &router, line]).map(drop)
    }
}

fn text(settings: &Settings) -> String {
    // A route map that changes takes effect after a timer.
    let mut text = String::from("bgp route-map delay-timer 0\n");
    text.extend(settings.routes.iter().map(route_map));
    writeln!(
        text,
        "router bgp {}\n bgp router-id {}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         no bgp default ipv4-unicast\n bgp log-neighbor-changes",
        settings.asn, settings.router_id
    )
    .unwrap();
    for session in &settings.sessions {
        text += &neighbor(session);
    }
    for family in Family::ALL {
        writeln!(text, " address-family ipv{} unicast", family_number(family)).unwrap();
        for session in settings.sessions.iter().filter(|session| session.families.contains(&family)) {
            writeln!(text, "  neighbor {} activate", session.neighbor).unwrap();
            if session.client {
                writeln!(text, "  neighbor {} route-reflector-client", session.neighbor).unwrap();
            }
            if let Some(limit) = session.max_prefixes {
                writeln!(text, "  neighbor {} maximum-prefix {limit}", session.neighbor).unwrap();
            }
        }
        for route in settings.routes.iter().filter(|route| route.family() == family) {
            writeln!(text, "  {}", network(route)).unwrap();
        }
        text += " exit-address-family\n";
    }
    text
}

fn neighbor(session: &Session) -> String {
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, " neighbor {} {line}", session.neighbor).unwrap();
    line(&format!("remote-as {}", session.asn));
    line("timers connect 1");
    line(&format!("update-source {}", session.local));
    if session.passive {
        line("passive");
    }
    if let Some(password) = &session.password {
        line(&format!("password {password}"));
    }
    if let Some(hops) = session.ttl_security {
        line(&format!("ttl-security hops {hops}"));
    }
    if let Some(ttl) = session.multihop {
        line(&format!("ebgp-multihop {ttl}"));
    }
    if let Some(seconds) = session.hold_time {
        line(&format!("timers {} {seconds}", seconds / 3));
    }
    text + &session.extra(" ")
}

/// The lines around one of an address family.
fn in_family(settings: &Settings, family: &str, line: &str) -> String {
    format!("router bgp {}\naddress-family ipv{family} unicast\n{line}\nexit\nexit\n", settings.asn)
}

fn network(route: &Route) -> String {
    if route.attributes == Attributes::default() {
        return format!("network {}", route.prefix);
    }
    format!("network {} route-map {}", route.prefix, map_name(route))
}

fn map_name(route: &Route) -> String {
    format!("own-{}", route.prefix.to_string().replace('/', "-"))
}

fn route_map(route: &Route) -> String {
    let attributes = &route.attributes;
    if *attributes == Attributes::default() {
        return String::new();
    }
    let name = map_name(route);
    let mut text = format!("no route-map {name}\nroute-map {name} permit 10\n");
    if attributes.origin != Origin::Igp {
        writeln!(text, " set origin {}", attributes.origin.name()).unwrap();
    }
    if let Some(med) = attributes.med {
        writeln!(text, " set metric {med}").unwrap();
    }
    let mut list = |what: &str, words: Vec<String>| {
        if !words.is_empty() {
            writeln!(text, " set {what} {}", words.join(" ")).unwrap();
        }
    };
    list("as-path prepend", attributes.as_path.iter().map(u32::to_string).collect());
    list("community", attributes.communities.iter().map(|(asn, value)| format!("{asn}:{value}")).collect());
    let large = attributes.large_communities.iter().map(|(global, one, two)| format!("{global}:{one}:{two}"));
    list("large-community", large.collect());
    for kind in ["rt", "ro"] {
        let texts = attributes.extended_communities.iter().map(|community| extended_text(*community));
        let words = texts.filter(|(found, _)| *found == kind).map(|(_, value)| value).collect();
        list(if kind == "rt" { "extcommunity rt" } else { "extcommunity soo" }, words);
    }
    text + "exit\n"
}

fn attributes(path: &Value) -> anyhow::Result<Attributes> {
    let next_hops = path["nexthops"].as_array().map(Vec::as_slice).unwrap_or_default();
    // Beside a global address there may be the link-local one.
    let global = next_hops.iter().find(|next_hop| next_hop["scope"] != "link-local");
    let extended = path["extendedCommunity"]["string"].as_str().unwrap_or_default();
    Ok(Attributes {
        origin: Origin::parse(path["origin"].as_str().context("origin")?)?,
        as_path: as_path(path["aspath"]["string"].as_str().context("aspath")?.trim_start_matches("Local"))?,
        next_hop: global.and_then(|next_hop| next_hop["ip"].as_str()?.parse().ok()),
        med: number(&path["metric"]),
        local_pref: number(&path["locPrf"]),
        communities: parsed(&path["community"]["list"], community)?,
        large_communities: parsed(&path["largeCommunity"]["list"], large_community)?,
        extended_communities: extended
            .split_whitespace()
            .map(|text| {
                let (kind, value) = text.split_once(':').with_context(|| text.to_owned())?;
                extended_community(kind, value)
            })
            .collect::<anyhow::Result<_>>()?,
        originator: path["originatorId"].as_str().and_then(|text| text.parse().ok()),
        cluster_list: path["clusterList"]["list"]
            .as_array()
            .map(|list| list.iter().filter_map(|address| address.as_str()?.parse().ok()).collect())
            .unwrap_or_default(),
    })
}
