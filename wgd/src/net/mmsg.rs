//! recvmmsg(2) and sendmmsg(2), on the worker's thread: many datagrams in one system call.
#![allow(unsafe_code)] // std sends and receives one at a time

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use crate::batch::Batch;

/// Datagrams in one call.
const MOST: usize = 64;

/// The kernel's view of a batch; its pointers are valid during a call only.
#[derive(Default)]
pub(super) struct Messages {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    sources: Vec<SockAddrStorage>,
    destinations: Vec<SockAddr>,
}

impl Messages {
    /// Adds what has arrived to the batch.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        batch: &mut Batch<SocketAddr>,
        source: impl Fn(SocketAddr) -> SocketAddr,
    ) -> io::Result<()> {
        self.sources.resize_with(MOST, SockAddrStorage::zeroed);
        self.vectors.clear();
        self.vectors.extend(
            batch.rooms(MOST).map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() }),
        );
        self.headers.clear();
        for (vector, address) in self.vectors.iter_mut().zip(&mut self.sources) {
            self.headers.push(header(vector, ptr::from_mut(address).cast(), address.size_of()));
        }
        let (headers, count) = (self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        // SAFETY: each header points at one room of the batch and one address, with their lengths; all of them are
        // borrowed until the end of this function
        let received =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT, ptr::null_mut()) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (header, address) in self.headers.iter().zip(&mut self.sources).take(received) {
            let address = mem::replace(address, SockAddrStorage::zeroed());
            // SAFETY: the kernel wrote an address of this length
            let address = unsafe { SockAddr::new(address, header.msg_hdr.msg_namelen) };
            let address = address.as_socket().unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
            batch.push(header.msg_len as usize, source(address));
        }
        Ok(())
    }

    /// Sends the first of the datagrams: how many. An error is the first one's.
    pub(super) fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        datagrams: impl Iterator<Item = (&'a [u8], SocketAddr)>,
    ) -> io::Result<usize> {
        self.vectors.clear();
        self.destinations.clear();
        for (datagram, to) in datagrams.take(MOST) {
            self.vectors.push(libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() });
            self.destinations.push(to.into());
        }
        self.headers.clear();
        for (vector, address) in self.vectors.iter_mut().zip(&self.destinations) {
            self.headers.push(header(vector, address.as_ptr().cast_mut().cast(), address.len()));
        }
        let (headers, count) = (self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        // SAFETY: each header points at one datagram and one address, with their lengths; the datagrams are borrowed
        // for 'a, the rest until the end of this function. The kernel only reads through them
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

fn header(vector: &mut libc::iovec, name: *mut libc::c_void, name_len: libc::socklen_t) -> libc::mmsghdr {
    // SAFETY: a header of zeros is an empty message
    let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
    message.msg_hdr.msg_name = name;
    message.msg_hdr.msg_namelen = name_len;
    message.msg_hdr.msg_iov = vector;
    message.msg_hdr.msg_iovlen = 1;
    message
}
