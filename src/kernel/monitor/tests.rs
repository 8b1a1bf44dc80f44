#![allow(clippy::unwrap_used)]

use super::*;
use crate::kernel::message::Message;
use crate::kernel::{Hop, Target};

const OURS: u8 = 157;

fn some_route(protocol: u8) -> Route {
    Route {
        prefix: "10.1.0.0/16".parse().unwrap(),
        table: 254,
        metric: 20,
        protocol,
        target: Target::Hops(vec![Hop { gateway: None, interface: 2 }]),
        source: None,
    }
}

/// Notes a notification of a route.
fn route_changed(news: &mut News, kind: u16, flags: u16, protocol: u8) {
    let mut bytes = Vec::new();
    let mut message = Message::begin(&mut bytes, kind, flags, 0);
    route::put_route(&mut message, &some_route(protocol));
    message.finish();
    messages(&bytes).for_each(|message| news.note(&message, OURS));
}

/// Notes a notification of a link: `struct ifinfomsg` alone.
fn link_changed(news: &mut News, kind: u16, flags: i32) {
    let mut payload = [0; 16];
    payload[8..12].copy_from_slice(&(flags as u32).to_ne_bytes());
    news.note(&Received { kind, flags: 0, sequence: 0, payload: &payload }, OURS);
}

#[test]
fn the_first_change_is_told_at_once_and_the_next_ones_together() {
    let (mut news, now) = (News::default(), Instant::now());
    assert_eq!(news.take(now), []);
    route_changed(&mut news, RTM_NEWROUTE, 0, 4);
    assert_eq!(news.take(now), [Event::Changed]);
    assert_eq!(news.next_timeout(), None);
    for _ in 0..100 {
        route_changed(&mut news, RTM_DELROUTE, 0, 4);
        assert_eq!(news.take(now), []);
    }
    assert_eq!(news.next_timeout(), Some(now + QUIET));
    assert_eq!(news.take(now + QUIET), [Event::Changed]);
    assert_eq!(news.take(now + 2 * QUIET), []);
    link_changed(&mut news, RTM_NEWLINK, libc::IFF_UP);
    assert_eq!(news.take(now + 2 * QUIET), [Event::Changed], "after a quiet time it is the first again");
}

#[test]
fn routes_of_ours_are_told_one_by_one_and_many_of_them_as_lost() {
    let (mut news, now) = (News::default(), Instant::now());
    route_changed(&mut news, RTM_DELROUTE, 0, OURS);
    assert_eq!(news.take(now), [Event::OwnRoute(some_route(OURS))]);
    (0..=OWN_ROUTES).for_each(|_| route_changed(&mut news, RTM_DELROUTE, 0, OURS));
    assert_eq!(news.take(now + QUIET), [Event::Lost]);
}

#[test]
fn a_foreign_route_that_replaces_another_may_have_replaced_ours() {
    let (mut news, now) = (News::default(), Instant::now());
    route_changed(&mut news, RTM_NEWROUTE, NLM_F_REPLACE, 4);
    assert_eq!(news.take(now), [Event::Lost]);
}

#[test]
fn a_link_that_goes_down_is_told_at_once_and_compared_after_a_while() {
    for (kind, flags) in [(RTM_NEWLINK, 0), (RTM_DELLINK, libc::IFF_UP)] {
        let (mut news, now) = (News::default(), Instant::now());
        link_changed(&mut news, kind, flags);
        assert_eq!(news.take(now), [Event::Changed]);
        assert_eq!(news.next_timeout(), Some(now + QUIET));
        assert_eq!(news.take(now + QUIET), [Event::Lost]);
        assert_eq!(news.next_timeout(), None);
    }
}
