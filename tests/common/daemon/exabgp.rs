//! ExaBGP: commands go in by a file that a process of its API follows, and what it hears comes out as a line of JSON each.
//!
//! It has no table of its own to compare with: what it was told is what its events add up to.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use bgpd::types::Family;
use ipnet::IpNet;
use serde_json::Value;

use super::attributes::number;
use super::{Attributes, Counters, Daemon, Feature, Lab, Origin, Route, Session, Settings, State, Table};
use crate::common::eventually;

/// A running ExaBGP.
pub struct ExaBgp {
    settings: Settings,
    commands: PathBuf,
    events: PathBuf,
    process: String,
}

impl Daemon for ExaBgp {
    const NAME: &'static str = "ExaBGP";
    const PROGRAMS: &'static [&'static str] = &["exabgp", "tail"];

    fn lacks(feature: Feature) -> Option<&'static str> {
        match feature {
            Feature::SendShutdownMessage => Some("its text is always \"Administrative Shutdown\""),
            Feature::StayDown => Some("it dials again at once"),
            Feature::MaxPrefixes => Some("it keeps no count"),
            Feature::Reflect => Some("it passes nothing on"),
            Feature::BeAsked => Some("it drops the connection at the first request, and dials again"),
            _ => None,
        }
    }

    async fn start(lab: &mut Lab, node: &str, settings: &Settings) -> Self {
        let process = format!("{node}-exabgp");
        let commands = lab.file(&format!("{process}.commands"), "");
        let events = lab.file(&format!("{process}.events"), "");
        let script = format!(
            "exec 3<&0\ncat <&3 >>{} 3<&- &\nexec tail -n +1 -f {} 3<&-\n",
            events.display(),
            commands.display()
        );
        let script = lab.file(&format!("{process}.sh"), &script);
        let config = format!("process api {{ run /bin/sh {}; encoder json; }}\n{}", script.display(), text(settings));
        let config = lab.file(&format!("{process}.conf"), &config);
        let daemon = Self { settings: settings.clone(), commands, events, process };
        daemon.announce(&settings.routes).unwrap();
        let mut command = lab.node(node).command("/usr/sbin/exabgp");
        command.arg(config).env("exabgp.daemon.drop", "false").env("exabgp.api.cli", "false");
        // Answers would come between the events.
        command.env("exabgp.api.ack", "false");
        let mut listen: Vec<String> = settings.sessions.iter().map(|session| session.local.to_string()).collect();
        listen.dedup();
        command.env("exabgp.tcp.bind", listen.join(" "));
        lab.running.run(&daemon.process, command).unwrap();
        eventually("ExaBGP", async || {
            let log = lab.running.process(&daemon.process)?.output();
            ensure!(log.contains("loaded new configuration successfully"), "{log}");
            Ok(())
        })
        .await;
        daemon
    }

    async fn kill(self, lab: &mut Lab) {
        // The process of its API sees its pipe close.
        lab.kill(&self.process).await;
    }

    fn change(&mut self, edit: impl FnOnce(&mut Settings)) -> anyhow::Result<()> {
        let before = self.settings.clone();
        edit(&mut self.settings);
        let (gone, new) = before.difference(&self.settings);
        let mut lines = String::new();
        for prefix in gone {
            for session in self.sessions_of(Family::of(&prefix)) {
                let next_hop = next_hop(session, Family::of(&prefix));
                writeln!(lines, "neighbor {} withdraw route {prefix} next-hop {next_hop}", session.neighbor)?;
            }
        }
        self.tell(&lines)?;
        self.announce(&new)
    }

    fn session(&self, neighbor: IpAddr) -> anyhow::Result<State> {
        let events = self.events(neighbor)?;
        let last = events.iter().rfind(|event| event["type"] == "state").map(|event| &event["neighbor"]["state"]);
        let established = last.is_some_and(|state| state == "up");
        let shown = events.iter().filter(|event| event["type"] != "update");
        Ok(State { established, text: shown.map(|event| format!("{}\n", event["neighbor"])).collect() })
    }

    fn received(&self, neighbor: IpAddr) -> anyhow::Result<Table> {
        let mut table = Table::new();
        for event in self.events(neighbor)? {
            if event["neighbor"]["state"] == "down" {
                table.clear();
            }
            apply(&mut table, &event["neighbor"]["message"]["update"])?;
        }
        Ok(table)
    }

    fn counters(&self, neighbor: IpAddr) -> anyhow::Result<Counters> {
        let events = self.events(neighbor)?;
        // Each comes parsed, and as a packet with a category.
        let count = |kind: &str| {
            let of_kind = events.iter().filter(|event| event["type"] == kind);
            of_kind.filter(|event| event["neighbor"]["message"]["category"].is_null()).count() as u64
        };
        Ok(Counters { updates: count("update"), route_refreshes: count("refresh") })
    }

    fn said(&self) -> anyhow::Result<String> {
        let mut said = String::new();
        for session in &self.settings.sessions {
            for event in self.events(session.neighbor)? {
                match event["neighbor"]["message"]["body"].as_str().filter(|_| event["type"] == "notification") {
                    Some(body) => said += &notification(body)?,
                    None => writeln!(said, "{}", event["neighbor"])?,
                }
            }
        }
        Ok(said)
    }

    fn says_of_cease(subcode: u8) -> &'static str {
        match subcode {
            1 => "NOTIFICATION 6/1",
            2 => "NOTIFICATION 6/2",
            4 => "NOTIFICATION 6/4",
            _ => "NOTIFICATION 6/",
        }
    }

    fn refresh(&self, neighbor: IpAddr) -> anyhow::Result<()> {
        let session = self.settings.sessions.iter().find(|session| session.neighbor == neighbor);
        let mut lines = String::new();
        for family in &session.with_context(|| format!("ExaBGP has no neighbor {neighbor}"))?.families {
            writeln!(lines, "neighbor {neighbor} announce route-refresh {}", family_name(*family))?;
        }
        self.tell(&lines)
    }

    fn disable(&self, neighbor: IpAddr, _: &str) -> anyhow::Result<()> {
        self.tell(&format!("neighbor {neighbor} teardown 2\n"))
    }

    fn enable(&self, _: IpAddr) -> anyhow::Result<()> {
        Ok(())
    }
}

