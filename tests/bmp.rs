//! A monitoring station (RFC 7854) that a real gateway dials as its configuration says: what it hears of a real neighbor,
//! and that it hears everything anew after it was gone.
#![allow(clippy::unwrap_used)]

#[path = "../bgpd/tests/common/bmp.rs"]
mod bmp;
mod common;

use anyhow::Context as _;
use common::{Lab, eventually, with_site};
use vpngw::lab::site::{Expectation, Gateway, Link, Node, Port, Site};

const CONFIG: &str = "[router]
asn = 64512
router-id = '192.0.2.1'
[control]
socket = '${LAB}/gateway.sock'
[[bgp.neighbor]]
name = 'far'
address = '192.0.2.2'
asn = 64513
connect-retry = 1
graceful-restart = false
import = 'accept-all'
export = 'accept-all'
[[bgp.bmp]]
name = 'tower'
address = '192.0.2.9:1790'
[kernel]
install = false
";

/// Listens as a station, and keeps what comes on each connection in a file of its own: tower.1, tower.2, ...
const STATION: &str = "import glob, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
listener = socket.create_server(('192.0.2.9', 1790))
while True:
    connection, _ = listener.accept()
    with open(f'{sys.argv[1]}.{len(glob.glob(sys.argv[1] + \".*\")) + 1}', 'wb', buffering=0) as file:
        while octets := connection.recv(65536):
            file.write(octets)
";

fn site() -> Site {
    let port = |node, addresses| Port::new(node, "eth0", addresses);
    Site {
        name: "bmp",
        drawing: "gateway - far, tower",
        nodes: vec![Node::host("near"), Node::host("far"), Node::host("tower")],
        links: vec![Link::new(
            "lan",
            vec![port("near", &["192.0.2.1/24"]), port("far", &["192.0.2.2/24"]), port("tower", &["192.0.2.9/24"])],
        )],
        gateways: vec![Gateway { name: "gateway", node: "near", config: CONFIG.to_owned() }],
        expectations: Vec::new(),
    }
}

fn station(lab: &mut Lab) {
    let script = lab.file("station.py", STATION);
    let mut command = lab.node("tower").command("/usr/bin/python3");
    command.arg(script).arg(lab.running.directory().file("tower"));
    lab.running.run("station", command).unwrap();
}

/// What came on a connection, a line a message.
fn heard(lab: &Lab, connection: usize) -> anyhow::Result<Vec<String>> {
    let file = lab.running.directory().file(&format!("tower.{connection}"));
    let mut octets = std::fs::read(&file).with_context(|| file.display().to_string())?;
    Ok(bmp::read(&mut octets))
}

/// Waits until a line of a connection has all these words, and returns where it stands.
async fn hears(lab: &Lab, connection: usize, words: &[&str]) -> usize {
    eventually(&format!("{words:?} on connection {connection}"), async || {
        let lines = heard(lab, connection)?;
        let found = lines.iter().position(|line| words.iter().all(|word| line.contains(word)));
        found.with_context(|| format!("{lines:#?}"))
    })
    .await
}

#[test]
fn a_station_hears_of_the_neighbor_and_everything_anew_when_it_is_back() {
    const FAR: &str = " 192.0.2.2/64513/192.0.2.2 at ";
    with_site(&["gobgpd", "gobgp", "python3"], site(), async |lab| {
        station(lab);
        lab.start("gateway");
        hears(lab, 1, &["initiation ", " 2=192.0.2.1"]).await;
        let gobgp = lab.gobgp_far().await;
        let up = hears(lab, 1, &["up", FAR, "at 192.0.2.1 ports ", ": 64512 hold 90 / 64513 hold 90"]).await;
        gobgp.announce("10.50.0.0/24");
        let route = hears(lab, 1, &["route", FAR, "+10.50.0.0/24 via 192.0.2.2 [64513]"]).await;
        gobgp.announce("10.51.0.0/24");
        gobgp.withdraw("10.51.0.0/24");
        let withdrawn = hears(lab, 1, &["route", FAR, "-10.51.0.0/24"]).await;
        assert!(up < route && route < withdrawn);

        lab.kill("station").await;
        lab.expect(Expectation::Session { gateway: "gateway", neighbor: "far" }).await;
        gobgp.announce("10.52.0.0/24"); // nobody hears it
        station(lab);
        // RFC 7854 §3.2: the first pause is 30 s.
        hears(lab, 2, &["initiation "]).await;
        let up = hears(lab, 2, &["up", FAR]).await;
        let end = hears(lab, 2, &["route", FAR, "end of ipv4"]).await;
        for prefix in ["10.50.0.0/24", "10.52.0.0/24"] {
            let route = hears(lab, 2, &["route", FAR, &format!("+{prefix}")]).await;
            assert!(up < route && route < end, "{prefix}");
        }
        assert!(!heard(lab, 2).unwrap().iter().any(|line| line.contains("10.51.0.0/24")));

        lab.kill("gobgp").await;
        let down = hears(lab, 2, &["down", FAR]).await;
        assert!(down > end);
        lab.terminate("gateway").await;
        hears(lab, 2, &["termination "]).await;
    });
}
