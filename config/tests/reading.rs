//! What a configuration becomes.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use bgpd::policy::{Action, NewNextHop, PathMatch, PathPattern, PrefixRange, Wildcard};
use bgpd::role::Role;
use bgpd::settings::{
    AddPath, GracefulRestartSettings, LimitAction, NextHopSelf, Password, PolicyName, PrefixLimit, RemoteAs,
    SessionSettings,
};
use bgpd::types::{Asn, Community, ExtendedCommunity, Families, HoldTime, LargeCommunity};
use bgpd::wire::Origin;
use common::{ONE_PUBLIC, OTHER_PUBLIC, read, taken};
use config::settings::{LogFormat, OnStop};
use wgd::settings::{Endpoint, Mtu};

#[test]
fn the_example_of_the_ec2_end_fills_the_engines_settings() {
    let config = taken(&example("ec2.toml"));
    let wireguard = config.wireguard.unwrap();
    assert_eq!(wireguard.addresses, ["169.254.64.1/30".parse().unwrap(), "fd64:64::1/126".parse().unwrap()]);
    let [peer] = &wireguard.tunnel.peers[..] else { panic!("one peer") };
    assert!(peer.watched);
    assert_eq!(peer.persistent_keepalive, Some(Duration::from_secs(10)));
    assert_eq!(wireguard.routed_ips.len(), 1);
    assert_eq!(wireguard.routed_ips[0].1.len(), 3);

    let speaker = config.bgp.unwrap().speaker;
    assert_eq!(speaker.router_id.address(), Ipv4Addr::new(10, 20, 0, 10));
    let neighbor = &speaker.neighbors["homelab"];
    assert_eq!(neighbor.asn, RemoteAs::OneOf(vec![asn(64512)]));
    assert_eq!(neighbor.via.as_deref(), Some("homelab"));
    assert_eq!(neighbor.session.families, Some(Families::ALL));
    assert_eq!(neighbor.session.hold_time.seconds(), 30);
    assert_eq!(neighbor.session.max_prefixes, Some(PrefixLimit::new(1000)));
    assert_eq!(speaker.originate.len(), 2);
    let rule = &speaker.policies["from-home"].rules[0];
    assert_eq!(rule.matches.prefix.as_ref().unwrap().entries().len(), 4);
    assert_eq!(rule.set.community.add, [Community(64513 << 16 | 100)]);
    assert_eq!((rule.set.local_pref, rule.action), (Some(200), Action::Accept));
}

#[test]
fn absent_keys_have_the_documented_defaults() {
    let config = taken(&format!(
        "[router]\nasn = 64512\n[wireguard]\nprivate-key-file = 'one.key'\n\
         [[bgp.neighbor]]\nname = 'far'\naddress = '192.0.2.9'\nasn = 64513\n\
         [[wireguard.peer]]\nname = 'far'\npublic-key = '{OTHER_PUBLIC}'\n"
    ));
    assert_eq!(config.on_stop, OnStop::Withdraw);
    let wireguard = config.wireguard.unwrap();
    assert_eq!((wireguard.interface.as_str(), wireguard.listen_port), ("wg0", 51820));
    assert_eq!((wireguard.tunnel.mtu, wireguard.tunnel.clamp_mss), (Mtu::Auto, true));
    assert_eq!(wireguard.static_routes, []);
    assert!(!wireguard.tunnel.peers[0].watched);
    assert_eq!(wireguard.tunnel.peers[0].persistent_keepalive, None);
    let bgp = config.bgp.unwrap();
    assert_eq!(bgp.listen, ["[::]:179".parse::<SocketAddr>().unwrap()]);
    assert_eq!((bgp.speaker.multipath, bgp.speaker.router_id.address()), (8, Ipv4Addr::new(192, 0, 2, 1)));
    assert_eq!(bgp.speaker.neighbors["far"].session, SessionSettings::default());
    assert_eq!(bgp.speaker.neighbors["far"].port, 179);
    let kernel = config.kernel;
    assert_eq!((kernel.install, kernel.table, kernel.metric, kernel.protocol), (true, 254, 20, 157));
    assert_eq!((kernel.forwarding, kernel.rp_filter), (None, None));
    assert_eq!(config.control.socket, Path::new("/run/vpngw/vpngw.sock"));
    assert_eq!((config.log.level.as_str(), config.log.format), ("info", LogFormat::Auto));
}

