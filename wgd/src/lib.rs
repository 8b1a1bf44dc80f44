//! A userspace WireGuard tunnel: a pure core ([`device`]), and the worker thread that moves packets (`net`).
//!
//! The kernel sees one device; which peer a packet takes is this crate's choice alone. Its table maps a prefix to
//! a [`table::Group`] of peers: whom to send to, who stands by, and from whom a packet may come.

pub mod batch;
pub mod capture;
pub mod device;
pub mod envelope;
pub mod mss;
pub mod offload;
pub mod packet;
pub mod settings;
pub mod table;
pub mod uapi;
pub mod view;

mod backoff;
mod curve;
mod deadlines;
mod drops;
mod fault;
mod flood;
mod icmp;
mod liveness;
mod message;
mod peer;
mod pmtu;
#[cfg(test)]
mod samples;

#[cfg(feature = "net")]
pub mod net;

pub use settings::Settings;
