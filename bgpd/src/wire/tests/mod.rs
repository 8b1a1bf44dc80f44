//! The codec against the RFCs' clauses and docs' choices, message by message.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::BytesMut;
use ipnet::IpNet;

use super::*;
use crate::types::{Asn, Families, Family};

mod update;

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// An external neighbor, AS 64512, everything negotiated.
fn external() -> Context {
    Context {
        four_octet_as: true,
        enhanced_refresh: true,
        internal: false,
        remote_asn: asn(64512),
        families: Families::ALL,
        enforce_first_asn: true,
        max_message: MAX_MESSAGE,
    }
}

fn internal() -> Context {
    Context { internal: true, ..external() }
}

/// A message with its header.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + body.len()).unwrap();
    [&[0xFF; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

fn notification(frame: &[u8], context: &Context) -> Notification {
    Notification::from(&decode(frame, context).unwrap_err())
}
