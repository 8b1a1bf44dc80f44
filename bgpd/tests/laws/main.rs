//! The law, a line a clause: what a neighbor says, octet by octet, and what becomes of the session, of the routes and
//! of `last_error`.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod attributes;
mod collisions;
mod endings;
mod frame;
mod next_hops;
mod octets;
mod openings;
mod page;
mod passed_on;
mod refreshes;
mod updates;

use common::{network, raw, settings};
