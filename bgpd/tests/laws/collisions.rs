//! RFC 4271 §6.8: of two connections with the same neighbor the one that the higher identifier dialled stays.

use bgpd::view::SessionState;
use bgpd::wire::{Open, write_keepalive};

use crate::frame::GATEWAY;
use crate::network::Network;
use crate::octets::{message, notification};
use crate::raw::{Raw, open};
use crate::settings::{Told, address, neighbor, router};

/// The neighbor's identifier and AS, and whether the connection that we dialled stays; ours are 10.0.0.1 and 64512. Where
/// the identifiers are the same, the greater AS stands for the higher one (RFC 6286 §2.3).
const LINES: [(&str, u32, bool); 4] =
    [("10.0.0.11", 64513, false), ("9.0.0.11", 64513, true), ("10.0.0.1", 64513, false), ("10.0.0.1", 64511, true)];

#[test]
fn the_loser_hears_cease_6_7_whoever_it_is() {
    for (identifier, number, ours_stays) in LINES {
        for first in 0..2 {
            let what = format!("{identifier} of AS {number}, the OPEN of connection {first} first");
            let settings = router(64512, "10.0.0.1").with_neighbor("says", neighbor("10.0.0.11", number));
            let mut network = Network::new(7, [(address("10.0.0.1"), settings)]);
            network.run_for(std::time::Duration::ZERO);
            let ours = Raw::dialled(&mut network, GATEWAY, "10.0.0.11", number);
            let theirs = Raw::connect(&mut network, GATEWAY, "10.0.0.11", number);
            let mut both = [ours, theirs];
            both.iter_mut().for_each(|raw| drop(raw.take(&mut network)));
            let open = Open { router_id: open(1, identifier).router_id, ..open(number, "10.0.0.11") };
            for index in [first, 1 - first] {
                if !both[index].is_closed(&network) {
                    both[index].say(&mut network, |out| open.write(out));
                }
            }
            let [winner, loser] = if ours_stays { [0, 1] } else { [1, 0] };
            assert_eq!(both[loser].take(&mut network), notification(6, 7, &[]), "{what}\n{network}");
            assert!(both[loser].is_closed(&network), "{what}");
            assert_eq!(both[winner].take(&mut network), message(4, &[]), "{what}");
            both[winner].say(&mut network, write_keepalive);
            let view = network.neighbor(GATEWAY, "says");
            assert_eq!((view.state, view.last_error), (SessionState::Established, None), "{what}");
        }
    }
}

#[test]
fn an_established_session_stays_whoever_is_higher() {
    for (identifier, number, _) in LINES {
        let settings = router(64512, "10.0.0.1").with_neighbor("says", neighbor("10.0.0.11", number));
        let mut network = Network::new(7, [(address("10.0.0.1"), settings)]);
        let open = Open { router_id: open(1, identifier).router_id, ..open(number, "10.0.0.11") };
        let mut first = Raw::connect(&mut network, GATEWAY, "10.0.0.11", number);
        first.say(&mut network, |out| open.write(out));
        first.say(&mut network, write_keepalive);
        let mut second = Raw::connect(&mut network, GATEWAY, "10.0.0.11", number);
        second.take(&mut network);
        second.say(&mut network, |out| open.write(out));
        assert_eq!(second.take(&mut network), notification(6, 7, &[]), "{identifier}");
        assert!(!first.is_closed(&network), "{identifier}");
        assert_eq!(network.state(GATEWAY, "says"), SessionState::Established, "{identifier}");
    }
}
