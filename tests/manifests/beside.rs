//! packaging/cilium, talos and unifi: against reduced schemas, against the configuration and against each other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bgpd::settings::{DynamicNeighborSettings, RemoteAs};
use ipnet::IpNet;
use serde_json::{Value, json};

use crate::tools::{End, Tools, at, list, only, repository, text, word, words};

/// Each file, and the schema of its documents.
const FILES: [(&str, &str); 5] = [
    ("cilium/bgp.yaml", "cilium-1.18.json"),
    ("cilium/load-balancer.yaml", "cilium-1.18.json"),
    ("talos/firewall.yaml", "talos-1.10.json"),
    ("talos/gateway-node.yaml", "talos-1.10.json"),
    ("talos/node.yaml", "talos-1.10.json"),
];

fn schema(name: &str) -> jsonschema::Validator {
    let text = std::fs::read_to_string(repository("tests/manifests").join(name)).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

#[test]
fn every_document_is_what_its_reader_takes() {
    let Some(tools) = Tools::find() else { return };
    for (file, name) in FILES {
        let schema = schema(name);
        for document in tools.packaged(file) {
            assert!(schema.is_valid(&document), "{file}: {document:#}");
        }
    }
}

#[test]
fn the_schemas_refuse_a_field_of_another_name_anywhere() {
    let Some(tools) = Tools::find() else { return };
    for (file, name) in FILES {
        let schema = schema(name);
        for document in tools.packaged(file) {
            let objects = objects(&document, "");
            assert!(!objects.is_empty());
            for pointer in objects {
                let mut broken = document.clone();
                // Not a text: names of labels and sysctls are free.
                broken.pointer_mut(&pointer).unwrap()["misspelt"] = json!(1);
                assert!(!schema.is_valid(&broken), "{file}: {pointer}");
            }
        }
    }
}

/// Pointers to every object in a document.
fn objects(value: &Value, here: &str) -> Vec<String> {
    let below = |name: &str, value| objects(value, &format!("{here}/{}", name.replace('/', "~1")));
    match value {
        Value::Object(fields) => {
            let mut found = vec![here.to_owned()];
            fields.iter().for_each(|(name, value)| found.extend(below(name, value)));
            found
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(index, value)| below(&index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    }
}

/// What Cilium and the other nodes call the gateway by.
fn gateway_address(tools: &Tools) -> IpAddr {
    let documents = tools.packaged("cilium/bgp.yaml");
    let peer = at(only(&documents, "CiliumBGPClusterConfig"), "/spec/bgpInstances/0/peers/0/peerAddress");
    word(peer).parse().unwrap()
}

fn cluster(home: &End, name: &str) -> DynamicNeighborSettings {
    home.speaker().dynamic_neighbors[name].clone()
}

#[test]
fn cilium_dials_the_gateway_with_the_as_it_expects() {
    let Some(tools) = Tools::find() else { return };
    let home = End::example("home");
    let documents = tools.packaged("cilium/bgp.yaml");
    let instance = at(only(&documents, "CiliumBGPClusterConfig"), "/spec/bgpInstances/0");
    let own = home.speaker().asn;
    assert_eq!(*at(instance, "/peers/0/peerASN"), json!(own.get()));
    assert_eq!(*at(instance, "/localASN"), json!(own.get()));
    assert_eq!(cluster(&home, "mlops").asn, RemoteAs::Internal);
    // TCP 179 of the gateway's own node is the gateway's.
    assert_eq!(instance.get("localPort"), None);

    // The one line that differs in the other cluster.
    let RemoteAs::OneOf(administration) = cluster(&home, "administration").asn else { panic!("not an AS of its own") };
    let line = format!("localASN: {own} # EDIT: administration: {}\n", administration[0]);
    assert_eq!(text("cilium/bgp.yaml").matches(&line).count(), 1, "{line}");
}

#[test]
fn ciliums_session_is_the_one_that_the_gateway_takes() {
    let Some(tools) = Tools::find() else { return };
    let home = End::example("home");
    let documents = tools.packaged("cilium/bgp.yaml");
    let peer = only(&documents, "CiliumBGPPeerConfig");
    let reference = at(only(&documents, "CiliumBGPClusterConfig"), "/spec/bgpInstances/0/peers/0/peerConfigRef/name");
    assert_eq!(reference, at(peer, "/metadata/name"));
    let expected = json!({ "connectRetryTimeSeconds": 5, "holdTimeSeconds": 9, "keepAliveTimeSeconds": 3 });
    assert_eq!(*at(peer, "/spec/timers"), expected);
    assert_eq!(*at(peer, "/spec/gracefulRestart/enabled"), json!(true));
    for name in ["mlops", "administration"] {
        let cluster = cluster(&home, name);
        // One end alone with a password is no session at all.
        assert_eq!(cluster.session.password.is_some(), peer.pointer("/spec/authSecretRef").is_some(), "{name}");
        assert!(cluster.range.iter().any(|range| range.contains(&gateway_address(&tools))), "{name}");
    }
    let [family] = list(at(peer, "/spec/families")) else { panic!("not one family") };
    assert_eq!((word(at(family, "/afi")), word(at(family, "/safi"))), ("ipv4", "unicast"));
    // Without the label nothing would be announced.
    let labels = at(only(&documents, "CiliumBGPAdvertisement"), "/metadata/labels");
    assert_eq!(at(family, "/advertisements/matchLabels"), labels);
}

#[test]
fn cilium_announces_pods_and_load_balancers() {
    let Some(tools) = Tools::find() else { return };
    let documents = tools.packaged("cilium/bgp.yaml");
    let [pods, services] = list(at(only(&documents, "CiliumBGPAdvertisement"), "/spec/advertisements")) else {
        panic!("not two advertisements")
    };
    assert_eq!(*at(pods, "/advertisementType"), json!("PodCIDR"));
    assert_eq!(*at(services, "/service/addresses"), json!(["LoadBalancerIP"]));
    // Cilium announces no Service without one.
    assert!(services.get("selector").is_some());
}

#[test]
fn the_load_balancers_lie_where_the_gateway_announces_them() {
    let Some(tools) = Tools::find() else { return };
    let home = End::example("home");
    let documents = tools.packaged("cilium/load-balancer.yaml");
    let blocks = list(at(only(&documents, "CiliumLoadBalancerIPPool"), "/spec/blocks"));
    let announced: Vec<IpNet> = home.speaker().aggregates.iter().map(|aggregate| aggregate.prefix).collect();
    for block in blocks {
        let [start, stop] = ["/start", "/stop"].map(|end| word(at(block, end)).parse::<IpAddr>().unwrap());
        let covers = |prefix: &IpNet| prefix.contains(&start) && prefix.contains(&stop);
        assert!(announced.iter().any(covers), "{start} to {stop}");
        for taken in [gateway_address(&tools), home.speaker().router_id.address().into()] {
            assert!(taken < start || stop < taken, "{taken} is in the pool");
        }
    }
}

#[test]
fn cilium_masquerades_no_pod_that_is_known_by_its_own_address() {
    let Some(tools) = Tools::find() else { return };
    let home = End::example("home");
    let values = &tools.packaged("cilium/values.yaml")[0];
    assert_eq!(*at(values, "/bgpControlPlane/enabled"), json!(true));
    let kept = words(at(values, "/ipMasqAgent/config/nonMasqueradeCIDRs"));
    let lan: BTreeSet<String> = home.speaker().originate.iter().map(|own| own.prefix.to_string()).collect();
    // What the far end may reach at home, but for the LAN, and what home may reach there.
    let mut expected = &End::example("ec2").far_prefixes() - &lan;
    expected.extend(home.far_prefixes());
    assert_eq!(kept, expected);
    let devices = words(at(values, "/devices"));
    assert!(!devices.contains(&home.tunnel().interface), "{devices:?}");
}

#[test]
fn the_firewall_lets_the_gateways_ports_in() {
    let Some(tools) = Tools::find() else { return };
    let home = End::example("home");
    let documents = tools.packaged("talos/firewall.yaml");
    assert_eq!(*at(only(&documents, "NetworkDefaultActionConfig"), "/ingress"), json!("block"));
    let rule = |name: &str| documents.iter().find(|document| document["name"] == name).unwrap();

    let tunnel = rule("vpngw-wireguard");
    assert_eq!(*at(tunnel, "/portSelector"), json!({ "ports": [home.tunnel().listen_port], "protocol": "udp" }));
    assert_eq!(subnets(tunnel), BTreeSet::from(["0.0.0.0/0".to_owned(), "::/0".to_owned()]));

    let bgp = rule("vpngw-bgp");
    let ports: Vec<u16> = home.config.bgp.as_ref().unwrap().listen.iter().map(std::net::SocketAddr::port).collect();
    assert_eq!(*at(bgp, "/portSelector"), json!({ "ports": ports, "protocol": "tcp" }));
    // The nodes, and the other end inside the tunnel.
    let ranges = home.speaker().dynamic_neighbors.values().flat_map(|cluster| cluster.range.clone());
    let expected = ranges.chain(home.tunnel().addresses.iter().map(IpNet::trunc)).map(|prefix| prefix.to_string());
    assert_eq!(subnets(bgp), expected.collect());
}

/// What a control plane node with Cilium needs, and whether its own pods, whom nothing masquerades on the way to their own
/// node, need it too.
const NODE: [(&str, &str, &str, bool); 8] = [
    ("apid", "tcp", "50000", false),
    ("trustd", "tcp", "50001", false),
    ("kubernetes-api", "tcp", "6443", true),
    ("etcd", "tcp", "2379-2380", false),
    ("kubelet", "tcp", "10250", true),
    ("cilium-vxlan", "udp", "8472", false),
    ("cilium-health", "tcp", "4240", false),
    ("cilium-hubble", "tcp", "4244", true),
];

#[test]
fn the_firewall_locks_neither_the_owner_nor_the_pods_out() {
    let Some(tools) = Tools::find() else { return };
    let documents = tools.packaged("talos/firewall.yaml");
    for (name, protocol, ports, pods) in NODE {
        let rule = documents.iter().find(|document| document["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(*at(rule, "/portSelector/protocol"), json!(protocol), "{name}");
        assert_eq!(at(rule, "/portSelector/ports/0").to_string().trim_matches('"'), ports, "{name}");
        assert_eq!(subnets(rule).contains("10.244.0.0/16"), pods, "{name}");
    }
}

fn subnets(rule: &Value) -> BTreeSet<String> {
    list(at(rule, "/ingress")).iter().map(|entry| word(at(entry, "/subnet")).to_owned()).collect()
}

#[test]
fn the_gateway_node_has_the_label_that_the_pod_asks_for() {
    let Some(tools) = Tools::find() else { return };
    let patch = &tools.packaged("talos/gateway-node.yaml")[0];
    let deployment = &tools.packaged("kubernetes/base/deployment.yaml")[0];
    assert_eq!(at(patch, "/machine/nodeLabels"), at(deployment, "/spec/template/spec/nodeSelector"));
}

#[test]
fn the_nodes_know_the_way_back_to_the_vpc() {
    let Some(tools) = Tools::find() else { return };
    let patch = &tools.packaged("talos/node.yaml")[0];
    let routes = list(at(patch, "/machine/network/interfaces/0/routes"));
    let networks: BTreeSet<String> = routes.iter().map(|route| word(at(route, "/network")).to_owned()).collect();
    assert_eq!(networks, End::example("home").far_prefixes());
    for route in routes {
        assert_eq!(*at(route, "/gateway"), json!(gateway_address(&tools)));
    }
}

#[test]
fn the_edge_router_is_the_neighbor_that_the_gateway_has() {
    let Some(tools) = Tools::find() else { return };
    let home = End::example("home");
    let edge = &home.speaker().neighbors["edge"];
    let RemoteAs::OneOf(asns) = &edge.asn else { panic!("not an AS of its own") };
    let config = text("unifi/bgp.conf");
    let gateway = gateway_address(&tools);
    for line in [
        format!("router bgp {}", asns[0]),
        format!(" bgp router-id {}", edge.address),
        format!(" neighbor {gateway} remote-as {}", home.speaker().asn),
    ] {
        assert!(config.lines().any(|found| found == line), "{line}");
    }
    for prefix in home.far_prefixes() {
        assert!(config.contains(&format!("permit {prefix} le ")), "{prefix}");
    }
    // A path with the AS of the far end's own would be dropped there.
    assert!(!asns.contains(&End::example("ec2").speaker().asn));
}
