//! A monitoring station at the thread with the sockets (RFC 7854): connected, dropped by a reload, told of the end.
#![cfg(feature = "net")]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bgpd::Settings;
use bgpd::net::{Bgp, Outputs};
use bgpd::settings::StationSettings;
use bgpd::speaker::{Input, Stop};

use common::settings::{Told, neighbor, range, router};
use common::{bmp, network, settings};

/// Ten times what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A listener that stations of this name are sent to.
fn tower(name: &str) -> (TcpListener, StationSettings) {
    let (listener, address) = listener();
    (listener, StationSettings { name: name.to_owned(), address: address.to_string() })
}

fn gateway(stations: Vec<StationSettings>) -> Settings {
    Settings { stations, ..router(64512, "192.0.2.1").with_range("nodes", range("127.0.0.0/8", 64600, 10)) }
}

/// A speaker on its thread. What it says of next hops and the FIB nobody hears.
fn start(settings: Settings, listeners: Vec<TcpListener>) -> (Bgp, Outputs) {
    Bgp::start(settings, listeners, Vec::new(), 7).unwrap()
}

/// A station's end of its connection.
struct Reader {
    stream: TcpStream,
    octets: Vec<u8>,
    lines: Vec<String>,
}

impl Reader {
    /// The speaker dials.
    fn accept(listener: &TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    return Self { stream, octets: Vec::new(), lines: Vec::new() };
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => panic!("the speaker does not dial: {error}"),
            }
        }
    }

    /// Reads until a line has all these words, or to the end of the connection.
    fn until(&mut self, words: &[&str]) -> &str {
        let found = |lines: &[String]| lines.iter().position(|line| words.iter().all(|word| line.contains(word)));
        while found(&self.lines).is_none() {
            assert!(self.read(), "{words:?} never came: {:#?}", self.lines);
        }
        &self.lines[found(&self.lines).unwrap()]
    }

    /// `false`: the connection has ended in order.
    fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let count = self.stream.read(&mut chunk).unwrap_or_else(|error| panic!("{error}: {:#?}", self.lines));
        self.octets.extend_from_slice(&chunk[..count]);
        self.lines.extend(bmp::read(&mut self.octets));
        count > 0
    }

    fn read_all(&mut self) -> &[String] {
        while self.read() {}
        assert!(self.octets.is_empty(), "the last message is not whole");
        &self.lines
    }
}

#[tokio::test]
async fn stations_come_and_go_with_the_settings_and_hear_of_the_end() {
    let (first_tower, first) = tower("first");
    let (second_tower, second) = tower("second");
    let (listening, at) = listener();
    let (bgp, _outputs) = start(gateway(vec![first]), vec![listening]);
    let mut first = Reader::accept(&first_tower);
    let mut dial = neighbor("127.0.0.1", 64512);
    dial.port = at.port();
    let far = router(64600, "192.0.2.2").with_neighbor("gateway", dial).originating(&["10.1.0.0/16"]);
    let (far, _far_outputs) = start(far, Vec::new());

    assert!(first.until(&["initiation"]).ends_with(" 2=192.0.2.1"));
    first.until(&["up 127.0.0.1/64600/192.0.2.2", &format!("at 127.0.0.1 ports {} ", at.port())]);
    first.until(&["route 127.0.0.1", "+10.1.0.0/16 via 127.0.0.1 [64600]"]);

    let settings = Box::new(gateway(vec![second]));
    bgp.call(move |speaker, now| speaker.input(now, Input::Settings(settings))).await.unwrap();
    let mut second = Reader::accept(&second_tower);
    second.until(&["up 127.0.0.1/64600/192.0.2.2"]);
    second.until(&["+10.1.0.0/16 via 127.0.0.1 [64600]"]);
    second.until(&["end of ipv4"]);
    first.read_all();

    bgp.stop(Stop::Withdraw).await;
    let [.., down, termination] = second.read_all() else { panic!("{:#?}", second.lines) };
    assert!(down.ends_with(" 1 Cease/Administrative Shutdown"), "{down}");
    assert_eq!(termination, "termination 1=[0, 0]");
    far.stop(Stop::Withdraw).await;
}

#[tokio::test]
async fn a_station_that_is_not_there_holds_nothing_up() {
    let (gone, station) = tower("gone");
    drop(gone);
    let (bgp, _outputs) = start(gateway(vec![station]), Vec::new());
    assert_eq!(bgp.call(|speaker, now| speaker.neighbors(now).len()).await, Some(0));
    let began = Instant::now();
    bgp.stop(Stop::Withdraw).await;
    assert!(began.elapsed() < bgpd::net::STOP_TIME, "{:?}", began.elapsed());
}
