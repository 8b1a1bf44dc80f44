//! Both ends at once.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{ONE_PUBLIC, OTHER_PUBLIC, taken};
use config::{Config, Severity, check_together};

/// One end of a pair; the other is told by the same words with the numbers exchanged.
fn end(number: u8, key: &str, public: &str) -> String {
    let (other, asn, other_asn) = (3 - number, 64512 + u32::from(number), 64515 - u32::from(number));
    format!(
        "[router]\nasn = {asn}\nrouter-id = '10.0.0.{number}'\n\
         [wireguard]\nprivate-key-file = '{key}'\nmtu = 1420\naddresses = '10.0.0.{number}/30'\n\
         [[wireguard.peer]]\nname = 'far'\npublic-key = '{public}'\nendpoint = '192.0.2.{other}:51820'\n\
         allowed-ips = '10.0.0.{other}/32'\nrouted-ips = '10.{other}.0.0/16'\n\
         [[bgp.neighbor]]\nname = 'far'\naddress = '10.0.0.{other}'\nasn = {other_asn}\nvia = 'far'\n\
         import = 'accept-all'\nexport = 'accept-all'\n\
         [[bgp.originate]]\nprefix = '10.{number}.0.0/16'\n"
    )
}

fn one() -> String {
    end(1, "one.key", OTHER_PUBLIC)
}

fn other() -> String {
    end(2, "other.key", ONE_PUBLIC)
}

/// What is said of a pair: severity and message.
fn said(one: &str, other: &str) -> Vec<String> {
    let (one, other) = (taken(one), taken(other));
    said_of(&[("one.toml", &one), ("other.toml", &other)])
}

fn said_of(files: &[(&str, &Config)]) -> Vec<String> {
    let files: Vec<_> = files.iter().map(|(name, config)| ((*name).to_owned(), *config)).collect();
    let found = check_together(&files);
    found.iter().map(|found| format!("{}: {}: {}", found.file, found.severity, found.message)).collect()
}

#[test]
fn a_pair_that_fits_is_passed() {
    assert_eq!(said(&one(), &other()), [""; 0]);
}

#[test]
fn the_examples_fit_each_other() {
    let example = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        taken(&std::fs::read_to_string(path).unwrap())
    };
    assert_eq!(said_of(&[("ec2.toml", &example("ec2.toml")), ("home.toml", &example("home.toml"))]), [""; 0]);
}

#[test]
fn a_diagnostic_of_two_files_names_both() {
    let (one, other) = (taken(&one()), taken(&other().replace("10.2.0.0", "10.1.0.0")));
    let found = check_together(&[("one.toml".to_owned(), &one), ("other.toml".to_owned(), &other)]);
    assert_eq!(found[0].severity, Severity::Warning);
    assert_eq!(
        found[0].render(false),
        "warning: 10.1.0.0/16, which other.toml announces, is outside the routed-ips of peer `far`\n\
         --> one.toml\n = help: it will not be used here"
    );
}

