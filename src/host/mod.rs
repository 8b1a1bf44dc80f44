//! The only opener of descriptors: the TUN device, UDP and TCP sockets, the control socket and that of `wg`; and the host's switches.

mod addresses;
mod capabilities;
mod sockets;
mod sysctl;
mod tun;

pub use addresses::first_ipv4;
pub use capabilities::raise_capabilities;
pub use sockets::{control_listener, tcp_listener, udp_sockets, wg_listener};
pub use sysctl::{accept_local, forwarding, forwarding_fault, rp_filter, rp_filter_fault};
pub use tun::{interface_index, open_tun, set_persistent};
