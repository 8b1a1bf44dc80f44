#![allow(clippy::unwrap_used)]

use std::time::UNIX_EPOCH;

use proptest::collection::vec;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::settings::{Endpoint, Mtu, NextPrivateKey, PeerSettings, Settings};
use crate::view::{PeerState, PeerView};

const SOCKETS: Sockets = Sockets { listen_port: 51820, fwmark: 0 };
/// Of the two peers that are configured, and of one that is not.
const EU: PublicKey = PublicKey([0x11; 32]);
const US: PublicKey = PublicKey([0x22; 32]);
const NEW: PublicKey = PublicKey([0x33; 32]);

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn hex(key: &[u8; 32]) -> String {
    key.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn peer(name: &str, public_key: PublicKey, allowed_ips: &[&str]) -> PeerSettings {
    PeerSettings {
        allowed_ips: allowed_ips.iter().map(|prefix| net(prefix)).collect(),
        ..PeerSettings::new(name, public_key)
    }
}

fn settings(peers: Vec<PeerSettings>) -> Settings {
    Settings { mtu: Mtu::Octets(1420), ..Settings::new(PrivateKey(Zeroizing::new([0x77; 32])), peers) }
}

fn configured() -> Settings {
    let eu = PeerSettings {
        preshared_key: Some(PresharedKey(Zeroizing::new([9; 32]))),
        endpoint: Some(Endpoint::Name("eu.example".to_owned(), 51820)),
        persistent_keepalive: Some(Duration::from_secs(10)),
        watched: true,
        ..peer("eu", EU, &["10.0.0.1/32", "10.1.0.0/16"])
    };
    settings(vec![eu, peer("us", US, &["10.0.0.2/32"])])
}

/// What a request of these lines asks, and nothing before its end.
fn read(lines: &str) -> Result<Request, Error> {
    let mut reader = Reader::default();
    for line in lines.lines() {
        assert_eq!(reader.line(line.as_bytes()), None, "{line}");
    }
    reader.line(b"").unwrap()
}

fn changes(lines: &str) -> Changes {
    match read(&format!("set=1\n{lines}")).unwrap() {
        Request::Set(changes) => changes,
        Request::Get => panic!("{lines}"),
    }
}

fn set(lines: &str) -> Result<Settings, Error> {
    changes(lines).apply(&configured(), &configured(), &SOCKETS)
}

fn of(key: PublicKey, lines: &str) -> String {
    format!("public_key={}\n{lines}", hex(&key.0))
}

#[test]
fn a_request_without_changes_changes_nothing() {
    assert_eq!(read("get=1"), Ok(Request::Get));
    assert_eq!(set("").unwrap(), configured());
    assert_eq!(set(&of(EU, "protocol_version=1")).unwrap(), configured());
}

#[test]
fn every_key_of_a_peer_is_taken_over() {
    let lines = "preshared_key=0404040404040404040404040404040404040404040404040404040404040404\n\
                 endpoint=[2001:db8::1]:51821\npersistent_keepalive_interval=25\n\
                 replace_allowed_ips=true\nallowed_ip=10.9.0.1/16\nallowed_ip=fd00::/8";
    let eu = set(&of(EU, lines)).unwrap().peers.remove(0);
    let expected = PeerSettings {
        preshared_key: Some(PresharedKey(Zeroizing::new([4; 32]))),
        endpoint: Some(Endpoint::Address("[2001:db8::1]:51821".parse().unwrap())),
        persistent_keepalive: Some(Duration::from_secs(25)),
        allowed_ips: vec![net("10.9.0.0/16"), net("fd00::/8")],
        ..configured().peers.remove(0)
    };
    assert_eq!(eu, expected);
}

#[test]
fn a_preshared_key_of_zeros_and_an_interval_of_zero_are_none() {
    let lines = format!("preshared_key={}\npersistent_keepalive_interval=0", "0".repeat(64));
    let eu = set(&of(EU, &lines)).unwrap().peers.remove(0);
    assert_eq!((eu.preshared_key, eu.persistent_keepalive), (None, None));
}

#[test]
fn a_new_peer_is_called_after_its_key_and_comes_last() {
    let changed = set(&of(NEW, "allowed_ip=10.3.0.0/16")).unwrap();
    let names: Vec<&str> = changed.peers.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(names, ["eu", "us", "wg-3333333333333333"]);
    assert!(!changed.peers[2].watched);
}

#[test]
fn a_peer_of_which_only_an_update_is_wanted_does_not_begin() {
    assert_eq!(set(&of(NEW, "update_only=true\nallowed_ip=10.3.0.0/16")).unwrap(), configured());
    let changed = set(&of(US, "update_only=true\nallowed_ip=10.3.0.0/16")).unwrap();
    assert_eq!(changed.peers[1].allowed_ips, [net("10.0.0.2/32"), net("10.3.0.0/16")]);
}

#[test]
fn a_peer_that_is_removed_and_comes_back_has_its_name_and_place_and_nothing_else() {
    let without = set(&of(EU, "remove=true")).unwrap();
    assert_eq!(without.peers, configured().peers[1..]);
    let again = changes(&of(EU, "allowed_ip=10.0.0.1/32")).apply(&without, &configured(), &SOCKETS).unwrap();
    let expected = PeerSettings { watched: true, ..peer("eu", EU, &["10.0.0.1/32"]) };
    assert_eq!(again.peers, [expected, configured().peers.remove(1)]);
}

#[test]
fn replacing_peers_leaves_those_that_are_named_with_what_is_said_of_them() {
    let changed = set(&format!("replace_peers=true\n{}", of(US, "allowed_ip=10.0.0.2/32"))).unwrap();
    assert_eq!(changed.peers, configured().peers[1..]);
    assert_eq!(set("replace_peers=true").unwrap().peers, []);
}

#[test]
fn an_allowed_ip_is_taken_from_who_had_it() {
    let changed = set(&of(US, "allowed_ip=10.1.2.3/16")).unwrap();
    assert_eq!(changed.peers[0].allowed_ips, [net("10.0.0.1/32")]);
    assert_eq!(changed.peers[1].allowed_ips, [net("10.0.0.2/32"), net("10.1.0.0/16")]);
}

#[test]
fn an_allowed_ip_with_a_minus_goes() {
    let changed = set(&of(EU, "allowed_ip=-10.1.0.0/16\nallowed_ip=-10.7.0.0/16")).unwrap();
    assert_eq!(changed.peers[0].allowed_ips, [net("10.0.0.1/32")]);
}

#[test]
fn our_own_key_is_no_peer() {
    let own = configured().private_key.public_key();
    assert_eq!(set(&of(own, "allowed_ip=0.0.0.0/0")).unwrap(), configured());
    // A new private key that belongs to one of them.
    let key = PrivateKey(Zeroizing::new([0x55; 32]));
    let current = settings(vec![peer("other", key.public_key(), &["10.0.0.1/32"])]);
    let changed = changes(&format!("private_key={}", hex(&key.0))).apply(&current, &current, &SOCKETS).unwrap();
    assert_eq!((changed.private_key, changed.peers), (key, Vec::new()));
}

#[test]
fn keys_that_change_are_one_peer_and_one_tunnel_with_those_of_before() {
    let next =
        NextPrivateKey { key: PrivateKey(Zeroizing::new([0x55; 32])), from: UNIX_EPOCH + Duration::from_secs(1000) };
    let mut current = Settings { next_private_key: Some(next), ..configured() };
    current.peers[0].next_public_key = Some(NEW);
    let text = |now| state(&current, &SOCKETS, &[], Duration::from_secs(now)).lines().next().unwrap().to_owned();
    let shown = [text(999), text(1000)];
    assert_eq!(
        shown,
        ["70".to_owned() + &"77".repeat(31), "50".to_owned() + &"55".repeat(31)]
            .map(|key| format!("private_key={key}"))
    );
    for key in &shown {
        assert_eq!(changes(key).apply(&current, &current, &SOCKETS).unwrap(), current);
    }
    let removed = changes(&of(NEW, "remove=true")).apply(&current, &current, &SOCKETS).unwrap();
    assert_eq!(removed.peers, current.peers[1..]);
    let again = changes(&of(NEW, "allowed_ip=10.0.0.1/32")).apply(&removed, &current, &SOCKETS).unwrap();
    assert_eq!((again.peers[0].public_key, again.peers[0].next_public_key), (EU, Some(NEW)));
}

#[test]
fn what_the_sockets_have_can_be_said_again_and_not_changed() {
    assert_eq!(set("listen_port=51820\nfwmark=0").unwrap(), configured());
    assert_eq!(set("listen_port=0").unwrap(), configured());
    for (lines, text) in [
        ("listen_port=1", "listen_port 1 needs a restart with another configuration: it is 51820"),
        ("fwmark=7", "fwmark 7 needs a restart with another configuration: it is 0"),
    ] {
        let refused = set(lines).unwrap_err();
        assert_eq!((refused.errno, refused.to_string()), (Errno::NotSupported, text.to_owned()));
    }
}

#[test]
fn what_is_wrong_is_refused_with_the_number_that_the_protocol_wants() {
    let zeros = "0".repeat(64);
    let of_peer = |line: &str| format!("set=1\n{}", of(EU, line));
    for (lines, errno) in [
        ("get=2".to_owned(), Errno::Protocol),
        ("set=1\nreplace_peers".to_owned(), Errno::Protocol),
        ("get=1\nlisten_port=1".to_owned(), Errno::Invalid),
        ("set=1\nreplace_peers=1".to_owned(), Errno::Invalid),
        ("set=1\nremove=true".to_owned(), Errno::Invalid),
        ("set=1\nlisten_port=65536".to_owned(), Errno::Invalid),
        ("set=1\nlisten_port=+1".to_owned(), Errno::Invalid),
        ("set=1\nfwmark=0x10".to_owned(), Errno::Invalid),
        ("set=1\nprivate_key=11".to_owned(), Errno::Invalid),
        (format!("set=1\nprivate_key={}", "g".repeat(64)), Errno::Invalid),
        (format!("set=1\npublic_key={zeros}"), Errno::Invalid),
        (of_peer("update_only=false"), Errno::Invalid),
        (of_peer("endpoint=10.0.0.1"), Errno::Invalid),
        (of_peer("endpoint=10.0.0.1:0"), Errno::Invalid),
        (of_peer("endpoint=eu.example:51820"), Errno::Invalid),
        (of_peer("allowed_ip=10.0.0.0/33"), Errno::Invalid),
        (of_peer("allowed_ip=10.0.0.0"), Errno::Invalid),
        (of_peer("protocol_version=2"), Errno::Invalid),
        (of_peer("replace_peers=true"), Errno::Invalid),
        (of_peer(&format!("endpoint={}", "1".repeat(MAX_LINE))), Errno::TooLong),
    ] {
        assert_eq!(read(&lines).map_err(|error| error.errno), Err(errno), "{lines}");
    }
    let refused = set(&format!("private_key={zeros}")).unwrap_err();
    assert_eq!(refused.errno, Errno::Invalid, "{refused}");
    assert_eq!(super::errno(&Err(refused)), "errno=-22\n\n");
}

#[test]
fn an_empty_request_is_refused_and_the_next_one_read() {
    let mut reader = Reader::default();
    assert_eq!(reader.line(b"").unwrap().unwrap_err().errno, Errno::Protocol);
    assert_eq!(reader.line(b"get=1"), None);
    assert_eq!(reader.line(b""), Some(Ok(Request::Get)));
}

#[test]
fn a_request_without_end_is_read_to_its_end_and_refused() {
    let mut reader = Reader::default();
    reader.line(b"set=1");
    for line in [of(EU, ""), "allowed_ip=10.0.0.0/8".to_owned()].iter().cycle().take(MAX_REQUEST / 22) {
        assert_eq!(reader.line(line.trim().as_bytes()), None);
    }
    assert_eq!(reader.line(b"").unwrap().unwrap_err().errno, Errno::TooLong);
}

#[test]
fn no_secret_is_in_an_error_or_in_what_is_shown_for_debugging() {
    let (secret, short) = ("5e".repeat(32), "5e".repeat(31));
    let refused = [
        format!("set=1\nprivate_key={short}"),
        format!("set=1\nprivate_key {secret}"),
        format!("set=1\n{}", of(EU, &format!("preshared_key={secret}0"))),
    ];
    for lines in refused {
        let error = read(&lines).unwrap_err();
        assert!(!format!("{error}{error:?}").contains("5e5e"), "{error:?}");
    }
    let taken = changes(&format!("private_key={secret}\n{}", of(EU, &format!("preshared_key={secret}"))));
    assert!(!format!("{taken:?}").contains("94, 94"), "{taken:?}"); // 0x5e
}

#[test]
fn everything_there_is_is_told_as_wireguard_go_tells_it() {
    let view = PeerView {
        receive_packets: 0,
        transmit_packets: 0,
        queued_packets: 0,
        received_age: None,
        sent_age: None,
        mtu: 1420,
        mtu_note: None,
        name: "eu".to_owned(),
        public_key: EU,
        endpoint: Some("[2001:db8::1]:51820".parse().unwrap()),
        state: PeerState::Up,
        handshake_age: Some(Duration::from_millis(1500)),
        allowed_ips: Vec::new(),
        allowed_ips_from_bgp: vec![net("10.1.0.0/16"), net("fd00::/8")],
        receive_bytes: 92,
        transmit_bytes: 148,
        note: None,
        handshakes: crate::view::Handshakes::default(),
        offloads: Vec::new(),
        drops: Default::default(),
    };
    let sockets = Sockets { fwmark: 16, ..SOCKETS };
    let text = state(&configured(), &sockets, &[view], Duration::from_secs(1000));
    let expected = format!(
        "private_key={}\nlisten_port=51820\nfwmark=16\n\
         public_key={}\npreshared_key={}\nprotocol_version=1\nendpoint=[2001:db8::1]:51820\n\
         last_handshake_time_sec=998\nlast_handshake_time_nsec=500000000\ntx_bytes=148\nrx_bytes=92\n\
         persistent_keepalive_interval=10\n\
         allowed_ip=10.0.0.1/32\nallowed_ip=10.1.0.0/16\nallowed_ip=fd00::/8\n\
         public_key={}\npreshared_key={}\nprotocol_version=1\n\
         last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n\
         persistent_keepalive_interval=0\nallowed_ip=10.0.0.2/32\nerrno=0\n\n",
        format_args!("70{}77", "77".repeat(30)), // clamped
        hex(&EU.0),
        "09".repeat(32),
        hex(&US.0),
        "00".repeat(32),
    );
    assert_eq!(*text, expected);
}

#[test]
fn what_differs_is_told_in_words_of_the_configuration_and_without_secrets() {
    let lines = [
        "private_key=6161616161616161616161616161616161616161616161616161616161616161".to_owned(),
        of(EU, "endpoint=192.0.2.1:51820\npersistent_keepalive_interval=0\nallowed_ip=-10.1.0.0/16"),
        of(EU, &format!("preshared_key={}", "61".repeat(32))),
        of(US, "remove=true"),
        of(NEW, "endpoint=192.0.2.9:1\nallowed_ip=10.3.0.0/16\npersistent_keepalive_interval=5"),
    ];
    let changed = set(&lines.join("\n")).unwrap();
    let own = changed.private_key.public_key();
    assert_eq!(
        differences(&configured(), &changed),
        [
            format!("the private key is another one, of public key {own}"),
            "peer us is removed".to_owned(),
            "peer eu: it has another preshared key".to_owned(),
            "peer eu: endpoint is 192.0.2.1:51820, not eu.example:51820".to_owned(),
            "peer eu: persistent-keepalive is off, not 10s".to_owned(),
            "peer eu: allowed-ips lacks 10.1.0.0/16".to_owned(),
            "peer wg-3333333333333333 is added with endpoint 192.0.2.9:1, allowed-ips 10.3.0.0/16, persistent-keepalive 5s"
                .to_owned(),
        ]
    );
    assert_eq!(differences(&changed, &changed), [""; 0]);
}

fn prefix() -> impl Strategy<Value = IpNet> {
    let ipv4 = (any::<u32>(), 0..=32u8).prop_map(|(bits, length)| (std::net::IpAddr::V4(bits.into()), length));
    let ipv6 = (any::<u128>(), 0..=128u8).prop_map(|(bits, length)| (std::net::IpAddr::V6(bits.into()), length));
    prop_oneof![ipv4, ipv6].prop_map(|(address, length)| IpNet::new(address, length).unwrap().trunc())
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (prefix(), 1..=u16::MAX).prop_map(|(prefix, port)| SocketAddr::new(prefix.addr(), port))
}

fn key() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>().prop_filter("a key", |key| key[1..31].iter().any(|octet| *octet > 0 && *octet < 255))
}

