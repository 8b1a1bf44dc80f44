//! A BGP speaker (RFC 4271): a pure core behind one door, [`Speaker`], and the thread that drives it (`net`).
//!
//! The core has no clock, no socket, no thread and no randomness: time, bytes and seeds come in as arguments,
//! values go out. Only the feature `net` brings tokio and the operating system.

mod bmp;
pub mod forbidden;
pub mod fsm;
pub mod monitor;
pub mod mrt;
pub mod policy;
mod rib;
pub mod role;
pub mod settings;
pub mod speaker;
pub mod types;
pub mod view;
pub mod wire;

#[cfg(feature = "net")]
pub mod net;

pub use settings::Settings;
pub use speaker::Speaker;
