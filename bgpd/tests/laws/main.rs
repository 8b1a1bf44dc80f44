//! The law, a line a clause: what a neighbor says, octet by octet, and what becomes of the session, of the routes and
//! of `last_error`.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod attributes;
mod frame;
mod octets;
mod openings;
mod updates;

use common::{network, raw, settings};
