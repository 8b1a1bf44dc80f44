//! Laws that hold for every sequence of events.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What the caller knows: numbers given out, and what must still be closed.
struct Ledger {
    bench: Bench,
    next: u64,
    /// Dialled and not yet closed or failed.
    dial: Option<ConnectionId>,
    /// Up and not yet closed.
    live: BTreeSet<ConnectionId>,
    established: Option<ConnectionId>,
}

#[derive(Clone, Debug)]
enum Happening {
    Start,
    Stop,
    Reset,
    Accepted,
    Connected,
    ConnectFailed,
    Closed,
    Open { hold_time: u16, asn: u32, last_octet: u8 },
    Keepalive,
    Update,
    RouteRefresh,
    Notification(u8, u8),
    Malformed(u8, u8),
    Alive,
    Sent(bool),
    Wait(u64),
    NextDeadline,
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    let open = (prop::sample::select(vec![0_u16, 1, 3, 90]), prop::sample::select(vec![1_u32, 64512]), 1..10_u8)
        .prop_map(|(hold_time, asn, last_octet)| Open { hold_time, asn, last_octet });
    prop_oneof![
        2 => Just(Start),
        1 => prop_oneof![Just(Stop), Just(Reset)],
        4 => Just(Accepted),
        4 => prop_oneof![3 => Just(Connected), 1 => Just(ConnectFailed)],
        1 => Just(Closed),
        6 => open,
        4 => Just(Keepalive),
        2 => prop_oneof![Just(Update), Just(RouteRefresh), Just(Alive)],
        1 => (0..9_u8, 0..9_u8).prop_map(|(code, subcode)| Notification(code, subcode)),
        1 => (0..9_u8, 0..9_u8).prop_map(|(code, subcode)| Malformed(code, subcode)),
        1 => any::<bool>().prop_map(Sent),
        1 => (0..300_u64).prop_map(Wait),
        2 => Just(NextDeadline),
    ]
}

impl Ledger {
    fn new(passive: bool) -> Self {
        let bench = Bench::build(identity(64513, 5), RemoteAs::External, passive, SessionSettings::default());
        Self { bench, next: 0, dial: None, live: BTreeSet::new(), established: None }
    }

    /// The machine hears `event`; its actions are booked.
    fn step(&mut self, event: Event<'_>) {
        let mut actions = Vec::new();
        self.bench.fsm.step(self.bench.now, event, &mut actions);
        for action in actions {
            self.book(action);
        }
    }

    fn book(&mut self, action: Action) {
        match action {
            Action::Connect => {
                assert_eq!(self.dial, None, "two dials at once");
                self.next += 1;
                self.dial = Some(connection(self.next));
                self.bench.fsm.dialling(connection(self.next));
            }
            Action::SendOpen { connection, .. } | Action::SendKeepalive { connection } => {
                assert!(self.live.contains(&connection), "sends on a connection that is gone");
            }
            Action::Close { connection, .. } => {
                let dialled = self.dial.take_if(|dial| *dial == connection).is_some();
                assert!(self.live.remove(&connection) != dialled, "closes what is not open");
            }
            Action::Established { connection, .. } => {
                assert_eq!(self.established, None, "two sessions at once");
                assert!(self.live.contains(&connection));
                self.established = Some(connection);
            }
            Action::Down { .. } => assert!(self.established.take().is_some(), "down without up"),
            Action::Failed { .. } => assert!(self.live.is_empty(), "failed while another connection lives"),
        }
    }

    fn happen(&mut self, happening: &Happening, number: prop::sample::Index) {
        match happening {
            Happening::Start => self.step(Event::Start),
            Happening::Stop => self.step(Event::Stop(BYE.into())),
            Happening::Reset => self.step(Event::Reset(Notification::new(6, 4).into())),
            Happening::Accepted => {
                self.next += 1;
                let connection = connection(self.next);
                self.live.insert(connection);
                self.step(Event::Accepted { connection, ends: ends() });
            }
            Happening::Connected => {
                if let Some(connection) = self.dial.take() {
                    self.live.insert(connection);
                    self.step(Event::Connected { connection, ends: ends() });
                }
            }
            Happening::ConnectFailed => {
                if let Some(connection) = self.dial.take() {
                    self.step(Event::ConnectFailed { connection });
                }
            }
            Happening::Wait(seconds) => {
                self.bench.now += Duration::from_secs(*seconds);
                self.step(Event::Timer);
            }
            Happening::NextDeadline => {
                self.bench.now = self.bench.fsm.next_timeout().unwrap_or(self.bench.now).max(self.bench.now);
                self.step(Event::Timer);
            }
            // Numbers of connections that are gone, or never were, come too.
            _ => self.happen_on(happening, connection(number.index(self.next as usize + 2) as u64)),
        }
    }

    fn happen_on(&mut self, happening: &Happening, connection: ConnectionId) {
        match *happening {
            Happening::Closed => {
                self.live.remove(&connection);
                self.step(Event::Closed { connection });
            }
            Happening::Open { hold_time, asn: number, last_octet } => {
                let router_id = identity(number, last_octet).router_id;
                let open = Open { hold_time, asn: asn(number), router_id, ..neighbor_open() };
                self.step(Event::Open { connection, open: &open });
            }
            Happening::Keepalive => self.step(Event::Keepalive { connection }),
            Happening::Update => self.step(Event::Update { connection }),
            Happening::RouteRefresh => self.step(Event::RouteRefresh { connection }),
            Happening::Notification(code, subcode) => {
                let notification = &Notification::new(code, subcode);
                self.step(Event::Notification { connection, notification });
            }
            Happening::Malformed(code, subcode) => {
                self.step(Event::Malformed { connection, notification: Notification::new(code, subcode) });
            }
            Happening::Alive => self.step(Event::Alive { connection }),
            Happening::Sent(pending) => self.step(Event::Sent { connection, pending }),
            _ => unreachable!("not about one connection"),
        }
    }

    fn check(&self, passive: bool) {
        let fsm = &self.bench.fsm;
        assert!(self.live.len() <= 3, "{} connections", self.live.len());
        assert_eq!(self.established.is_some(), fsm.state() == SessionState::Established);
        assert_eq!(self.established.is_some(), fsm.negotiated().is_some());
        match fsm.state() {
            SessionState::Idle => assert!(self.live.is_empty() && self.dial.is_none()),
            SessionState::Connect => assert!(self.dial.is_some() && fsm.next_timeout().is_some()),
            SessionState::Active => assert_eq!(fsm.next_timeout().is_none(), passive),
            SessionState::OpenSent => assert!(fsm.next_timeout().is_some()),
            // Without timers only if the agreed hold time is zero; ours is not.
            SessionState::OpenConfirm | SessionState::Established => assert!(fsm.next_timeout().is_some()),
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_events_keeps_the_books_straight(
        passive in any::<bool>(),
        happenings in prop::collection::vec((happening(), any::<prop::sample::Index>()), 0..200),
    ) {
        let mut ledger = Ledger::new(passive);
        for (happening, number) in &happenings {
            ledger.happen(happening, *number);
            ledger.check(passive);
        }
        ledger.step(Event::Stop(BYE.into()));
        prop_assert!(ledger.live.is_empty() && ledger.dial.is_none() && ledger.established.is_none());
        prop_assert_eq!(ledger.bench.fsm.next_timeout(), None);
    }
}
