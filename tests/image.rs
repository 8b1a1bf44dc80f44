//! The container image, run as a pod's manifest has it run: not root, a read-only root, two capabilities.
#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::fs::symlink;

use anyhow::ensure;
use common::container::{Container, Image, PROGRAMS};
use common::pair::{ENDS, PODS, VPC, connected, exchanged, site};
use common::{Lab, eventually, with_site};
use vpngw::lab::site::Site;

const CONFIG: &str = "/etc/vpngw";
const RUN: &str = "/run/vpngw";

/// What a gateway needs beyond its configuration.
fn gateway() -> Container {
    Container {
        capabilities: ["NET_ADMIN", "NET_BIND_SERVICE"].map(str::to_owned).to_vec(),
        host_network: true,
        ..Container::default()
    }
}

/// Starts a gateway of the site from the image, with its files where the image expects them.
fn start(lab: &mut Lab, image: &Image, site: &Site, name: &str) {
    let directory = lab.running.directory();
    let key = |name: &str| std::fs::read_to_string(directory.file(name)).unwrap();
    let private = format!("{name}.key");
    let found = site.gateways.iter().find(|gateway| gateway.name == name).unwrap();
    let config = found
        .config
        .replace(&format!("${{LAB}}/{name}.sock"), &format!("{RUN}/vpngw.sock"))
        .replace("203.0.113.10:51820", "ec2.example.net:51820")
        + "observe = \"127.0.0.1:9179\"\n";
    let files = [("vpngw.toml", config.as_str()), (&private, &key(&private)), ("tunnel.psk", &key("tunnel.psk"))];
    let run = image.empty_dir(RUN);
    let mut hosts = image.projected("/etc/hosts", &[("hosts", "203.0.113.10 ec2.example.net\n")]);
    hosts.source = hosts.source.join("hosts");
    // Where the lab looks for it.
    symlink(run.source.join("vpngw.sock"), lab.running.socket(name)).unwrap();
    let public = |name: &str| directory.public_key(name).unwrap().to_string();
    let container = Container {
        env: [("LAB", CONFIG.to_owned()), ("HOME_PUBLIC_KEY", public("home")), ("EC2_PUBLIC_KEY", public("ec2"))]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        mounts: vec![image.projected(CONFIG, &files), run, hosts, image.tun()],
        // It works with the stricter setting, and with the looser one too.
        allow_privilege_escalation: name == "ec2",
        ..gateway()
    };
    lab.container(image, name, found.node, &container);
}

#[test]
fn two_containers_of_the_image_are_gateways_for_each_other() {
    let Some(image) = Image::load() else { return };
    let site = site();
    with_site(&PROGRAMS, site.clone(), async |lab| {
        for name in ["home", "ec2"] {
            start(lab, &image, &site, name);
        }
        lab.expect_all(&connected()).await;
        lab.expect_all(&exchanged()).await;
        for (pod, instance) in ENDS {
            lab.pings("pod", pod, instance).await;
            lab.pings("instance", instance, pod).await;
        }
        lab.kernel_has("home", "home", &VPC.map(|prefix| (prefix, &[("", "wg0")][..]))).await;

        let status = image.exec("home", &["/vpngw", "show", "status"]).unwrap();
        assert!(status.contains("64512"), "{status}");
        for path in ["/healthz", "/readyz"] {
            eventually(path, async || {
                let answer = lab.probe("home", "127.0.0.1:9179".parse()?, path)?;
                ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                Ok(())
            })
            .await;
        }

        lab.terminate("home").await;
        assert!(lab.ip_routes("home", "157").unwrap().is_empty());
        assert!(lab.output("home", "ip", &["link", "show", "wg0"]).is_err(), "the device is still there");
        for prefix in PODS {
            lab.kernel_route("ec2", prefix, false).await;
        }
    });
}

/// A gateway by itself, with a key of its own.
fn alone(image: &Image) -> Container {
    let config = "[router]\nasn = 64512\nrouter-id = \"192.0.2.1\"\n\
                  [wireguard]\nprivate-key-file = \"/etc/vpngw/wg0.key\"\naddresses = \"192.0.2.1/32\"\n\
                  [bgp]\nlisten = \"[::]:179\"\n";
    let key = prints(image, &["key", "generate"], Container::default());
    let files = [("vpngw.toml", config), ("wg0.key", &key)];
    let mounts = vec![image.projected(CONFIG, &files), image.empty_dir(RUN), image.tun()];
    Container { host_network: false, mounts, ..gateway() }
}

/// Standard output of a container that succeeds.
fn prints(image: &Image, args: &[&str], container: Container) -> String {
    let args = args.iter().map(|word| (*word).to_owned()).collect();
    let output = image.run("once", &Container { args, ..container });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn keys_are_made_and_configurations_checked_without_any_capability() {
    let Some(image) = Image::load() else { return };
    assert_eq!(prints(&image, &["key", "generate"], Container::default()).len(), 45);
    let mounts = alone(&image).mounts;
    prints(&image, &["check", "/etc/vpngw/vpngw.toml"], Container { mounts, ..Container::default() });
}

#[test]
fn what_the_pod_was_not_given_is_said_in_a_sentence() {
    type Take = fn(&mut Container);
    const CASES: [(&str, Take); 3] = [
        ("interface wg0: CAP_NET_ADMIN is missing", |pod| pod.capabilities.retain(|name| name != "NET_ADMIN")),
        ("CAP_NET_BIND_SERVICE is missing", |pod| pod.capabilities.retain(|name| name != "NET_BIND_SERVICE")),
        ("/dev/net/tun: the device node is missing", |pod| {
            pod.mounts.retain(|mount| mount.mount_path != "/dev/net/tun");
        }),
    ];
    let Some(image) = Image::load() else { return };
    for (sentence, take) in CASES {
        let mut pod = alone(&image);
        take(&mut pod);
        let output = image.run("refused", &pod);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(sentence), "{sentence} is not in: {said}");
    }
}
