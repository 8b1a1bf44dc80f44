//! OpenBGPD: one file, `bgpctl` reloads it and prints JSON.
//!
//! The package's own directory for its chroot, `/run/openbgpd`, is made by systemd; here each one gets a `/run` of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use bgpd::types::Family;
use ipnet::IpNet;
use serde_json::Value;

use super::attributes::{as_path, community, extended_community, extended_text, large_community, number, parsed};
use super::{Attributes, Counters, Daemon, Feature, Lab, Origin, Session, Settings, State, Table};
use crate::common::{eventually, output};

/// A running OpenBGPD.
pub struct OpenBgpd {
    settings: Settings,
    config: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    process: String,
}

impl Daemon for OpenBgpd {
    const NAME: &'static str = "OpenBGPD";
    const PROGRAMS: &'static [&'static str] = &["bgpctl", "unshare", "mount"];

    fn lacks(feature: Feature) -> Option<&'static str> {
        match feature {
            Feature::AsPath => Some("its networks can only be prepended with its own AS"),
            Feature::ListenWithPassword => {
                Some("on Linux it sets the key on connections that it dials, not where it listens")
            }
            Feature::TwoOctetAs => Some("it has no switch for it"),
            _ => None,
        }
    }

    async fn start(lab: &mut Lab, node: &str, settings: &Settings) -> Self {
        let socket = lab.running.directory().file(&format!("{node}-openbgpd.sock"));
        let process = format!("{node}-openbgpd");
        let (config, log) = (socket.with_extension("conf"), socket.with_extension("log"));
        let bgpd = Self { settings: settings.clone(), config, socket, log, process };
        bgpd.write().unwrap();
        let mut command = lab.node(node).command("unshare");
        command.args(["--mount", "sh", "-c"]);
        command.arg("mount -t tmpfs tmpfs /run && mkdir /run/openbgpd && exec /usr/sbin/bgpd -d -f \"$0\"");
        command.arg(&bgpd.config);
        lab.running.run(&bgpd.process, command).unwrap();
        eventually("OpenBGPD", async || bgpd.ask(&["show", "summary"])).await;
        bgpd
    }

    async fn kill(self, lab: &mut Lab) {
        // Its three children see their pipe close.
        lab.kill(&self.process).await;
    }

    fn change(&mut self, edit: impl FnOnce(&mut Settings)) -> anyhow::Result<()> {
        edit(&mut self.settings);
        self.write()?;
        self.command(&["reload"]).map(drop)
    }

    fn session(&self, neighbor: IpAddr) -> anyhow::Result<State> {
        let shown = self.ask(&["show", "neighbor", &neighbor.to_string()])?;
        let established = shown["neighbors"][0]["state"] == "Established";
        Ok(State { established, text: shown["neighbors"][0].to_string() })
    }

    fn received(&self, neighbor: IpAddr) -> anyhow::Result<Table> {
        let shown = self.ask(&["show", "rib", "in", "detail", "neighbor", &neighbor.to_string()])?;
        let routes = shown["rib"].as_array().map(Vec::as_slice).unwrap_or_default();
        routes.iter().map(|route| Ok((prefix(route)?, attributes(route)?))).collect()
    }

    fn prefixes(&self, neighbor: IpAddr) -> anyhow::Result<BTreeSet<IpNet>> {
        let shown = self.ask(&["show", "rib", "in", "neighbor", &neighbor.to_string()])?;
        shown["rib"].as_array().map(Vec::as_slice).unwrap_or_default().iter().map(prefix).collect()
    }

    fn counters(&self, neighbor: IpAddr) -> anyhow::Result<Counters> {
        let shown = self.ask(&["show", "neighbor", &neighbor.to_string()])?;
        let counts = &shown["neighbors"][0]["stats"]["message"]["received"];
        let count = |key: &str| counts[key].as_u64().with_context(|| shown.to_string());
        Ok(Counters { updates: count("updates")?, route_refreshes: count("route_refresh")? })
    }

    fn said(&self) -> anyhow::Result<String> {
        std::fs::read_to_string(&self.log).map_err(Into::into)
    }

    fn says_of_cease(subcode: u8) -> &'static str {
        match subcode {
            1 => "received notification: Cease, received max-prefix exceeded",
            2 => "received notification: Cease, administratively down",
            4 => "received notification: Cease, administrative reset",
            _ => "received notification: Cease",
        }
    }

    fn refresh(&self, neighbor: IpAddr) -> anyhow::Result<()> {
        self.command(&["neighbor", &neighbor.to_string(), "refresh"]).map(drop)
    }

    fn disable(&self, neighbor: IpAddr, message: &str) -> anyhow::Result<()> {
        self.command(&["neighbor", &neighbor.to_string(), "down", message]).map(drop)
    }

    fn enable(&self, neighbor: IpAddr) -> anyhow::Result<()> {
        self.command(&["neighbor", &neighbor.to_string(), "up"]).map(drop)
    }
}

