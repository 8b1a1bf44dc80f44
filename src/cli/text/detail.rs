//! What is not a table: one thing at a time, `name: value` lines as `wg show` has them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::table::state;
use super::tame;
use super::units::{bytes, duration};
use crate::control::api::{
    ConfigFiles, Counters, Family, Handshakes, LastError, Messages, Neighbor, Peer, PeerState, Peers, Status,
};

/// How many prefixes of BGP a peer shows before the rest is counted.
const SHOWN_PREFIXES: usize = 16;

/// How many digits of an error's data are shown.
const SHOWN_HEX: usize = 64;

pub(in crate::cli) fn status(status: &Status) -> String {
    let router = &status.router;
    let fib = &status.routes.fib;
    let tunnels = &status.tunnels;
    let mut lines = Lines::new("vpngw", &status.version);
    lines.add(
        "state",
        if status.ready { "ready".into() } else { format!("not ready: {}", status.not_ready.join("; ")) },
    );
    lines.add("uptime", duration(status.uptime_seconds));
    lines.maybe("as", router.asn);
    lines.maybe("router id", router.router_id);
    lines.add("peers", counts([("up", tunnels.up), ("suspect", tunnels.suspect), ("down", tunnels.down)]));
    lines.list("dropped", dropped(&tunnels.drops));
    lines.add("sessions", format!("{} of {} established", status.sessions.established, status.sessions.configured));
    lines.add("loc-rib", format!("{} prefixes", status.routes.loc_rib));
    let states = [
        ("installed", fib.installed),
        ("pending", fib.pending),
        ("failed", fib.failed),
        ("stale", fib.stale),
        ("foreign", fib.foreign),
    ];
    lines.add("fib", counts(states));
    for warning in &status.warnings {
        lines.add("warning", warning.clone());
    }
    lines.text
}

fn dropped(drops: &BTreeMap<String, u64>) -> impl Iterator<Item = String> {
    drops.iter().map(|(reason, count)| format!("{count} {reason}"))
}

/// Those that are not zero.
fn counts<const N: usize>(counts: [(&str, usize); N]) -> String {
    let text = some(counts.map(|(name, count)| (count as u64, name))).join(", ");
    if text.is_empty() { "none".into() } else { text }
}

pub(in crate::cli) fn neighbor(neighbor: &Neighbor) -> String {
    let mut lines = Lines::new("neighbor", &neighbor.name);
    lines.maybe("description", neighbor.description.as_ref());
    lines.add("address", neighbor.address.to_string());
    lines.maybe("as", neighbor.asn);
    lines.maybe("router id", neighbor.router_id);
    let uptime = neighbor.uptime_seconds.map(|seconds| format!(" for {}", duration(seconds)));
    lines.add("state", format!("{}{}", state(neighbor.state), uptime.unwrap_or_default()));
    lines.maybe("note", neighbor.note.as_ref());
    lines.maybe("via peer", neighbor.via.as_ref());
    lines.list("families", neighbor.families.iter().map(|family| family_name(*family)));
    lines.maybe("hold time", neighbor.hold_time_seconds.map(|seconds| format!("{seconds}s")));
    lines.list("capabilities", neighbor.capabilities.iter());
    let Neighbor { received, accepted, rejected, advertised, .. } = neighbor;
    let prefixes = format!("{received} received, {accepted} accepted, {rejected} rejected, {advertised} advertised");
    lines.add("prefixes", prefixes);
    lines.list("messages received", messages(&neighbor.messages_received).into_iter());
    lines.list("messages sent", messages(&neighbor.messages_sent).into_iter());
    lines.list("its updates", updates(&neighbor.counters).into_iter());
    for past in &neighbor.history {
        lines.add(if past.up { "up" } else { "down" }, format!("{}, at {}", past.text, past.at));
    }
    lines.maybe("last error", neighbor.last_error.as_ref().map(last_error));
    lines.text
}

fn messages(messages: &Messages) -> Vec<String> {
    let Messages { open, update, notification, keepalive, route_refresh } = *messages;
    some([
        (open, "open"),
        (update, "update"),
        (notification, "notification"),
        (keepalive, "keepalive"),
        (route_refresh, "route-refresh"),
    ])
}

fn updates(counters: &Counters) -> Vec<String> {
    some([
        (counters.announced, "prefixes announced"),
        (counters.withdrawn, "withdrawn"),
        (counters.discarded, "discarded by max-prefixes"),
        (counters.treat_as_withdraw, "updates treated as withdraw"),
        (counters.attribute_discard, "attributes dropped"),
        (counters.ignored_families, "updates of another family ignored"),
    ])
}

