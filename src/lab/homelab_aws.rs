//! The reference site: two Talos clusters behind a UniFi edge, and an AWS VPC.
//!
//! One host stands for each role. Where the real edge translates addresses, the lab's routes one: the home gateway shows
//! itself to the Internet as 198.51.100.2.

use super::site::{Expectation, Gateway, Link, Node, Port, Site, ip, nets, socket};

const DRAWING: &str = "\
 home LAN 192.168.2.0/24, fd02:2::/64                    203.0.113.0/24           VPC 10.20.0.0/16, fd20::/56

 pod-19 ──── node-19 .19  mlops ──────────┐
 10.244.1.10      LB .201                 ├── edge .1 ──── Internet ──── ec2 10.20.0.10 ──── instance 10.20.0.20
 pod-20 ──── node-20 .20  administration ─┤   AS 64600                   AS 64513
 10.245.1.10      LB .202                 │                                 ║
 pod-195 ─── home .195  gateway, mlops ───┘                                 ║
 10.244.0.10 AS 64512 ╚══════════════════ WireGuard, BGP inside ════════════╝
             169.254.64.2, fd64:64::2                                169.254.64.1, fd64:64::1
";

/// The port of the echo servers.
const TCP: u16 = 7;

/// The site.
pub fn site() -> Site {
    Site {
        name: "homelab-aws",
        drawing: DRAWING,
        nodes: nodes(),
        links: links(),
        gateways: gateways(),
        expectations: [tunnel_and_sessions(), routes(), reachability()].concat(),
    }
}

fn nodes() -> Vec<Node> {
    vec![
        Node::host("instance")
            .echo("[::]:7")
            // The VPC's route table does this.
            .route("0.0.0.0/0", "10.20.0.10")
            .route("::/0", "fd20::10"),
        Node::router("ec2").route("198.51.100.2/32", "203.0.113.1"),
        Node::router("edge").route("198.51.100.2/32", "192.168.2.195"),
        Node::router("home")
            .address("198.51.100.2/32")
            .route("0.0.0.0/0", "192.168.2.1")
            .route("::/0", "fd02:2::1")
            .route_from("203.0.113.0/24", "192.168.2.1", "198.51.100.2"),
        kubernetes_node("node-19").address("192.168.2.201/32").address("fd02:2::201/128").echo("[::]:7"),
        kubernetes_node("node-20").address("192.168.2.202/32").address("fd02:2::202/128").echo("[::]:7"),
        pod("pod-195", "10.244.0.1", "fd00:10:244::1"),
        pod("pod-19", "10.244.1.1", "fd00:10:244:1::1"),
        pod("pod-20", "10.245.1.1", "fd00:10:245:1::1"),
    ]
}

/// With the static routes that Talos gives every node, so that both directions take the same way.
fn kubernetes_node(name: &'static str) -> Node {
    Node::router(name)
        .route("0.0.0.0/0", "192.168.2.1")
        .route("::/0", "fd02:2::1")
        .route("10.20.0.0/16", "192.168.2.195")
        .route("fd20::/56", "fd02:2::195")
}

fn pod(name: &'static str, router_v4: &str, router_v6: &str) -> Node {
    Node::host(name).route("0.0.0.0/0", router_v4).route("::/0", router_v6).echo("[::]:7")
}

fn links() -> Vec<Link> {
    vec![
        Link::new(
            "vpc",
            vec![
                Port::new("ec2", "vpc0", &["10.20.0.10/24", "fd20::10/64"]),
                Port::new("instance", "eth0", &["10.20.0.20/24", "fd20::20/64"]),
            ],
        ),
        Link::new(
            "internet",
            vec![Port::new("ec2", "wan0", &["203.0.113.10/24"]), Port::new("edge", "wan0", &["203.0.113.1/24"])],
        ),
        Link::new(
            "lan",
            vec![
                Port::new("edge", "lan0", &["192.168.2.1/24", "fd02:2::1/64"]),
                Port::new("home", "eth0", &["192.168.2.195/24", "fd02:2::195/64"]),
                Port::new("node-19", "eth0", &["192.168.2.19/24", "fd02:2::19/64"]),
                Port::new("node-20", "eth0", &["192.168.2.20/24", "fd02:2::20/64"]),
            ],
        ),
        Link::new(
            "pods-195",
            vec![
                Port::new("home", "pod0", &["10.244.0.1/24", "fd00:10:244::1/64"]),
                Port::new("pod-195", "eth0", &["10.244.0.10/24", "fd00:10:244::10/64"]),
            ],
        ),
        Link::new(
            "pods-19",
            vec![
                Port::new("node-19", "pod0", &["10.244.1.1/24", "fd00:10:244:1::1/64"]),
                Port::new("pod-19", "eth0", &["10.244.1.10/24", "fd00:10:244:1::10/64"]),
            ],
        ),
        Link::new(
            "pods-20",
            vec![
                Port::new("node-20", "pod0", &["10.245.1.1/24", "fd00:10:245:1::1/64"]),
                Port::new("pod-20", "eth0", &["10.245.1.10/24", "fd00:10:245:1::10/64"]),
            ],
        ),
    ]
}

