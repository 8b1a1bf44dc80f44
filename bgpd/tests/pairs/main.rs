//! Speakers joined in virtual time.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod churn;
mod corners;
mod drain;
mod dynamic;
mod exchange;
mod export;
mod gone;
mod hostile;
mod import;
mod own;
mod reload;
mod three;
mod ways;

use common::{network, raw, settings};
