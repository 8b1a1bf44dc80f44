//! GoBGP behind the questions of [`Daemon`]: sessions from its file, routes by `gobgp mrt inject`.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use bgpd::types::Family;
use serde_json::Value;

use super::attributes::{extended_community, number};
use super::{Attributes, Counters, Daemon, Feature, Lab, Origin, Route, Session, Settings, State, Table, mrt};
use crate::common::{PAUSE, gobgp};

/// `session_state` of GoBGP's API.
const ESTABLISHED: u64 = 6;
/// Of a command that loses some of what it is given.
const TRIES: usize = 100;

/// A running GoBGP and what it was told.
pub struct GoBgp {
    settings: Settings,
    gobgp: gobgp::GoBgp,
    table: PathBuf,
    log: PathBuf,
    process: String,
}

impl Daemon for GoBgp {
    const NAME: &'static str = "GoBGP";
    const PROGRAMS: &'static [&'static str] = &["gobgpd", "gobgp"];

    fn lacks(feature: Feature) -> Option<&'static str> {
        match feature {
            Feature::TwoOctetAs => Some("it has no switch for it"),
            Feature::AskRefresh => Some("`softresetin` looks at what it has kept, and asks nobody"),
            Feature::HoldTimeZero => Some("it refuses a session without a hold time"),
            _ => None,
        }
    }

    async fn start(lab: &mut Lab, node: &str, settings: &Settings) -> Self {
        let process = format!("{node}-gobgp");
        let gobgp = lab.gobgpd(&process, node, &text(settings), &["--log-level=info"]).await;
        let table = lab.running.directory().file(&format!("{process}.mrt"));
        let log = table.with_extension("log");
        let daemon = Self { settings: settings.clone(), gobgp, table, log, process };
        daemon.announce(&settings.routes).unwrap();
        daemon
    }

    async fn kill(self, lab: &mut Lab) {
        lab.kill(&self.process).await;
    }

    fn change(&mut self, edit: impl FnOnce(&mut Settings)) -> anyhow::Result<()> {
        let before = self.settings.clone();
        edit(&mut self.settings);
        let (gone, new) = before.difference(&self.settings);
        for prefix in gone {
            self.gobgp.run(&["global", "rib", "del", "-a", family_name(Family::of(&prefix)), &prefix.to_string()])?;
        }
        self.announce(&new)
    }

    fn session(&self, neighbor: IpAddr) -> anyhow::Result<State> {
        let shown = self.gobgp.ask(&["neighbor", &neighbor.to_string()])?;
        let established = shown["state"]["session_state"].as_u64() == Some(ESTABLISHED);
        Ok(State { established, text: shown.to_string() })
    }

    fn received(&self, neighbor: IpAddr) -> anyhow::Result<Table> {
        let session = self.settings.sessions.iter().find(|session| session.neighbor == neighbor);
        let mut table = Table::new();
        for family in &session.with_context(|| format!("GoBGP has no neighbor {neighbor}"))?.families {
            let shown = self.gobgp.ask(&["neighbor", &neighbor.to_string(), "adj-in", "-a", family_name(*family)])?;
            for (prefix, paths) in shown.as_object().into_iter().flatten() {
                table.insert(prefix.parse().with_context(|| prefix.clone())?, attributes(&paths[0]["attrs"])?);
            }
        }
        Ok(table)
    }

    fn counters(&self, neighbor: IpAddr) -> anyhow::Result<Counters> {
        let shown = self.gobgp.ask(&["neighbor", &neighbor.to_string()])?;
        // What is 0 is left out.
        let count = |key: &str| shown["state"]["messages"]["received"][key].as_u64().unwrap_or_default();
        Ok(Counters { updates: count("update"), route_refreshes: count("refresh") })
    }

    fn said(&self) -> anyhow::Result<String> {
        std::fs::read_to_string(&self.log).map_err(Into::into)
    }

    fn says_of_cease(subcode: u8) -> &'static str {
        match subcode {
            1 => "notification-received code 6(cease) subcode 1(",
            2 => "notification-received code 6(cease) subcode 2(",
            4 => "notification-received code 6(cease) subcode 4(",
            _ => "notification-received code 6(cease)",
        }
    }

    fn refresh(&self, neighbor: IpAddr) -> anyhow::Result<()> {
        self.gobgp.run(&["neighbor", &neighbor.to_string(), "softresetin"]).map(drop)
    }

    fn disable(&self, neighbor: IpAddr, message: &str) -> anyhow::Result<()> {
        // `disable` has the same flag, and does not send it.
        self.gobgp.run(&["neighbor", &neighbor.to_string(), "shutdown", "--reason", message])?;
        self.gobgp.run(&["neighbor", &neighbor.to_string(), "disable"]).map(drop)
    }

    fn enable(&self, neighbor: IpAddr) -> anyhow::Result<()> {
        self.gobgp.run(&["neighbor", &neighbor.to_string(), "enable"]).map(drop)
    }
}