/// The pair with one text replaced at the other end, and what is said then.
const FAULTS: &[(&str, &str, &[&str])] = &[
    (ONE_PUBLIC, "1lZ6QKCmrWlqVGjVHJtVUHCqo8RvFGXzjAvlqOcvvCM=", &["other.toml: error: no peer here is one.toml"]),
    ("other.key", "third.key", &["one.toml: error: no peer here is other.toml"]),
    ("10.0.0.1/32", "10.0.0.0/24", &[]),
    (
        "addresses = '10.0.0.2/30'",
        "addresses = '10.0.0.3/30'",
        &[
            "one.toml: error: 10.0.0.3 of other.toml is not in the allowed-ips of peer `far`",
            "other.toml: error: neighbor `far` is one.toml, which knows no neighbor here",
        ],
    ),
    ("endpoint = '192.0.2.1:51820'\n", "", &[]),
    (
        "192.0.2.1:51820",
        "192.0.2.1:51821",
        &["other.toml: warning: the endpoint of peer `far` has port 51821, one.toml listens on 51820"],
    ),
    (
        "name = 'far'\npublic",
        "name = 'far'\npreshared-key-file = 'psk'\npublic",
        &["one.toml: error: the preshared key of peer `far` is not the one in other.toml"],
    ),
    ("mtu = 1420\n", "mtu = 1400\n", &["one.toml: warning: the MTU of the tunnel is 1420 here and 1400 in other.toml"]),
    ("mtu = 1420\n", "mtu = 'auto'\n", &[]),
    ("asn = 64514\n", "asn = 64999\n", &["one.toml: error: the asn of neighbor `far` does not fit other.toml"]),
    ("asn = 64513\n", "asn = 'internal'\n", &["other.toml: error: the asn of neighbor `far` does not fit one.toml"]),
    ("asn = 64513\n", "asn = 'external'\n", &[]),
    (
        "via = 'far'\n",
        "via = 'far'\npassword-file = 'password'\n",
        &["one.toml: error: the password of neighbor `far` is not the one in other.toml"],
    ),
    (
        "via = 'far'\n",
        "via = 'far'\nhold-time = 0\n",
        &["one.toml: error: neighbor `far` has a hold time of 0 at one end alone"],
    ),
    (
        "prefix = '10.2.0.0/16'",
        "prefix = '10.9.0.0/16'",
        &["one.toml: warning: 10.9.0.0/16, which other.toml announces, is outside the routed-ips of peer `far`"],
    ),
    (
        "[[bgp.originate]]",
        "[[bgp.neighbor]]\nname = 'edge'\naddress = '192.168.2.1'\nasn = 64513\n[[bgp.originate]]",
        &["other.toml: warning: neighbor `edge` has the AS of one.toml, 64513"],
    ),
];

#[test]
fn what_does_not_fit_is_said() {
    for (found, replacement, expected) in FAULTS {
        assert!(other().contains(found), "{found}");
        assert_eq!(said(&one(), &other().replacen(found, replacement, 1)), *expected, "{found} -> {replacement}");
    }
}

#[test]
fn the_far_end_of_a_rotation_knows_the_next_key() {
    let rotating = |end: String| {
        end.replace(
            "[wireguard]\n",
            "[wireguard]\nnext-private-key = { file = 'third.key', from = 2026-03-01T02:00:00Z }\n",
        )
    };
    let message = "other.toml: error: peer `far` does not have the next key of one.toml";
    assert_eq!(said(&rotating(one()), &other()), [message]);
    let third = taken(&one().replace("one.key", "third.key")).wireguard.unwrap().tunnel.private_key.public_key();
    let knowing = other().replace("endpoint =", &format!("next-public-key = '{third}'\nendpoint ="));
    assert_eq!(said(&rotating(one()), &knowing), [""; 0]);
    let done = one().replace("one.key", "third.key");
    assert_eq!(said(&done, &knowing), [""; 0], "and afterwards it is known by it");
}

#[test]
fn two_ends_that_know_nothing_of_each_other_are_told_both_keys() {
    let stranger = "1lZ6QKCmrWlqVGjVHJtVUHCqo8RvFGXzjAvlqOcvvCM=";
    let (one, other) = (one().replace(OTHER_PUBLIC, stranger), other().replace(ONE_PUBLIC, stranger));
    let expected = ["one.toml: error: no peer here is other.toml", "other.toml: error: no peer here is one.toml"];
    assert_eq!(said(&one, &other), expected);
    let (one, other) = (taken(&one), taken(&other));
    let files = [("one.toml".to_owned(), &one), ("other.toml".to_owned(), &other)];
    assert_eq!(check_together(&files)[0].help, format!("its public key is {OTHER_PUBLIC}"));
}

#[test]
fn nobody_can_start_a_tunnel_without_an_endpoint() {
    let without = |end: String| end.lines().filter(|line| !line.starts_with("endpoint")).collect::<Vec<_>>().join("\n");
    let message = "one.toml: error: neither end knows where the other is: no endpoint here, none in other.toml";
    assert_eq!(said(&without(one()), &without(other())), [message]);
}

