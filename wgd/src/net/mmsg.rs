//! recvmmsg(2) and sendmmsg(2), on the worker's thread: many datagrams in one system call, and in one message.
#![allow(unsafe_code)] // std sends and receives one at a time

use std::ffi::c_int;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use crate::envelope::Ecn;
use crate::offload::Train;

/// Messages in one call: each may be a train of datagrams.
const MOST: usize = 8;
/// The largest message.
const ROOM: usize = 65_536;
/// One control message with one number, as long as `CMSG_SPACE` has it.
#[derive(Clone, Copy)]
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    value: [u8; size_of::<usize>()],
}

/// Those of one message: about segments, and about the ECN field.
#[derive(Clone, Copy)]
#[repr(C)]
struct Controls([Control; 2]);

impl Control {
    fn new() -> Self {
        // SAFETY: a header of zeros is a control message without content
        Self { header: unsafe { mem::zeroed() }, value: Default::default() }
    }

    fn with(level: c_int, kind: c_int, value: &[u8]) -> Self {
        let mut control = Self::new();
        (control.header.cmsg_level, control.header.cmsg_type) = (level, kind);
        control.header.cmsg_len = (mem::offset_of!(Self, value) + value.len()) as _;
        control.value[..value.len()].copy_from_slice(value);
        control
    }

    fn is(&self, level: c_int, kind: c_int) -> bool {
        (self.header.cmsg_level, self.header.cmsg_type) == (level, kind)
    }

    fn number(&self) -> c_int {
        let [first, second, third, fourth, ..] = self.value;
        c_int::from_ne_bytes([first, second, third, fourth])
    }
}

impl Controls {
    fn new() -> Self {
        Self([Control::new(); 2])
    }

    /// What has to be said of a train: nothing of a single datagram without an ECN field.
    fn of(train: &Train) -> Self {
        let mut controls = Self::new();
        let mut free = controls.0.iter_mut();
        let mut add = |control| free.next().into_iter().for_each(|place| *place = control);
        if train.datagrams > 1 {
            add(Control::with(libc::SOL_UDP, libc::UDP_SEGMENT, &(train.segment as u16).to_ne_bytes()));
        }
        let field = c_int::from(train.envelope.ecn.bits()).to_ne_bytes();
        if train.envelope.ecn != Ecn::NotEct {
            add(if train.envelope.to.is_ipv4() {
                Control::with(libc::SOL_IP, libc::IP_TOS, &field)
            } else {
                Control::with(libc::SOL_IPV6, libc::IPV6_TCLASS, &field)
            });
        }
        controls
    }

    /// Octets of those that there are.
    fn len(&self) -> usize {
        self.0.iter().filter(|control| control.header.cmsg_len > 0).count() * size_of::<Control>()
    }

    /// Octets of the datagrams that were put together, as far as the kernel wrote so.
    fn coalesced(&self) -> Option<usize> {
        let control = self.0.iter().find(|control| control.is(libc::SOL_UDP, libc::UDP_GRO))?;
        usize::try_from(control.number()).ok().filter(|octets| *octets > 0)
    }

    /// The ECN field of the datagrams.
    fn ecn(&self) -> Ecn {
        let field = self.0.iter().find_map(|control| match control {
            // ip(7): an octet
            control if control.is(libc::SOL_IP, libc::IP_TOS) => Some(control.value[0]),
            control if control.is(libc::SOL_IPV6, libc::IPV6_TCLASS) => Some(control.number() as u8),
            _ => None,
        });
        field.map_or(Ecn::NotEct, Ecn::of)
    }
}

/// The kernel's view of some messages; its pointers are valid during a call only.
#[derive(Default)]
pub(super) struct Messages {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    addresses: Vec<SockAddr>,
    controls: Vec<Controls>,
}

/// Messages that were received, in buffers that are used again.
#[derive(Default)]
pub(super) struct Inbox {
    rooms: Vec<Box<[u8]>>,
    sources: Vec<SockAddrStorage>,
    messages: Vec<Message>,
}

/// Datagrams of one sender.
#[derive(Clone, Copy)]
struct Message {
    from: SocketAddr,
    len: usize,
    /// Octets of each but the last.
    segment: usize,
    ecn: Ecn,
}

