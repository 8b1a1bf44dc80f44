//! One gateway with two others at the far ends of two tunnels, and one prefix of each family behind both.

use vpngw::lab::site::{Gateway, Link, Node, Port, Site};

/// Reached by either of the two.
pub const SHARED: [&str; 2] = ["10.50.0.0/24", "fd50::/64"];

/// The gateways are `hub`, `left` and `right`, with these configurations. Behind the hub is `server`; behind the two others
/// are these interfaces of these hosts.
pub fn site(
    name: &'static str,
    configs: [&str; 3],
    hosts: Vec<Node>,
    behind: [(&'static str, &'static str); 2],
) -> Site {
    let [left, right] = behind.map(|(node, interface)| move |addresses: &[&str]| Port::new(node, interface, addresses));
    let mut nodes = vec![
        Node::host("server").route("0.0.0.0/0", "10.20.0.10").route("::/0", "fd20::10"),
        Node::router("hub"),
        Node::router("left").route(SHARED[0], "10.31.0.10").route(SHARED[1], "fd31::10"),
        Node::router("right").route(SHARED[0], "10.32.0.10").route(SHARED[1], "fd32::10"),
    ];
    nodes.extend(hosts);
    let gateway = |(name, config): (&'static str, &str)| Gateway { name, node: name, config: config.to_owned() };
    Site {
        name,
        drawing: "server - hub; hub ==== left; hub ==== right",
        nodes,
        links: vec![
            Link::new(
                "internet",
                vec![
                    Port::new("hub", "wan0", &["203.0.113.10/24"]),
                    Port::new("left", "wan0", &["203.0.113.31/24"]),
                    Port::new("right", "wan0", &["203.0.113.32/24"]),
                ],
            ),
            Link::new(
                "servers",
                vec![
                    Port::new("hub", "lan0", &["10.20.0.10/24", "fd20::10/64"]),
                    Port::new("server", "eth0", &["10.20.0.20/24", "fd20::20/64"]),
                ],
            ),
            Link::new(
                "left-lan",
                vec![
                    Port::new("left", "lan0", &["10.31.0.1/24", "fd31::1/64"]),
                    left(&["10.31.0.10/24", "fd31::10/64"]),
                ],
            ),
            Link::new(
                "right-lan",
                vec![
                    Port::new("right", "lan0", &["10.32.0.1/24", "fd32::1/64"]),
                    right(&["10.32.0.10/24", "fd32::10/64"]),
                ],
            ),
        ],
        gateways: ["hub", "left", "right"].into_iter().zip(configs).map(gateway).collect(),
        expectations: Vec::new(),
    }
}
