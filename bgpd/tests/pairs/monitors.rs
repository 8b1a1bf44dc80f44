//! Monitors: what they hear of sessions and best routes, as values and as records, and what they cost.

use std::fmt::Write as _;
use std::time::Duration;

use bgpd::monitor::{MonitorId, News, Watch};
use bgpd::settings::AddPath;
use bgpd::speaker::{Command, Input, Stop};
use bgpd::types::Families;
use bgpd::wire::{AddPathFamily, Capability, Context};

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, range, router};

const GATEWAY: usize = 0;
/// 2024-10-04; what a monitor is told counts from here.
const WALL: Duration = Duration::from_micros(1_728_000_000_250_000);
const PREFIX: &str = "10.1.0.0/16";

/// AS 64512 at 10.0.0.1, who waits for neighbors of AS 64600; `several` tells and takes several paths.
fn network() -> Network {
    let settings = router(64512, "192.0.2.1")
        .with_range("nodes", range("10.0.0.0/16", 64600, 10))
        .with_neighbor("several", neighbor("10.0.0.10", 4_200_000_000))
        .session("several", |session| session.add_path = Some(AddPath::Both));
    Network::new(1, [(address("10.0.0.1"), settings)])
}

fn watch(network: &mut Network, watch: Watch) -> MonitorId {
    let now = network.now;
    network.nodes[GATEWAY].speaker.watch(now, watch, WALL).unwrap()
}

/// All that a monitor hears, a line each.
fn hear(network: &mut Network, id: MonitorId) -> Vec<String> {
    let speaker = &mut network.nodes[GATEWAY].speaker;
    let mut lines = Vec::new();
    loop {
        let news = speaker.poll_monitor(id, 300);
        if news.is_empty() {
            assert_eq!(speaker.monitors_waiting().filter(|waiting| *waiting == id).count(), 0);
            return lines;
        }
        lines.extend(news.iter().map(show));
    }
}

fn show(news: &News) -> String {
    match news {
        News::Session(change) => {
            let reason = change.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let asn = change.asn.map(|asn| format!(" AS{asn}")).unwrap_or_default();
            format!("{} {}{asn} {:?}->{:?}{reason}", change.neighbor, change.address, change.before, change.now)
        }
        News::Route(change) => match &change.best {
            Some(best) => {
                let (next_hop, neighbor) = (best.next_hop.unwrap(), &best.neighbor);
                format!("{} via {next_hop} [{}] of {neighbor}", change.prefix, best.attributes.as_path)
            }
            None => format!("{} withdrawn, was of {}", change.prefix, change.neighbor.as_deref().unwrap_or("?")),
        },
        News::Record(octets) => {
            // RFC 6396 §2, §3: seconds, type 17, subtype, length, microseconds.
            let number = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
            assert_eq!(number(8) as usize, octets.len() - 12);
            let kind = u16::from_be_bytes([octets[4], octets[5]]);
            let subtype = u16::from_be_bytes([octets[6], octets[7]]);
            let mut text = format!("{}.{:06} {kind}/{subtype} ", number(0), number(12));
            octets[16..].iter().for_each(|octet| write!(text, "{octet:02x}").unwrap());
            text
        }
        News::Missed(count) => format!("{count} missed"),
    }
}

#[test]
fn a_session_is_heard_of_state_by_state_and_why_it_ended() {
    let mut network = network();
    let sessions = watch(&mut network, Watch::Sessions);
    let mut raw = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64600);
    let up = [
        "nodes/10.0.0.11 10.0.0.11 AS64600 Idle->Active",
        "nodes/10.0.0.11 10.0.0.11 AS64600 Active->OpenSent",
        "nodes/10.0.0.11 10.0.0.11 AS64600 OpenSent->OpenConfirm",
        "nodes/10.0.0.11 10.0.0.11 AS64600 OpenConfirm->Established",
    ];
    assert_eq!(hear(&mut network, sessions), up);
    raw.announce(&mut network, &path(&[64600]), "10.0.0.11", &[PREFIX]);
    assert_eq!(hear(&mut network, sessions), Vec::<String>::new());
    let notification = bgpd::wire::Notification::new(6, 4);
    raw.say(&mut network, |out| notification.write(out));
    let down = ["nodes/10.0.0.11 10.0.0.11 AS64600 Established->Active: received Cease/Administrative Reset"];
    assert_eq!(hear(&mut network, sessions), down);
}

