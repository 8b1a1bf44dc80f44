//! The BGP codec: no bytes of a neighbor do harm, and what is read is what would be written.

use std::net::IpAddr;

use bgpd::types::{Asn, Families, Family};
use bgpd::wire::{
    Context, DecodeError, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, Message, MpNextHop, Notification, PathAttributes,
    Treatment, Update, decode, frame_length, write_reach,
};
use bytes::BytesMut;
use ipnet::IpNet;

/// What a TCP connection delivers, message by message, as a speaker reads it: until something ends the session. The
/// first octet says what the session has negotiated.
pub fn stream(input: &[u8]) {
    let Some((&negotiated, mut stream)) = input.split_first() else { return };
    let context = context(negotiated);
    loop {
        let length = match frame_length(stream, context.max_received) {
            Ok(Some(length)) => length,
            Ok(None) => return,
            Err(error) => return answer(&error),
        };
        let (frame, rest) = stream.split_at(length);
        match decode(frame, &context) {
            Ok(message) => read(&message, &context),
            Err(error) => return answer(&error),
        }
        stream = rest;
    }
}

/// A session of each kind.
pub(crate) fn context(negotiated: u8) -> Context {
    let bit = |bit: u8| negotiated & 1 << bit != 0;
    let max_message = if bit(6) { MAX_EXTENDED_MESSAGE } else { MAX_MESSAGE };
    let paths = if bit(7) { Families::ALL } else { Families::NONE };
    Context {
        four_octet_as: bit(0),
        enhanced_refresh: bit(1),
        internal: bit(2),
        families: Families { ipv4: !bit(3), ipv6: !bit(4) },
        enforce_first_asn: bit(5),
        max_message,
        max_received: max_message,
        paths_sent: paths,
        paths_received: paths,
        ..Context::new(Asn::TRANS)
    }
}

fn read(message: &Message<'_>, context: &Context) {
    match message {
        Message::Open(open) => {
            let mut out = BytesMut::new();
            open.write(&mut out);
            assert!(matches!(decode(&out, context), Ok(Message::Open(again)) if again == *open), "{open:?}");
            open.capabilities.iter().for_each(|capability| assert!(!capability.name().is_empty()));
        }
        Message::Notification(notification) => assert!(!notification.text().is_empty()),
        Message::Update(update) => read_update(update, context),
        Message::Keepalive | Message::RouteRefresh(_) => {}
    }
}

fn read_update(update: &Update<'_>, context: &Context) {
    let mp_nlri = update.mp_nlri.map(|(_, nlri)| nlri);
    for nlri in [Some(update.withdrawn), update.mp_withdrawn, Some(update.nlri), mp_nlri].into_iter().flatten() {
        assert!(nlri.iter().all(|prefix| prefix == prefix.trunc() && Family::of(&prefix) == nlri.family));
        assert_eq!(nlri.is_empty(), nlri.iter().next().is_none());
    }
    update.attributes.key(&mut Vec::new());
    let parsed = update.attributes.parse(context);
    assert_eq!(parsed.treatment().is_none(), parsed.errors.is_empty());
    assert_eq!(parsed.reset().is_some(), parsed.treatment() == Some(Treatment::SessionReset));
    parsed.reset().iter().for_each(answer);
    if parsed.treatment().is_none_or(|treatment| treatment == Treatment::AttributeDiscard) {
        let own_field = parsed.next_hop.zip(update.nlri.paths().next());
        let own_field = own_field.map(|(next_hop, path)| (IpAddr::V4(next_hop).into(), path));
        let mp = update.mp_nlri.and_then(|(next_hop, nlri)| Some((next_hop, nlri.paths().next()?)));
        for (next_hop, path) in [own_field, mp].into_iter().flatten() {
            comes_back(&parsed.attributes, next_hop, path, context);
        }
    }
}

/// What was read without fault is written so that it is read the same.
fn comes_back(attributes: &PathAttributes, next_hop: MpNextHop, path: (Option<u32>, IpNet), context: &Context) {
    let mut out = BytesMut::new();
    let written = match path {
        (None, prefix) => write_reach(&mut out, context, attributes, next_hop, &[prefix]),
        (Some(id), prefix) => write_reach(&mut out, context, attributes, next_hop, &[(id, prefix)]),
    };
    if written == 0 {
        return; // too long when written our way
    }
    let Ok(Message::Update(again)) = decode(&out, context) else { panic!("unreadable: {out:02x?}") };
    let parsed = again.attributes.parse(context);
    assert_eq!((&parsed.attributes, &parsed.errors[..]), (attributes, &[][..]));
    let (found, nlri) = match (again.mp_nlri, parsed.next_hop) {
        (Some((found, nlri)), None) => (found, nlri),
        (None, Some(found)) => (IpAddr::V4(found).into(), again.nlri),
        other => panic!("{other:?}"),
    };
    // RFC 8950: an IPv4 next hop of MP_REACH_NLRI is written into the message's own field.
    assert_eq!(found, next_hop);
    assert!(nlri.paths().eq([path]));
}

/// What ends a session is said in a NOTIFICATION that any neighbor can read.
pub(crate) fn answer(error: &DecodeError) {
    assert!(!error.to_string().is_empty());
    let mut out = BytesMut::new();
    Notification::from(error).write(&mut out);
    assert_eq!(frame_length(&out, MAX_MESSAGE), Ok(Some(out.len())));
}
