//! Options of real sockets on the loopback interface.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use ipnet::IpNet;
use socket2::SockRef;
use zeroize::Zeroizing;

use super::super::socket;
use crate::settings::Password;
use crate::speaker::SocketSettings;

const ANY: [&str; 3] = ["127.0.0.1:0", "[::1]:0", "[::]:0"];

fn listener(address: &str) -> TcpListener {
    let listener = TcpListener::bind(address).unwrap();
    socket::prepare_listener(&listener, listener.local_addr().unwrap()).unwrap();
    listener
}

/// Dials over IPv4 where the listener hears it.
fn dial(listener: &TcpListener) -> TcpStream {
    let address = listener.local_addr().unwrap();
    let target = match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        _ => address,
    };
    TcpStream::connect(target).unwrap()
}

fn password(secret: &str) -> Password {
    Password(Zeroizing::new(secret.as_bytes().to_vec()))
}

#[test]
fn an_accepted_connection_names_the_interface_it_arrived_on() {
    let loopback = socket::interface_index("lo").unwrap();
    for address in ANY {
        let listener = listener(address);
        let _dialled = dial(&listener);
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(socket::arrival_interface(&accepted, accepted.local_addr().unwrap()), Some(loopback), "{address}");
    }
}

#[test]
fn an_interface_has_a_name_and_a_number() {
    let loopback = socket::interface_index("lo").unwrap();
    assert_eq!(socket::interface_name(loopback).as_deref(), Some("lo"));
    assert_eq!(socket::interface_name(u32::MAX), None);
}

#[test]
fn an_unknown_interface_is_an_error() {
    assert!(socket::interface_index("no-such-one").is_err());
    assert!(socket::interface_index("with\0zero").is_err());
}

#[test]
fn ipv4_mapped_addresses_become_ipv4() {
    let listener = listener("[::]:0");
    let _dialled = dial(&listener);
    let (accepted, remote) = listener.accept().unwrap();
    assert_eq!(socket::canonical(remote).ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(socket::canonical(accepted.local_addr().unwrap()).ip(), Ipv4Addr::LOCALHOST);
    let scoped: SocketAddr = "[fe80::1%7]:179".parse().unwrap();
    assert_eq!(socket::canonical(scoped), scoped);
}

#[test]
fn packets_of_a_session_carry_cs6_and_are_not_delayed() {
    for address in ANY {
        let listener = listener(address);
        let dialled = dial(&listener);
        let (accepted, remote) = listener.accept().unwrap();
        let remote = socket::canonical(remote).ip();
        socket::prepare_dialled(&dialled, remote).unwrap();
        for stream in [&dialled, &accepted] {
            let socket = SockRef::from(stream);
            let dscp = if remote.is_ipv4() { socket.tos_v4().unwrap() } else { socket.tclass_v6().unwrap() };
            assert_eq!((dscp, socket.tcp_nodelay().unwrap()), (0xC0, true), "{address}");
        }
    }
}

#[test]
fn the_ttl_of_a_session_replaces_that_of_the_listener() {
    for address in ANY {
        let listener = listener(address);
        let default = {
            let fresh = TcpListener::bind(address).unwrap();
            if dial(&listener).peer_addr().unwrap().is_ipv4() {
                SockRef::from(&fresh).ttl_v4()
            } else {
                SockRef::from(&fresh).unicast_hops_v6()
            }
        };
        let (accepted, remote) = listener.accept().unwrap();
        let remote = socket::canonical(remote).ip();
        let ttl = || {
            let socket = SockRef::from(&accepted);
            if remote.is_ipv4() { socket.ttl_v4().unwrap() } else { socket.unicast_hops_v6().unwrap() }
        };
        assert_eq!(ttl(), 255, "{address}");
        socket::set_ttl(&accepted, remote, SocketSettings { ttl: Some(1), min_ttl: None }).unwrap();
        assert_eq!(ttl(), 1, "{address}");
        socket::set_ttl(&accepted, remote, SocketSettings::default()).unwrap();
        assert_eq!(ttl(), default.unwrap(), "{address}");
    }
}

#[test]
fn the_ttl_of_the_handshake_is_known() {
    for address in ANY {
        let listener = listener(address);
        let bound = listener.local_addr().unwrap();
        let ipv6 = bound.ip().is_ipv6() && !bound.ip().is_unspecified();
        let target = if ipv6 { bound } else { SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port())) };
        let dialled = socket2::Socket::new(socket2::Domain::for_address(target), socket2::Type::STREAM, None).unwrap();
        socket::set_ttl(&dialled, target.ip(), SocketSettings { ttl: Some(77), min_ttl: None }).unwrap();
        dialled.connect(&target.into()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(socket::arrival_ttl(&accepted, accepted.local_addr().unwrap()), Some(77), "{address}");
    }
}

#[test]
fn what_comes_with_a_lower_ttl_than_allowed_is_not_heard() {
    for address in ANY {
        let listener = listener(address);
        let mut dialled = dial(&listener);
        let (mut accepted, remote) = listener.accept().unwrap();
        let remote = socket::canonical(remote).ip();
        socket::set_ttl(&accepted, remote, SocketSettings { ttl: Some(255), min_ttl: Some(255) }).unwrap();
        accepted.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        socket::set_ttl(&dialled, remote, SocketSettings { ttl: Some(254), min_ttl: None }).unwrap();
        dialled.write_all(b"far").unwrap();
        let mut heard = [0; 8];
        assert_eq!(accepted.read(&mut heard).unwrap_err().kind(), ErrorKind::WouldBlock, "{address}");
        // TCP sends it again, now from near enough.
        socket::set_ttl(&dialled, remote, SocketSettings { ttl: Some(255), min_ttl: None }).unwrap();
        accepted.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(accepted.read(&mut heard).unwrap(), 3, "{address}");
    }
}

#[test]
fn only_the_key_of_the_prefix_opens_a_connection() {
    for address in ANY {
        let listener = listener(address);
        let bound = listener.local_addr().unwrap();
        let (target, prefix): (SocketAddr, IpNet) = if address == "[::1]:0" {
            (bound, "::1/128".parse().unwrap())
        } else {
            (SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port())), "127.0.0.0/8".parse().unwrap())
        };
        let connect = |key: Option<&str>, patience: Duration| {
            let domain = socket2::Domain::for_address(target);
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
            if let Some(key) = key {
                socket::set_key(&socket, IpNet::from(target.ip()), false, Some(&password(key))).unwrap();
            }
            socket.connect_timeout(&target.into(), patience)
        };
        socket::set_key(&listener, prefix, bound.is_ipv6(), Some(&password("right"))).unwrap();
        let (a_while, long) = (Duration::from_millis(300), Duration::from_secs(20));
        assert!(connect(None, a_while).is_err(), "{address}: without a key");
        assert!(connect(Some("wrong"), a_while).is_err(), "{address}: with a wrong key");
        connect(Some("right"), long).unwrap();
        socket::set_key(&listener, prefix, bound.is_ipv6(), None).unwrap();
        connect(None, long).unwrap();
    }
}

#[test]
fn a_password_of_more_than_80_octets_is_an_error() {
    let listener = listener("127.0.0.1:0");
    let prefix = "127.0.0.0/8".parse().unwrap();
    socket::set_key(&listener, prefix, false, Some(&password(&"x".repeat(80)))).unwrap();
    let error = socket::set_key(&listener, prefix, false, Some(&password(&"x".repeat(81)))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
