//! The TUN device.
//!
//! A plain `IFF_TUN | IFF_NO_PI` device, and for offloads `IFF_VNET_HDR` where the kernel has it: the flags of the last
//! opening count. It lives as long as its descriptor, unless it is made persistent on the way out so that routes into it
//! survive a restart.

// The device is made by ioctls that no safe interface covers.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Result, bail};

const DEVICE: &str = "/dev/net/tun";

/// Opens the device, making it where it does not exist (a persistent one of a former run is taken over). Non-blocking.
pub fn open_tun(name: &str) -> Result<OwnedFd> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        bail!("interface name `{name}` is not allowed: 1 to {} characters", libc::IFNAMSIZ - 1);
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(DEVICE)
        .map_err(explain)?;
    let plain = libc::IFF_TUN | libc::IFF_NO_PI;
    let tun = OwnedFd::from(file);
    // The second error says what is wrong whatever the offloads
    attach(tun.as_fd(), name, plain | libc::IFF_VNET_HDR)
        .or_else(|_| attach(tun.as_fd(), name, plain))
        .map_err(|error| attach_error(name, &error))?;
    Ok(tun)
}

fn attach(tun: BorrowedFd<'_>, name: &str, flags: libc::c_int) -> io::Result<()> {
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the descriptor is open and `request` is a whole `ifreq`, which the kernel may write to.
    match unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets the device outlive its descriptor, or no longer.
pub fn set_persistent(tun: BorrowedFd<'_>, persistent: bool) -> io::Result<()> {
    // SAFETY: the descriptor is open; the argument of TUNSETPERSIST is the number itself.
    match unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETPERSIST as _, libc::c_ulong::from(persistent)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The index of a link, 0 never being one.
pub fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: `name` is a C string that outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

/// The three ways in which a container's device is missing have three remedies.
fn explain(error: io::Error) -> anyhow::Error {
    let hint = match error.raw_os_error() {
        Some(libc::ENOENT) => {
            "the device node is missing: mount /dev/net/tun into the container, or load the tun module"
        }
        Some(libc::EPERM) => {
            "the container runtime's device rules deny it (runc 1.2.0 to 1.2.3 do so by mistake): allow char device 10:200"
        }
        Some(libc::EACCES) => "its mode denies it to this user: run as root or make /dev/net/tun readable and writable",
        _ => return anyhow::Error::new(error).context(format!("cannot open {DEVICE}")),
    };
    anyhow::Error::new(error).context(format!("cannot open {DEVICE}: {hint}"))
}

fn attach_error(name: &str, error: &io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        Some(libc::EPERM) => anyhow::anyhow!("cannot make interface {name}: CAP_NET_ADMIN is missing"),
        Some(libc::EBUSY) => anyhow::anyhow!("cannot make interface {name}: another program holds it"),
        Some(libc::EINVAL) => {
            anyhow::anyhow!("cannot make interface {name}: a link of that name and another kind exists")
        }
        _ => anyhow::anyhow!("cannot make interface {name}: {error}"),
    }
}