/// Those that are not zero.
fn some<const N: usize>(counts: [(u64, &str); N]) -> Vec<String> {
    counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect()
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

fn last_error(error: &LastError) -> String {
    let code = match (error.code, error.subcode) {
        (Some(code), Some(subcode)) => format!(" ({code}/{subcode})"),
        _ => String::new(),
    };
    let data = if error.data_hex.is_empty() { String::new() } else { format!(", data {}", shown_hex(&error.data_hex)) };
    format!("{}{code}{data}, at {}", error.text, error.at)
}

/// The whole of it is in `--json`.
fn shown_hex(hex: &str) -> String {
    match hex.get(..SHOWN_HEX) {
        Some(start) if start.len() < hex.len() => format!("{start}…"),
        _ => hex.to_owned(),
    }
}

pub(in crate::cli) fn peers(answer: &Peers) -> String {
    answer.peers.iter().map(peer).collect::<Vec<_>>().join("\n")
}

fn peer(peer: &Peer) -> String {
    let mut lines = Lines::new("peer", &peer.name);
    lines.add("public key", peer.public_key.clone());
    lines.add("endpoint", peer.endpoint.map_or_else(|| "not known yet".into(), |endpoint| endpoint.to_string()));
    let state = match peer.state {
        PeerState::Up => "up",
        PeerState::Suspect => "suspect: no answer for 15 s",
        PeerState::Down => "down",
    };
    lines.add("state", state.into());
    lines.maybe("note", peer.note.as_ref());
    let ago = |age: Option<u64>| age.map_or_else(|| "never".into(), |age| format!("{} ago", duration(age)));
    lines.add("latest handshake", ago(peer.handshake_age_seconds));
    lines.maybe("handshakes", handshakes(peer));
    lines.add("last heard", ago(peer.received_age_seconds));
    lines.add("last sent", ago(peer.sent_age_seconds));
    lines.list("allowed ips", peer.allowed_ips.iter());
    lines.list("allowed by bgp", from_bgp(peer).into_iter());
    let (received, sent) = (bytes(peer.receive_bytes), bytes(peer.transmit_bytes));
    lines.add("transfer", format!("{received} received, {sent} sent"));
    lines.add("packets", format!("{} received, {} sent", peer.receive_packets, peer.transmit_packets));
    lines.maybe("waiting", (peer.queued_packets > 0).then(|| format!("{} for a session", peer.queued_packets)));
    lines.list("dropped", dropped(&peer.drops));
    let note = peer.mtu_note.as_ref().map(|note| format!(" ({note})"));
    lines.add("mtu", format!("{}{}", peer.mtu, note.unwrap_or_default()));
    lines.list("offloads", peer.offloads.iter());
    lines.text
}

/// Absent before the first.
fn handshakes(peer: &Peer) -> Option<String> {
    let Handshakes { initiations_sent, initiations_received, completed, .. } = peer.handshakes;
    (initiations_sent + initiations_received > 0)
        .then(|| format!("{completed} completed; {initiations_sent} begun here, {initiations_received} answered"))
}

fn from_bgp(peer: &Peer) -> Vec<String> {
    let prefixes = &peer.allowed_ips_from_bgp;
    let mut shown: Vec<String> = prefixes.iter().take(SHOWN_PREFIXES).map(ToString::to_string).collect();
    if prefixes.len() > SHOWN_PREFIXES {
        shown.push(format!("and {} more", prefixes.len() - SHOWN_PREFIXES));
    }
    shown
}

pub(in crate::cli) fn config(answer: &ConfigFiles) -> String {
    let files = answer.files.iter().map(|file| {
        let text: Vec<String> = file.text.lines().map(|line| tame(&line.replace('\t', "    "))).collect();
        format!("# {}\n{}\n", tame(&file.name), text.join("\n"))
    });
    // A comment, so that the whole can be read as a file again.
    let drift: String = answer.drift.iter().map(|change| format!("#   {}\n", tame(change))).collect();
    let drift = (!drift.is_empty()).then(|| format!("# changed by wg, until the next start:\n{drift}"));
    files.chain(drift).collect::<Vec<_>>().join("\n")
}

/// A first line, and under it what has a value.
struct Lines {
    text: String,
}

impl Lines {
    fn new(what: &str, name: &str) -> Self {
        Self { text: format!("{what}: {}\n", tame(name)) }
    }

    fn add(&mut self, name: &str, value: String) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "  {name}: {}", tame(&value));
    }

    fn maybe(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.add(name, value.to_string());
        }
    }

    fn list(&mut self, name: &str, values: impl Iterator<Item = impl ToString>) {
        let values: Vec<String> = values.map(|value| value.to_string()).collect();
        if !values.is_empty() {
            self.add(name, values.join(", "));
        }
    }
}
