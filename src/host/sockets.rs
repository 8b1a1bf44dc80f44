//! UDP sockets of the tunnel, TCP listeners of the speaker and of `observe`, the control socket, and that of `wg`.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Both families' sockets of one UDP port, whose packets carry a mark if one is given; IPv4 alone where the host has no
/// IPv6.
pub fn udp_sockets(port: u16, fwmark: Option<u32>) -> Result<Vec<UdpSocket>> {
    let mut sockets = Vec::with_capacity(2);
    for address in [SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))] {
        match udp_socket(address) {
            Ok(socket) => {
                if let Some(mark) = fwmark {
                    mark_packets(&socket, mark)?;
                }
                sockets.push(socket);
            }
            Err(error) if address.is_ipv6() && no_ipv6(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(
                "UDP port {port} is taken by another program (on Talos 51820 is KubeSpan's, 51871 Cilium's): choose another listen-port"
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot bind UDP {address}")),
        }
    }
    Ok(sockets)
}

/// SO_MARK.
fn mark_packets(socket: &UdpSocket, mark: u32) -> Result<()> {
    SockRef::from(socket).set_mark(mark).map_err(|error| {
        let remedy = if error.kind() == io::ErrorKind::PermissionDenied { " (CAP_NET_ADMIN is missing)" } else { "" };
        anyhow::Error::new(error).context(format!("cannot give the tunnel's packets the fwmark {mark:#x}{remedy}"))
    })
}

fn udp_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A listening TCP socket; `[::]` takes both families, or IPv4 alone where the host has no IPv6.
pub fn tcp_listener(address: SocketAddr) -> Result<TcpListener> {
    let result = match listen(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && no_ipv6(&error) => {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        result => result,
    };
    result.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                " (CAP_NET_BIND_SERVICE is missing: grant it, or choose a port above 1023)"
            }
            io::ErrorKind::AddrInUse => " (another program listens there: stop it, or choose another address)",
            _ => "",
        };
        anyhow::Error::new(error).context(format!("cannot listen on TCP {address}{remedy}"))
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != Ipv6Addr::UNSPECIFIED)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// The control socket, mode 0660.
pub fn control_listener(path: &Path, group: Option<&str>) -> Result<UnixListener> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let listener = unix_listener(path, 0o660)?;
    if let Some(group) = group {
        let gid = group_id(group)?;
        std::os::unix::fs::chown(path, None, Some(gid)).map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    format!(" (our user is not in it: SupplementaryGroups={group} in the service's unit)")
                }
                _ => String::new(),
            };
            anyhow::Error::new(error).context(format!("cannot give {} to group {group}{remedy}", path.display()))
        })?;
    }
    Ok(listener)
}

/// The socket on which `wg` looks for the tunnel of an interface: a place that every implementation in userspace shares.
/// Who may open it can read the private key.
pub fn wg_listener(interface: &str) -> Result<(UnixListener, PathBuf)> {
    let directory = Path::new("/var/run/wireguard");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(format!("{interface}.sock"));
    Ok((unix_listener(&path, 0o600)?, path))
}

/// A socket with a name in the file system. One that nobody answers is a leftover and goes; one that is answered belongs
/// to a running program.
fn unix_listener(path: &Path, mode: u32) -> Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        bail!("another program answers on {}", path.display());
    }
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        bail!("{} is there already and is no socket", path.display());
    }
    listen_at(path, mode).with_context(|| format!("cannot listen on {}", path.display()))
}

/// It has its name when it has its mode and listens: `wg` takes one that refuses it for a leftover and removes it.
fn listen_at(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let first = path.with_extension("new");
    match fs::remove_file(&first) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&first)?;
    fs::set_permissions(&first, fs::Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    fs::rename(&first, path)?;
    Ok(listener)
}

/// A group's number, from /etc/group: the image has no name service.
fn group_id(name: &str) -> Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let groups = fs::read_to_string("/etc/group").context("cannot read /etc/group")?;
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.nth(1)?.parse().ok()?))
        })
        .find_map(|(found, number)| (found == name).then_some(number))
        .with_context(|| format!("group `{name}` of the control socket is not in /etc/group"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vpngw.sock");
        fs::write(&path, "a key").unwrap();
        let refused = unix_listener(&path, 0o600).unwrap_err().to_string();
        assert!(refused.ends_with("is there already and is no socket"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a key");
    }

    #[test]
    fn a_socket_that_nobody_answers_is_taken_over_and_one_that_is_answered_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vpngw.sock");
        drop(UnixListener::bind(&path).unwrap());
        let first = unix_listener(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(unix_listener(&path, 0o600).unwrap_err().to_string().contains("another program answers"));
        drop(first);
    }
}
