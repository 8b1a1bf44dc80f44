//! What an answer without an end carries: lines for as long as somebody reads.

use std::task::{Context, Poll, ready};

use bgpd::net::Monitor;
use tokio::sync::mpsc::Receiver;

use super::api;
use crate::daemon::{Capture, TunnelNews};

/// Where the lines come from. Nothing is taken from there before the client has room for it.
#[derive(Debug)]
pub(super) enum Lines {
    Speaker(Monitor),
    Tunnel(Receiver<TunnelNews>),
    Packets(Capture),
}

impl Lines {
    /// The next of them; `None`: that was all.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        Poll::Ready(match self {
            Self::Speaker(monitor) => ready!(monitor.poll_recv(context)).map(|news| api::lines(&news)),
            Self::Tunnel(news) => ready!(news.poll_recv(context)).map(|news| api::tunnel_line(&news)),
            Self::Packets(capture) => {
                let packets = ready!(capture.packets.poll_recv(context));
                packets.map(|packets| api::packet_lines(&packets, |packet| capture.time(packet)))
            }
        })
    }
}
