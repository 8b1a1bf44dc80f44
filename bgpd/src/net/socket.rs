//! Socket options of a BGP connection. Any thread.
//!
//! The only unsafe code of this crate: `setsockopt`, `getsockopt` and `ioctl` for what neither std nor socket2 knows
//! (a lowest TTL, TCP-MD5, the interface and the TTL a connection arrived with, the system's own TTL again, what is
//! unacknowledged), and the limit of descriptors.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int};
use std::io;
use std::mem::{offset_of, size_of};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use ipnet::IpNet;
use socket2::{SockAddr, SockAddrStorage, SockRef};
use zeroize::Zeroize;

use crate::settings::Password;
use crate::speaker::SocketSettings;

/// DSCP CS6, network control (RFC 4271 appendix E, RFC 4594 §3.2), as an octet of the IP header.
const CS6: u32 = 0xC0;
/// A neighbor with GTSM (RFC 5082) sees our SYN-ACK before we know which neighbor it is.
const LISTENER_TTL: c_int = 255;
/// Tells the kernel to go back to its own default TTL.
const DEFAULT_TTL: c_int = -1;
/// `TCP_MD5SIG_FLAG_PREFIX` of `linux/tcp.h`: the key is everybody's in a prefix.
const MD5_FLAG_PREFIX: u8 = 1;
/// The longest key that the kernel takes.
const MAX_KEY: usize = libc::TCP_MD5SIG_MAXKEYLEN;

/// What a listener hands down to the connections it accepts.
pub(super) fn prepare_listener(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    SockRef::from(socket).set_tcp_nodelay(true)?;
    SockRef::from(socket).set_tos_v4(CS6)?; // a dual-stack listener carries both
    match address {
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_TTL, &LISTENER_TTL),
        SocketAddr::V6(_) => {
            SockRef::from(socket).set_tclass_v6(CS6)?;
            set(socket, libc::IPPROTO_IP, libc::IP_TTL, &LISTENER_TTL)?;
            set(socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, &LISTENER_TTL)
        }
    }
}

/// What a connection of ours gets before its first byte. `remote` without IPv4-mapped addresses.
pub(super) fn prepare_dialled(socket: &impl AsFd, remote: IpAddr) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    match remote {
        IpAddr::V4(_) => socket.set_tos_v4(CS6),
        IpAddr::V6(_) => socket.set_tclass_v6(CS6),
    }
}

/// The TTLs of a session, sent and lowest received (RFC 5082); `remote` without IPv4-mapped addresses.
pub(super) fn set_ttl(socket: &impl AsFd, remote: IpAddr, settings: SocketSettings) -> io::Result<()> {
    let (level, ttl, min_ttl) = match remote {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TTL, libc::IP_MINTTL),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, libc::IPV6_MINHOPCOUNT),
    };
    set(socket, level, ttl, &settings.ttl.map_or(DEFAULT_TTL, c_int::from))?;
    set(socket, level, min_ttl, &c_int::from(settings.min_ttl.unwrap_or(0)))
}

/// A TCP-MD5 key (RFC 2385) as the kernel wants it (`struct tcp_md5sig`).
#[repr(C)]
struct Md5Key {
    address: SockAddrStorage,
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    interface: c_int,
    key: [u8; MAX_KEY],
}

