//! The two ends: the gateway `home`, and a stock WireGuard in the place of the EC2 gateway, with the pods behind its peer.

use std::fs;
use std::net::SocketAddr;

use crate::common::pair::{ENDS, PODS, VPC};
use crate::common::wireguard::{Program, Wireguard};
use crate::common::{DEADLINE, Lab, pair, with_site};
use vpngw::lab::request::{Fetch, Request};
use vpngw::lab::site::{Site, ip, net};

pub(crate) const PROGRAMS: [&str; 4] = ["wireguard-go", "wg", "unshare", "nsenter"];
pub(crate) const INTERFACE: &str = "wg0";
pub(crate) const PORT: u16 = 51820;

/// Addresses on the internet, with their subnet's length: ours, theirs, and to which each moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside {
    pub(crate) ours: [&'static str; 2],
    pub(crate) theirs: [&'static str; 2],
    pub(crate) length: u8,
}

pub(crate) const IPV4: Outside =
    Outside { ours: ["203.0.113.2", "203.0.113.3"], theirs: ["203.0.113.10", "203.0.113.11"], length: 24 };
pub(crate) const IPV6: Outside =
    Outside { ours: ["fd00:203::2", "fd00:203::3"], theirs: ["fd00:203::10", "fd00:203::11"], length: 64 };

/// What one end is told of the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    /// Where it is. Who does not know waits to be called.
    pub(crate) knows: bool,
    /// Seconds; 0: off.
    pub(crate) keepalive: u16,
}

pub(crate) const WAITS: Side = Side { knows: false, keepalive: 0 };
pub(crate) const KNOWS: Side = Side { knows: true, keepalive: 0 };

/// A tunnel to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) program: Program,
    pub(crate) outside: Outside,
    pub(crate) ours: Side,
    pub(crate) theirs: Side,
}

pub(crate) fn endpoint(address: &str) -> String {
    SocketAddr::new(ip(address), PORT).to_string()
}

impl Trial {
    /// Builds the site and hands it over, with nothing running yet.
    pub(crate) fn run(self, test: impl AsyncFnOnce(&mut Lab)) {
        if self.program.find().is_some() {
            with_site(&PROGRAMS, self.site(), async |lab| {
                test(lab).await;
                if self.program == Program::BoringTun {
                    lab.kill("far-ec2").await; // SIGTERM is no good end to it
                }
            });
        }
    }

    /// With both ends up, and each as `wg` sees it: ours, theirs.
    pub(crate) fn connected(self, test: impl AsyncFnOnce(&mut Lab, Wireguard, Wireguard)) {
        self.run(async |lab| {
            let theirs = self.far_end(lab).await;
            let ours = self.near_end(lab).await;
            let mut ends = ENDS.map(|(pod, instance)| ("pod", pod, instance));
            if !self.ours.knows {
                ends = ENDS.map(|(pod, instance)| ("instance", instance, pod));
            }
            for (node, from, to) in ends {
                lab.pings(node, from, to).await;
            }
            test(lab, ours, theirs).await;
        });
    }

    fn site(self) -> Site {
        let mut site = pair::site();
        let home = site.gateways.iter_mut().find(|gateway| gateway.name == "home").unwrap();
        home.config = self.config();
        let internet = site.links.iter_mut().find(|link| link.name == "internet").unwrap();
        for (port, addresses) in internet.ports.iter_mut().zip([IPV6.ours, IPV6.theirs]) {
            port.addresses.push(net(&format!("{}/{}", addresses[0], IPV6.length)));
        }
        site
    }

    /// A tunnel without BGP: its routes are the peer's allowed IPs.
    fn config(self) -> String {
        let Side { knows, keepalive } = self.ours;
        let known = if knows { format!("endpoint = '{}'", endpoint(self.outside.theirs[0])) } else { String::new() };
        let kept = if keepalive > 0 { format!("persistent-keepalive = {keepalive}") } else { String::new() };
        include_str!("home.toml").replace("# ENDPOINT", &known).replace("# KEEPALIVE", &kept)
    }

    /// Starts our end.
    pub(crate) async fn near_end(self, lab: &mut Lab) -> Wireguard {
        lab.start("home");
        lab.answers("home").await;
        lab.our_wireguard("home", INTERFACE).await
    }

    /// Starts theirs, with the preshared key of the site.
    pub(crate) async fn far_end(self, lab: &mut Lab) -> Wireguard {
        let psk = fs::read_to_string(lab.running.directory().file("tunnel.psk")).unwrap();
        self.far_end_with(lab, &psk).await
    }

    pub(crate) async fn far_end_with(self, lab: &mut Lab, preshared_key: &str) -> Wireguard {
        let directory = lab.running.directory();
        let private_key = fs::read_to_string(directory.file("ec2.key")).unwrap();
        let public_key = directory.public_key("home").unwrap();
        let known =
            if self.theirs.knows { format!("Endpoint = {}\n", endpoint(self.outside.ours[0])) } else { String::new() };
        let config = format!(
            "[Interface]\nPrivateKey = {private_key}\nListenPort = {PORT}\n\
             [Peer]\nPublicKey = {public_key}\nPresharedKey = {preshared_key}\nPersistentKeepalive = {}\n\
             {known}AllowedIPs = 169.254.64.2/32, fd64:64::2/128, {}\n",
            self.theirs.keepalive,
            PODS.join(", ")
        );
        let config = lab.file("far.conf", &config);
        let wireguard = lab.wireguard(self.program, "ec2", INTERFACE, &config).await;
        equip(lab, "ec2", &["169.254.64.1/30", "fd64:64::1/126"], &PODS).await;
        wireguard
    }
}

/// What `wg-quick` does for an interface: addresses, up, routes.
pub(crate) async fn equip(lab: &Lab, node: &str, addresses: &[&str], routes: &[&str]) {
    for address in addresses {
        lab.node(node).address(INTERFACE, net(address)).await.unwrap();
    }
    lab.node(node).perform(Request::Up { link: INTERFACE.to_owned() }).await.unwrap();
    for prefix in routes {
        lab.output(node, "ip", &["route", "add", prefix, "dev", INTERFACE]).unwrap();
    }
}

/// The same at our end, for another program in our place.
pub(crate) async fn equip_home(lab: &Lab) {
    equip(lab, "home", &["169.254.64.2/30", "fd64:64::2/126"], &VPC).await;
}

/// One echo each way in each family.
pub(crate) async fn works(lab: &Lab) {
    for (pod, instance) in ENDS {
        lab.pings("pod", pod, instance).await;
        lab.pings("instance", instance, pod).await;
    }
}

/// Octets from a pod to an instance and back, in one of the families.
pub(crate) fn transfer((pod, instance): (&str, &str), octets: u64) -> Fetch {
    Fetch { to: SocketAddr::new(ip(instance), 7), from: Some(ip(pod)), octets, timeout: DEADLINE }
}
