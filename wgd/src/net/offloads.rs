//! Which offloads the kernel has, switched on when the worker starts.
#![allow(unsafe_code)] // ioctls and socket options that std does not have

use std::ffi::c_int;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::marks::set_option;
use crate::offload::Accepts;

const TCP: libc::c_uint = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
const UDP: libc::c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// Of a TUN.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct TunOffloads {
    /// A header is before each packet: `IFF_VNET_HDR`.
    pub(super) header: bool,
    /// The host leaves checksums and the cutting of TCP to us.
    pub(super) tcp: bool,
    /// The cutting of UDP too: Linux 6.2.
    pub(super) udp: bool,
    /// What the host takes as super-segments.
    pub(super) accepts: Accepts,
}

/// Of a UDP socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct UdpOffloads {
    /// Many datagrams of one length are sent as one: Linux 4.18.
    pub(super) segment: bool,
    /// And are received as one: Linux 5.0.
    pub(super) coalesce: bool,
}

/// The caller chose whether there are headers; what is no TUN has none.
pub(super) fn of_tun(tun: BorrowedFd<'_>) -> TunOffloads {
    if !has_header(tun) {
        return TunOffloads::default();
    }
    let udp = set_offloads(tun, TCP | UDP);
    let tcp = udp || set_offloads(tun, TCP);
    TunOffloads { header: true, tcp, udp, accepts: Accepts { tcp: true, udp } }
}

/// In the words of `show peers`.
pub(super) fn names(tun: TunOffloads, udp: Option<UdpOffloads>) -> Vec<&'static str> {
    let names = [
        ("tun-gro", tun.accepts.tcp),
        ("tun-tso", tun.tcp),
        ("tun-uso", tun.udp),
        ("udp-gso", udp.is_some_and(|udp| udp.segment)),
        ("udp-gro", udp.is_some_and(|udp| udp.coalesce)),
    ];
    names.into_iter().filter_map(|(name, is_used)| is_used.then_some(name)).collect()
}

fn has_header(tun: BorrowedFd<'_>) -> bool {
    // SAFETY: all zeroes is a valid `ifreq`
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and the request is a whole `ifreq`, which the kernel may write to
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNGETIFF as _, &raw mut request) };
    // SAFETY: the kernel wrote the flags
    result == 0 && c_int::from(unsafe { request.ifr_ifru.ifru_flags }) & libc::IFF_VNET_HDR != 0
}

fn set_offloads(tun: BorrowedFd<'_>, offloads: libc::c_uint) -> bool {
    // SAFETY: the descriptor is open; the argument of TUNSETOFFLOAD is the number itself
    unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as _, libc::c_ulong::from(offloads)) == 0 }
}

/// Segmentation is asked for with each call; that the kernel knows of it is seen by its default.
pub(super) fn of_udp(socket: &UdpSocket) -> UdpOffloads {
    UdpOffloads {
        segment: set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok(),
        coalesce: set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1).is_ok(),
    }
}