impl ExaBgp {
    /// Commands of its API, a line each.
    pub fn tell(&self, lines: &str) -> anyhow::Result<()> {
        let mut file = fs::File::options().append(true).open(&self.commands)?;
        Ok(file.write_all(lines.as_bytes())?)
    }

    /// What it has heard of a neighbor since it was started, the oldest first.
    pub fn events(&self, neighbor: IpAddr) -> anyhow::Result<Vec<Value>> {
        let text = String::from_utf8_lossy(&fs::read(&self.events)?).into_owned();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let events: Vec<Value> =
            whole.lines().filter(|line| line.starts_with('{')).map(event).collect::<Result<_, _>>()?;
        let peer = neighbor.to_string();
        Ok(events.into_iter().filter(|event| event["neighbor"]["address"]["peer"] == peer.as_str()).collect())
    }

    fn sessions_of(&self, family: Family) -> impl Iterator<Item = &Session> {
        self.settings.sessions.iter().filter(move |session| session.families.contains(&family))
    }

    fn announce(&self, routes: &[Route]) -> anyhow::Result<()> {
        let mut lines = String::new();
        for route in routes {
            for session in self.sessions_of(route.family()) {
                let words = words(self.settings.asn, session, route);
                writeln!(lines, "neighbor {} announce route {} {words}", session.neighbor, route.prefix)?;
            }
        }
        self.tell(&lines)
    }
}

/// Code and subcode, and the text behind them where there is one (RFC 9003).
fn notification(body: &str) -> anyhow::Result<String> {
    let digits = body.trim_start_matches("0x");
    let octets = (0..digits.len() / 2).map(|index| u8::from_str_radix(&digits[2 * index..2 * index + 2], 16));
    let octets: Vec<u8> = octets.collect::<Result<_, _>>().with_context(|| body.to_owned())?;
    ensure!(octets.len() >= 2, "{body}");
    Ok(format!(
        "NOTIFICATION {}/{} {}\n",
        octets[0],
        octets[1],
        String::from_utf8_lossy(octets.get(3..).unwrap_or_default())
    ))
}

/// A line of the API. That of a ROUTE-REFRESH has its quotes twice, that of an end what the NOTIFICATION had, as it was.
fn event(line: &str) -> anyhow::Result<Value> {
    let line = line.replace(char::is_control, " ");
    let parsed = serde_json::from_str(&line).or_else(|_| serde_json::from_str(&line.replace("\"\"", "\"")));
    parsed.with_context(|| line.clone())
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4 unicast",
        Family::Ipv6 => "ipv6 unicast",
    }
}

fn text(settings: &Settings) -> String {
    settings.sessions.iter().map(|session| neighbor(settings, session)).collect()
}

fn neighbor(settings: &Settings, session: &Session) -> String {
    let mut text = format!(
        "neighbor {} {{\n router-id {};\n local-address {};\n local-as {};\n peer-as {};\n",
        session.neighbor, settings.router_id, session.local, settings.asn, session.asn
    );
    let mut line = |line: String| writeln!(text, " {line};").unwrap();
    line(format!("passive {}", session.passive));
    line("listen 179".to_owned());
    if let Some(seconds) = session.hold_time {
        line(format!("hold-time {seconds}"));
    }
    if let Some(password) = &session.password {
        line(format!("md5-password \"{password}\""));
    }
    if let Some(hops) = session.ttl_security {
        line("outgoing-ttl 255".to_owned());
        line(format!("incoming-ttl {}", u16::from(u8::MAX) + 1 - u16::from(hops)));
    }
    if let Some(ttl) = session.multihop {
        line(format!("outgoing-ttl {ttl}"));
    }
    text += &session.extra(" ");
    text += " family {\n";
    for family in &session.families {
        writeln!(text, "  {};", family_name(*family)).unwrap();
    }
    let asn4 = if session.four_octet_as { "enable" } else { "disable" };
    writeln!(text, " }}\n capability {{\n  asn4 {asn4};\n  route-refresh enable;\n }}").unwrap();
    text += " api {\n  processes [ api ];\n  neighbor-changes;\n";
    // A shutdown communication stops its parser of NOTIFICATION: only the packet shows it.
    text += "  receive {\n   parsed;\n   packets;\n   open;\n   update;\n   notification;\n   refresh;\n  }\n }\n}\n";
    text
}