#[test]
fn what_the_operator_does_is_the_reason() {
    let mut network = network();
    Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64600);
    let sessions = watch(&mut network, Watch::Sessions);
    network.command(GATEWAY, "nodes/10.0.0.11", Command::Disable(Some("works".to_owned())));
    let heard = hear(&mut network, sessions);
    assert_eq!(
        heard,
        ["nodes/10.0.0.11 10.0.0.11 AS64600 Established->Idle: sent Cease/Administrative Shutdown: \"works\""]
    );
    network.input(GATEWAY, Input::Stop(Stop::Withdraw));
    let heard = hear(&mut network, sessions);
    assert!(heard.iter().any(|line| line.starts_with("several ") && line.ends_with("->Idle: stopping")), "{heard:?}");
}

#[test]
fn best_routes_are_heard_of_as_they_change_and_others_not() {
    let mut network = network();
    let mut one = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64600);
    let mut two = Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64600);
    one.announce(&mut network, &path(&[64600]), "10.0.0.11", &["10.8.0.0/16"]);
    network.run_for(Duration::from_secs(1));
    let routes = watch(&mut network, Watch::Routes);
    one.announce(&mut network, &path(&[64600, 65001]), "10.0.0.11", &[PREFIX, "10.2.0.0/16"]);
    two.announce(&mut network, &path(&[64600, 65001, 65002]), "10.0.0.12", &[PREFIX]); // longer: not the best
    one.announce(&mut network, &path(&[64600, 65001]), "10.0.0.11", &[PREFIX]); // said again
    network.run_for(Duration::from_secs(1));
    assert_eq!(
        hear(&mut network, routes),
        [
            "10.1.0.0/16 via 10.0.0.11 [64600 65001] of nodes/10.0.0.11",
            "10.2.0.0/16 via 10.0.0.11 [64600 65001] of nodes/10.0.0.11",
        ]
    );
    one.withdraw(&mut network, &[PREFIX, "10.2.0.0/16"]);
    assert_eq!(
        hear(&mut network, routes),
        [
            "10.1.0.0/16 via 10.0.0.12 [64600 65001 65002] of nodes/10.0.0.12",
            "10.2.0.0/16 withdrawn, was of nodes/10.0.0.11",
        ]
    );
}

#[test]
fn routes_that_go_with_their_session_say_whose_they_were() {
    let mut network = network();
    let mut one = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64600);
    one.announce(&mut network, &path(&[64600]), "10.0.0.11", &[PREFIX]);
    network.run_for(Duration::from_secs(1));
    let routes = watch(&mut network, Watch::Routes);
    one.lose(&mut network);
    network.run_for(Duration::from_secs(1));
    assert_eq!(hear(&mut network, routes), ["10.1.0.0/16 withdrawn, was of nodes/10.0.0.11"]);
}

#[test]
fn a_monitor_that_does_not_read_costs_no_more_and_hears_what_it_has_missed_in_its_place() {
    let mut network = network();
    let mut one = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64600);
    let deaf = watch(&mut network, Watch::Routes);
    let (short, long) = (path(&[64600]), path(&[64600; 900]));
    let turns = 3000;
    for turn in 0..turns {
        // Each is another attribute set than the one before.
        let attributes = if turn % 2 == 0 { &long } else { &short };
        one.announce(&mut network, attributes, "10.0.0.11", &[PREFIX]);
    }
    let waiting = network.nodes[GATEWAY].speaker.poll_monitor(deaf, usize::MAX);
    let [heard @ .., News::Missed(missed)] = waiting.as_slice() else { panic!("nothing was missed") };
    assert_eq!(heard.len() as u64 + missed, turns);
    assert!(heard.iter().all(|news| matches!(news, News::Route(_))));
    let octets: usize = heard.iter().map(octets_of).sum();
    assert!(octets <= 4 << 20, "{octets} octets have waited");
    one.withdraw(&mut network, &[PREFIX]);
    assert_eq!(hear(&mut network, deaf), ["10.1.0.0/16 withdrawn, was of nodes/10.0.0.11"]);
}

/// What a change of a route keeps alive, at least.
fn octets_of(news: &News) -> usize {
    let News::Route(change) = news else { panic!("{news:?}") };
    let path = change.best.as_ref().map_or(0, |best| 4 * best.attributes.as_path.iter().count());
    size_of::<News>() + size_of::<bgpd::view::PathView>() + path
}

#[test]
fn only_so_many_may_watch_at_once() {
    let mut network = network();
    let now = network.now;
    let speaker = &mut network.nodes[GATEWAY].speaker;
    let all: Vec<_> = std::iter::from_fn(|| speaker.watch(now, Watch::Sessions, WALL)).take(100).collect();
    assert_eq!(all.len(), 8);
    speaker.unwatch(all[3]);
    assert!(speaker.watch(now, Watch::Routes, WALL).is_some());
    assert_eq!(speaker.watch(now, Watch::Routes, WALL), None);
    assert!(speaker.poll_monitor(all[3], 1).is_empty());
}

