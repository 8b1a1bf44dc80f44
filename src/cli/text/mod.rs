//! Answers of the API as people read them: made for who knows `birdc show protocols`, `show bgp summary` and `wg show`.

mod change;
mod detail;
mod packet;
mod table;
#[cfg(test)]
mod tests;
mod units;

pub(super) use change::{missed, route_change, session_change};
pub(super) use detail::{config, neighbor, peers, status};
pub(super) use packet::{missed_packets, packet, peer_change};
pub(super) use table::{advertised, events, fib, neighbors, received, routes};

/// What others wrote, without what a terminal would obey: a neighbor's farewell is free text (RFC 9003).
fn tame(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
