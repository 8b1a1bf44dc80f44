//! The law, a line a clause: what a neighbor says, octet by octet, and what becomes of the session, of the routes and
//! of `last_error`.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod add_path;
mod attributes;
mod collisions;
mod endings;
mod extended;
mod frame;
mod next_hops;
mod octets;
mod offers;
mod openings;
mod page;
mod passed_on;
mod refreshes;
mod restart;
mod roles;
mod updates;

use common::{network, raw, settings};
