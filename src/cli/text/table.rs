//! What is a table: a header, a line each, columns with two spaces between.

use comfy_table::{Table, TableStyle};

use super::tame;
use super::units::duration;
use crate::control::api::{
    Advertised, Event, Events, Fib, FibNextHop, FibRoute, FibState, LastError, Neighbor, Neighbors, Origin, Path,
    Received, Route, Routes, SessionState, TunnelGroup,
};

/// The kernel's main routing table has a name.
const TABLE_MAIN: u32 = 254;

pub(in crate::cli) fn neighbors(answer: &Neighbors) -> String {
    let header = ["NEIGHBOR", "ADDRESS", "AS", "STATE", "UPTIME", "RECEIVED", "ACCEPTED", "ADVERTISED", "NOTE"];
    table(header, answer.neighbors.iter().map(neighbor))
}

fn neighbor(neighbor: &Neighbor) -> [String; 9] {
    [
        neighbor.name.clone(),
        neighbor.address.to_string(),
        or_dash(neighbor.asn),
        state(neighbor.state).into(),
        or_dash(neighbor.uptime_seconds.map(duration)),
        neighbor.received.to_string(),
        neighbor.accepted.to_string(),
        neighbor.advertised.to_string(),
        note(neighbor),
    ]
}

/// What stands in the way; for a session that is down also how the last one ended.
fn note(neighbor: &Neighbor) -> String {
    let is_end = |error: &&LastError| neighbor.state != SessionState::Established && error.treatment.is_none();
    let ended = neighbor.last_error.as_ref().filter(is_end);
    let notes = neighbor.note.iter().chain(ended.map(|error| &error.text));
    notes.map(String::as_str).collect::<Vec<_>>().join("; ")
}

pub(super) fn state(state: SessionState) -> &'static str {
    match state {
        SessionState::Idle => "idle",
        SessionState::Connect => "connect",
        SessionState::Active => "active",
        SessionState::OpenSent => "open-sent",
        SessionState::OpenConfirm => "open-confirm",
        SessionState::Established => "established",
    }
}

pub(in crate::cli) fn routes(answer: &Routes) -> String {
    let header = ["", "PREFIX", "NEXT HOP", "NEIGHBOR", "PEER", "PREF", "MED", "AGE", "AS PATH", "WHY NOT"];
    let rows = answer.routes.iter().flat_map(|route| route.paths.iter().map(move |path| route_row(route, path)));
    let legend =
        "* best, = used together with the best, > in the kernel, s stale; AS PATH ends with ORIGIN: i, e or ?\n";
    format!("{legend}{}", table(header, rows))
}

fn route_row(route: &Route, path: &Path) -> [String; 10] {
    [
        flags(route, path),
        route.prefix.to_string(),
        or_dash(path.next_hop),
        path.neighbor.clone(),
        or_dash(path.wireguard_peer.as_ref()),
        or_dash(path.local_pref),
        or_dash(path.med),
        duration(path.age_seconds),
        as_path(path),
        why_not(route, path),
    ]
}

fn flags(route: &Route, path: &Path) -> String {
    let used = path.best || path.multipath;
    let choice = match path {
        Path { best: true, .. } => "*",
        Path { multipath: true, .. } => "=",
        _ => "",
    };
    let installed = if used && route.installed { ">" } else { "" };
    let stale = if path.stale { "s" } else { "" };
    format!("{choice}{installed}{stale}")
}

/// Why this path is not chosen; why the chosen one is not in the kernel.
fn why_not(route: &Route, path: &Path) -> String {
    match (&path.not_best, &route.not_installed) {
        (Some(reason), _) if !path.multipath => reason.clone(),
        (_, Some(reason)) if path.best => format!("not installed: {reason}"),
        _ => String::new(),
    }
}

pub(super) fn as_path(path: &Path) -> String {
    let origin = match path.origin {
        Origin::Igp => "i",
        Origin::Egp => "e",
        Origin::Incomplete => "?",
    };
    let separator = if path.as_path_text.is_empty() { "" } else { " " };
    format!("{}{separator}{origin}", path.as_path_text)
}

