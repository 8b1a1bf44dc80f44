use super::*;
use crate::role::Role;
use crate::settings::RemoteAs;
use crate::types::{Families, HoldTime};
use crate::wire::NextHopEncoding;

fn answer(session: SessionSettings, open: &Open) -> Bench {
    let mut bench = Bench::with(session).open_sent();
    bench.open(1, open);
    bench
}

fn answer_as(remote_as: RemoteAs, open: &Open) -> Bench {
    let mut bench = Bench::build(identity(64513, 5), remote_as, false, SessionSettings::default()).open_sent();
    bench.open(1, open);
    bench
}

fn negotiated(mut bench: Bench) -> super::super::Negotiated {
    bench.keepalive(1);
    bench.fsm.negotiated().unwrap().clone()
}

#[test]
fn our_open_offers_families_route_refresh_four_octet_as_and_what_is_configured() {
    let session =
        SessionSettings { families: Some(Families::ALL), graceful_restart: None, ..SessionSettings::default() };
    let bench = Bench::with(session).open_sent();
    let open = Open {
        asn: asn(64513),
        hold_time: 90,
        router_id: identity(64513, 5).router_id,
        capabilities: vec![
            multiprotocol(Family::Ipv4),
            multiprotocol(Family::Ipv6),
            Capability::RouteRefresh,
            Capability::FourOctetAs(64513),
            ipv4_over_ipv6(),
            Capability::ExtendedMessage,
            Capability::EnhancedRouteRefresh,
        ],
    };
    assert_eq!(bench.actions, [Action::SendOpen { connection: connection(1), open }]);
}

fn ipv4_over_ipv6() -> Capability {
    Capability::ExtendedNextHop(vec![NextHopEncoding::IPV4_OVER_IPV6])
}

fn offered(session: SessionSettings) -> Vec<Capability> {
    match Bench::with(session).open_sent().actions.first() {
        Some(Action::SendOpen { open, .. }) => open.capabilities.clone(),
        other => panic!("{other:?}"),
    }
}

/// The neighbor's OPEN with more than the usual.
fn with(capabilities: &[Capability]) -> Open {
    let mut open = neighbor_open();
    open.capabilities.extend_from_slice(capabilities);
    open
}

#[test]
fn what_is_switched_off_is_not_offered_and_not_agreed_on() {
    let both = with(&[ipv4_over_ipv6(), Capability::ExtendedMessage]);
    let on = negotiated(answer(SessionSettings::default(), &both));
    assert_eq!((on.extended_next_hop, on.context.max_message, on.context.max_received), (true, 65535, 65535));
    let off = SessionSettings {
        extended_next_hop: false,
        extended_messages: false,
        graceful_restart: None,
        ..SessionSettings::default()
    };
    assert_eq!(offered(off.clone()).len(), 4);
    let off = negotiated(answer(off, &both));
    assert_eq!((off.extended_next_hop, off.context.max_message, off.context.max_received), (false, 4096, 4096));
}

#[test]
fn a_neighbor_without_extended_messages_is_sent_none_and_may_send_them_because_we_offered() {
    let negotiated = negotiated(answer(SessionSettings::default(), &neighbor_open()));
    assert_eq!((negotiated.context.max_message, negotiated.context.max_received), (4096, 65535)); // RFC 8654 §4
    assert!(!negotiated.extended_next_hop);
}

#[test]
fn ipv4_over_ipv6_is_not_offered_without_ipv4() {
    let session = SessionSettings { families: Some(Families::IPV6), ..SessionSettings::default() };
    assert!(!offered(session).contains(&ipv4_over_ipv6()));
}

