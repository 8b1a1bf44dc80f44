//! Floods of every kind. What is allowed is in octets that the speaker holds more than before, rounded up from what was
//! seen: a number that grows with what was sent, and not with what is kept, would break it at once.
//!
//! `-- --nocapture` shows the numbers.

use std::time::Duration;

use bgpd::settings::PrefixLimit;
use bgpd::types::{ConnectionId, Family};
use bgpd::wire::{RouteRefresh, write_keepalive, write_route_refresh};
use bytes::{BufMut, BytesMut};

use crate::allocator::{held, peak};
use crate::door::{BAD, Door, GOOD};

const KIB: isize = 1024;
const MIB: isize = 1024 * KIB;

const NEXT_HOP: u32 = 0x0A00_000B;

/// An UPDATE for the /24 with this number: ORIGIN, AS_PATH, NEXT_HOP, and these octets.
fn update(out: &mut BytesMut, number: u32, next_hop: u32, more: &[u8]) {
    write_update(out, number, &[2, 1, 0, 0, 0xFC, 1], next_hop, more);
}

fn write_update(out: &mut BytesMut, number: u32, path: &[u8], next_hop: u32, more: &[u8]) {
    let attributes = 4 + 4 + path.len() + 7 + more.len();
    out.put_bytes(0xFF, 16);
    out.put_u16((19 + 4 + attributes + 4) as u16);
    out.put_slice(&[2, 0, 0]);
    out.put_u16(attributes as u16);
    out.put_slice(&[0x40, 1, 1, 0, 0x50, 2]);
    out.put_u16(path.len() as u16);
    out.put_slice(path);
    out.put_slice(&[0x40, 3, 4]);
    out.put_u32(next_hop);
    out.put_slice(more);
    out.put_slice(&[24, (number >> 16) as u8 + 1, (number >> 8) as u8, number as u8]);
}

/// COMMUNITIES with so many numbers from this one on.
fn communities(first: u32, count: u32) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_slice(&[0xD0, 8]);
    out.put_u16((count * 4) as u16);
    (first..first + count).for_each(|community| out.put_u32(community));
    out.to_vec()
}

/// As many numbers as a message has room for, the last of them this one.
fn longest_path(last: u32) -> Vec<u8> {
    let mut out = BytesMut::new();
    for length in [255, 255, 255, 240] {
        out.put_slice(&[2, length]);
        (0..length).for_each(|_| out.put_u32(64513));
    }
    out.put_slice(&[2, 1]);
    out.put_u32(last + 1);
    out.to_vec()
}

/// What a flood of so many messages costs: octets held more afterwards, and at most meanwhile.
fn flood(door: &mut Door, count: u32, mut write: impl FnMut(&mut BytesMut, u32)) -> (isize, isize) {
    let mut bytes = BytesMut::with_capacity(256 * 1024);
    let before = held();
    peak();
    for number in 0..count {
        write(&mut bytes, number);
        if bytes.len() > 128 * 1024 {
            door.feed(BAD, &mut bytes);
        }
    }
    door.feed(BAD, &mut bytes);
    door.rest();
    drop(bytes);
    (held() - before, peak() - before)
}

/// Both numbers are within the limit, and the good neighbor has noticed nothing.
fn allow(what: &str, door: &Door, (after, most): (isize, isize), limit: isize) {
    eprintln!("{what}: {} KiB afterwards, {} KiB at most, allowed are {}", after / KIB, most / KIB, limit / KIB);
    assert!(after.max(most) <= limit, "{what}: {after} octets are held, {most} were, {limit} are allowed");
    door.is_well();
}

#[test]
fn attributes_that_change_for_ever_cost_what_one_route_costs() {
    let mut door = Door::new(|_| {});
    let cost = flood(&mut door, 30_000, |out, number| update(out, 0, NEXT_HOP, &communities(number, 1000)));
    allow("30 thousand attribute sets of 4 KB for one prefix", &door, cost, 2 * MIB);
    assert_eq!(door.bad().received, 1);
}