#[test]
fn someone_must_dial_and_a_family_must_be_common() {
    let change = |end: String, with: &str| end.replace("via = 'far'\n", &format!("via = 'far'\n{with}\n"));
    let passive = |end| change(end, "passive = true");
    let message = "one.toml: error: both neighbor `far` and other.toml wait to be dialled";
    assert_eq!(said(&passive(one()), &passive(other())), [message]);
    let message = "one.toml: error: neighbor `far` and other.toml have no family in common";
    assert_eq!(said(&change(one(), "families = 'ipv4'"), &change(other(), "families = 'ipv6'")), [message]);
}

#[test]
fn keys_are_not_compared_where_they_were_not_read() {
    let unread = |end: String| end.replace("one.key", "unread").replace("other.key", "unread");
    let stranger = "1lZ6QKCmrWlqVGjVHJtVUHCqo8RvFGXzjAvlqOcvvCM=";
    assert_eq!(said(&unread(one()).replace(OTHER_PUBLIC, stranger), &unread(other())), [""; 0]);
}

/// A gateway of a cluster, without a tunnel.
fn cluster(name: &str, asn: u32, pods: &str) -> String {
    format!(
        "[router]\nasn = {asn}\nrouter-id = '10.0.0.1'\n\
         [[bgp.dynamic-neighbor]]\nname = '{name}'\nrange = '192.168.2.0/24'\nasn = 'internal'\nlimit = 9\n\
         import = 'pods'\n[[policy.pods]]\nmatch = {{ prefix = ['{pods} le 26', '192.168.2.192/26 le 32'] }}\n\
         action = 'accept'\n"
    )
}

#[test]
fn two_clusters_with_the_same_pod_cidr_are_refused_and_both_named() {
    let mlops = cluster("mlops", 64520, "10.244.0.0/16");
    let claimed = said(&mlops, &cluster("administration", 64521, "10.244.0.0/16"));
    let message = "one.toml: error: 10.244.0.0/16 is claimed by both `mlops` here and `administration` in other.toml";
    assert_eq!(claimed, [message]);
    assert_eq!(said(&mlops, &cluster("administration", 64521, "10.245.0.0/16")), [""; 0]);
}

#[test]
fn two_gateways_of_one_cluster_may_take_the_same_pods() {
    let second = cluster("mlops", 64520, "10.244.0.0/16").replace("10.0.0.1", "10.0.0.2");
    assert_eq!(said(&cluster("mlops", 64520, "10.244.0.0/16"), &second), [""; 0]);
}

#[test]
fn pods_inside_what_another_announces_are_refused() {
    let vpc = "[router]\nasn = 64513\nrouter-id = '10.0.0.2'\n[[bgp.originate]]\nprefix = '10.240.0.0/12'\n";
    let message = "one.toml: error: 10.244.0.0/16 of `mlops` overlaps 10.240.0.0/12, which other.toml announces";
    assert_eq!(said(&cluster("mlops", 64520, "10.244.0.0/16"), vpc), [message]);
}

#[test]
fn a_node_announces_its_part_of_its_clusters_pods() {
    let node = "[router]\nasn = 64520\nrouter-id = '10.0.0.2'\n[[bgp.originate]]\nprefix = '10.244.1.0/24'\n";
    assert_eq!(said(&cluster("mlops", 64520, "10.244.0.0/16"), node), [""; 0]);
}

#[test]
fn one_prefix_of_two_systems_is_refused() {
    let gateway = |asn: u32, id: u8| {
        format!("[router]\nasn = {asn}\nrouter-id = '10.0.0.{id}'\n[[bgp.originate]]\nprefix = '10.1.0.0/16'\n")
    };
    let message = "one.toml: error: 10.1.0.0/16 is announced by both AS 64513 here and AS 64514 in other.toml";
    assert_eq!(said(&gateway(64513, 1), &gateway(64514, 2)), [message]);
    assert_eq!(said(&gateway(64513, 1), &gateway(64513, 2)), [""; 0]);
}