#[test]
fn a_role_is_offered_and_must_fit_the_neighbor_s() {
    let roles = [Role::Provider, Role::RouteServer, Role::RouteServerClient, Role::Customer, Role::Peer];
    for ours in roles {
        let session = SessionSettings { role: Some(ours), ..SessionSettings::default() };
        assert!(offered(session.clone()).contains(&Capability::Role(ours.code())));
        for theirs in 0..=5 {
            let bench = answer(session.clone(), &with(&[Capability::Role(theirs)]));
            if theirs == ours.other_side().code() {
                assert_eq!(negotiated(bench).role, Some(ours), "{ours} {theirs}");
            } else {
                assert_eq!(bench.refusal(), &Notification::new(2, 11), "{ours} {theirs}"); // RFC 9234 §4.2
            }
        }
        // RFC 9234 §4.2: a neighbor that says nothing is what we take it for.
        assert_eq!(negotiated(answer(session, &neighbor_open())).role, Some(ours));
    }
}

#[test]
fn a_role_said_twice_is_one_and_two_roles_are_refused() {
    let session = SessionSettings { role: Some(Role::Provider), ..SessionSettings::default() };
    let said = |codes: [u8; 2]| with(&codes.map(Capability::Role));
    assert_eq!(negotiated(answer(session.clone(), &said([3, 3]))).role, Some(Role::Provider));
    assert_eq!(answer(session, &said([3, 0])).refusal(), &Notification::new(2, 11));
    assert_eq!(answer(SessionSettings::default(), &said([3, 0])).refusal(), &Notification::new(2, 11));
    assert_eq!(negotiated(answer(SessionSettings::default(), &said([3, 3]))).role, None);
}

#[test]
fn roles_are_nothing_between_internal_neighbors() {
    let session = SessionSettings { role: Some(Role::Provider), ..SessionSettings::default() };
    let mut bench = Bench::build(identity(64513, 5), RemoteAs::Internal, false, session).open_sent();
    bench.open(1, &Open { asn: asn(64513), ..with(&[Capability::Role(0)]) });
    assert_eq!(negotiated(bench).role, None);
}

#[test]
fn without_configured_families_those_of_the_link_are_offered_and_agreed_on() {
    for families in [Families::IPV4, Families::IPV6, Families::ALL] {
        let mut bench = Bench::new();
        let ends = Ends { families, ..ends() };
        bench.step(Event::Start).step(Event::Connected { connection: connection(1), ends });
        let Some(Action::SendOpen { open, .. }) = bench.actions.first() else { panic!("{:?}", bench.actions) };
        assert_eq!(open.families(), families);
        let both = Family::ALL.map(multiprotocol).into_iter().chain(neighbor_open().capabilities).collect();
        bench.open(1, &Open { capabilities: both, ..neighbor_open() }).keepalive(1);
        assert_eq!(bench.fsm.negotiated().unwrap().families, families);
    }
}

#[test]
fn the_smaller_hold_time_is_agreed_on() {
    for (ours, theirs, agreed) in [(90, 30, 30), (30, 90, 30), (0, 90, 0), (90, 3, 3)] {
        let session = SessionSettings { hold_time: HoldTime::new(ours).unwrap(), ..SessionSettings::default() };
        let bench = answer(session, &Open { hold_time: theirs, ..neighbor_open() });
        assert_eq!(negotiated(bench).hold_time, Duration::from_secs(agreed));
    }
}

#[test]
fn a_hold_time_of_one_or_two_seconds_is_refused() {
    for hold_time in [1, 2] {
        let bench = answer(SessionSettings::default(), &Open { hold_time, ..neighbor_open() });
        assert_eq!(bench.actions, [close(1, Notification::new(2, 6)), failed(Notification::new(2, 6))]);
    }
}

#[test]
fn hold_time_zero_is_refused_unless_we_offer_it_too() {
    let open = Open { hold_time: 0, ..neighbor_open() };
    assert_eq!(answer(SessionSettings::default(), &open).refusal(), &Notification::new(2, 6));
    let zero = SessionSettings { hold_time: HoldTime::new(0).unwrap(), ..SessionSettings::default() };
    let bench = answer(zero, &open);
    assert_eq!(bench.fsm.next_timeout(), None);
    assert_eq!(negotiated(bench).hold_time, Duration::ZERO);
}