#[test]
fn every_key_of_a_session_reaches_its_field() {
    let config = taken(
        "[router]\nasn = 64512\nrouter-id = '10.0.0.1'\non-stop = 'keep'\n\
         [[bgp.neighbor]]\nname = 'far'\naddress = 'fe80::1%eth0'\nasn = 'external'\nport = 1790\n\
         local-address = '2001:db8::2'\npassive = true\nshutdown = true\ndescription = 'the far end'\n\
         local-asn = 64999\nfamilies = 'ipv6'\nimport = 'accept-all'\nexport = 'mine'\nhold-time = '9s'\n\
         keepalive = 2\nconnect-retry = '1500ms'\nsend-hold-time = '2m'\npassword-file = 'password'\n\
         ttl-security = 1\nmax-prefixes = 10\nnext-hop-self = true\nenforce-first-asn = false\n\
         allow-own-asn = 1\nremove-private-asn = true\nmax-prefixes-out = { limit = 20, action = 'warn' }\n\
         role = 'rs-client'\nadd-path = 'both'\nextended-next-hop = false\nextended-messages = false\n\
         graceful-restart = { restart-time = '60s', stale-time = '5m', long-lived-stale-time = '1h' }\n\
         [[policy.mine]]\naction = 'accept'\n",
    );
    assert_eq!(config.on_stop, OnStop::Keep);
    let neighbor = &config.bgp.unwrap().speaker.neighbors["far"];
    assert_eq!((neighbor.address, neighbor.zone.as_deref()), ("fe80::1".parse().unwrap(), Some("eth0")));
    assert_eq!((neighbor.port, neighbor.passive, neighbor.shutdown), (1790, true, true));
    assert_eq!(neighbor.asn, RemoteAs::External);
    let expected = SessionSettings {
        description: Some("the far end".to_owned()),
        local_asn: Some(asn(64999)),
        families: Some(Families::IPV6),
        import: Some(PolicyName::AcceptAll),
        export: Some(PolicyName::Named("mine".to_owned())),
        hold_time: HoldTime::new(9).unwrap(),
        keepalive: Some(Duration::from_secs(2)),
        connect_retry: Duration::from_millis(1500),
        send_hold_time: Some(Duration::from_secs(120)),
        password: Some(Password(b"correct horse".to_vec().into())),
        ttl_security: Some(1),
        ebgp_multihop: None,
        max_prefixes: Some(PrefixLimit::new(10)),
        max_prefixes_out: Some(PrefixLimit { action: LimitAction::Warn, ..PrefixLimit::new(20) }),
        next_hop_self: NextHopSelf::Always,
        route_reflector_client: false,
        enforce_first_asn: false,
        allow_own_asn: 1,
        role: Some(Role::RouteServerClient),
        add_path: Some(AddPath::Both),
        extended_next_hop: false,
        extended_messages: false,
        remove_private_asn: true,
        graceful_restart: Some(GracefulRestartSettings {
            restart_time: Duration::from_secs(60),
            stale_time: Duration::from_secs(300),
            long_lived_stale_time: Some(Duration::from_secs(3600)),
        }),
    };
    assert_eq!(neighbor.session, expected);
}

#[test]
fn the_first_as_is_enforced_unless_a_route_server_says_otherwise_or_we_are_the_client_of_one() {
    let enforced = |keys: &str| {
        let config = taken(&format!(
            "[router]\nasn = 64512\nrouter-id = '10.0.0.1'\n\
             [[bgp.neighbor]]\nname = 'far'\naddress = '10.0.0.2'\nasn = 64513\n{keys}"
        ));
        config.bgp.unwrap().speaker.neighbors["far"].session.enforce_first_asn
    };
    assert!(enforced("") && enforced("role = 'customer'\n"));
    assert!(!enforced("role = 'rs-client'\n") && !enforced("enforce-first-asn = false\n")); // RFC 7947 §2.2.2.1
    assert!(enforced("role = 'rs-client'\nenforce-first-asn = true\n"));
}

