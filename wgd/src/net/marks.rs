//! What the headers of datagrams say besides addresses, as options of UDP sockets: "don't fragment", and the ECN field.
#![allow(unsafe_code)] // socket options that std does not have

use std::ffi::c_int;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// IPv6's least link: fragments of this length pass everywhere.
const IPV6_LEAST: c_int = 1280;

/// No datagram is fragmented, and the ECN field of each that arrives is told.
///
/// `PROBE` and not `DO`: that one refuses, for ten minutes, whatever is longer than an ICMP error has said, which may be
/// forged, and no probe could find out that the path is longer again. Both refuse what is longer than the interface takes.
pub(super) fn set(socket: &UdpSocket) {
    fragment(socket, false);
    // An IPv6 socket that carries IPv4 has the options of both; what a kernel does not have is done without
    let _ = set_option(socket, libc::SOL_IP, libc::IP_RECVTOS, 1);
    let _ = set_option(socket, libc::SOL_IPV6, libc::IPV6_RECVTCLASS, 1);
}

/// Whether what is sent from now on may be fragmented on its way.
pub(super) fn fragment(socket: &UdpSocket, may: bool) {
    let [ipv4, ipv6] = if may {
        [libc::IP_PMTUDISC_DONT, libc::IPV6_PMTUDISC_DONT]
    } else {
        [libc::IP_PMTUDISC_PROBE, libc::IPV6_PMTUDISC_PROBE]
    };
    let _ = set_option(socket, libc::SOL_IP, libc::IP_MTU_DISCOVER, ipv4);
    let _ = set_option(socket, libc::SOL_IPV6, libc::IPV6_MTU_DISCOVER, ipv6);
    // Only the sender can fragment in IPv6, and it does not know what fits
    let _ = set_option(socket, libc::SOL_IPV6, libc::IPV6_MTU, if may { IPV6_LEAST } else { 0 });
}

/// Sets an option whose value is an `int`.
pub(super) fn set_option(socket: &UdpSocket, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let (value, len) = ((&raw const value).cast(), size_of::<c_int>() as libc::socklen_t);
    // SAFETY: the value is a `c_int`, which lives until the call returns
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