#[test]
fn an_as_that_was_not_configured_is_refused() {
    let (ours, theirs) = (64513, 64512);
    let cases = [
        (RemoteAs::OneOf(vec![asn(1), asn(theirs)]), theirs, true),
        (RemoteAs::OneOf(vec![asn(1), asn(2)]), theirs, false),
        (RemoteAs::External, theirs, true),
        (RemoteAs::External, ours, false),
        (RemoteAs::External, Asn::TRANS.get(), false),
        (RemoteAs::Internal, ours, true),
        (RemoteAs::Internal, theirs, false),
    ];
    for (remote_as, number, admitted) in cases {
        let bench = answer_as(remote_as.clone(), &Open { asn: asn(number), ..neighbor_open() });
        if admitted {
            assert_eq!(bench.fsm.state(), SessionState::OpenConfirm, "{remote_as:?} {number}");
        } else {
            assert_eq!(bench.refusal(), &Notification::new(2, 2), "{remote_as:?} {number}");
        }
    }
}

#[test]
fn our_own_identifier_is_refused_from_internal_neighbors_only() {
    let ours = identity(64513, 5);
    let internal = Open { asn: ours.local_asn, router_id: ours.router_id, ..neighbor_open() };
    assert_eq!(answer_as(RemoteAs::Internal, &internal).refusal(), &Notification::new(2, 3));
    let external = Open { router_id: ours.router_id, ..neighbor_open() };
    assert_eq!(answer_as(RemoteAs::External, &external).fsm.state(), SessionState::OpenConfirm);
}

#[test]
fn the_families_of_both_are_used() {
    let both = Open { capabilities: vec![multiprotocol(Family::Ipv4), multiprotocol(Family::Ipv6)], ..neighbor_open() };
    let session = |families| SessionSettings { families: Some(families), ..SessionSettings::default() };
    assert_eq!(negotiated(answer(session(Families::IPV6), &both)).families, Families::IPV6);
    assert_eq!(negotiated(answer(session(Families::ALL), &both)).families, Families::ALL);
    assert_eq!(negotiated(answer(session(Families::ALL), &neighbor_open())).families, Families::IPV4);
}

#[test]
fn no_family_in_common_is_refused_with_our_families_as_data() {
    let session = SessionSettings { families: Some(Families::IPV6), ..SessionSettings::default() };
    let refusal = Notification { data: vec![1, 4, 0, 2, 0, 1], ..Notification::new(2, 7) };
    assert_eq!(answer(session, &neighbor_open()).refusal(), &refusal);
}

#[test]
fn a_neighbor_without_capabilities_gets_an_ipv4_session_with_two_octet_as_numbers() {
    let bench = answer(SessionSettings::default(), &Open { capabilities: Vec::new(), ..neighbor_open() });
    let negotiated = negotiated(bench);
    assert_eq!(negotiated.families, Families::IPV4);
    assert!(!negotiated.context.four_octet_as);
    assert!(!negotiated.route_refresh);
}

#[test]
fn unknown_capabilities_are_kept_and_never_fatal() {
    let mut open = neighbor_open();
    // Cilium's: extended next hop, extended message, graceful restart, add-path, FQDN, software version.
    open.capabilities.extend([5, 6, 64, 69, 73, 75].map(|code| Capability::Other { code, value: vec![0; 4] }));
    let negotiated = negotiated(answer(SessionSettings::default(), &open));
    assert_eq!(negotiated.capabilities, open.capabilities);
    assert!(negotiated.route_refresh);
}

#[test]
fn the_codec_learns_who_the_neighbor_is_when_its_open_is_accepted() {
    let open = Open { asn: asn(64513), ..neighbor_open() };
    let bench = answer_as(RemoteAs::Internal, &open);
    let context = bench.fsm.context(connection(1));
    assert!(context.internal && context.four_octet_as && context.enforce_first_asn);
    assert_eq!((context.remote_asn, context.families), (asn(64513), Families::IPV4));
}