pub(in crate::cli) fn received(answer: &Received) -> String {
    let header = ["", "PREFIX", "NEXT HOP", "PREF", "MED", "AGE", "AS PATH", "COMMUNITIES", "WHY NOT"];
    let rows = answer.routes.iter().flat_map(|route| {
        route.paths.iter().map(move |received| {
            let path = &received.path;
            let flag = match (received.accepted, path.best) {
                (false, _) => "x",
                (true, true) => "*",
                (true, false) => "",
            };
            [
                flag.into(),
                route.prefix.to_string(),
                or_dash(path.next_hop),
                or_dash(path.local_pref),
                or_dash(path.med),
                duration(path.age_seconds),
                as_path(path),
                communities(path),
                received.rejected.clone().or_else(|| path.not_best.clone()).unwrap_or_default(),
            ]
        })
    });
    format!("* best, x rejected by the import policy\n{}", table(header, rows))
}

pub(in crate::cli) fn advertised(answer: &Advertised) -> String {
    let header = ["PREFIX", "NEXT HOP", "PREF", "MED", "AGE", "AS PATH", "COMMUNITIES"];
    let rows = answer.routes.iter().flat_map(|route| {
        route.paths.iter().map(move |path| {
            [
                route.prefix.to_string(),
                or_dash(path.next_hop),
                or_dash(path.local_pref),
                or_dash(path.med),
                duration(path.age_seconds),
                as_path(path),
                communities(path),
            ]
        })
    });
    table(header, rows)
}

/// With OTC, which is like a community: a mark that says how far a route may go.
fn communities(path: &Path) -> String {
    let otc = path.only_to_customer.map(|asn| format!("otc:{asn}"));
    let all = path.communities.iter().chain(&path.large_communities).chain(&path.extended_communities).chain(&otc);
    or_dash(Some(all.map(String::as_str).collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty()))
}

pub(in crate::cli) fn fib(answer: &Fib) -> String {
    let header = ["PREFIX", "TABLE", "STATE", "NEXT HOP", "PEER", "WHY NOT"];
    table(header, answer.routes.iter().map(fib_row))
}

fn fib_row(route: &FibRoute) -> [String; 6] {
    let hops: Vec<String> = route.next_hops.iter().map(next_hop).collect();
    [
        route.prefix.to_string(),
        if route.table == TABLE_MAIN { "main".into() } else { route.table.to_string() },
        progress(route.state).into(),
        match hops.as_slice() {
            [] if route.discard => "discard".into(),
            [] => "-".into(),
            hops => hops.join(", "),
        },
        or_dash(route.tunnel.as_ref().map(group)),
        route.error.clone().unwrap_or_default(),
    ]
}

fn progress(state: FibState) -> &'static str {
    match state {
        FibState::Installed => "installed",
        FibState::Pending => "pending",
        FibState::Failed => "failed",
        FibState::Stale => "stale",
        FibState::Foreign => "foreign",
    }
}

/// As `ip route` has it.
fn next_hop(hop: &FibNextHop) -> String {
    match hop.address {
        Some(address) => format!("via {address} dev {}", hop.interface),
        None => format!("dev {}", hop.interface),
    }
}

fn group(group: &TunnelGroup) -> String {
    let send = group.send.join(", ");
    if group.backup.is_empty() { send } else { format!("{send} (backup {})", group.backup.join(", ")) }
}

pub(in crate::cli) fn events(answer: &Events) -> String {
    table(["TIME", "KIND", "SUBJECT", "WHAT"], answer.events.iter().map(event))
}

fn event(event: &Event) -> [String; 4] {
    [event.at.clone(), event.kind.clone(), event.subject.clone(), event.text.clone()]
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(header);
    table.add_rows(rows.map(|row| row.map(|cell| tame(&cell))));
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt() + "\n"
}
