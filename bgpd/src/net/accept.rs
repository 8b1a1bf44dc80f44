//! Listeners: connections that come in, and the TCP-MD5 keys they need. Runs on thread `bgp`.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::shell::Shell;
use super::socket;
use crate::settings::Password;

/// How long nothing is accepted after the system had no room (file descriptors, memory).
const PAUSE: Duration = Duration::from_millis(100);

/// File descriptors that whoever dials in does not get: the operator must still be able to ask what is wrong, and neighbors
/// that we dial are few.
const RESERVED: u64 = 32;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    keys: RefCell<Keys>,
}

/// TCP-MD5 on a listener.
#[derive(Debug, Default)]
struct Keys {
    /// Prefixes whose key the kernel has.
    set: Vec<IpNet>,
    /// Prefixes whose key the kernel refused: nobody may come in from there without one.
    refused: Vec<IpNet>,
}

impl Listener {
    /// Within the context of the thread's runtime.
    pub(super) fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        socket::prepare_listener(&listener, address)?;
        Ok(Self { socket: TcpListener::from_std(listener)?, address, keys: RefCell::default() })
    }

    /// Exactly these keys from now on.
    pub(super) fn set_keys(&self, wanted: &[(IpNet, Password)]) {
        let mut keys = self.keys.borrow_mut();
        for prefix in std::mem::take(&mut keys.set) {
            if !wanted.iter().any(|(wanted, _)| *wanted == prefix) {
                // What the kernel no longer has need not be taken away.
                let _ = socket::set_key(&self.socket, prefix, self.is_ipv6(), None);
            }
        }
        keys.refused.clear();
        for (prefix, password) in wanted.iter().filter(|(prefix, _)| self.hears(prefix)) {
            match socket::set_key(&self.socket, *prefix, self.is_ipv6(), Some(password)) {
                Ok(()) => keys.set.push(*prefix),
                Err(error) => {
                    tracing::error!(%prefix, listener = %self.address, %error, "cannot set a TCP-MD5 key: connections from there are refused");
                    keys.refused.push(*prefix);
                }
            }
        }
    }

    const fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// Whether neighbors of the prefix may reach this listener; an IPv6 one may be dual-stack.
    const fn hears(&self, prefix: &IpNet) -> bool {
        self.is_ipv6() || matches!(prefix, IpNet::V4(_))
    }

    fn refuses(&self, remote: IpAddr) -> bool {
        self.keys.borrow().refused.iter().any(|prefix| prefix.contains(&remote.to_canonical()))
    }
}

/// The task of the listener with this index.
pub(super) async fn serve(shell: Rc<Shell>, index: usize) {
    let Some(listener) = shell.listeners.get(index) else { return };
    let mut had_room = true;
    loop {
        match listener.socket.accept().await {
            Ok((_, remote)) if listener.refuses(remote.ip()) => {}
            Ok((stream, remote)) if socket::is_among_the_last(&stream, RESERVED) => {
                if std::mem::take(&mut had_room) {
                    tracing::warn!(listener = %listener.address, %remote, "connections are closed: only {RESERVED} file descriptors are left, for other uses");
                }
            }
            Ok((stream, remote)) => {
                had_room = true;
                if let Err(error) = shell.accepted(stream, remote) {
                    tracing::debug!(%remote, %error, "a connection broke before it was taken in");
                }
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                if std::mem::take(&mut had_room) {
                    tracing::warn!(listener = %listener.address, %error, "cannot accept for a while");
                }
                sleep(PAUSE).await;
            }
        }
        yield_now().await;
    }
}

/// Errors of the one connection that was to be accepted, not of the listener or the system.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}
