//! One neighbor says what the line of a table has, another one hears what comes of it.

use bgpd::settings::{NeighborSettings, Settings};
use bgpd::speaker::{Event, Input};
use bgpd::types::Families;
use bgpd::view::SessionState;
use bgpd::wire::{Capability, Notification, Treatment, write_keepalive};

use crate::network::Network;
use crate::octets::{both_families, message, notification, octets};
use crate::raw::{Raw, open, path};
use crate::settings::{Told, address, neighbor, router};

pub(crate) const GATEWAY: usize = 0;

/// Good attributes, and what lines are mostly about: 10.1.0.0/16.
pub(crate) const ORIGIN: &str = "40 01 01 02";
pub(crate) const AS_PATH: &str = "40 02 06 02 01 0000FC01";
pub(crate) const NEXT_HOP: &str = "40 03 04 0A00000B";
pub(crate) const LOCAL_PREF: &str = "40 05 04 000000C8";
pub(crate) const NLRI: &str = "10 0A01";

/// What mostly follows: treat-as-withdraw; nothing at all; attribute discard.
pub(crate) const WITHDRAWN: Then = Then::Withdrawn(&["withdraw 10.1.0.0/16"]);
pub(crate) const PASSED_ON: &[&str] = &["10.1.0.0/16 via 10.0.0.1 incomplete [64512 64513]"];
pub(crate) const DISCARDED: Then = Then::Discarded(PASSED_ON);

/// What the neighbor has announced before, with ORIGIN IGP.
const BEFORE: [&str; 2] = ["10.1.0.0/16", "10.2.0.0/16"];
const BEFORE_IPV6: [&str; 2] = ["fd00:1::/32", "fd00:2::/32"];

/// Whose law it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Session {
    /// AS 64513, four octets an AS number.
    External,
    /// Our AS.
    Internal,
    /// AS 64513, two octets an AS number (RFC 6793 §3: an OLD speaker).
    Old,
    /// AS 64513, IPv6 alone is negotiated.
    Ipv6Only,
    /// AS 64513, and its paths may begin with any AS.
    AnyFirstAs,
}

/// What follows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// Nothing is wrong. The session stays, and the other neighbor hears this.
    Told(&'static [&'static str]),
    /// Treat-as-withdraw (RFC 7606 §2): the same, and people are told what was wrong.
    Withdrawn(&'static [&'static str]),
    /// Attribute discard, as well.
    Discarded(&'static [&'static str]),
    /// The session ends with a NOTIFICATION: code, subcode, and data in hex.
    Reset(u8, u8, &'static str),
}

/// A line: what is special, the octets, and what follows.
pub(crate) type Line<'a> = (&'a str, Vec<u8>, Then);

/// Holds every line against a speaker of its own.
pub(crate) fn check(session: Session, lines: impl IntoIterator<Item = Line<'static>>) {
    for (what, says, then) in lines {
        Scene::new(session).hold(what, &says, then);
    }
}

/// Both neighbors, Established.
pub(crate) struct Scene {
    pub(crate) network: Network,
    pub(crate) says: Raw,
    pub(crate) hears: Raw,
}

impl Scene {
    pub(crate) fn new(session: Session) -> Self {
        Self::with(session, |_| {})
    }

    /// With other settings for the neighbor that says what is on the line.
    pub(crate) fn with(session: Session, change: impl FnOnce(&mut NeighborSettings)) -> Self {
        let number = if matches!(session, Session::Internal) { 64512 } else { 64513 };
        let mut says = neighbor("10.0.0.11", number);
        says.session.enforce_first_asn = !matches!(session, Session::AnyFirstAs);
        if matches!(session, Session::Ipv6Only) {
            says.session.families = Some(Families::IPV6);
        }
        change(&mut says);
        let (mut network, hears) = beside(says);
        let says = establish(&mut network, session, number);
        let mut scene = Self { network, says, hears };
        scene.announce_before(session);
        scene
    }

    /// Nothing is announced before, and the OPEN of the neighbor that says what is on the line, of AS 64513, has both
    /// families, its AS, and these capabilities. Also what we have answered to it, down to the KEEPALIVE.
    pub(crate) fn opened(capabilities: &str, change: impl FnOnce(&mut NeighborSettings)) -> (Self, Vec<u8>) {
        Self::opened_for(90, capabilities, change)
    }

    /// The same, and its OPEN has this hold time.
    pub(crate) fn opened_for(
        hold_time: u16,
        capabilities: &str,
        change: impl FnOnce(&mut NeighborSettings),
    ) -> (Self, Vec<u8>) {
        let mut neighbor = neighbor("10.0.0.11", 64513);
        change(&mut neighbor);
        let (mut network, mut hears) = beside(neighbor);
        hears.take(&mut network);
        let says = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
        let mut scene = Self { network, says, hears };
        scene.say(&both_families(hold_time, capabilities));
        let answer = scene.says.take(&mut scene.network).to_vec();
        scene.say(&message(4, &[]));
        (scene, answer)
    }

    /// The neighbor says these octets.
    pub(crate) fn say(&mut self, octets: &[u8]) {
        self.says.say(&mut self.network, |out| out.extend_from_slice(octets));
    }

    /// What it has heard since the last time.
    pub(crate) fn answer(&mut self) -> Vec<u8> {
        self.says.take(&mut self.network).to_vec()
    }

    /// The settings of that neighbor change.
    pub(crate) fn reload(&mut self, change: fn(&mut NeighborSettings)) {
        self.reload_all(|settings| change(settings.neighbors.get_mut("says").unwrap()));
    }

