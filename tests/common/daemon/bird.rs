//! BIRD 2: one file, `birdc` reads it again and prints tables for people.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use bgpd::types::Family;
use ipnet::IpNet;

use super::attributes::{as_path, extended_community, extended_text};
use super::{Attributes, Counters, Daemon, Feature, Lab, Origin, Session, Settings, State, Table, family_number};
use crate::common::{eventually, output};

/// A running BIRD.
pub struct Bird {
    settings: Settings,
    config: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    process: String,
}

impl Daemon for Bird {
    const NAME: &'static str = "BIRD";
    const PROGRAMS: &'static [&'static str] = &["bird", "birdc"];

    fn lacks(feature: Feature) -> Option<&'static str> {
        match feature {
            Feature::TwoOctetAs => Some("its switch `enable as4` is for sessions with older BIRDs: ExaBGP shows it"),
            _ => None,
        }
    }

    async fn start(lab: &mut Lab, node: &str, settings: &Settings) -> Self {
        let config = lab.file(&format!("{node}-bird.conf"), &text(settings));
        let socket = lab.running.directory().file(&format!("{node}-bird.ctl"));
        let process = format!("{node}-bird");
        let log = lab.running.directory().file(&format!("{process}.log"));
        let mut command = lab.node(node).command("/usr/sbin/bird");
        command.args(["-f", "-c"]).arg(&config).arg("-s").arg(&socket).arg("-P").arg(socket.with_extension("pid"));
        lab.running.run(&process, command).unwrap();
        let bird = Self { settings: settings.clone(), config, socket, log, process };
        eventually("BIRD", async || bird.ask("show status")).await;
        bird
    }

    async fn kill(self, lab: &mut Lab) {
        lab.kill(&self.process).await;
    }

    fn change(&mut self, edit: impl FnOnce(&mut Settings)) -> anyhow::Result<()> {
        edit(&mut self.settings);
        std::fs::write(&self.config, text(&self.settings))?;
        self.ask("configure").map(drop)
    }

    fn session(&self, neighbor: IpAddr) -> anyhow::Result<State> {
        let text = self.ask(&format!("show protocols all {}", self.protocol(neighbor)?))?;
        Ok(State { established: text.contains("BGP state:          Established"), text })
    }

    fn received(&self, neighbor: IpAddr) -> anyhow::Result<Table> {
        table(&self.ask(&format!("show route all protocol {}", self.protocol(neighbor)?))?)
    }

    fn counters(&self, neighbor: IpAddr) -> anyhow::Result<Counters> {
        let name = self.protocol(neighbor)?;
        let shown = self.ask(&format!("show protocols all {name}"))?;
        // A line for each family; the first number is what was received.
        let lines = shown.lines().filter_map(|line| line.trim().strip_prefix("Import updates:"));
        let numbers = lines.map(|line| line.split_whitespace().next().unwrap_or_default().parse::<u64>());
        let updates = numbers.sum::<Result<u64, _>>().with_context(|| shown.clone())?;
        let route_refreshes = self.said()?.matches(&format!("{name}: Got ROUTE-REFRESH")).count() as u64;
        Ok(Counters { updates, route_refreshes })
    }

    fn said(&self) -> anyhow::Result<String> {
        std::fs::read_to_string(&self.log).map_err(Into::into)
    }

    fn says_of_cease(subcode: u8) -> &'static str {
        match subcode {
            1 => "Received: Maximum number of prefixes reached",
            2 => "Received: Administrative shutdown",
            4 => "Received: Administrative reset",
            _ => "Received: ",
        }
    }

    fn refresh(&self, neighbor: IpAddr) -> anyhow::Result<()> {
        self.ask(&format!("reload in {}", self.protocol(neighbor)?)).map(drop)
    }

    fn disable(&self, neighbor: IpAddr, message: &str) -> anyhow::Result<()> {
        self.ask(&format!("disable {} \"{message}\"", self.protocol(neighbor)?)).map(drop)
    }

    fn enable(&self, neighbor: IpAddr) -> anyhow::Result<()> {
        self.ask(&format!("enable {}", self.protocol(neighbor)?)).map(drop)
    }
}

impl Bird {
    /// What `birdc` prints.
    pub fn ask(&self, command: &str) -> anyhow::Result<String> {
        let mut birdc = Command::new("/usr/sbin/birdc");
        birdc.arg("-s").arg(&self.socket).args(command.split(' '));
        output(birdc)
    }

    /// Sessions are numbered as they were told.
    fn protocol(&self, neighbor: IpAddr) -> anyhow::Result<String> {
        let number = self.settings.sessions.iter().position(|session| session.neighbor == neighbor);
        Ok(format!("session{}", number.with_context(|| format!("BIRD has no neighbor {neighbor}"))?))
    }
}

fn text(settings: &Settings) -> String {
    let mut text = format!(
        "router id {};\nlog stderr all;\ndebug protocols {{ states, events, packets }};\nprotocol device {{ }}\n",
        settings.router_id
    );
    for family in Family::ALL {
        let number = family_number(family);
        writeln!(text, "protocol static own{number} {{\n ipv{number};").unwrap();
        for route in settings.routes.iter().filter(|route| route.family() == family) {
            writeln!(text, " route {} unreachable {{ {} }};", route.prefix, assignments(&route.attributes)).unwrap();
        }
        text += "}\n";
    }
    // A MED leaves towards another AS only where the export filter sets it.
    text += "filter told {\n";
    for route in &settings.routes {
        if let Some(med) = route.attributes.med {
            writeln!(text, " if net = {} then bgp_med = {med};", route.prefix).unwrap();
        }
    }
    text += " accept;\n}\n";
    for (number, session) in settings.sessions.iter().enumerate() {
        text += &protocol(number, settings.asn, session);
    }
    text
}

