//! Speakers joined in virtual time.
#![allow(clippy::unwrap_used)]

mod exchange;
mod network;
mod settings;
