//! What others change in the kernel: links, addresses, routes. Many changes are told as one.

use std::io;
use std::time::{Duration, Instant};

use libc::{
    ENOBUFS, RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE, RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK,
};
use netlink_packet_core::NLM_F_REPLACE;
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use socket2::{SockFilter, SockRef};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::message::{Received, messages, u32_at};
use super::socket::receive;
use super::{Event, Route, route};

/// After an event the next one waits this long, and then speaks for everything in between.
const QUIET: Duration = Duration::from_millis(50);

/// Routes of ours told one by one; beyond that it is [`Event::Lost`].
const OWN_ROUTES: usize = 32;

const INBOX: usize = 64 << 10;

/// The monitor's socket and what it has still to tell.
pub(super) struct Monitor {
    socket: Socket,
    inbox: Box<[u8]>,
    protocol: u8,
    news: News,
}

impl Monitor {
    /// Opens the socket in the caller's network namespace. `port`: the request socket's; route changes made there are
    /// not heard.
    pub(super) fn open(protocol: u8, port: u32) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        SockRef::from(&socket).attach_filter(&all_but_routes_by(port))?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        for group in [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE] {
            socket.add_membership(group)?;
        }
        Ok(Self { socket, inbox: vec![0; INBOX].into(), protocol, news: News::default() })
    }

    /// The socket, to wait for it.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Reads what has arrived.
    pub(super) fn drain(&mut self) {
        loop {
            match receive(&self.socket, &mut self.inbox) {
                Ok(datagram) => messages(datagram).for_each(|message| self.news.note(&message, self.protocol)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => self.news.lost = true,
                Err(error) => {
                    tracing::error!(%error, "the kernel's notifications cannot be read");
                    return;
                }
            }
        }
    }

    /// Something was lost elsewhere.
    pub(super) fn note_loss(&mut self) {
        self.news.lost = true;
    }

    /// Tells what is to be told by now.
    pub(super) fn tell(&mut self, now: Instant, events: &mpsc::Sender<Event>) {
        for event in self.news.take(now) {
            // Where nobody listens any more, nothing is lost.
            if let Err(TrySendError::Full(_)) = events.try_send(event) {
                self.news.lost = true;
            }
        }
    }

    /// When [`Monitor::tell`] has something more to tell.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.news.next_timeout()
    }
}

/// What was heard and not yet told.
#[derive(Debug, Default)]
struct News {
    changed: bool,
    lost: bool,
    /// The kernel takes routes away without a word, and only after it has told of their link or address: compare
    /// everything, but not before [`QUIET`] has passed.
    silent_loss: bool,
    own_routes: Vec<Route>,
    quiet_until: Option<Instant>,
}

impl News {
    fn note(&mut self, message: &Received<'_>, protocol: u8) {
        match message.kind {
            RTM_NEWROUTE | RTM_DELROUTE => self.note_route(message, protocol),
            RTM_NEWLINK | RTM_NEWADDR => self.changed = true,
            RTM_DELLINK | RTM_DELADDR => (self.changed, self.silent_loss) = (true, true),
            _ => {}
        }
        if message.kind == RTM_NEWLINK && !is_up(message.payload) {
            self.silent_loss = true;
        }
    }

    fn note_route(&mut self, message: &Received<'_>, protocol: u8) {
        let Some(found) = route::decode(message.payload) else { return };
        if found.route.protocol != protocol {
            self.changed = true;
            // What it replaces may have been ours, and only the new route is told.
            self.lost |= message.kind == RTM_NEWROUTE && message.flags & NLM_F_REPLACE != 0;
        } else if self.own_routes.len() < OWN_ROUTES {
            self.own_routes.push(found.route);
        } else {
            self.lost = true;
        }
    }

    /// The events that are due. The first change is told at once.
    fn take(&mut self, now: Instant) -> Vec<Event> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let mut events: Vec<Event> = self.own_routes.drain(..).map(Event::OwnRoute).collect();
        let changed = std::mem::take(&mut self.changed);
        if std::mem::take(&mut self.lost) {
            events = vec![Event::Lost];
        } else if changed {
            events.push(Event::Changed);
        }
        let told = !events.is_empty() || self.silent_loss;
        self.quiet_until = told.then(|| now + QUIET);
        self.lost = std::mem::take(&mut self.silent_loss);
        events
    }

    fn next_timeout(&self) -> Option<Instant> {
        let waiting = self.changed || self.lost || self.silent_loss || !self.own_routes.is_empty();
        self.quiet_until.filter(|_| waiting)
    }
}

/// IFF_UP in `struct ifinfomsg`.
fn is_up(payload: &[u8]) -> bool {
    u32_at(payload, 8).is_some_and(|flags| flags & libc::IFF_UP as u32 != 0)
}

/// A socket filter that drops notifications of routes which the owner of `port` has changed: a batch of our own would
/// else fill the buffer. Loads are big-endian there, netlink is in the host's order.
fn all_but_routes_by(port: u32) -> [SockFilter; 7] {
    const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
    const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let kind = |kind: u16| u32::from(kind.to_be());
    [
        SockFilter::new(LOAD_HALF, 0, 0, 4), // nlmsg_type
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, kind(RTM_NEWROUTE)),
        SockFilter::new(JUMP_IF_EQUAL, 0, 2, kind(RTM_DELROUTE)),
        SockFilter::new(LOAD_WORD, 0, 0, 12), // nlmsg_pid
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, port.to_be()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests;
