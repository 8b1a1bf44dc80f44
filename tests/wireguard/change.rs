//! What `wg` changes of our tunnel.

use serde_json::Value;

use crate::common::Lab;
use crate::common::pair::{ENDS, VPC};
use crate::common::wireguard::Program;
use crate::ends::{INTERFACE, IPV4, KNOWS, Trial, endpoint, works};

fn drift(lab: &Lab) -> Vec<String> {
    let shown = lab.show("home", &["config"]).unwrap();
    shown["drift"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

const TRIAL: Trial = Trial { program: Program::WireguardGo, outside: IPV4, ours: KNOWS, theirs: KNOWS };

#[test]
fn a_peer_that_wg_removes_is_gone_and_one_that_it_adds_works_until_the_next_start() {
    TRIAL.connected(async |lab, ours, _| {
        let (key, psk) = (
            lab.running.directory().public_key("ec2").unwrap().to_string(),
            lab.running.directory().file("tunnel.psk"),
        );
        ours.set(lab, &["peer", &key, "remove"]).unwrap();
        assert_eq!(ours.peers(lab).unwrap().len(), 1);
        assert_eq!(drift(lab), ["peer far is removed"]);
        for prefix in VPC {
            lab.kernel_route("home", prefix, false).await;
        }
        assert_eq!(lab.answered("instance", ENDS[0].1, ENDS[0].0).await.unwrap(), 0);
        // With all of it the configuration is as it was.
        let allowed = "169.254.64.1/32,fd64:64::1/128,10.20.0.0/16,fd20::/56";
        let whole = ["peer", &key, "preshared-key", psk.to_str().unwrap(), "endpoint", &endpoint(IPV4.theirs[0])];
        ours.set(lab, &[&whole[..], &["allowed-ips", allowed]].concat()).unwrap();
        assert_eq!(drift(lab), [""; 0]);
        works(lab).await;
        let events = lab.show("home", &["events"]).unwrap();
        let told: Vec<&Value> =
            events["events"].as_array().unwrap().iter().filter(|it| it["kind"] == "wg-set").collect();
        assert_eq!(told.len(), 2, "{events}");

        ours.set(lab, &["peer", &key, "persistent-keepalive", "7"]).unwrap();
        assert_eq!(drift(lab), ["peer far: persistent-keepalive is 7s, not off"]);
        lab.terminate("home").await;
        let ours = TRIAL.near_end(lab).await;
        assert_eq!(drift(lab), [""; 0]);
        assert!(ours.wg(lab, &["show", INTERFACE, "persistent-keepalive"]).unwrap().contains(&format!("{key}\toff")));
        works(lab).await;
    });
}

#[test]
fn wg_syncconf_of_what_is_there_changes_nothing_and_another_port_is_refused() {
    TRIAL.connected(async |lab, ours, _| {
        let handshake = ours.latest_handshake(lab).unwrap();
        let config = lab.file("ours.conf", &ours.wg(lab, &["showconf", INTERFACE]).unwrap());
        for verb in ["syncconf", "setconf", "addconf"] {
            ours.wg(lab, &[verb, INTERFACE, config.to_str().unwrap()]).unwrap();
            assert_eq!(drift(lab), [""; 0], "{verb}");
        }
        for (words, why) in [
            (["listen-port", "51821"], "listen_port 51821 needs a restart with another configuration: it is 51820"),
            (["fwmark", "7"], "fwmark 7 needs a restart with another configuration: it is 0"),
        ] {
            let refused = ours.set(lab, &words).unwrap_err().to_string();
            assert!(refused.contains("Operation not supported"), "{refused}");
            let log = lab.running.process("home").unwrap().output();
            assert!(log.contains(why), "{log}");
        }
        works(lab).await;
        assert_eq!(ours.latest_handshake(lab).unwrap(), handshake, "the session did not go on");
    });
}
