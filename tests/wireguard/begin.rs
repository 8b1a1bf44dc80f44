//! How a session begins.

use std::fs;

use anyhow::ensure;
use vpngw::lab::site::Expectation;

use crate::common::eventually;
use crate::common::pair::ENDS;
use crate::common::wireguard::Program;
use crate::ends::{IPV4, IPV6, KNOWS, Outside, PORT, Side, Trial, WAITS, endpoint, transfer, works};

/// Octets of messages.
const INITIATION: u64 = 148;
const RESPONSE: u64 = 92;

/// Who has no endpoint cannot begin: so it is the other one that does. In both families outside and inside.
fn one_end_begins(program: Program, ours: Side, theirs: Side) {
    for outside in [IPV4, IPV6] {
        Trial { program, outside, ours, theirs }.connected(async |lab, ours, theirs| {
            works(lab).await;
            lab.expect(Expectation::Tunnel { gateway: "home", peer: "far" }).await;
            // Super-segments at our end, packets at theirs
            for end in ENDS {
                let octets = 8 << 20;
                assert_eq!(lab.node("pod").fetch(transfer(end, octets)).await.unwrap(), octets);
            }
            let peer = theirs.peer(lab).unwrap();
            assert!(peer.latest_handshake > 0 && peer.receive_bytes > 0, "{peer:?}");
            assert_eq!(peer.endpoint, endpoint(outside.ours[0]));
            let peers = ours.peers(lab).unwrap();
            let far = peers.iter().find(|peer| peer.latest_handshake > 0).unwrap();
            assert_eq!(far.endpoint, endpoint(outside.theirs[0]));
        });
    }
}

#[test]
fn we_begin_with_wireguard_go() {
    one_end_begins(Program::WireguardGo, KNOWS, WAITS);
}

#[test]
fn wireguard_go_begins() {
    one_end_begins(Program::WireguardGo, WAITS, KNOWS);
}

#[test]
fn we_begin_with_boringtun() {
    one_end_begins(Program::BoringTun, KNOWS, WAITS);
}

#[test]
fn boringtun_begins() {
    one_end_begins(Program::BoringTun, WAITS, KNOWS);
}

/// Each has sent an initiation before it reads the other's: while one is held, its socket keeps what comes.
fn both_begin(program: Program, outside: Outside) {
    let trial = Trial { program, outside, ours: KNOWS, theirs: KNOWS };
    trial.run(async |lab| {
        let theirs = trial.far_end(lab).await;
        let ours = trial.near_end(lab).await;
        let (pod, instance) = ENDS[0];
        ours.hold(true).await;
        eventually("an initiation of theirs", async || {
            lab.answered("instance", instance, pod).await?;
            ensure!(ours.has_mail(PORT)?, "nothing has come");
            Ok(())
        })
        .await;
        theirs.hold(true).await;
        // It waits in the TUN for us to go on.
        assert_eq!(lab.answered("pod", pod, instance).await.unwrap(), 0);
        ours.hold(false).await;
        eventually("an initiation of ours beside the response", async || {
            let peers = ours.peers(lab)?;
            ensure!(peers.iter().any(|peer| peer.transmit_bytes >= INITIATION + RESPONSE), "{peers:?}");
            Ok(())
        })
        .await;
        theirs.hold(false).await;
        works(lab).await;
        // They have settled: nothing is lost any more.
        for (pod, instance) in ENDS {
            lab.are_answered("pod", pod, instance).await;
            lab.are_answered("instance", instance, pod).await;
        }
    });
}

#[test]
fn we_and_wireguard_go_begin_at_once_and_settle() {
    both_begin(Program::WireguardGo, IPV6);
}

#[test]
fn we_and_boringtun_begin_at_once_and_settle() {
    both_begin(Program::BoringTun, IPV4);
}

/// Both sides try, more than once.
fn another_preshared_key(program: Program) {
    let trial = Trial { program, outside: IPV4, ours: KNOWS, theirs: KNOWS };
    trial.run(async |lab| {
        let directory = lab.running.directory();
        let other = fs::read_to_string(directory.preshared_key("other").unwrap()).unwrap();
        let theirs = trial.far_end_with(lab, &other).await;
        trial.near_end(lab).await;
        eventually("handshake messages both ways", async || {
            for (node, from, to) in [("pod", ENDS[0].0, ENDS[0].1), ("instance", ENDS[0].1, ENDS[0].0)] {
                ensure!(lab.answered(node, from, to).await? == 0, "{from} reached {to}");
            }
            // What was dropped are their responses.
            let far = lab.show("home", &["peers"])?["peers"][0].clone();
            ensure!(far["drops"]["preshared key"].as_u64() >= Some(2), "{far}");
            ensure!(far["transmit_bytes"].as_u64() >= Some(2 * (INITIATION + RESPONSE)), "{far}");
            Ok(())
        })
        .await;
        assert_eq!(theirs.peer(lab).unwrap().latest_handshake, 0);
        assert!(lab.holds(&Expectation::Tunnel { gateway: "home", peer: "far" }).await.is_err());
    });
}

#[test]
fn another_preshared_key_lets_no_handshake_with_wireguard_go_succeed() {
    another_preshared_key(Program::WireguardGo);
}

#[test]
fn another_preshared_key_lets_no_handshake_with_boringtun_succeed() {
    another_preshared_key(Program::BoringTun);
}
