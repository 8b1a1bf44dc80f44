//! Hundreds of gateways in virtual time, in one process: whether all come to the same routes, and what it takes.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // what was measured

mod memory;
mod mesh;
#[path = "../pairs/network/mod.rs"]
#[allow(dead_code)] // shared with the pairs: each uses a part
mod network;
mod reflectors;
mod report;
#[path = "../pairs/settings.rs"]
#[allow(dead_code)]
mod settings;
mod site;