#[test]
fn what_sessions_say_is_recorded_as_it_was_said() {
    let mut network = network();
    let [sessions, routes] = [Watch::SessionRecords, Watch::RouteRecords].map(|what| watch(&mut network, what));
    network.run_for(Duration::from_secs(5));
    let mut one = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64600);
    one.announce(&mut network, &path(&[64600]), "10.0.0.11", &[PREFIX]);
    Raw::settled(&mut network, GATEWAY, "10.0.0.12", 64600);
    let ends = |last: &str| format!("0000fc58 0000fc00 0000 0001 0a0000{last} 0a000001").replace(' ', "");
    let (of_one, of_two) = (ends("0b"), ends("0c"));
    let heard = hear(&mut network, routes);
    let update = "ffffffffffffffffffffffffffffffff002e02 0000 0014 40010100 40020602010000fc58 4003040a00000b 100a01";
    let update = update.replace(' ', "");
    // RFC 6396 §4.4.4: BGP4MP_STATE_CHANGE_AS4, OpenConfirm to Established.
    assert!(heard.iter().any(|line| line == &format!("1728000005.250000 17/5 {of_one}00050006")), "{heard:#?}");
    // §4.4.3: BGP4MP_MESSAGE_AS4.
    assert!(heard.contains(&format!("1728000005.250000 17/4 {of_one}{update}")), "{heard:#?}");
    // §4.4.6: BGP4MP_MESSAGE_AS4_LOCAL, with our AS before the neighbor's.
    let sent =
        "ffffffffffffffffffffffffffffffff003202 0000 0018 40010100 40020a02020000fc000000fc58 4003040a000001 100a01";
    assert!(heard.contains(&format!("1728000005.250000 17/7 {of_two}{}", sent.replace(' ', ""))), "{heard:#?}");
    assert!(!heard.iter().any(|line| line.contains("ffffffffffffffffffffffffffffffff001304")), "a KEEPALIVE is none");

    let heard = hear(&mut network, sessions);
    let keepalive = "ffffffffffffffffffffffffffffffff001304";
    for subtype in [4, 7] {
        assert!(heard.contains(&format!("1728000005.250000 17/{subtype} {of_one}{keepalive}")), "{heard:#?}");
    }
    assert!(!heard.iter().any(|line| line.contains("ffffffffffffffffffffffffffffffff002e02")), "an UPDATE is none");
}

#[test]
fn records_of_updates_say_how_these_are_read() {
    let mut network = network();
    let routes = watch(&mut network, Watch::RouteRecords);
    let subtypes = |heard: &[String]| -> Vec<String> {
        let updates = heard.iter().filter(|line| line.contains("ffffffffffffffffffffffffffffffff"));
        updates.map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect()
    };
    let families = [1].map(|afi| AddPathFamily { afi, safi: 1, mode: 3 });
    let agreed = |context: &mut Context| {
        let ipv4 = Families::from_iter([bgpd::types::Family::Ipv4]);
        (context.paths_sent, context.paths_received) = (ipv4, ipv4);
    };
    let capabilities = [Capability::AddPath(families.to_vec())];
    let mut several = Raw::with(&mut network, GATEWAY, "10.0.0.10", 4_200_000_000, &capabilities, agreed);
    hear(&mut network, routes);
    let attributes = path(&[4_200_000_000]);
    several.announce_paths(&mut network, &attributes, "10.0.0.10", &[(7, PREFIX)]);
    several.announce(&mut network, &attributes, "fd00::10", &["fd01::/32"]);
    let heard = hear(&mut network, routes);
    assert_eq!(subtypes(&heard), ["17/9", "17/4"], "RFC 8050 §3: only the family with identifiers");
    assert!(heard[0].contains("fa56ea00") && heard[0].ends_with("00000007100a01"), "{heard:?}");

    let mut one = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64600);
    one.announce(&mut network, &path(&[64600]), "10.0.0.11", &["10.2.0.0/16"]);
    network.run_for(Duration::from_secs(1));
    let heard = hear(&mut network, routes);
    let with_ids = heard.iter().filter(|line| line.contains(" 17/11 fa56ea000000fc00")).count();
    assert_eq!(with_ids, 1, "BGP4MP_MESSAGE_AS4_LOCAL_ADDPATH: {heard:#?}");
}
