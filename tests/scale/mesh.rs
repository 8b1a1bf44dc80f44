//! The examples of a mesh on reflectors, run: two gateways and one reflector; the other is down.

use vpngw::lab::site::{Expectation, Gateway, Link, Node, Port, Site, nets};

use super::common::with_site;

const MESH: &str = include_str!("../../config/examples/mesh.toml");
const REFLECTOR: &str = include_str!("../../config/examples/reflector.toml");

/// Of each member: its name, its name in the environment, its address outside the tunnel.
const MEMBERS: [(&str, &str, &str); 3] =
    [("reflector-a", "REFLECTOR_A", "192.0.2.1"), ("paris", "PARIS", "192.0.2.11"), ("oslo", "OSLO", "192.0.2.12")];

/// An example with this lab's keys and addresses.
fn lab(member: &str, example: &str) -> String {
    let mut peer = "";
    let lines = example.lines().map(|line| {
        if let Some(name) = line.strip_prefix("name        = ") {
            peer = name.trim_matches('"');
        }
        let (_, variable, outside) = MEMBERS.iter().find(|(name, ..)| *name == peer).unwrap_or(&("", "", ""));
        match line.split_whitespace().next() {
            Some("public-key") if !variable.is_empty() => format!("public-key = \"${{{variable}_PUBLIC_KEY}}\"\n"),
            Some("endpoint") if outside.is_empty() => String::new(), // a name that this lab cannot look up
            Some("endpoint") => format!("endpoint = \"{outside}:51820\"\n"),
            Some("private-key-file") => format!("private-key-file = \"${{LAB}}/{member}.key\"\n"),
            Some("password-file") => "password-file = \"${LAB}/tunnel.psk\"\n".to_owned(),
            _ => format!("{line}\n"),
        }
    });
    lines.collect::<String>() + &format!("[control]\nsocket = \"${{LAB}}/{member}.sock\"\n")
}

fn site() -> Site {
    let oslo = MESH
        .replace("10.99.1.1\" ", "10.99.1.2\" ")
        .replace("[\"10.99.1.1/16\"]", "[\"10.99.1.2/16\"]")
        .replace("prefix = \"10.1.0.0/16\"", "prefix = \"10.2.0.0/16\"")
        .replace("[\"10.1.0.0/16 le 26\"]", "[\"10.2.0.0/16 le 26\"]");
    let configs = [lab("reflector-a", REFLECTOR), lab("paris", MESH), lab("oslo", &oslo)];
    let names = MEMBERS.map(|(name, ..)| name);
    Site {
        name: "mesh",
        drawing: "paris - reflector-a - oslo, and a tunnel from paris to oslo",
        nodes: vec![
            Node::router("reflector-a"),
            Node::router("paris").address("10.1.0.1/32"),
            Node::router("oslo").address("10.2.0.1/32"),
        ],
        links: vec![Link::new(
            "internet",
            vec![
                Port::new("reflector-a", "eth0", &["192.0.2.1/24"]),
                Port::new("paris", "eth0", &["192.0.2.11/24"]),
                Port::new("oslo", "eth0", &["192.0.2.12/24"]),
            ],
        )],
        gateways: names.into_iter().zip(configs).map(|(name, config)| Gateway { name, node: name, config }).collect(),
        expectations: Vec::new(),
    }
}

#[test]
fn gateways_that_hang_on_a_reflector_reach_each_other_by_their_own_tunnel() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["reflector-a", "paris", "oslo"]);
        for gateway in ["reflector-a", "paris", "oslo"] {
            let prefixes = nets(&["10.1.0.0/16", "10.2.0.0/16"]);
            lab.expect(Expectation::Routes { gateway, prefixes }).await;
        }
        lab.expect(Expectation::KernelRoutes { node: "paris", prefixes: nets(&["10.2.0.0/16"]) }).await;
        lab.expect(Expectation::KernelRoutes { node: "reflector-a", prefixes: Vec::new() }).await;
        for (gateway, other, far) in [("paris", "oslo", "10.99.1.2"), ("oslo", "paris", "10.99.1.1")] {
            let shown = lab.show(gateway, &["routes"]).unwrap();
            let learned = shown["routes"].as_array().unwrap().iter().map(|route| &route["paths"][0]);
            let path = learned.clone().find(|path| path["neighbor"] == "reflector-a").unwrap();
            assert_eq!((&path["next_hop"], &path["wireguard_peer"]), (&far.into(), &other.into()), "{shown}");
        }
        lab.pings("paris", "10.1.0.1", "10.2.0.1").await;
    });
}
