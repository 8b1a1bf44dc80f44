//! Stock WireGuards as the far end of the tunnel: wireguard-go, the reference, and BoringTun's own program. And `wg` on
//! ours.
#![allow(clippy::unwrap_used)]

#[path = "wireguard/begin.rs"]
mod begin;
#[path = "wireguard/change.rs"]
mod change;
mod common;
#[path = "wireguard/ends.rs"]
mod ends;
#[path = "wireguard/life.rs"]
mod life;
#[path = "wireguard/path.rs"]
mod path;
#[path = "wireguard/rekey.rs"]
mod rekey;
#[path = "wireguard/shown.rs"]
mod shown;