impl OpenBgpd {
    /// What `bgpctl -j` prints.
    pub fn ask(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.command(&[&["-j"], arguments].concat())?)?)
    }

    fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut bgpctl = Command::new("/usr/sbin/bgpctl");
        bgpctl.arg("-s").arg(&self.socket).args(arguments);
        output(bgpctl)
    }

    fn write(&self) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;

        std::fs::write(&self.config, format!("socket \"{}\"\n{}", self.socket.display(), text(&self.settings)))?;
        // It refuses one that others may read.
        std::fs::set_permissions(&self.config, std::fs::Permissions::from_mode(0o600)).map_err(Into::into)
    }
}

fn text(settings: &Settings) -> String {
    let mut text = format!("AS {}\nrouter-id {}\nfib-update no\nconnect-retry 1\n", settings.asn, settings.router_id);
    let locals: BTreeSet<IpAddr> = settings.sessions.iter().map(|session| session.local).collect();
    for local in locals {
        writeln!(text, "listen on {local}").unwrap();
    }
    for route in &settings.routes {
        writeln!(text, "network {} {}", route.prefix, set(&route.attributes)).unwrap();
    }
    for (number, session) in settings.sessions.iter().enumerate() {
        text += &neighbor(number, session);
    }
    text += "allow from any\nallow to any\n";
    for Session { neighbor, local_ipv6, .. } in &settings.sessions {
        // Without a view of the kernel, which it has on OpenBSD only, it would tell `::1` on an IPv4 session; a next hop
        // that is set counts only where the session is multihop, and only as one that was not modified.
        if let Some(address) = local_ipv6 {
            writeln!(text, "match to {neighbor} inet6 set nexthop {address}").unwrap();
            writeln!(text, "match to {neighbor} inet6 set nexthop no-modify").unwrap();
        }
    }
    text
}

fn set(attributes: &Attributes) -> String {
    let mut text = String::new();
    if attributes.origin != Origin::Igp {
        write!(text, " origin {}", attributes.origin.name()).unwrap();
    }
    if let Some(med) = attributes.med {
        write!(text, " metric {med}").unwrap();
    }
    for (asn, value) in &attributes.communities {
        write!(text, " community {asn}:{value}").unwrap();
    }
    for (global, one, two) in &attributes.large_communities {
        write!(text, " large-community {global}:{one}:{two}").unwrap();
    }
    for community in &attributes.extended_communities {
        let (kind, value) = extended_text(*community);
        write!(text, " ext-community {} {value}", if kind == "ro" { "soo" } else { kind }).unwrap();
    }
    if text.is_empty() { text } else { format!("set {{{text} }}") }
}

fn neighbor(number: usize, session: &Session) -> String {
    let mut text = format!(
        "neighbor {} {{\n descr \"session{number}\"\n remote-as {}\n local-address {}\n",
        session.neighbor, session.asn, session.local
    );
    let mut line = |line: String| writeln!(text, " {line}").unwrap();
    for family in Family::ALL {
        let name = if family == Family::Ipv4 { "IPv4" } else { "IPv6" };
        let what = if session.families.contains(&family) { "unicast" } else { "none" };
        line(format!("announce {name} {what}"));
    }
    if session.passive {
        line("passive".to_owned());
    }
    if let Some(password) = &session.password {
        line(format!("tcp md5sig password {password}"));
    }
    if let Some(hops) = session.ttl_security {
        line("ttl-security yes".to_owned());
        if hops > 1 {
            line(format!("multihop {hops}"));
        }
    }
    if let Some(ttl) = session.multihop.or(session.local_ipv6.map(|_| 2)) {
        line(format!("multihop {ttl}"));
    }
    // It takes 0, and offers 3 at least.
    if let Some(seconds) = session.hold_time.filter(|seconds| *seconds > 0) {
        line(format!("holdtime {seconds}"));
    }
    if let Some(limit) = session.max_prefixes {
        line(format!("max-prefix {limit}"));
    }
    if session.client {
        line("route-reflector".to_owned());
    }
    text += &session.extra(" ");
    text + "}\n"
}

fn prefix(route: &Value) -> anyhow::Result<IpNet> {
    Ok(route["prefix"].as_str().context("prefix")?.parse()?)
}

fn attributes(route: &Value) -> anyhow::Result<Attributes> {
    let text = |key: &str| route[key].as_str().with_context(|| format!("{key} in {route}"));
    // What it has no column for.
    let others = route["attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let attribute = |key: &str| others.iter().find_map(|other| other.get(key));
    Ok(Attributes {
        origin: Origin::parse(text("origin")?)?,
        as_path: as_path(text("aspath")?)?,
        next_hop: Some(text("exit_nexthop")?.parse()?),
        // It shows 0 where there is none.
        med: number(&route["metric"]).filter(|med| *med != 0),
        local_pref: number(&route["localpref"]),
        communities: parsed(&route["communities"], community)?,
        large_communities: parsed(&route["large_communities"], large_community)?,
        extended_communities: parsed(&route["extended_communities"], |text| {
            let (kind, value) = text.split_once(' ').with_context(|| text.to_owned())?;
            extended_community(kind, value)
        })?,
        originator: attribute("originator").and_then(|address| address.as_str()?.parse().ok()),
        cluster_list: attribute("cluster_list")
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(|address| address.as_str()?.parse().ok()).collect())
            .unwrap_or_default(),
    })
}
