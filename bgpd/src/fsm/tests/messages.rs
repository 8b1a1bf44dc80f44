use super::*;

fn update(bench: &mut Bench) -> &Notification {
    bench.step(Event::Update { connection: connection(1) }).refusal()
}

#[test]
fn a_message_out_of_place_is_refused_by_state_with_its_type_as_data() {
    let refusal = |subcode, kind| Notification { data: vec![kind], ..Notification::new(5, subcode) };
    assert_eq!(update(&mut Bench::new().open_sent()), &refusal(1, 2));
    assert_eq!(update(&mut Bench::new().open_confirm()), &refusal(2, 2));
    assert_eq!(Bench::new().open_sent().keepalive(1).refusal(), &refusal(1, 4));
    assert_eq!(Bench::new().established().open(1, &neighbor_open()).refusal(), &refusal(3, 1));
    let refresh = Event::RouteRefresh { connection: connection(1) };
    assert_eq!(Bench::new().open_confirm().step(refresh).refusal(), &refusal(2, 5));
}

#[test]
fn a_keepalive_that_came_while_its_connection_waited_counts_afterwards() {
    let mut bench = Bench::new().open_sent();
    bench.accepted(2).open(1, &neighbor_open()).keepalive(1);
    assert_eq!(bench.fsm.state(), SessionState::OpenSent);
    bench.step(Event::Closed { connection: connection(2) });
    assert!(matches!(
        bench.actions.as_slice(),
        [Action::SendKeepalive { .. }, Action::Established { connection: ConnectionId(1), .. }]
    ));
}

#[test]
fn an_established_session_is_not_given_up_for_a_new_connection() {
    let mut bench = Bench::new().established();
    bench.accepted(2).open(2, &neighbor_open());
    assert_eq!(bench.actions, [close(2, Notification::new(6, 7))]);
    assert_eq!(bench.fsm.state(), SessionState::Established);
}

#[test]
fn a_neighbor_that_dials_again_before_its_session_stands_means_the_new_connection() {
    let mut bench = Bench::new();
    bench.step(Event::Start).step(Event::ConnectFailed { connection: connection(1) });
    bench.accepted(2).open(2, &neighbor_open());
    bench.accepted(3).open(3, &neighbor_open());
    let keepalive = Action::SendKeepalive { connection: connection(3) };
    assert_eq!(bench.actions, [close(2, Notification::new(6, 7)), keepalive]);
}

#[test]
fn a_second_connection_that_fails_says_nothing_of_the_session() {
    let mut bench = Bench::new().established();
    bench.accepted(2).open(2, &Open { asn: asn(1), ..neighbor_open() });
    assert_eq!(bench.actions, [close(2, Notification::new(2, 2))]);
}