fn assignments(attributes: &Attributes) -> String {
    let mut text = String::new();
    for asn in attributes.as_path.iter().rev() {
        write!(text, "bgp_path.prepend({asn}); ").unwrap();
    }
    if attributes.origin != Origin::Igp {
        write!(text, "bgp_origin = ORIGIN_{}; ", attributes.origin.name().to_uppercase()).unwrap();
    }
    for (asn, value) in &attributes.communities {
        write!(text, "bgp_community.add(({asn},{value})); ").unwrap();
    }
    for (global, one, two) in &attributes.large_communities {
        write!(text, "bgp_large_community.add(({global},{one},{two})); ").unwrap();
    }
    for community in &attributes.extended_communities {
        let (kind, value) = extended_text(*community);
        write!(text, "bgp_ext_community.add(({kind},{})); ", value.replace(':', ",")).unwrap();
    }
    text
}

fn protocol(number: usize, asn: u32, session: &Session) -> String {
    let mut text = format!(
        "protocol bgp session{number} {{\n local {} as {asn};\n neighbor {} as {};\n connect retry time 1;\n \
         connect delay time 1;\n error wait time 1,1;\n",
        session.local, session.neighbor, session.asn
    );
    let mut line = |line: String| writeln!(text, " {line};").unwrap();
    if session.passive {
        line("passive".to_owned());
    }
    if let Some(password) = &session.password {
        line(format!("password \"{password}\""));
    }
    if let Some(hops) = session.ttl_security {
        line("ttl security on".to_owned());
        if hops > 1 {
            line(format!("multihop {hops}"));
        }
    }
    if let Some(ttl) = session.multihop {
        line(format!("multihop {ttl}"));
    }
    if let Some(seconds) = session.hold_time {
        line(format!("hold time {seconds}"));
    }
    if session.client {
        line("rr client".to_owned());
    }
    if !session.four_octet_as {
        line("enable as4 off".to_owned());
    }
    text += &session.extra(" ");
    for family in &session.families {
        write!(text, " ipv{} {{ import all; export filter told;", family_number(*family)).unwrap();
        if let (Family::Ipv6, Some(address)) = (family, session.local_ipv6) {
            write!(text, " next hop address {address};").unwrap();
        }
        if let Some(limit) = session.max_prefixes {
            write!(text, " receive limit {limit} action disable;").unwrap();
        }
        text += " };\n";
    }
    text += "}\n";
    text
}

/// Reads `show route all`: a line for each path, its attributes indented below.
fn table(text: &str) -> anyhow::Result<Table> {
    let mut table = Table::new();
    let mut prefix: Option<IpNet> = None;
    for line in text.lines() {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        if !line.starts_with([' ', '\t']) {
            prefix = line.split_whitespace().next().and_then(|word| word.parse().ok());
            if let Some(prefix) = prefix {
                table.insert(prefix, Attributes::default());
            }
        } else if let Some(attributes) = prefix.and_then(|prefix| table.get_mut(&prefix)) {
            set(attributes, name.trim(), value).with_context(|| line.to_owned())?;
        }
    }
    Ok(table)
}

fn set(attributes: &mut Attributes, name: &str, value: &str) -> anyhow::Result<()> {
    match name {
        "BGP.origin" => attributes.origin = Origin::parse(value)?,
        "BGP.as_path" => attributes.as_path = as_path(value)?,
        // Behind it the link-local one, where there are two.
        "BGP.next_hop" => attributes.next_hop = Some(value.split(' ').next().unwrap_or(value).parse()?),
        "BGP.med" => attributes.med = Some(value.parse()?),
        "BGP.local_pref" => attributes.local_pref = Some(value.parse()?),
        "BGP.originator_id" => attributes.originator = Some(value.parse()?),
        "BGP.cluster_list" => {
            attributes.cluster_list = value.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        }
        "BGP.community" => {
            attributes.communities =
                pairs(value).map(|pair| Ok((pair[0].parse()?, pair[1].parse()?))).collect::<anyhow::Result<_>>()?;
        }
        "BGP.large_community" => {
            attributes.large_communities = pairs(value)
                .map(|three| Ok((three[0].parse()?, three[1].parse()?, three[2].parse()?)))
                .collect::<anyhow::Result<_>>()?;
        }
        "BGP.ext_community" => {
            attributes.extended_communities = pairs(value)
                .map(|three| extended_community(three[0], &three[1..].join(":")))
                .collect::<anyhow::Result<_>>()?;
        }
        _ => {}
    }
    Ok(())
}

/// `(64512, 1) (65535, 65281)`
fn pairs(value: &str) -> impl Iterator<Item = Vec<&str>> {
    value.split(['(', ')']).filter(|part| !part.trim().is_empty()).map(|part| part.split(',').map(str::trim).collect())
}
