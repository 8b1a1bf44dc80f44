//! Speakers joined in virtual time.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod churn;
mod collision;
mod corners;
mod drain;
mod dynamic;
mod exchange;
mod export;
mod gone;
mod hold_times;
mod hostile;
mod import;
mod mrt;
mod own;
mod reload;
mod schedules;
mod stations;
mod three;
mod ways;
mod wires;

use common::{network, raw, settings};
