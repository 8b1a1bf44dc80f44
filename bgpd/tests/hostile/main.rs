//! What a hostile neighbor costs: memory as a number, and nothing else anybody's.
#![allow(clippy::unwrap_used, clippy::print_stderr)] // the numbers are for people too

#[path = "../common/mod.rs"]
mod common;

mod allocator;
mod door;
mod floods;

use common::{network, raw, settings};
