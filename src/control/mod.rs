//! The control API: HTTP with JSON on a unix socket, and read-only on the observe listeners. The CLI, the probes and
//! whoever has `curl` ask here and nowhere else.
//!
//! [`serve`] answers from [`crate::daemon::Handle`]; [`Client`] asks; [`api`] is what passes between them. A monitor is an
//! answer without end: a line a change.
//! `docs/control-api.md` is its reference.

mod answer;
pub mod api;
mod body;
mod client;
mod lines;
mod request;
mod server;
#[cfg(test)]
mod tests;
mod uapi;

pub use client::{Answer, Client, Lines, segment};
pub(crate) use request::parse_prefix;
pub use server::{Access, Listener, serve};
pub use uapi::serve_wg;