impl Inbox {
    /// How many there are at most.
    pub(super) const MOST: usize = MOST;

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The datagrams, in their order, each with who sent it and its ECN field.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, Ecn, &[u8])> {
        self.messages.iter().zip(&self.rooms).flat_map(|(message, room)| {
            let octets = &room[..message.len];
            // An empty datagram is one too
            let empty = octets.is_empty().then_some(octets);
            octets.chunks(message.segment.max(1)).chain(empty).map(|datagram| (message.from, message.ecn, datagram))
        })
    }

    /// Forgets the messages, keeps the buffers.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
    }
}

impl Messages {
    /// Fills the inbox with what has arrived.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        inbox: &mut Inbox,
        source: impl Fn(SocketAddr) -> SocketAddr,
    ) -> io::Result<()> {
        inbox.messages.clear();
        inbox.rooms.resize_with(MOST, || vec![0; ROOM].into_boxed_slice());
        inbox.sources.resize_with(MOST, SockAddrStorage::zeroed);
        self.controls.clear();
        self.controls.resize_with(MOST, Controls::new); // what was read before must not be read again
        self.vectors.clear();
        self.vectors.extend(
            inbox.rooms.iter_mut().map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() }),
        );
        self.headers.clear();
        let places = self.vectors.iter_mut().zip(&mut inbox.sources).zip(&mut self.controls);
        self.headers.extend(places.map(|((vector, address), control)| {
            let mut message = header(vector, ptr::from_mut(address).cast(), address.size_of());
            message.msg_hdr.msg_control = ptr::from_mut(control).cast();
            message.msg_hdr.msg_controllen = size_of::<Controls>() as _;
            message
        }));
        let (headers, count) = (self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        // SAFETY: each header points at one room of the inbox, one address and one control buffer, with their lengths;
        // all of them are borrowed until the end of this function
        let received =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT, ptr::null_mut()) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        let received = self.headers.iter().zip(&mut inbox.sources).zip(&self.controls).take(received);
        for ((header, address), control) in received {
            let address = mem::replace(address, SockAddrStorage::zeroed());
            // SAFETY: the kernel wrote an address of this length
            let address = unsafe { SockAddr::new(address, header.msg_hdr.msg_namelen) };
            let address = address.as_socket().unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
            let len = header.msg_len as usize;
            let segment = control.coalesced().unwrap_or(len);
            inbox.messages.push(Message { from: source(address), len, segment, ecn: control.ecn() });
        }
        Ok(())
    }

    /// Sends the first of the trains: how many. An error is the first one's.
    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        trains: impl Iterator<Item = Train>,
        octets: &[u8],
        address: impl Fn(SocketAddr) -> SocketAddr,
    ) -> io::Result<usize> {
        self.vectors.clear();
        self.addresses.clear();
        self.controls.clear();
        for train in trains.take(MOST) {
            let octets = &octets[train.start..train.start + train.len];
            self.vectors.push(libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() });
            self.addresses.push(address(train.envelope.to).into());
            self.controls.push(Controls::of(&train));
        }
        self.headers.clear();
        let places = self.vectors.iter_mut().zip(&self.addresses).zip(&mut self.controls);
        self.headers.extend(places.map(|((vector, address), control)| {
            let mut message = header(vector, address.as_ptr().cast_mut().cast(), address.len());
            if control.len() > 0 {
                message.msg_hdr.msg_controllen = control.len() as _;
                message.msg_hdr.msg_control = ptr::from_mut(control).cast();
            }
            message
        }));
        let (headers, count) = (self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        // SAFETY: each header points at one train, one address and one control message, with their lengths; the trains
        // lie in `octets`, which is borrowed like the rest until the end of this function. The kernel only reads through them
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// A message of one piece.
fn header(vector: &mut libc::iovec, name: *mut libc::c_void, name_len: libc::socklen_t) -> libc::mmsghdr {
    // SAFETY: a header of zeros is an empty message
    let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
    message.msg_hdr.msg_name = name;
    message.msg_hdr.msg_namelen = name_len;
    message.msg_hdr.msg_iov = vector;
    message.msg_hdr.msg_iovlen = 1;
    message
}
