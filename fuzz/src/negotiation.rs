//! OPEN: what both ends offer decides what comes of it, however it arrives.

use std::time::Duration;

use bgpd::settings::{RemoteAs, SessionSettings};
use bgpd::types::{Asn, ConnectionId, Families, HoldTime};
use bgpd::view::SessionState;
use bgpd::wire::{Context, Message, Notification, Open, decode, frame_length, write_keepalive};
use bytes::BytesMut;

use crate::session::bench::{Bench, neighbor, router};
use crate::wire::context;

const CONNECTION: ConnectionId = ConnectionId(1);
const FROM: &str = "10.0.0.11";

/// What a neighbor sends on a connection that it has just made. The first octet says how it is configured.
pub fn opening(input: &[u8]) {
    let Some((&configured, bytes)) = input.split_first() else { return };
    let whole = answered(configured, &[bytes]);
    let octets: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(whole, answered(configured, &octets), "it matters in which pieces it comes");
    if let Some(open) = first_open(bytes) {
        agrees(configured, &open, &whole);
    }
}

/// What the neighbor hears behind our OPEN, and the state that it leaves.
fn answered(configured: u8, pieces: &[&[u8]]) -> (Vec<u8>, SessionState) {
    let mut bench = bench(configured);
    bench.accept(CONNECTION, FROM);
    let ours = bench.heard(CONNECTION);
    assert_eq!(frame_length(&ours, 4096), Ok(Some(ours.len())), "it hears an OPEN first");
    pieces.iter().for_each(|piece| bench.receive(CONNECTION, piece));
    (bench.heard(CONNECTION).to_vec(), bench.state("far"))
}

fn bench(configured: u8) -> Bench {
    let mut settings = router();
    settings.neighbors.insert("far".to_owned(), neighbor(FROM, remote_as(configured), session(configured)));
    Bench::new(settings)
}

fn session(configured: u8) -> SessionSettings {
    let families = [Families::ALL, Families::IPV4, Families::IPV6, Families::ALL][usize::from(configured & 3)];
    let hold_time = [90, 3, 0, 180][usize::from(configured >> 2 & 3)];
    SessionSettings {
        families: Some(families),
        hold_time: HoldTime::new(hold_time).unwrap_or(HoldTime::DEFAULT),
        ..SessionSettings::default()
    }
}

fn remote_as(configured: u8) -> RemoteAs {
    match configured >> 4 & 3 {
        0 => RemoteAs::External,
        1 => RemoteAs::Internal,
        2 => RemoteAs::OneOf(Asn::new(64513).into_iter().collect()),
        _ => RemoteAs::OneOf([64512, 64513, 65536].into_iter().filter_map(Asn::new).collect()),
    }
}

fn first_open(bytes: &[u8]) -> Option<Open> {
    let context: Context = context(1);
    let length = frame_length(bytes, context.max_message).ok()??;
    match decode(&bytes[..length], &context) {
        Ok(Message::Open(open)) if length == bytes.len() => Some(open),
        _ => None,
    }
}

/// The rules once more, as the RFCs have them.
fn agrees(configured: u8, open: &Open, (heard, state): &(Vec<u8>, SessionState)) {
    let (session, ours) = (session(configured), router());
    let internal = open.asn == ours.asn;
    let admitted = open.asn != Asn::TRANS
        && match remote_as(configured) {
            RemoteAs::External => !internal,
            RemoteAs::Internal => internal,
            RemoteAs::OneOf(asns) => asns.contains(&open.asn),
        };
    let offered = session.hold_time.seconds();
    let hold_time_is_good = match open.hold_time {
        0 => offered == 0,
        1 | 2 => false,
        _ => true,
    };
    let families = session.families.unwrap_or_default();
    let expected = if !admitted {
        Some((2, 2)) // RFC 4271 §6.2
    } else if internal && open.router_id == ours.router_id {
        Some((2, 3)) // RFC 6286 §2.3
    } else if !hold_time_is_good {
        Some((2, 6)) // RFC 4271 §4.2
    } else if families.intersection(open.families()).is_empty() {
        Some((2, 7)) // RFC 5492 §3
    } else {
        None
    };
    match expected {
        Some((code, subcode)) => {
            let Ok(Message::Notification(Notification { code: said, subcode: and, .. })) = decode(heard, &context(1))
            else {
                panic!("{open:?} is answered with {heard:02x?}")
            };
            assert_eq!((said, and), (code, subcode), "{open:?}");
        }
        None => {
            assert_eq!(*state, SessionState::OpenConfirm, "{open:?}");
            establishes(configured, open);
        }
    }
}

/// A KEEPALIVE, and what was agreed on is in force.
fn establishes(configured: u8, open: &Open) {
    let mut bench = bench(configured);
    bench.accept(CONNECTION, FROM);
    let mut says = BytesMut::new();
    open.write(&mut says);
    write_keepalive(&mut says);
    bench.receive(CONNECTION, &says);
    let view = bench.view("far");
    assert_eq!(view.state, SessionState::Established);
    let offered = session(configured).hold_time.seconds();
    assert_eq!(view.hold_time, Some(Duration::from_secs(offered.min(open.hold_time).into())));
    assert_eq!(view.families, session(configured).families.unwrap_or_default().intersection(open.families()));
    assert_eq!((view.asn, view.router_id), (Some(open.asn), Some(open.router_id)));
}
