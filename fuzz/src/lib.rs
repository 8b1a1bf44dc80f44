//! Properties that hold for any input, as plain functions: a fuzzer calls them with what it makes up, an ordinary
//! test with the corpus and its mutations.

pub mod attributes;
pub mod config;
pub mod negotiation;
pub mod session;
pub mod tunnel;
pub mod uapi;
pub mod wgd;
pub mod wire;