fn one_peer() -> impl Strategy<Value = PeerSettings> {
    let keys = (key(), proptest::option::of(key()));
    (keys, proptest::option::of(address()), any::<u16>(), vec(prefix(), 0..5)).prop_map(
        |((public_key, preshared), endpoint, keepalive, allowed_ips)| PeerSettings {
            preshared_key: preshared.map(|key| PresharedKey(Zeroizing::new(key))),
            endpoint: endpoint.map(Endpoint::Address),
            persistent_keepalive: (keepalive > 0).then(|| Duration::from_secs(keepalive.into())),
            allowed_ips,
            ..peer("", PublicKey(public_key), &[])
        },
    )
}

/// As [`super::state`] needs them: nothing but where they are.
fn views(peers: &[PeerSettings]) -> Vec<PeerView> {
    let view = |peer: &PeerSettings| PeerView {
        receive_packets: 0,
        transmit_packets: 0,
        queued_packets: 0,
        received_age: None,
        sent_age: None,
        mtu: 1420,
        mtu_note: None,
        name: peer.name.clone(),
        public_key: peer.public_key,
        endpoint: match peer.endpoint {
            Some(Endpoint::Address(address)) => Some(address),
            _ => None,
        },
        state: PeerState::Up,
        handshake_age: None,
        allowed_ips: peer.allowed_ips.clone(),
        allowed_ips_from_bgp: Vec::new(),
        receive_bytes: 0,
        transmit_bytes: 0,
        note: None,
        handshakes: crate::view::Handshakes::default(),
        offloads: Vec::new(),
        drops: Default::default(),
    };
    peers.iter().map(view).collect()
}

proptest! {
    #[test]
    fn what_is_told_and_set_again_is_the_same(peers in vec(one_peer(), 0..5)) {
        // A prefix belongs to one peer, once.
        let mut taken = std::collections::HashSet::new();
        let mut before = settings(peers);
        before.peers.iter_mut().for_each(|peer| peer.allowed_ips.retain(|prefix| taken.insert(*prefix)));
        let told = state(&before, &SOCKETS, &views(&before.peers), Duration::ZERO);
        let can_be_set = |line: &&str| !["last_", "tx_", "rx_", "errno"].iter().any(|key| line.starts_with(key));
        let lines: Vec<&str> = told.lines().filter(can_be_set).filter(|line| !line.is_empty()).collect();
        let after = changes(&lines.join("\n")).apply(&settings(Vec::new()), &before, &SOCKETS).unwrap();
        prop_assert_eq!(&after, &before); // the private key too, which was told clamped
        prop_assert_eq!(differences(&before, &after), [""; 0]);
    }
}
