//! A tunnel on a real TUN device, in a network namespace of its own. Needs root.
#![allow(clippy::print_stderr, clippy::unwrap_used)] // a test that skips says so
#![allow(unsafe_code)] // TUNSETIFF is an ioctl

use std::fs::OpenOptions;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use wgd::net::{Event, Io, Tunnel};
use wgd::settings::{Endpoint, Mtu, PeerSettings, PrivateKey, Settings};

const PATIENCE: Duration = Duration::from_secs(20);
const INSIDE: &str = "VPNGW_TEST_INSIDE";

/// Runs the named test again in a child with its own network. True in the child.
fn in_namespace(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let may = Command::new("unshare").args(["--net", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: needs root and unshare(1)");
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", name, "--nocapture"];
    let child = Command::new("unshare").arg("--net").arg(program).args(arguments).env(INSIDE, "1").status().unwrap();
    assert!(child.success());
    false
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

fn open_tun(name: &str, offloads: bool) -> OwnedFd {
    let tun = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun").unwrap();
    // SAFETY: a request of zeros is a valid one
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let header = if offloads { libc::IFF_VNET_HDR } else { 0 };
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI | header) as libc::c_short;
    // SAFETY: the request lives until the call returns
    assert_eq!(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &request) }, 0);
    tun.into()
}

fn start(number: u8, tun: OwnedFd, udp: UdpSocket, endpoint: Option<SocketAddr>) -> (Tunnel, Receiver<Event>) {
    let private_key = |number| PrivateKey([number; 32].into());
    let peer = PeerSettings {
        endpoint: endpoint.map(Endpoint::Address),
        allowed_ips: vec![format!("10.9.0.{}/32", 3 - number).parse().unwrap()],
        ..PeerSettings::new("other", private_key(3 - number).public_key())
    };
    let settings = Settings { mtu: Mtu::Octets(1420), ..Settings::new(private_key(number), vec![peer]) };
    let (sender, events) = channel();
    let io = Io { tun, udp: vec![udp] };
    (Tunnel::start(io, settings, move |event| drop(sender.send(event))).unwrap(), events)
}

/// Sends each UDP packet back to where it came from.
fn echo(tun: &UnixDatagram) {
    let mut packet = [0; 2000];
    let len = tun.recv(&mut packet).unwrap();
    let (source, destination) = (packet[12..16].to_vec(), packet[16..20].to_vec());
    packet[12..16].copy_from_slice(&destination);
    packet[16..20].copy_from_slice(&source);
    let ports = [packet[22], packet[23], packet[20], packet[21]];
    packet[20..24].copy_from_slice(&ports);
    tun.send(&packet[..len]).unwrap();
}

/// Datagrams in one call, which a TUN with offloads gets as one; each comes back.
fn train(from: &str, to: &str, echo: impl Fn()) {
    const DATAGRAMS: u8 = 8;
    let octets: libc::c_int = 1000;
    let socket = UdpSocket::bind(from).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (value, len) = ((&raw const octets).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the value is a `c_int` that lives until the call returns
    assert_eq!(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, len) }, 0);
    let datagrams: Vec<Vec<u8>> = (0..DATAGRAMS).map(|number| vec![number; octets as usize]).collect();
    socket.send_to(&datagrams.concat(), to).unwrap();
    (0..DATAGRAMS).for_each(|_| echo());
    for expected in datagrams {
        let mut answer = [0; 2000];
        let len = socket.recv(&mut answer).unwrap();
        assert!(answer[..len] == expected);
    }
}

#[test]
fn packets_of_the_kernel_pass_a_device_that_goes_down_is_waited_for_and_one_that_is_deleted_is_told() {
    if !in_namespace("packets_of_the_kernel_pass_a_device_that_goes_down_is_waited_for_and_one_that_is_deleted_is_told")
    {
        return;
    }
    ip("link set lo up");
    for offloads in [false, true] {
        lives_and_dies(offloads);
    }
}

/// The kernel checks the sums of what it is given: with offloads it left them to us.
fn lives_and_dies(offloads: bool) {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let far_at = far.local_addr().unwrap();
    let tun = open_tun("wgdtun0", offloads);
    ip("address add 10.9.0.1/24 dev wgdtun0");
    let (tunnel, events) = start(1, tun, near, Some(far_at));
    let (inside, outside) = UnixDatagram::pair().unwrap();
    inside.set_nonblocking(true).unwrap();
    outside.set_read_timeout(Some(PATIENCE)).unwrap();
    let (_far, _) = start(2, inside.into(), far, None);

    let ping = || {
        let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(b"ping", "10.9.0.2:7").unwrap();
        let mut answer = [0; 100];
        echo(&outside);
        let (len, from) = socket.recv_from(&mut answer).unwrap();
        assert_eq!((&answer[..len], from), (&b"ping"[..], "10.9.0.2:7".parse().unwrap()));
    };
    ip("link set wgdtun0 up");
    ping();
    train("10.9.0.1:0", "10.9.0.2:7", || echo(&outside));
    let shown = &tunnel.peers()[0].offloads;
    assert!(shown.contains(&"udp-gso") && shown.contains(&"tun-tso") == offloads, "{shown:?}");

    ip("link set wgdtun0 down");
    let stray = [&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0][..], &[10, 9, 0, 2], &[10, 9, 0, 1]].concat();
    outside.send(&stray).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while tunnel.drops().get("host refused") != Some(&1) {
        assert!(Instant::now() < deadline, "{:?}", tunnel.drops());
    }
    ip("link set wgdtun0 up");
    ping();

    ip("link delete wgdtun0");
    let last =
        std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok()).find(|event| matches!(event, Event::Failed(_)));
    assert!(last.is_some());
    assert!(tunnel.peers().is_empty());
}