#[test]
fn a_million_communities_on_a_thousand_prefixes_cost_what_a_thousand_routes_cost() {
    let mut door = Door::new(|bad| bad.session.max_prefixes = Some(PrefixLimit::new(1000)));
    let cost = flood(&mut door, 1_000_000, |out, number| update(out, number % 1000, NEXT_HOP, &communities(number, 1)));
    allow("a million UPDATEs with a community each", &door, cost, 2 * MIB);
    assert_eq!(door.bad().received, 1000);
}

#[test]
fn a_million_communities_that_are_kept_cost_what_a_message_holds_for_each_prefix() {
    let mut door = Door::new(|bad| bad.session.max_prefixes = Some(PrefixLimit::new(1000)));
    let cost = flood(&mut door, 1000, |out, number| update(out, number, NEXT_HOP, &communities(number * 1000, 1000)));
    allow("a thousand prefixes with a thousand communities each", &door, cost, 1000 * 4096 + 2 * MIB);
    assert_eq!(door.bad().received, 1000);
}

#[test]
fn the_longest_as_paths_cost_what_a_message_holds_for_each_prefix() {
    let mut door = Door::new(|bad| bad.session.max_prefixes = Some(PrefixLimit::new(1000)));
    let cost = flood(&mut door, 5000, |out, number| {
        write_update(out, number % 1000, &longest_path(number), NEXT_HOP, &[]);
    });
    allow("a thousand prefixes with paths of a thousand numbers", &door, cost, 1000 * 4096 + 2 * MIB);
    assert_eq!(door.bad().received, 1000);
}

#[test]
fn more_prefixes_than_allowed_cost_nothing_once_the_session_has_ended() {
    let mut door = Door::new(|bad| bad.session.max_prefixes = Some(PrefixLimit::new(1000)));
    let cost = flood(&mut door, 100_000, |out, number| update(out, number, NEXT_HOP, &communities(number, 1)));
    allow("100 thousand prefixes where a thousand are allowed", &door, cost, 2 * MIB);
    assert_eq!(door.bad().received, 0);
    assert!(door.bad().note.unwrap().contains("more than 1000"));
}

/// 512 MiB are allowed where no limit of prefixes is configured.
#[test]
fn routes_without_end_end_the_session() {
    let mut door = Door::new(|_| {});
    let before = held();
    let cost = flood(&mut door, 150_000, |out, number| update(out, number, NEXT_HOP, &communities(number, 1000)));
    allow("150 thousand prefixes with a thousand communities each", &door, cost, 560 * MIB);
    let left = held() - before; // records that the next routes are put into
    assert!(left <= 24 * MIB, "{left} octets are left");
    let error = door.bad().last_error.unwrap().notification.unwrap();
    assert_eq!((error.code, error.subcode, &error.data[..]), (6, 8, &[][..]));
}

#[test]
fn next_hops_that_change_for_ever_are_given_up() {
    let mut door = Door::new(|_| {});
    let cost = flood(&mut door, 100_000, |out, number| update(out, 0, NEXT_HOP + number, &[]));
    allow("100 thousand next hops for one prefix", &door, cost, 2 * MIB);
}

#[test]
fn errors_without_end_are_counted_not_kept() {
    let mut door = Door::new(|_| {});
    let malformed = [0x40, 6, 1, 0]; // ATOMIC_AGGREGATE of one octet
    let cost = flood(&mut door, 300_000, |out, number| {
        update(out, number % 10, NEXT_HOP, &[&malformed[..], &communities(number, 1)].concat());
    });
    allow("300 thousand UPDATEs with an error", &door, cost, 2 * MIB);
}

