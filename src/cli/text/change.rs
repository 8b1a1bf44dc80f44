//! Lines of monitors: when, who or what, and what has become of it.

use super::table::{as_path, state};
use super::tame;
use crate::control::api::{Line, Path, RouteChange, RouteLine, SessionChange, SessionLine};

pub(in crate::cli) fn session_change(line: &SessionLine) -> String {
    let SessionChange { at, name, address, before, state: now, reason, .. } = match line {
        Line::Missed { missed: count } => return missed(*count),
        Line::Change(change) => change,
    };
    let reason = reason.as_ref().map(|reason| format!(": {}", tame(reason))).unwrap_or_default();
    format!("{at}  {name}  {address}  {} -> {}{reason}", state(*before), state(*now))
}

pub(in crate::cli) fn route_change(line: &RouteLine) -> String {
    let RouteChange { at, prefix, neighbor, path, .. } = match line {
        Line::Missed { missed: count } => return missed(*count),
        Line::Change(change) => change,
    };
    let from = neighbor.as_ref().map(|neighbor| format!("  from {neighbor}")).unwrap_or_default();
    match path {
        None => format!("{at}  {prefix}  withdrawn{from}"),
        Some(path @ Path { next_hop, .. }) => {
            let via = next_hop.map(|next_hop| format!("  via {next_hop}")).unwrap_or_default();
            format!("{at}  {prefix}{via}{from}  {}", as_path(path))
        }
    }
}

/// The client did not keep up.
pub(in crate::cli) fn missed(count: u64) -> String {
    match count {
        1 => "1 change was missed".to_owned(),
        count => format!("{count} changes were missed"),
    }
}
