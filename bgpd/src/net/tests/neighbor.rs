//! The far end of a session as a plain blocking socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use socket2::{Domain, Socket, Type};

use super::gateway::{PATIENCE, asn};
use crate::types::{BgpIdentifier, Families};
use crate::wire::{
    Capability, Context, MAX_MESSAGE, Message, Notification, Open, decode, frame_length, write_keepalive,
};

/// What arrived.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Heard {
    Open(Open),
    Keepalive,
    Notification(Notification),
    Other,
    /// The far end has closed in order.
    End,
}

pub(super) struct RawNeighbor {
    pub(super) stream: TcpStream,
    inbox: BytesMut,
}

impl RawNeighbor {
    /// Dials from an address of its own.
    pub(super) fn dial(from: impl Into<IpAddr>, to: SocketAddr) -> Self {
        Self::dial_with_receive_buffer(from, to, 256 * 1024)
    }

    pub(super) fn dial_with_receive_buffer(from: impl Into<IpAddr>, to: SocketAddr, size: usize) -> Self {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(from.into(), 0).into()).unwrap();
        socket.set_recv_buffer_size(size).unwrap();
        socket.connect(&to.into()).unwrap();
        Self::over(socket.into())
    }

    pub(super) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        Self { stream, inbox: BytesMut::new() }
    }

    pub(super) fn open(asn_number: u32, hold_time: u16) -> Open {
        Open {
            asn: asn(asn_number),
            hold_time,
            router_id: BgpIdentifier::new([192, 0, 2, 1].into()).unwrap(),
            capabilities: vec![Capability::Multiprotocol { afi: 1, safi: 1 }, Capability::FourOctetAs(asn_number)],
        }
    }

    pub(super) fn send(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut message = BytesMut::new();
        write(&mut message);
        self.stream.write_all(&message).unwrap();
    }

    /// Up to Established.
    pub(super) fn establish(&mut self, asn_number: u32, hold_time: u16) {
        self.send(|out| Self::open(asn_number, hold_time).write(out));
        assert!(matches!(self.hear(), Heard::Open(_)));
        assert_eq!(self.hear(), Heard::Keepalive);
        self.send(write_keepalive);
    }

    /// The next message.
    pub(super) fn hear(&mut self) -> Heard {
        let context = Context { families: Families::IPV4, enforce_first_asn: false, ..Context::new(asn(64513)) };
        loop {
            if let Some(length) = frame_length(&self.inbox, MAX_MESSAGE).unwrap() {
                let frame = self.inbox.split_to(length);
                return match decode(&frame, &context).unwrap() {
                    Message::Open(open) => Heard::Open(open),
                    Message::Keepalive => Heard::Keepalive,
                    Message::Notification(notification) => Heard::Notification(notification),
                    Message::Update(_) | Message::RouteRefresh(_) => Heard::Other,
                };
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Heard::End,
                Ok(read) => self.inbox.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("the connection broke: {error}"),
            }
        }
    }
}
