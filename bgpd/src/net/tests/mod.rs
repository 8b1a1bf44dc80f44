#![allow(clippy::unwrap_used)]

mod sockets;
