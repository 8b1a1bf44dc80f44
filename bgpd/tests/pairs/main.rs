//! Speakers joined in virtual time.
#![allow(clippy::unwrap_used)]

mod add_path;
mod blackhole;
mod churn;
mod corners;
mod drain;
mod dynamic;
mod exchange;
mod export;
mod extended_messages;
mod extended_next_hop;
mod gone;
mod hostile;
mod import;
mod network;
mod own;
mod raw;
mod refresh;
mod reload;
mod roles;
mod settings;
mod three;
mod ways;
