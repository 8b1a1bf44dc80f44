//! The first address of this host, for a router ID that is not configured.

// getifaddrs has no safe interface in the standard library.
#![allow(unsafe_code)]

use std::net::Ipv4Addr;
use std::ptr;

/// The first IPv4 address, in the kernel's order of links, that is neither loopback nor link-local.
pub fn first_ipv4() -> Option<Ipv4Addr> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: on success `list` is a list that stays valid until `freeifaddrs`.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return None;
    }
    let mut found = None;
    let mut entry = list;
    // SAFETY: `entry` walks the list that getifaddrs returned, which ends with a null pointer.
    while let Some(address) = unsafe { entry.as_ref() } {
        found = found.or_else(|| ipv4(address.ifa_addr));
        entry = address.ifa_next;
    }
    // SAFETY: `list` came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(list) };
    found
}

fn ipv4(address: *const libc::sockaddr) -> Option<Ipv4Addr> {
    // SAFETY: an entry's address is null or a valid sockaddr of the family it names.
    let family = unsafe { address.as_ref() }?.sa_family;
    if i32::from(family) != libc::AF_INET {
        return None;
    }
    // SAFETY: AF_INET says that it is a sockaddr_in.
    let address = unsafe { &*address.cast::<libc::sockaddr_in>() };
    let address = Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr));
    (!address.is_loopback() && !address.is_link_local()).then_some(address)
}