#[test]
fn graceful_restart_is_on_unless_it_is_switched_off() {
    let session = |written: &str| {
        let text = format!(
            "[router]\nasn = 64512\nrouter-id = '10.0.0.1'\n[bgp]\nselect-deferral = '30s'\n\
             [[bgp.neighbor]]\nname = 'far'\naddress = '10.0.0.2'\nasn = 64513\n{written}\n"
        );
        let speaker = taken(&text).bgp.unwrap().speaker;
        assert_eq!(speaker.select_deferral, Duration::from_secs(30));
        speaker.neighbors["far"].session.graceful_restart.clone()
    };
    assert_eq!(session(""), Some(GracefulRestartSettings::default()));
    assert_eq!(session("graceful-restart = {}"), Some(GracefulRestartSettings::default()));
    assert_eq!(session("graceful-restart = false"), None);
}

#[test]
fn via_auto_is_the_peer_whose_allowed_ips_hold_the_address_most_closely() {
    let config = taken(&format!(
        "[router]\nasn = 64512\n[wireguard]\nprivate-key-file = 'one.key'\n\
         [[wireguard.peer]]\nname = 'wide'\npublic-key = '{OTHER_PUBLIC}'\nallowed-ips = '10.0.0.0/8'\n\
         [[wireguard.peer]]\nname = 'close'\npublic-key = '1lZ6QKCmrWlqVGjVHJtVUHCqo8RvFGXzjAvlqOcvvCM='\n\
         allowed-ips = ['10.1.0.0/16', 'fd00::/64']\npersistent-keepalive = 0\n\
         [[bgp.neighbor]]\nname = 'far'\naddress = '10.1.2.3'\nasn = 64513\nvia = 'auto'\n"
    ));
    let peers = config.wireguard.unwrap().tunnel.peers;
    assert_eq!(config.bgp.unwrap().speaker.neighbors["far"].via.as_deref(), Some("close"));
    assert_eq!((peers[0].watched, peers[1].watched), (false, true));
    assert_eq!(peers[1].persistent_keepalive, None); // 0 was written
}

#[test]
fn a_peer_that_is_ourselves_is_skipped_with_its_neighbor() {
    let mesh = |key: &str| {
        taken(&format!(
            "[router]\nasn = 64512\n[wireguard]\nprivate-key-file = '{key}'\n\
             [[wireguard.peer]]\nname = 'a'\npublic-key = '{ONE_PUBLIC}'\nallowed-ips = '10.0.0.1/32'\n\
             [[wireguard.peer]]\nname = 'b'\npublic-key = '{OTHER_PUBLIC}'\nallowed-ips = '10.0.0.2/32'\n\
             [[bgp.neighbor]]\nname = 'a'\naddress = '10.0.0.1'\nasn = 'internal'\nvia = 'auto'\n\
             [[bgp.neighbor]]\nname = 'b'\naddress = '10.0.0.2'\nasn = 'internal'\nvia = 'b'\n"
        ))
    };
    for (key, other) in [("one.key", "b"), ("other.key", "a")] {
        let config = mesh(key);
        let wireguard = config.wireguard.unwrap();
        assert_eq!(wireguard.tunnel.peers.iter().map(|peer| peer.name.as_str()).collect::<Vec<_>>(), [other]);
        assert_eq!(wireguard.routed_ips.len(), 1);
        assert_eq!(config.bgp.unwrap().speaker.neighbors.keys().collect::<Vec<_>>(), [other]);
    }
}

#[test]
fn monitoring_stations_are_names_or_addresses() {
    let config = taken(
        "[router]\nasn = 64512\nrouter-id = '10.0.0.1'\n[[bgp.bmp]]\nname = 'a'\naddress = 'bmp.example.net:5000'\n\
         [[bgp.bmp]]\nname = 'b'\naddress = '[fd00::5]:11019'\n",
    );
    let stations = config.bgp.unwrap().speaker.stations;
    let shown: Vec<_> = stations.iter().map(|station| (station.name.as_str(), station.address.as_str())).collect();
    assert_eq!(shown, [("a", "bmp.example.net:5000"), ("b", "[fd00::5]:11019")]);
}

#[test]
fn sections_of_several_files_are_one() {
    let main = "[router]\nasn = 64512\n[[bgp.originate]]\nprefix = '10.1.0.0/16'\n[prefix-set]\na = '10.1.0.0/16'\n";
    let more = "[router]\nrouter-id = '10.0.0.1'\n[[bgp.originate]]\nprefix = '10.2.0.0/16'\n[bgp]\nmultipath = 4\n";
    let rest = "bgp.originate = { prefix = '10.3.0.0/16', discard = true }\n[prefix-set]\nb = []\n";
    let (config, _) = read(&[("vpngw.toml", main), ("conf.d/a.toml", more), ("conf.d/b.toml", rest)]).unwrap();
    let speaker = config.bgp.unwrap().speaker;
    let prefixes: Vec<_> = speaker.originate.iter().map(|own| own.prefix.to_string()).collect();
    assert_eq!(prefixes, ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]);
    assert_eq!((speaker.multipath, speaker.router_id.address()), (4, Ipv4Addr::new(10, 0, 0, 1)));
    assert!(speaker.originate[2].discard);
}

