//! Speakers joined in virtual time.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod add_path;
mod blackhole;
mod churn;
mod collision;
mod corners;
mod drain;
mod dynamic;
mod exchange;
mod export;
mod extended_messages;
mod extended_next_hop;
mod gone;
mod hold_times;
mod hostile;
mod import;
mod limits;
mod lookup;
mod monitors;
mod mrt;
mod own;
mod policy;
mod record;
mod refresh;
mod reload;
mod restart;
mod roles;
mod schedules;
mod soft_reset;
mod stations;
mod three;
mod ways;
mod wires;

use common::{network, raw, settings};
