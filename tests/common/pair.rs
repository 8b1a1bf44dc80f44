//! The smallest site: two gateways with a tunnel between them, a pod behind one, an instance behind the other, a speaker in
//! the home LAN that dials in, and one in the VPC that listens.

use vpngw::lab::site::{Expectation, Gateway, Link, Node, Port, Site, nets};

use super::Lab;

/// What the home gateway originates; the pod is in it.
pub const PODS: [&str; 2] = ["10.244.1.0/24", "fd00:10:244:1::/64"];
/// What the EC2 gateway originates; the instance is in it.
pub const VPC: [&str; 2] = ["10.20.0.0/16", "fd20::/56"];
/// What the speaker in the LAN originates.
pub const SPEAKER: [&str; 2] = ["10.245.1.0/24", "fd00:10:245:1::/64"];
/// What it originates besides, outside of what the EC2 gateway lets the tunnel carry.
pub const OUTSIDE: &str = "10.99.0.0/24";

/// Pod and instance, in both families.
pub const ENDS: [(&str, &str); 2] = [("10.244.1.10", "10.20.0.20"), ("fd00:10:244:1::10", "fd20::20")];

/// The gateways are `home`, `ec2`, `speaker` and `inside`.
pub fn site() -> Site {
    Site {
        name: "pair",
        drawing: "pod - home ==== ec2 - instance; speaker - home",
        nodes: vec![
            Node::host("pod").route("0.0.0.0/0", "10.244.1.1").route("::/0", "fd00:10:244:1::1").echo("[::]:7"),
            Node::router("home"),
            Node::router("ec2"),
            Node::host("instance").route("0.0.0.0/0", "10.20.0.10").route("::/0", "fd20::10").echo("[::]:7"),
            Node::router("speaker"),
        ],
        links: vec![
            Link::new(
                "pods",
                vec![
                    Port::new("home", "pod0", &["10.244.1.1/24", "fd00:10:244:1::1/64"]),
                    Port::new("pod", "eth0", &["10.244.1.10/24", "fd00:10:244:1::10/64"]),
                ],
            ),
            Link::new(
                "lan",
                vec![
                    Port::new("home", "lan0", &["192.168.2.195/24", "fd02:2::195/64"]),
                    Port::new("speaker", "eth0", &["192.168.2.19/24", "fd02:2::19/64"]),
                ],
            ),
            Link::new(
                "internet",
                vec![Port::new("home", "wan0", &["203.0.113.2/24"]), Port::new("ec2", "wan0", &["203.0.113.10/24"])],
            ),
            Link::new(
                "vpc",
                vec![
                    Port::new("ec2", "vpc0", &["10.20.0.10/24", "fd20::10/64"]),
                    Port::new("instance", "eth0", &["10.20.0.20/24", "fd20::20/64"]),
                ],
            ),
        ],
        gateways: vec![
            gateway("home", "home", include_str!("pair/home.toml")),
            gateway("ec2", "ec2", include_str!("pair/ec2.toml")),
            gateway("speaker", "speaker", include_str!("pair/speaker.toml")),
            gateway("inside", "instance", include_str!("pair/inside.toml")),
        ],
        expectations: Vec::new(),
    }
}

fn gateway(name: &'static str, node: &'static str, config: &str) -> Gateway {
    Gateway { name, node, config: config.to_owned() }
}

/// Tunnel and session are up, as both ends see it.
pub fn connected() -> Vec<Expectation> {
    vec![
        Expectation::Tunnel { gateway: "home", peer: "aws" },
        Expectation::Tunnel { gateway: "ec2", peer: "homelab" },
        Expectation::Session { gateway: "home", neighbor: "aws" },
        Expectation::Session { gateway: "ec2", neighbor: "homelab" },
    ]
}

/// Each end knows its own prefixes and the other's, and its kernel has the other's.
pub fn exchanged() -> Vec<Expectation> {
    let both = nets(&[PODS, VPC].concat());
    vec![
        Expectation::Routes { gateway: "home", prefixes: both.clone() },
        Expectation::Routes { gateway: "ec2", prefixes: both },
        Expectation::KernelRoutes { node: "home", prefixes: nets(&VPC) },
        Expectation::KernelRoutes { node: "ec2", prefixes: nets(&PODS) },
    ]
}

/// Waits until both gateways are connected and have exchanged their prefixes.
pub async fn works(lab: &Lab) {
    lab.expect_all(&connected()).await;
    lab.expect_all(&exchanged()).await;
}

/// Starts both, and waits until packets pass.
pub async fn comes_up(lab: &mut Lab) {
    lab.start_all(&["home", "ec2"]);
    works(lab).await;
    for (pod, instance) in ENDS {
        lab.pings("pod", pod, instance).await;
    }
}
