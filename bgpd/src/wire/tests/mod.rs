//! The codec against the RFCs' clauses, message by message. The bytes stand here as they do on the wire; the laws
//! that hold for any bytes are in `laws`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};

use bytes::BytesMut;
use ipnet::IpNet;

use super::*;
use crate::types::{Asn, Families, Family};

mod add_path;
mod attributes;
mod field;
mod four_octet_as;
mod header;
mod laws;
mod notification;
mod open;
mod update;
mod write;

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;
const ROUTE_REFRESH: u8 = 5;

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
/// AS_PATH 64512.
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xFC, 0];
/// NEXT_HOP 169.254.64.2.
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 169, 254, 64, 2];
const LOCAL_PREF: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
/// NLRI 10.0.0.0/8.
const TEN: &[u8] = &[8, 10];
/// MP_REACH_NLRI of 2001:db8::/32 by fd64:64::2.
const MP_REACH: &[u8] =
    &[0x80, 14, 26, 0, 2, 1, 16, 0xFD, 0x64, 0, 0x64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 32, 0x20, 1, 0x0D, 0xB8];
/// MP_UNREACH_NLRI of 2001:db8::/32.
const MP_UNREACH: &[u8] = &[0x80, 15, 8, 0, 2, 1, 32, 0x20, 1, 0x0D, 0xB8];

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

fn path(numbers: &[u32]) -> AsPath {
    numbers.iter().copied().map(asn).collect()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// An external neighbor, AS 64512, everything negotiated.
fn external() -> Context {
    Context { enhanced_refresh: true, ..Context::new(asn(64512)) }
}

fn internal() -> Context {
    Context { internal: true, ..external() }
}

/// An external neighbor that knows only two octets an AS.
fn old() -> Context {
    Context { four_octet_as: false, ..external() }
}

/// A message with its header.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + body.len()).unwrap();
    [&[0xFF; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

/// An UPDATE of its three fields.
fn update_message(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let length = |field: &[u8]| u16::try_from(field.len()).unwrap().to_be_bytes();
    message(UPDATE, &[&length(withdrawn)[..], withdrawn, &length(attributes), attributes, nlri].concat())
}

/// An UPDATE that announces 10.0.0.0/8.
fn announcing(attributes: &[&[u8]]) -> Vec<u8> {
    update_message(&[], &attributes.concat(), TEN)
}

fn attribute(flags: u8, code: AttrCode, value: &[u8]) -> Vec<u8> {
    [&[flags, code.0, u8::try_from(value.len()).unwrap()], value].concat()
}

fn update<'a>(frame: &'a [u8], context: &Context) -> Update<'a> {
    match decode(frame, context) {
        Ok(Message::Update(update)) => update,
        other => panic!("{other:?}"),
    }
}

fn parse(frame: &[u8], context: &Context) -> ParsedAttributes {
    update(frame, context).attributes.parse(context)
}

/// The prefixes, as text.
fn texts(nlri: Nlri<'_>) -> Vec<String> {
    nlri.iter().map(|prefix| prefix.to_string()).collect()
}

/// What answers a message that cannot be read.
fn refusal(frame: &[u8], context: &Context) -> (u8, u8, Vec<u8>) {
    answer(&decode(frame, context).expect_err("refused"))
}

/// What answers the attributes of a message.
fn attribute_refusal(frame: &[u8], context: &Context) -> (u8, u8, Vec<u8>) {
    answer(&parse(frame, context).reset().expect("a session reset"))
}

fn answer(error: &DecodeError) -> (u8, u8, Vec<u8>) {
    let Notification { code, subcode, data } = Notification::from(error);
    (code, subcode, data)
}