#[test]
fn a_string_takes_what_the_environment_says() {
    let config =
        taken("[router]\nasn = 64512\n[bgp]\n[control]\nsocket = '/run/${NODE_NAME}/$HOME/${NODE_NAME}.sock'\n");
    assert_eq!(config.control.socket, Path::new("/run/mlops-1/$HOME/mlops-1.sock"));
}

#[test]
fn rules_keep_their_lines_and_their_order() {
    let config = taken(
        "[router]\nasn = 64512\n[bgp]\n[[policy.p]]\naction = 'next'\n\n# why\n[[policy.p]]\nset.med = 5\naction = 'accept'\n",
    );
    let policy = &config.bgp.unwrap().speaker.policies["p"];
    let rules: Vec<_> = policy.rules.iter().map(|rule| (rule.line, rule.action, rule.set.med)).collect();
    assert_eq!(policy.name, "p");
    assert_eq!(rules, [(4, Action::Next, None), (8, Action::Accept, Some(5))]);
}

#[test]
fn set_names_and_literals_stand_side_by_side() {
    let config = taken(
        "[router]\nasn = 64512\n[bgp]\n\
         [prefix-set]\nhome = ['10.0.0.0/8 ge 16 le 24', 'fd00::/8']\n\
         [as-set]\nours = [64512, 64513]\n\
         [community-set]\nblue = ['64512:1', 'no-export', '64512:1:2', 'rt:64512:3', '0x0002fc0000000004']\n\
         [[policy.p]]\naction = 'accept'\n\
         match = { prefix = ['home', '192.0.2.0/24 ge 25', 'martians'], as-path = ['ours', 65000, '^65001_'], \
         origin-asn = 1, community = ['blue', 'blackhole'], large-community = 'blue', extended-community = 'blue', \
         next-hop = ['home', '192.0.2.1/32'], as-path-length = 'le 3', local-pref = 100, med = 'ge 5', \
         family = 'ipv4', protocol = 'bgp', origin = 'igp' }\n\
         set = { prepend = 2, set-community = [], remove-large-community = ['blue', '7:*:*'], \
         add-extended-community = 'blue', next-hop = '10.0.0.9', origin = 'incomplete' }\n",
    );
    let rule = &config.bgp.unwrap().speaker.policies["p"].rules[0];
    let entries = rule.matches.prefix.as_ref().unwrap().entries();
    for entry in [range("10.0.0.0/8", 16, 24), range("fd00::/8", 8, 8), range("192.0.2.0/24", 25, 32)] {
        assert!(entries.contains(&entry));
    }
    assert!(entries.contains(&range("169.254.0.0/16", 16, 32)));
    let patterns = vec![PathPattern::new("^65001_").unwrap()];
    let asns = [64512, 64513, 65000].map(asn).into_iter().collect();
    assert_eq!(rule.matches.as_path, Some(PathMatch { asns, patterns }));
    let communities = [Community(64512 << 16 | 1), Community::NO_EXPORT, Community(0xFFFF_029A)];
    assert_eq!(rule.matches.community, Some(communities.map(Wildcard::from).into()));
    let large = LargeCommunity { global: 64512, local1: 1, local2: 2 };
    assert_eq!(rule.matches.large_community, Some(vec![large.into()]));
    let extended = [ExtendedCommunity(0x0002_FC00_0000_0003), ExtendedCommunity(0x0002_FC00_0000_0004)];
    assert_eq!(rule.matches.extended_community, Some(extended.map(Wildcard::from).into()));
    let next_hops = rule.matches.next_hop.as_ref().unwrap().entries();
    assert_eq!(next_hops, [range("10.0.0.0/8", 8, 32), range("192.0.2.1/32", 32, 32), range("fd00::/8", 8, 128)]);
    assert_eq!(rule.matches.as_path_length, Some(0..=3));
    assert_eq!((&rule.matches.local_pref, &rule.matches.med), (&Some(100..=100), &Some(5..=u32::MAX)));
    assert_eq!((rule.set.prepend, &rule.set.community.set), (2, &Some(Vec::new())));
    assert_eq!(rule.set.large_community.remove.len(), 2);
    assert_eq!(rule.set.extended_community.add, extended);
    assert_eq!(rule.set.next_hop, Some(NewNextHop::Address("10.0.0.9".parse().unwrap())));
    assert_eq!((rule.matches.origin, rule.set.origin), (Some(Origin::Igp), Some(Origin::Incomplete)));
}

