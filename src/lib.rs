//! vpngw: a BGP and WireGuard VPN gateway. This package joins the engines and touches the host.

pub mod cli;
pub mod control;
pub mod daemon;
pub mod fib;
pub mod host;
pub mod kernel;
pub mod lab;
pub mod source;