impl GoBgp {
    fn announce(&self, routes: &[Route]) -> anyhow::Result<()> {
        let wanted: Table = routes
            .iter()
            .map(|route| {
                let attributes = Attributes { next_hop: self.next_hop(route.family()), ..route.attributes.clone() };
                (route.prefix, attributes)
            })
            .collect();
        // The command ends before its last routes were taken, and succeeds whatever happens: each time others are the last.
        for first in 0..TRIES {
            if self.holds(&wanted)? {
                return Ok(());
            }
            let routes = wanted.iter().cycle().skip(first % wanted.len()).take(2 * wanted.len());
            std::fs::write(&self.table, mrt::table(routes))?;
            self.gobgp.run(&["mrt", "inject", "global", &self.table.display().to_string()])?;
            std::thread::sleep(PAUSE);
        }
        bail!("GoBGP does not take {} routes", routes.len());
    }

    /// Whether these are in its table.
    fn holds(&self, wanted: &Table) -> anyhow::Result<bool> {
        for family in Family::ALL {
            let mut wanted = wanted.iter().filter(|(prefix, _)| Family::of(prefix) == family).peekable();
            if wanted.peek().is_none() {
                continue;
            }
            let shown = self.gobgp.ask(&["global", "rib", "-a", family_name(family)])?;
            for (prefix, wanted) in wanted {
                let paths = shown[prefix.to_string()].as_array().map(Vec::as_slice).unwrap_or_default();
                if !paths.iter().any(|path| attributes(&path["attrs"]).is_ok_and(|found| found == *wanted)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Its own address of that family.
    fn next_hop(&self, family: Family) -> Option<IpAddr> {
        let mut addresses = self.settings.sessions.iter().flat_map(|session| [Some(session.local), session.local_ipv6]);
        addresses.find_map(|address| address.filter(|address| Family::of_address(address) == family))
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

fn text(settings: &Settings) -> String {
    let mut locals: Vec<String> = settings.sessions.iter().map(|session| format!("\"{}\"", session.local)).collect();
    locals.dedup();
    let mut text = format!(
        "[global.config]\n  as = {}\n  router-id = \"{}\"\n  port = 179\n  local-address-list = [{}]\n",
        settings.asn,
        settings.router_id,
        locals.join(", ")
    );
    for session in &settings.sessions {
        text += &neighbor(session);
    }
    text
}

fn neighbor(session: &Session) -> String {
    let mut text = format!(
        "[[neighbors]]\n  [neighbors.config]\n    neighbor-address = \"{}\"\n    peer-as = {}\n",
        session.neighbor, session.asn
    );
    if let Some(password) = &session.password {
        writeln!(text, "    auth-password = \"{password}\"").unwrap();
    }
    text += "  [neighbors.timers.config]\n    connect-retry = 5\n    idle-hold-time-after-reset = 1\n";
    if let Some(seconds) = session.hold_time {
        writeln!(text, "    hold-time = {seconds}\n    keepalive-interval = {}", seconds / 3).unwrap();
    }
    writeln!(text, "  [neighbors.transport.config]\n    local-address = \"{}\"", session.local).unwrap();
    if session.passive {
        text += "    passive-mode = true\n";
    }
    if let Some(hops) = session.ttl_security {
        let least = u16::from(u8::MAX) + 1 - u16::from(hops);
        writeln!(text, "  [neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = {least}").unwrap();
    }
    if let Some(ttl) = session.multihop {
        writeln!(text, "  [neighbors.ebgp-multihop.config]\n    enabled = true\n    multihop-ttl = {ttl}").unwrap();
    }
    if session.client {
        text += "  [neighbors.route-reflector.config]\n    route-reflector-client = true\n";
    }
    text += &session.extra("  ");
    for family in &session.families {
        let family = family_name(*family);
        writeln!(
            text,
            "  [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = \"{family}-unicast\""
        )
        .unwrap();
        if let Some(limit) = session.max_prefixes {
            writeln!(text, "    [neighbors.afi-safis.prefix-limit.config]\n      max-prefixes = {limit}").unwrap();
        }
    }
    text
}

fn attributes(list: &Value) -> anyhow::Result<Attributes> {
    let mut attributes = Attributes::default();
    for attribute in list.as_array().with_context(|| list.to_string())? {
        set(&mut attributes, attribute).with_context(|| attribute.to_string())?;
    }
    Ok(attributes)
}

fn set(attributes: &mut Attributes, shown: &Value) -> anyhow::Result<()> {
    let items = |key: &str| shown[key].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    match shown["type"].as_u64() {
        Some(1) => {
            attributes.origin = match shown["value"].as_u64() {
                Some(0) => Origin::Igp,
                Some(1) => Origin::Egp,
                _ => Origin::Incomplete,
            }
        }
        Some(2) => {
            let segments = items("as_paths").filter_map(|segment| segment["asns"].as_array());
            attributes.as_path = segments.flatten().filter_map(number).collect();
        }
        Some(3 | 14) => attributes.next_hop = shown["nexthop"].as_str().and_then(|text| text.parse().ok()),
        Some(4) => attributes.med = number(&shown["metric"]),
        Some(5) => attributes.local_pref = number(&shown["value"]),
        Some(8) => {
            let numbers = items("communities").filter_map(number);
            attributes.communities = numbers.map(|value| ((value >> 16) as u16, value as u16)).collect();
        }
        Some(9) => attributes.originator = shown["value"].as_str().and_then(|text| text.parse().ok()),
        Some(10) => {
            attributes.cluster_list = items("value").filter_map(|address| address.as_str()?.parse().ok()).collect();
        }
        Some(16) => attributes.extended_communities = items("value").map(extended).collect::<anyhow::Result<_>>()?,
        Some(32) => {
            let part = |community: &Value, key: &str| number(&community[key]).unwrap_or_default();
            attributes.large_communities = items("value")
                .map(|shown| (part(shown, "ASN"), part(shown, "LocalData1"), part(shown, "LocalData2")))
                .collect();
        }
        _ => {}
    }
    Ok(())
}

/// `{"type": 2, "subtype": 2, "value": "64086.59904:9"}`
fn extended(shown: &Value) -> anyhow::Result<u64> {
    let kind = if shown["subtype"] == 3 { "ro" } else { "rt" };
    let value = shown["value"].as_str().context("value")?;
    let (administrator, local) = value.split_once(':').with_context(|| value.to_owned())?;
    match administrator.split_once('.') {
        // An AS number of four octets, in two halves.
        Some((high, low)) if shown["type"] == 2 => {
            let asn = high.parse::<u32>()? << 16 | low.parse::<u32>()?;
            extended_community(kind, &format!("{asn}:{local}"))
        }
        _ => extended_community(kind, value),
    }
}
