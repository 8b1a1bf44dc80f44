//! Hundreds of gateways in virtual time, in one process: whether all come to the same routes, and what it takes.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // what was measured

#[path = "../hostile/allocator.rs"]
#[allow(dead_code)] // shared with the hostile neighbors
mod allocator;
#[path = "../common/mod.rs"]
mod common;

mod mesh;
mod reflectors;
mod report;
mod site;

use common::{network, settings};