impl Drop for Md5Key {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// The key of everybody in `prefix`; `None` takes it away. A dual-stack listener (`mapped`) has one table for both
/// families, in which IPv4 stands as IPv4-mapped IPv6.
pub(super) fn set_key(socket: &impl AsFd, prefix: IpNet, mapped: bool, password: Option<&Password>) -> io::Result<()> {
    let secret = password.map_or(&[][..], |password| password.0.as_slice());
    let mut key = [0; MAX_KEY];
    key.get_mut(..secret.len())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a TCP-MD5 password has at most 80 octets"))?
        .copy_from_slice(secret);
    let address = match prefix.network() {
        IpAddr::V4(address) if mapped => address.to_ipv6_mapped().into(),
        address => address,
    };
    let option = Md5Key {
        address: SockAddr::from(SocketAddr::new(address, 0)).as_storage(),
        flags: MD5_FLAG_PREFIX,
        prefix_len: prefix.prefix_len(),
        key_len: secret.len() as u16, // at most MAX_KEY
        interface: 0,
        key,
    };
    key.zeroize();
    set(socket, libc::IPPROTO_TCP, libc::TCP_MD5SIG_EXT, &option)
}

/// The index of the interface on which an accepted connection arrived; `None` where the kernel does not say.
/// `local` as the socket has it, IPv4-mapped or not.
pub(super) fn arrival_interface(socket: &impl AsFd, local: SocketAddr) -> Option<u32> {
    let (want, skip) = match local {
        SocketAddr::V4(_) => (libc::IP_PKTINFO, offset_of!(libc::in_pktinfo, ipi_ifindex)),
        SocketAddr::V6(_) => (libc::IPV6_RECVPKTINFO, offset_of!(libc::in6_pktinfo, ipi6_ifindex)),
    };
    arrival(socket, local, want, skip).filter(|index| *index != 0)
}

/// The TTL with which the last packet of an accepted connection's handshake arrived; `None` where the kernel does not say.
/// `local` as the socket has it, IPv4-mapped or not.
pub(super) fn arrival_ttl(socket: &impl AsFd, local: SocketAddr) -> Option<u8> {
    let want = match local {
        SocketAddr::V4(_) => libc::IP_RECVTTL,
        SocketAddr::V6(_) => libc::IPV6_RECVHOPLIMIT,
    };
    arrival(socket, local, want, 0)?.try_into().ok()
}

/// What a TCP socket remembers of its handshake: the number at `skip` in the one control message that `want` asks for.
fn arrival(socket: &impl AsFd, local: SocketAddr, want: c_int, skip: usize) -> Option<u32> {
    let (level, answer) = match local {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTOPTIONS),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_2292PKTOPTIONS),
    };
    set(socket, level, want, &1).ok()?;
    // One control message: its header, then what was asked for.
    let mut answered = [0; 128];
    let length = get(socket, level, answer, &mut answered).ok()?;
    set(socket, level, want, &0).ok()?;
    let start = size_of::<libc::cmsghdr>() + skip;
    let number = answered.get(..length)?.get(start..start + size_of::<u32>())?;
    Some(u32::from_ne_bytes(number.try_into().ok()?))
}

/// Octets written to a connection that its other end has not acknowledged; 0 where the kernel does not say.
pub(super) fn unacknowledged(socket: &impl AsFd) -> usize {
    let mut octets: c_int = 0;
    // SAFETY: the descriptor is open while it is borrowed; the kernel writes one int to a live one.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) };
    if result == 0 { usize::try_from(octets).unwrap_or(0) } else { 0 }
}

/// Whether a new socket is one of the last `reserved` file descriptors that this process may have: the kernel gives the
/// lowest free number.
pub(super) fn is_among_the_last(socket: &impl AsFd, reserved: u64) -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `rlimit` to a live one.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    // Descriptors are not negative.
    result == 0 && u64::from(socket.as_fd().as_raw_fd().unsigned_abs()) + reserved >= limit.rlim_cur
}

/// The index of an interface by name, for the zone of a link-local address.
pub(super) fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: `name` is a C string that lives through the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// The name of an interface; `None` where it is gone.
pub(super) fn interface_name(index: u32) -> Option<String> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: `name` has room for the longest name with its end, and lives through the call.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return None;
    }
    Some(CStr::from_bytes_until_nul(&name).ok()?.to_str().ok()?.to_owned())
}

/// An address of a dual-stack socket, IPv4 as IPv4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

fn set<T>(socket: &impl AsFd, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open while it is borrowed; the pointer and length are those of a live value, which
    // the kernel only reads. Every caller passes an int or a #[repr(C)] struct without padding.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const *value).cast(), size_of::<T>() as u32) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option and returns how many octets it has.
fn get(socket: &impl AsFd, level: c_int, option: c_int, value: &mut [u8]) -> io::Result<usize> {
    let fd = socket.as_fd().as_raw_fd();
    let mut length = value.len() as libc::socklen_t;
    // SAFETY: the descriptor is open while it is borrowed; the kernel writes at most `length` octets into a live
    // buffer of that length.
    let result = unsafe { libc::getsockopt(fd, level, option, value.as_mut_ptr().cast(), &raw mut length) };
    if result == 0 { Ok(length as usize) } else { Err(io::Error::last_os_error()) }
}
