//! The words that `wg` and exporters speak with a tunnel: the [cross-platform userspace interface][protocol], text only.
//!
//! In: lines of a request, by [`Reader`]. Out: [`Changes`], which make a whole new [`Settings`](crate::Settings) of the one there is, or
//! the text of [`state`]. The socket is the shell's. Errors carry the errno that the protocol wants in place of a
//! sentence; the sentence is for the log. Keys never stand in either.
//!
//! Kept as in wireguard-go: an allowed IP belongs to one peer, so that giving it to another takes it from the first.
//! Otherwise than there a request is applied whole or not at all.
//!
//! [protocol]: https://www.wireguard.com/xplatform/

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::settings::{PresharedKey, PrivateKey, PublicKey};

mod apply;
mod drift;
mod read;
mod write;

pub use drift::differences;
pub use read::{MAX_LINE, MAX_REQUEST, Reader};
pub use write::{errno, state};

/// What a client asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// `get=1`: everything there is.
    Get,
    /// `set=1`: a change.
    Set(Changes),
}

/// What `set=1` brings, in its order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Our key; `Some(None)`: none any more.
    private_key: Option<Option<PrivateKey>>,
    listen_port: Option<u16>,
    fwmark: Option<u32>,
    /// Those that are not named go, those that are begin anew.
    replace_peers: bool,
    peers: Vec<PeerChange>,
}

/// What it brings for one peer.
#[derive(Clone, Debug, Eq, PartialEq)]
struct PeerChange {
    public_key: PublicKey,
    remove: bool,
    /// Nothing happens where the peer is not there yet.
    update_only: bool,
    preshared_key: Option<Option<PresharedKey>>,
    endpoint: Option<SocketAddr>,
    persistent_keepalive: Option<Option<Duration>>,
    replace_allowed_ips: bool,
    allowed_ips: Vec<(Verb, IpNet)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verb {
    Add,
    /// A prefix with a minus before it.
    Remove,
}

/// What the tunnel's UDP sockets have, which [`Settings`](crate::Settings) does not hold. It cannot be changed while they are open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sockets {
    /// Their port.
    pub listen_port: u16,
    /// Their mark; 0: none.
    pub fwmark: u32,
}

/// Why a request was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// For the client.
    pub errno: Errno,
    text: String,
}

/// The numbers of errors, as `errno.h` of Linux has them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Errno {
    /// EIO: the gateway does not answer.
    Io = 5,
    /// E2BIG: more than is read.
    TooLong = 7,
    /// EINVAL: an unknown key, or a value that it cannot have.
    Invalid = 22,
    /// EPROTO: not a line of the protocol.
    Protocol = 71,
    /// EOPNOTSUPP: only a restart could do it.
    NotSupported = 95,
}

impl Error {
    /// An error and its sentence, in lower case.
    pub fn new(errno: Errno, text: impl Into<String>) -> Self {
        Self { errno, text: text.into() }
    }

    fn invalid(text: impl Into<String>) -> Self {
        Self::new(Errno::Invalid, text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
