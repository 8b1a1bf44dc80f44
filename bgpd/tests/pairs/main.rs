//! Speakers joined in virtual time.
#![allow(clippy::unwrap_used)]

mod dynamic;
mod exchange;
mod export;
mod import;
mod network;
mod raw;
mod settings;
