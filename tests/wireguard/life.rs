//! A session that lives on: keepalives without traffic, and ends that are elsewhere.

use anyhow::ensure;

use crate::common::pair::ENDS;
use crate::common::wireguard::{Program, Wireguard};
use crate::common::{Lab, eventually};
use crate::ends::{IPV4, IPV6, KNOWS, Outside, Side, Trial, endpoint, works};

/// A keepalive's octets.
const KEEPALIVE: u64 = 32;

/// Octets that an end has had from its peers, and sent to them.
fn traffic(lab: &Lab, end: &Wireguard) -> anyhow::Result<(u64, u64)> {
    let peers = end.peers(lab)?;
    Ok((peers.iter().map(|peer| peer.receive_bytes).sum(), peers.iter().map(|peer| peer.transmit_bytes).sum()))
}

/// One that is sent every second arrives, and nothing else does: whoever is off sends none.
fn keepalives(program: Program, outside: Outside) {
    let every_second = Side { knows: true, keepalive: 1 };
    for (ours, theirs) in [(every_second, KNOWS), (KNOWS, every_second)] {
        Trial { program, outside, ours, theirs }.connected(async |lab, near, far| {
            // BoringTun counts no keepalives, neither those it gets nor those it sends.
            let counts = async || {
                let (received, sent) = traffic(lab, &near)?;
                let arrived = if program == Program::BoringTun { sent } else { traffic(lab, &far)?.0 };
                anyhow::Ok(if ours.keepalive > 0 { (received, arrived) } else { (sent, received) })
            };
            let mut before = counts().await.unwrap();
            eventually("ten keepalives one way and nothing the other", async || {
                let now = counts().await?;
                // What followed the traffic is not over: a last keepalive comes 10 s after it.
                if now.0 != before.0 {
                    before = now;
                }
                ensure!(now.1 >= before.1 + 10 * KEEPALIVE, "{before:?} became {now:?}");
                Ok(())
            })
            .await;
        });
    }
}

#[test]
fn keepalives_pass_between_us_and_wireguard_go() {
    keepalives(Program::WireguardGo, IPV4);
}

#[test]
fn keepalives_pass_between_us_and_boringtun() {
    keepalives(Program::BoringTun, IPV6);
}

/// Another address in place of the first.
fn move_to(lab: &Lab, node: &str, outside: Outside, [from, to]: [&str; 2]) {
    // In this order: with the first address of a subnet the others go.
    for (verb, address) in [("delete", from), ("add", to)] {
        let address = format!("{address}/{}", outside.length);
        lab.output(node, "ip", &["address", verb, &address, "dev", "wan0"]).unwrap();
    }
}

async fn is_at(lab: &Lab, end: &Wireguard, address: &str) {
    eventually("the end's new place", async || {
        let peers = end.peers(lab)?;
        ensure!(peers.iter().any(|peer| peer.endpoint == endpoint(address)), "not at {address}: {peers:?}");
        Ok(())
    })
    .await;
}

/// First their address changes, then ours. Who has moved speaks first; when we do, the session goes on.
fn roaming(program: Program, outside: Outside) {
    Trial { program, outside, ours: KNOWS, theirs: KNOWS }.connected(async |lab, ours, theirs| {
        move_to(lab, "ec2", outside, outside.theirs);
        lab.pings("instance", ENDS[0].1, ENDS[0].0).await;
        is_at(lab, &ours, outside.theirs[1]).await;
        works(lab).await;
        let handshake = ours.latest_handshake(lab).unwrap();
        move_to(lab, "home", outside, outside.ours);
        lab.pings("pod", ENDS[0].0, ENDS[0].1).await;
        is_at(lab, &theirs, outside.ours[1]).await;
        works(lab).await;
        assert_eq!(ours.latest_handshake(lab).unwrap(), handshake);
    });
}

#[test]
fn we_and_wireguard_go_follow_each_other() {
    roaming(Program::WireguardGo, IPV4);
}

#[test]
fn we_and_wireguard_go_follow_each_other_over_ipv6() {
    roaming(Program::WireguardGo, IPV6);
}

#[test]
fn we_and_boringtun_follow_each_other() {
    roaming(Program::BoringTun, IPV4);
}
