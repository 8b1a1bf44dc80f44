//! Header, KEEPALIVE and ROUTE-REFRESH.

use super::*;

fn framed(buffer: &[u8]) -> Result<Option<usize>, (u8, u8, Vec<u8>)> {
    frame_length(buffer, MAX_MESSAGE).map_err(|error| answer(&error))
}

/// A header without its body.
fn header(length: u16, kind: u8) -> Vec<u8> {
    [&[0xFF; 16][..], &length.to_be_bytes(), &[kind]].concat()
}

#[test]
fn an_incomplete_header_or_body_is_waited_for() {
    let frame = announcing(&[ORIGIN, AS_PATH, NEXT_HOP]);
    for end in 0..frame.len() {
        assert_eq!(framed(&frame[..end]), Ok(None), "{end}");
    }
    assert_eq!(framed(&frame), Ok(Some(frame.len())));
}

#[test]
fn what_follows_a_message_is_left_alone() {
    let stream = [message(KEEPALIVE, &[]), vec![0; 40]].concat();
    assert_eq!(framed(&stream), Ok(Some(HEADER)));
}

#[test]
fn a_marker_that_is_not_all_ones_is_not_synchronized() {
    for position in 0..16 {
        let mut frame = message(KEEPALIVE, &[]);
        frame[position] = 0xFE;
        assert_eq!(framed(&frame), Err((1, 1, vec![])));
        assert_eq!(refusal(&frame, &external()), (1, 1, vec![]));
    }
}

#[test]
fn a_length_outside_the_bounds_of_its_message_is_sent_back_before_the_body_is_there() {
    let refused = [
        (0, KEEPALIVE),
        (18, KEEPALIVE),
        (20, KEEPALIVE), // choices: longer than 19
        (4096, KEEPALIVE),
        (28, OPEN),
        (4097, OPEN),
        (22, UPDATE),
        (4097, UPDATE),
        (65535, UPDATE),
        (20, NOTIFICATION),
        (4097, NOTIFICATION),
        (22, ROUTE_REFRESH), // choices: below four octets
        (18, 99),
    ];
    for (length, kind) in refused {
        assert_eq!(framed(&header(length, kind)), Err((1, 2, length.to_be_bytes().to_vec())), "{length} {kind}");
    }
    for (length, kind) in
        [(29, OPEN), (4096, OPEN), (23, UPDATE), (4096, UPDATE), (21, NOTIFICATION), (23, ROUTE_REFRESH)]
    {
        assert_eq!(framed(&header(length, kind)), Ok(None), "{length} {kind}");
    }
}

#[test]
fn extended_messages_are_long_where_negotiated_but_never_open_and_keepalive() {
    assert_eq!(frame_length(&header(65535, UPDATE), 65535), Ok(None));
    assert_eq!(frame_length(&header(65535, NOTIFICATION), 65535), Ok(None));
    assert_eq!(frame_length(&header(65535, ROUTE_REFRESH), 65535), Ok(None));
    for (length, kind) in [(4097, OPEN), (20, KEEPALIVE)] {
        assert_eq!(frame_length(&header(length, kind), 65535), Err(DecodeError::MessageLength { found: length }));
    }
}

#[test]
fn an_unknown_type_is_sent_back() {
    for kind in [0, 6, 128, 255] {
        assert_eq!(framed(&header(19, kind)), Err((1, 3, vec![kind])));
        assert_eq!(refusal(&message(kind, &[]), &external()), (1, 3, vec![kind]));
    }
}

#[test]
fn a_frame_that_is_not_one_whole_message_is_refused() {
    let frame = announcing(&[ORIGIN]);
    for end in 0..frame.len() {
        assert_eq!(refusal(&frame[..end], &external()), (1, 2, u16::try_from(end).unwrap().to_be_bytes().to_vec()));
    }
    let long = [&frame[..], &[0]].concat();
    assert!(decode(&long, &external()).is_err());
}

#[test]
fn a_keepalive_is_a_header() {
    let mut out = BytesMut::new();
    write_keepalive(&mut out);
    assert_eq!(out, message(KEEPALIVE, &[])[..]);
    assert!(matches!(decode(&out, &external()), Ok(Message::Keepalive)));
}

fn refresh(body: &[u8], context: &Context) -> Result<RouteRefresh, (u8, u8, Vec<u8>)> {
    match decode(&message(ROUTE_REFRESH, body), context) {
        Ok(Message::RouteRefresh(refresh)) => Ok(refresh),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(answer(&error)),
    }
}

#[test]
fn a_refresh_is_asked_for_by_family() {
    for (family, afi) in [(Family::Ipv4, 1), (Family::Ipv6, 2)] {
        let mut out = BytesMut::new();
        write_route_refresh(family, RouteRefresh::REQUEST, &mut out);
        assert_eq!(out, message(ROUTE_REFRESH, &[0, afi, 0, 1])[..]);
        assert_eq!(refresh(&[0, afi, 0, 1], &external()), Ok(RouteRefresh { family: Some(family), subtype: 0 }));
    }
}

#[test]
fn begin_and_end_of_a_refresh_are_told_apart() {
    for subtype in 0..=2 {
        assert_eq!(refresh(&[0, 2, subtype, 1], &external()), Ok(RouteRefresh { family: Some(Family::Ipv6), subtype }));
    }
}

#[test]
fn a_refresh_of_a_foreign_family_or_subtype_is_ignored() {
    assert_eq!(refresh(&[0, 1, 0, 128], &external()), Ok(RouteRefresh { family: None, subtype: 0 }));
    assert_eq!(refresh(&[0, 25, 0, 70], &external()), Ok(RouteRefresh { family: None, subtype: 0 }));
    for subtype in 3..=255 {
        assert_eq!(refresh(&[0, 1, subtype, 1], &external()), Ok(RouteRefresh { family: None, subtype }));
    }
}

#[test]
fn a_long_begin_or_end_of_refresh_is_sent_back_whole_where_negotiated() {
    let not_negotiated = Context { enhanced_refresh: false, ..external() };
    for subtype in [1, 2] {
        let body = [0, 1, subtype, 1, 0];
        assert_eq!(refresh(&body, &external()), Err((7, 1, message(ROUTE_REFRESH, &body))));
        assert_eq!(refresh(&body, &not_negotiated), Ok(RouteRefresh { family: None, subtype }));
    }
}

#[test]
fn a_long_request_is_ignored() {
    for subtype in [0, 3, 255] {
        assert_eq!(refresh(&[0, 1, subtype, 1, 1, 2, 3], &external()), Ok(RouteRefresh { family: None, subtype }));
    }
}