/// The program behind the speaker hangs: the speaker stops reading, and keeps what it has.
#[test]
fn a_flood_that_nobody_hears_of_stops_at_the_door() {
    let mut door = Door::new(|bad| bad.session.max_prefixes = Some(PrefixLimit::new(5000)));
    door.busy = true;
    let mut bytes = BytesMut::new();
    let before = held();
    for number in 0..20_000 {
        update(&mut bytes, number % 5000, NEXT_HOP + number, &[]);
    }
    door.feed(BAD, &mut bytes);
    assert!(!bytes.is_empty() && !door.speaker.may_read(), "{} octets are left", bytes.len());
    drop(bytes);
    let cost = held() - before;
    allow("20 thousand next hops that nobody hears of", &door, (cost, cost), 8 * MIB);
}

#[test]
fn a_flood_of_refreshes_costs_nothing() {
    let mut door = Door::new(|_| {});
    feed_good(&mut door, 20_000, 1);
    let cost = flood(&mut door, 30_000, |out, _| write_route_refresh(Family::Ipv4, RouteRefresh::REQUEST, out));
    allow("30 thousand requests for 20 thousand routes", &door, cost, 2 * MIB);
}

#[test]
fn connections_without_end_are_closed_or_take_the_place_of_the_one_before() {
    let mut door = Door::new(|_| {});
    let before = held();
    peak();
    for number in 0..20_000 {
        let from = ["10.9.9.9", "10.0.0.11"][number as usize % 2]; // a stranger, and the neighbor
        door.accept(ConnectionId(100 + number), from);
        door.pass(Duration::from_millis(1));
    }
    let cost = (held() - before, peak() - before);
    allow("20 thousand connections without an OPEN", &door, cost, 2 * MIB);
}

#[test]
fn an_octet_a_second_holds_one_message() {
    let mut door = Door::new(|_| {});
    let mut message = BytesMut::new();
    update(&mut message, 0, NEXT_HOP, &communities(0, 1000));
    let before = held();
    let mut bytes = BytesMut::new();
    for octet in message {
        bytes.put_u8(octet);
        door.feed(BAD, &mut bytes);
        door.pass(Duration::from_secs(1) - Duration::from_millis(1));
    }
    let cost = held() - before;
    assert_eq!((door.bad().received, bytes.len()), (1, 0));
    drop(bytes);
    allow("an UPDATE of 4 KB in an hour", &door, (cost, cost), 2 * MIB);
}

#[test]
fn a_neighbor_that_never_reads_costs_a_bit_a_prefix_and_is_given_up() {
    let mut door = Door::new(|_| {});
    door.stop_reading(BAD);
    feed_good(&mut door, 50_000, 1);
    let (before, _) = (held(), peak());
    for round in 2..12 {
        feed_good(&mut door, 50_000, round);
        keep_alive(&mut door, Duration::from_secs(20));
    }
    let cost = (held() - before, peak() - before);
    allow("50 thousand routes that change ten times, unread", &door, cost, 4 * MIB);
    keep_alive(&mut door, Duration::from_secs(8 * 60)); // the send hold time
    let error = door.bad().last_error.unwrap();
    assert_eq!(error.text, "sent Send Hold Timer Expired");
    door.is_well();
}

/// The bad neighbor still says that it lives.
fn keep_alive(door: &mut Door, time: Duration) {
    for _ in 0..time.as_secs() {
        let mut keepalive = BytesMut::new();
        write_keepalive(&mut keepalive);
        door.feed(BAD, &mut keepalive);
        door.pass(Duration::from_secs(1) - Duration::from_millis(1));
    }
}

/// The good neighbor announces the /24 prefixes up to this number, each round with other communities.
fn feed_good(door: &mut Door, count: u32, round: u32) {
    let mut bytes = BytesMut::new();
    for number in 0..count {
        let path = [2, 1, 0, 0, 0xFC, 2]; // 64514
        write_update(&mut bytes, number, &path, 0x0A00_000C, &communities(round, 1));
        if bytes.len() > 128 * 1024 {
            door.feed(GOOD, &mut bytes);
        }
    }
    door.feed(GOOD, &mut bytes);
    door.rest();
}