#[test]
fn a_limit_of_prefixes_is_a_number_or_says_more() {
    let limit = |text: &str| {
        let config = taken(&format!(
            "[router]\nasn = 64512\n[[bgp.neighbor]]\nname = 'far'\naddress = '10.0.0.2'\nasn = 64513\nmax-prefixes = {text}\n"
        ));
        config.bgp.unwrap().speaker.neighbors["far"].session.max_prefixes.unwrap()
    };
    assert_eq!(limit("5"), PrefixLimit::new(5));
    assert_eq!(limit("{ limit = 5 }"), PrefixLimit::new(5));
    let discard = PrefixLimit { warning: 50, action: LimitAction::Discard, ..PrefixLimit::new(7) };
    assert_eq!(limit("{ limit = 7, warning = 50, action = 'discard' }"), discard);
    let back = PrefixLimit { restart_after: Some(Duration::from_secs(600)), ..PrefixLimit::new(7) };
    assert_eq!(limit("{ limit = 7, restart-after = '10m' }"), back);
}

#[test]
fn listen_ranges_take_lists_of_ranges_and_numbers() {
    let config = taken(
        "[router]\nasn = 64512\n[[bgp.dynamic-neighbor]]\nname = 'cilium'\nrange = ['192.168.2.0/24', 'fd02::/64']\n\
         asn = [64512, 64520]\nlimit = 64\nimport = 'accept-all'\nfamilies = ['ipv4', 'ipv6']\n",
    );
    let dynamic = &config.bgp.unwrap().speaker.dynamic_neighbors["cilium"];
    assert_eq!(dynamic.range.len(), 2);
    assert_eq!(dynamic.asn, RemoteAs::OneOf(vec![asn(64512), asn(64520)]));
    assert_eq!((dynamic.limit, dynamic.session.families), (64, Some(Families::ALL)));
}

#[test]
fn a_tunnel_without_bgp_needs_no_router() {
    let config = taken(&format!(
        "[wireguard]\nprivate-key-file = 'one.key'\nmtu = 1280\n[[wireguard.peer]]\nname = 'far'\n\
         public-key = '{OTHER_PUBLIC}'\nallowed-ips = '10.0.0.0/8'\nstatic-routes = true\n\
         endpoint = '[2001:db8::1]:51820'\n[[wireguard.peer]]\nname = 'named'\nendpoint = 'gw.example.net:1'\n\
         public-key = '1lZ6QKCmrWlqVGjVHJtVUHCqo8RvFGXzjAvlqOcvvCM='\nallowed-ips = 'fd00::/8'\n\
         [kernel]\ntable = 'default'\npreferred-source = ['10.0.0.1', 'fd00::1']\nforwarding = true\nrp-filter = false\n"
    ));
    assert!(config.bgp.is_none());
    let wireguard = config.wireguard.unwrap();
    assert_eq!(wireguard.static_routes, [wireguard.tunnel.peers[0].public_key]);
    assert_eq!(wireguard.tunnel.mtu, Mtu::Octets(1280));
    let endpoints: Vec<_> = wireguard.tunnel.peers.into_iter().map(|peer| peer.endpoint.unwrap()).collect();
    let named = Endpoint::Name("gw.example.net".to_owned(), 1);
    assert_eq!(endpoints, [Endpoint::Address("[2001:db8::1]:51820".parse().unwrap()), named]);
    assert_eq!(config.kernel.table, 253);
    assert_eq!(config.kernel.preferred_source, ["10.0.0.1".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]);
    assert_eq!((config.kernel.forwarding, config.kernel.rp_filter), (Some(true), Some(false)));
}

fn example(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)).unwrap()
}

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

fn range(prefix: &str, min: u8, max: u8) -> PrefixRange {
    PrefixRange { prefix: prefix.parse().unwrap(), min, max }
}
