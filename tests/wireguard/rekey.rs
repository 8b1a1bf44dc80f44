//! New sessions while a transfer runs.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use vpngw::lab::namespace::Namespace;

use crate::common::pair::ENDS;
use crate::common::wireguard::{Program, Wireguard};
use crate::common::{Lab, eventually};
use crate::ends::{IPV4, IPV6, KNOWS, Outside, Side, Trial, transfer};

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
async fn newer_handshake(lab: &Lab, ours: &Wireguard, than: u64) {
    eventually("a newer handshake", async || {
        let now = ours.latest_handshake(lab)?;
        ensure!(now > than, "it is still {now}");
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

/// The old session carries on until the new one does.
fn forced(program: Program, outside: Outside) {
    Trial { program, outside, ours: KNOWS, theirs: KNOWS }.connected(async |lab, ours, _| {
        let (done, pod) = (Cell::new(false), lab.node("pod").clone());
        let rekeys = async {
            for _ in 0..REKEYS {
                let last = ours.latest_handshake(lab).unwrap();
                second_after(last).await;
                lab.tell("home", &["peer", "far", "rekey"]).await;
                newer_handshake(lab, &ours, last).await;
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
    trial.connected(async |lab, ours, _| {
        let last = ours.latest_handshake(lab).unwrap();
        let (done, pod) = (Cell::new(false), lab.node("pod").clone());
        let restart = async {
            second_after(last).await;
            lab.kill("far-ec2").await;
            trial.far_end(lab).await;
            newer_handshake(lab, &ours, last).await;
            done.set(true);
        };
        let (count, ()) = tokio::join!(transfers(&pod, &done), restart);
        assert!(count > 0);
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
