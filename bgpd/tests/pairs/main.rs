//! Speakers joined in virtual time.
#![allow(clippy::unwrap_used)]

mod churn;
mod corners;
mod drain;
mod dynamic;
mod exchange;
mod export;
mod gone;
mod hostile;
mod import;
mod limits;
mod network;
mod own;
mod policy;
mod raw;
mod record;
mod reload;
mod settings;
mod three;
mod ways;
