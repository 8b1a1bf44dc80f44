//! Dialling a neighbor. Runs on thread `bgp`.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::shell::Shell;
use super::socket;
use crate::speaker::{Connect, causes_of_silence};

/// The task of a dial; aborted where the speaker gives it up.
pub(super) async fn run(shell: Rc<Shell>, connect: Connect) {
    let result = match timeout(connect.timeout, dial(&connect)).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, unanswered(&connect))),
    };
    shell.dialled(connect.connection, result);
}

fn unanswered(connect: &Connect) -> String {
    let text = format!("no answer within {:?}", connect.timeout);
    match causes_of_silence(connect.password.is_some(), connect.socket.min_ttl.is_some()) {
        Some(causes) => format!("{text}: it is not reached, or {causes}"),
        None => text,
    }
}

async fn dial(connect: &Connect) -> io::Result<TcpStream> {
    let scope = connect.zone.as_deref().map_or(Ok(0), socket::interface_index)?;
    let socket = prepared(connect, scope)?;
    let socket = TcpSocket::from_std_stream(OwnedFd::from(socket).into());
    socket.connect(scoped(connect.remote.ip(), connect.remote.port(), scope)).await
}

/// A socket with all its options: they hold from the first packet on.
fn prepared(connect: &Connect, scope: u32) -> io::Result<Socket> {
    let remote = connect.remote.ip();
    let socket = Socket::new(Domain::for_address(connect.remote), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket::prepare_dialled(&socket, remote)?;
    socket::set_ttl(&socket, remote, connect.socket)?;
    if let Some(password) = &connect.password {
        socket::set_key(&socket, IpNet::from(remote), false, Some(password))?;
    }
    if let Some(local) = connect.local {
        socket.bind(&scoped(local, 0, scope).into())?;
    }
    Ok(socket)
}

fn scoped(address: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match address {
        IpAddr::V4(address) => SocketAddr::new(address.into(), port),
        IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, scope).into(),
    }
}
