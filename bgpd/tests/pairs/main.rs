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
mod network;
mod own;
mod raw;
mod reload;
mod restart;
mod settings;
mod three;
mod ways;