    /// Settings change.
    pub(crate) fn reload_all(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.network.nodes[GATEWAY].speaker.settings().clone();
        change(&mut settings);
        self.network.reload(GATEWAY, settings);
        self.network.run_for(std::time::Duration::from_millis(1));
    }

    fn announce_before(&mut self, session: Session) {
        let mut attributes = path(&[64513]);
        attributes.local_pref = matches!(session, Session::Internal).then_some(100);
        if !matches!(session, Session::Ipv6Only) {
            self.says.announce(&mut self.network, &attributes, "10.0.0.11", &BEFORE);
        }
        self.says.announce(&mut self.network, &attributes, "fd00::11", &BEFORE_IPV6);
        self.hears.hear(&mut self.network);
        self.says.take(&mut self.network);
    }

    fn hold(&mut self, what: &str, says: &[u8], then: Then) {
        let events = self.network.nodes[GATEWAY].events.len();
        let before = self.network.routes(GATEWAY).len();
        self.say(says);
        let told = self.network.nodes[GATEWAY].events[events..]
            .iter()
            .any(|event| matches!(event, Event::Refused { neighbor: Some(name), .. } if name == "says"));
        match then {
            Then::Told(lines) => {
                assert!(!told, "{what}: nothing is wrong with it\n{}", self.network);
                self.stays(what, lines, None);
            }
            Then::Withdrawn(lines) => {
                assert!(told, "{what}: nobody is told what is wrong\n{}", self.network);
                self.stays(what, lines, Some(Treatment::TreatAsWithdraw));
                self.shows(what, says);
            }
            Then::Discarded(lines) => {
                assert!(told, "{what}: nobody is told what is wrong\n{}", self.network);
                self.stays(what, lines, Some(Treatment::AttributeDiscard));
                self.shows(what, says);
            }
            Then::Reset(code, subcode, data) => {
                self.ends(what, &Notification { code, subcode, data: octets(data) });
                self.network.run_for(std::time::Duration::from_millis(1));
                assert_eq!(self.withdrawn(), before, "{what}: its routes go");
            }
        }
    }

    /// The session goes on, the other neighbor hears this, and `last_error` has what was done.
    fn stays(&mut self, what: &str, lines: &[&str], treatment: Option<Treatment>) {
        assert_eq!(self.hears.hear(&mut self.network), lines, "{what}");
        assert!(!self.says.is_closed(&self.network), "{what}");
        assert_eq!(self.says.hear(&mut self.network), [""; 0], "{what}: it is told nothing");
        let view = self.network.neighbor(GATEWAY, "says");
        assert_eq!(view.state, SessionState::Established, "{what}");
        assert_eq!(view.last_error.and_then(|error| error.treatment), treatment, "{what}");
    }

    /// `last_error` has what a NOTIFICATION would have said: an UPDATE Message Error, with the attribute as it came, or the
    /// type of one that did not come.
    fn shows(&self, what: &str, says: &[u8]) {
        let error = self.network.neighbor(GATEWAY, "says").last_error.unwrap();
        let Notification { code, subcode, data } = error.notification.unwrap();
        assert!(!error.sent && code == 3 && subcode != 0, "{what}: {code}/{subcode}");
        let came = says.windows(data.len().max(1)).any(|octets| octets == data);
        let is_missing = subcode == 3 && data.len() == 1;
        assert!(came || is_missing, "{what}: {data:02x?} is not of {says:02x?}");
        assert!(error.text.starts_with("UPDATE: "), "{what}: {}", error.text);
    }

    /// The neighbor hears this NOTIFICATION and nothing else, and `last_error` has it.
    pub(crate) fn ends(&mut self, what: &str, expected: &Notification) {
        let heard = self.says.take(&mut self.network);
        let octets = notification(expected.code, expected.subcode, &expected.data);
        assert_eq!(heard, octets, "{what}: it hears {heard:02x?}, not {octets:02x?}\n{}", self.network);
        assert!(self.says.is_closed(&self.network), "{what}");
        let error = self.network.neighbor(GATEWAY, "says").last_error.unwrap();
        assert_eq!((error.sent, error.notification.as_ref()), (true, Some(expected)), "{what}");
    }

    /// How many prefixes the other neighbor hears to be withdrawn.
    fn withdrawn(&mut self) -> usize {
        let lines = self.hears.hear(&mut self.network);
        let prefixes = lines.iter().map(|line| line.strip_prefix("withdraw ").unwrap().split(',').count());
        prefixes.sum()
    }
}

/// The speaker with this neighbor, and with the one that hears what comes of it.
fn beside(says: NeighborSettings) -> (Network, Raw) {
    let settings =
        router(64512, "10.0.0.1").with_neighbor("says", says).with_neighbor("hears", neighbor("10.0.0.12", 64514));
    let mut network = Network::new(7, [(address("10.0.0.1"), settings)]);
    network.input(GATEWAY, Input::Companions(vec![(address("10.0.0.1"), address("fd00::1"))]));
    let hears = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
    (network, hears)
}

/// The neighbor that says what is on the line.
fn establish(network: &mut Network, session: Session, number: u32) -> Raw {
    let mut raw = Raw::connect(network, GATEWAY, "10.0.0.11", number);
    raw = match session {
        Session::Internal => raw.internal(),
        Session::Old => raw.two_octet(),
        _ => raw,
    };
    let mut open = open(number, "10.0.0.11");
    if matches!(session, Session::Old) {
        open.capabilities.retain(|capability| !matches!(capability, Capability::FourOctetAs(_)));
    }
    raw.say(network, |out| open.write(out));
    raw.say(network, write_keepalive);
    raw
}