/// The Cilium of each node is a speaker that only dials, with TTL 1 where it is external, and imports nothing.
fn gateways() -> Vec<Gateway> {
    vec![
        gateway("home", "home", include_str!("homelab_aws/home.toml")),
        gateway("ec2", "ec2", include_str!("homelab_aws/ec2.toml")),
        gateway("edge", "edge", include_str!("homelab_aws/edge.toml")),
        gateway("cilium-195", "home", include_str!("homelab_aws/cilium-195.toml")),
        gateway("cilium-19", "node-19", include_str!("homelab_aws/cilium-19.toml")),
        gateway("cilium-20", "node-20", include_str!("homelab_aws/cilium-20.toml")),
    ]
}

fn gateway(name: &'static str, node: &'static str, config: &str) -> Gateway {
    Gateway { name, node, config: config.to_owned() }
}

fn tunnel_and_sessions() -> Vec<Expectation> {
    vec![
        Expectation::Tunnel { gateway: "home", peer: "aws" },
        Expectation::Tunnel { gateway: "ec2", peer: "homelab" },
        Expectation::Session { gateway: "home", neighbor: "aws" },
        Expectation::Session { gateway: "ec2", neighbor: "homelab" },
        Expectation::Session { gateway: "home", neighbor: "edge" },
        Expectation::Session { gateway: "home", neighbor: "mlops/192.168.2.195" },
        Expectation::Session { gateway: "home", neighbor: "mlops/192.168.2.19" },
        Expectation::Session { gateway: "home", neighbor: "administration/192.168.2.20" },
    ]
}

fn routes() -> Vec<Expectation> {
    let vpc = ["10.20.0.0/16", "10.20.128.0/20", "fd20::/56"];
    let originated = ["192.168.2.0/24", "fd02:2::/64"];
    let on_this_host = ["10.244.0.0/24", "fd00:10:244::/64"];
    let mlops = ["10.244.1.0/24", "fd00:10:244:1::/64", "192.168.2.201/32", "fd02:2::201/128"];
    let administration = ["10.245.1.0/24", "fd00:10:245:1::/64", "192.168.2.202/32", "fd02:2::202/128"];
    let summaries = ["10.245.0.0/16", "fd00:10:245::/56"];
    let load_balancers = ["192.168.2.192/26", "fd02:2::200/120"];
    let single = ["10.244.1.0/24", "fd00:10:244:1::/64"];
    let to_aws = [&single[..], &on_this_host, &summaries, &load_balancers, &originated].concat();
    let home_kernel = [&vpc[..], &mlops, &administration, &summaries].concat();
    let home = [&home_kernel[..], &on_this_host, &load_balancers, &originated].concat();
    vec![
        Expectation::Routes { gateway: "home", prefixes: nets(&home) },
        Expectation::KernelRoutes { node: "home", prefixes: nets(&home_kernel) },
        Expectation::Routes { gateway: "ec2", prefixes: nets(&[&to_aws[..], &vpc].concat()) },
        Expectation::KernelRoutes { node: "ec2", prefixes: nets(&to_aws) },
        Expectation::KernelRoutes { node: "edge", prefixes: nets(&vpc) },
        // Cilium learns nothing and installs nothing.
        Expectation::KernelRoutes { node: "node-19", prefixes: Vec::new() },
        Expectation::KernelRoutes { node: "node-20", prefixes: Vec::new() },
    ]
}

/// Every pod to the instance and back, without address translation; the instance to each cluster's LoadBalancer.
fn reachability() -> Vec<Expectation> {
    let instance = ("instance", "10.20.0.20", "fd20::20");
    let pods = [
        ("pod-19", "10.244.1.10", "fd00:10:244:1::10"),
        ("pod-20", "10.245.1.10", "fd00:10:245:1::10"),
        ("pod-195", "10.244.0.10", "fd00:10:244::10"),
    ];
    let load_balancers = [("LB mlops", "192.168.2.201", "fd02:2::201"), ("LB admin", "192.168.2.202", "fd02:2::202")];
    let pings = pods.iter().flat_map(|pod| [ping(*pod, instance), ping(instance, *pod)]);
    let connections = pods.iter().map(|pod| tcp(*pod, instance));
    let services = load_balancers.iter().map(|service| tcp(instance, *service));
    pings.chain(connections).chain(services).collect()
}

/// A name, an IPv4 and an IPv6 address.
type Place = (&'static str, &'static str, &'static str);

fn ping(from: Place, to: Place) -> Expectation {
    Expectation::Ping { from: from.0, to: to.0, addresses: vec![(ip(from.1), ip(to.1)), (ip(from.2), ip(to.2))] }
}

fn tcp(from: Place, to: Place) -> Expectation {
    let v4 = (ip(from.1), socket(&format!("{}:{TCP}", to.1)));
    let v6 = (ip(from.2), socket(&format!("[{}]:{TCP}", to.2)));
    Expectation::Tcp { from: from.0, to: to.0, addresses: vec![v4, v6] }
}
