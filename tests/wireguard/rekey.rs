//! New sessions while a transfer runs.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use vpngw::lab::namespace::Namespace;
use vpngw::lab::site::net;

use crate::common::pair::ENDS;
use crate::common::wireguard::{Program, Wireguard};
use crate::common::{Lab, eventually};
use crate::ends::{IPV4, IPV6, KNOWS, Outside, Side, Trial, endpoint, transfer};

/// Of one transfer, there and back again.
const OCTETS: u64 = 4 << 20;
const REKEYS: usize = 5;

/// One transfer after the other in both families until it is done; how many.
async fn transfers(pod: &Namespace, done: &Cell<bool>) -> u64 {
    let mut count = 0;
    while !done.get() {
        for end in ENDS {
            assert_eq!(pod.fetch(transfer(end, OCTETS)).await.unwrap(), OCTETS);
            count += 1;
        }
    }
    count
}

/// The clock of `wg` counts seconds: a handshake is told from the last one by a second that lies between.
async fn newer_handshake(lab: &Lab, end: &Wireguard, than: u64) {
    eventually("a newer handshake", async || {
        let peer = end.peer(lab)?;
        ensure!(peer.latest_handshake > than, "{peer:?}");
        Ok(())
    })
    .await;
}

async fn second_after(time: u64) {
    eventually("the next second", async || {
        ensure!(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() > time);
        Ok(())
    })
    .await;
}

/// An end that is told another address of its peer, which it keeps a session with, calls it there at once: so `wg set`
/// forces a handshake. The old session carries on until the new one does.
fn forced(program: Program, outside: Outside) {
    let ours = Side { knows: true, keepalive: 25 };
    Trial { program, outside, ours, theirs: KNOWS }.connected(async |lab, ours, theirs| {
        let second = net(&format!("{}/{}", outside.theirs[1], outside.length));
        lab.node("ec2").address("wan0", second).await.unwrap();
        let key = lab.running.directory().public_key("ec2").unwrap().to_string();
        let (done, pod) = (Cell::new(false), lab.node("pod").clone());
        let rekeys = async {
            for number in 1..=REKEYS {
                let last = theirs.peer(lab).unwrap().latest_handshake;
                second_after(last).await;
                ours.set(lab, &["peer", &key, "endpoint", &endpoint(outside.theirs[number % 2])]).unwrap();
                newer_handshake(lab, &theirs, last).await;
            }
            done.set(true);
        };
        let (count, ()) = tokio::join!(transfers(&pod, &done), rekeys);
        assert!(count > 0);
        let drops = lab.show("home", &["peers"]).unwrap()["peers"][0]["drops"].clone();
        assert!(drops["no session"].is_null() && drops["replay"].is_null(), "{drops}");
    });
}

#[test]
fn a_transfer_to_wireguard_go_outlives_its_sessions() {
    forced(Program::WireguardGo, IPV6);
}

#[test]
fn a_transfer_to_boringtun_outlives_its_sessions() {
    forced(Program::BoringTun, IPV4);
}

/// Who starts again calls first, and its new session takes the place of one that only we remember.
fn restarted(program: Program, outside: Outside) {
    let theirs = Side { knows: true, keepalive: 1 };
    let trial = Trial { program, outside, ours: KNOWS, theirs };
    trial.connected(async |lab, ours, far| {
        let last = far.peer(lab).unwrap().latest_handshake;
        let (done, pod) = (Cell::new(false), lab.node("pod").clone());
        let restart = async {
            second_after(last).await;
            lab.kill("far-ec2").await;
            let again = trial.far_end(lab).await;
            newer_handshake(lab, &again, last).await;
            done.set(true);
        };
        let (count, ()) = tokio::join!(transfers(&pod, &done), restart);
        assert!(count > 0);
        assert!(ours.peers(lab).unwrap().iter().any(|peer| peer.latest_handshake > last));
    });
}

#[test]
fn a_transfer_outlives_wireguard_go() {
    restarted(Program::WireguardGo, IPV4);
}

#[test]
fn a_transfer_outlives_boringtun() {
    restarted(Program::BoringTun, IPV6);
}