fn next_hop(session: &Session, family: Family) -> String {
    match (family, session.local_ipv6) {
        (Family::Ipv6, Some(address)) => address.to_string(),
        _ => "self".to_owned(),
    }
}

/// What stands behind the prefix.
fn words(asn: u32, session: &Session, route: &Route) -> String {
    let attributes = &route.attributes;
    let mut text = format!("next-hop {} origin {}", next_hop(session, route.family()), attributes.origin.name());
    let mut list = |what: &str, words: Vec<String>| {
        if !words.is_empty() {
            write!(text, " {what} [ {} ]", words.join(" ")).unwrap();
        }
    };
    if !attributes.as_path.is_empty() {
        // It leaves a path that it was given as it is.
        let own = (asn != session.asn).then_some(asn);
        list("as-path", own.iter().chain(&attributes.as_path).map(u32::to_string).collect());
    }
    list("community", attributes.communities.iter().map(|(asn, value)| format!("{asn}:{value}")).collect());
    let large = attributes.large_communities.iter().map(|(global, one, two)| format!("{global}:{one}:{two}"));
    list("large-community", large.collect());
    let extended = attributes.extended_communities.iter().map(|community| format!("0x{community:016x}"));
    list("extended-community", extended.collect());
    if let Some(med) = attributes.med {
        write!(text, " med {med}").unwrap();
    }
    if let Some(local_pref) = attributes.local_pref {
        write!(text, " local-preference {local_pref}").unwrap();
    }
    if let Some(originator) = attributes.originator {
        write!(text, " originator-id {originator}").unwrap();
    }
    if !attributes.cluster_list.is_empty() {
        let clusters: Vec<String> = attributes.cluster_list.iter().map(ToString::to_string).collect();
        write!(text, " cluster-list [ {} ]", clusters.join(" ")).unwrap();
    }
    text
}

/// What an UPDATE does to the table.
fn apply(table: &mut Table, update: &Value) -> anyhow::Result<()> {
    for withdrawn in update["withdraw"].as_object().into_iter().flat_map(|families| families.values()) {
        for nlri in withdrawn.as_array().into_iter().flatten() {
            table.remove(&prefix(nlri)?);
        }
    }
    for next_hops in update["announce"].as_object().into_iter().flat_map(|families| families.values()) {
        for (next_hop, prefixes) in next_hops.as_object().into_iter().flatten() {
            // Beside a global address the link-local one is told as another next hop of the same prefixes.
            if next_hop.starts_with("fe80:") && next_hops.as_object().is_some_and(|all| all.len() > 1) {
                continue;
            }
            let attributes = attributes(next_hop, &update["attribute"])?;
            for nlri in prefixes.as_array().into_iter().flatten() {
                table.insert(prefix(nlri)?, attributes.clone());
            }
        }
    }
    Ok(())
}

fn prefix(nlri: &Value) -> anyhow::Result<IpNet> {
    nlri["nlri"].as_str().with_context(|| nlri.to_string())?.parse().with_context(|| nlri.to_string())
}

fn attributes(next_hop: &str, shown: &Value) -> anyhow::Result<Attributes> {
    let items = |key: &str| shown[key].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let part = |list: &Value, index: usize| number(&list[index]).unwrap_or_default();
    Ok(Attributes {
        origin: Origin::parse(shown["origin"].as_str().with_context(|| shown.to_string())?)?,
        as_path: items("as-path").filter_map(number).collect(),
        next_hop: Some(next_hop.parse()?),
        med: number(&shown["med"]),
        local_pref: number(&shown["local-preference"]),
        communities: items("community").map(|pair| (part(pair, 0) as u16, part(pair, 1) as u16)).collect(),
        large_communities: items("large-community")
            .map(|three| (part(three, 0), part(three, 1), part(three, 2)))
            .collect(),
        extended_communities: items("extended-community").filter_map(|shown| shown["value"].as_u64()).collect(),
        originator: shown["originator-id"].as_str().and_then(|text| text.parse().ok()),
        cluster_list: items("cluster-list").filter_map(|address| address.as_str()?.parse().ok()).collect(),
    })
}
