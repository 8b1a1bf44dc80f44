//! packaging/terraform: it parses, and its values are those of the EC2 end.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::tools::{End, Tools, at, list, packaging, word, words};

/// All blocks of a kind, of all files.
fn blocks(tools: &Tools, kind: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(packaging("terraform")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tf") {
            let file = tools.read(&path).unwrap();
            found.extend(file.get(kind).map(|blocks| list(blocks).to_vec()).unwrap_or_default());
        }
    }
    assert!(!found.is_empty(), "no {kind}");
    found
}

/// Resources of a type, by name.
fn resources(tools: &Tools, kind: &str) -> Vec<(String, Value)> {
    let found = blocks(tools, "resource").into_iter().filter_map(|block| block.get(kind).cloned());
    found.flat_map(|named| named.as_object().unwrap().clone()).collect()
}

fn resource(tools: &Tools, kind: &str, name: &str) -> Value {
    resources(tools, kind).into_iter().find(|(found, _)| found == name).unwrap().1
}

fn default(tools: &Tools, variable: &str) -> Value {
    let found = blocks(tools, "variable").into_iter().find_map(|block| block.get(variable).cloned());
    at(&found.unwrap(), "/default").clone()
}

#[test]
fn the_values_are_those_of_the_ec2_end() {
    let Some(tools) = Tools::find() else { return };
    let ec2 = End::example("ec2");
    assert_eq!(words(&default(&tools, "home_prefixes")), ec2.far_prefixes());
    let originated: BTreeSet<String> = ec2.speaker().originate.iter().map(|own| own.prefix.to_string()).collect();
    assert_eq!(words(&default(&tools, "vpc_cidrs")), originated);
    assert_eq!(default(&tools, "listen_port"), json!(ec2.tunnel().listen_port));
    assert_eq!(default(&tools, "private_ip"), json!(ec2.speaker().router_id.to_string()));
}

#[test]
fn the_instance_forwards_and_gives_its_credentials_to_nobody() {
    let Some(tools) = Tools::find() else { return };
    let gateway = resource(&tools, "aws_instance", "gateway");
    assert_eq!(*at(&gateway, "/source_dest_check"), json!(false));
    let metadata = at(&gateway, "/metadata_options/0");
    assert_eq!(*at(metadata, "/http_tokens"), json!("required"));
    assert_eq!(*at(metadata, "/http_put_response_hop_limit"), json!(1));
    assert_eq!(gateway.get("user_data"), None);
}

#[test]
fn every_home_prefix_is_routed_to_the_gateways_interface() {
    let Some(tools) = Tools::find() else { return };
    let route = resource(&tools, "aws_route", "home");
    assert!(word(at(&route, "/for_each")).contains("setproduct(var.route_table_ids, var.home_prefixes)"), "{route:#}");
    assert_eq!(*at(&route, "/network_interface_id"), json!("${aws_instance.gateway.primary_network_interface_id}"));
}

#[test]
fn security_rules_are_by_address_in_both_directions() {
    let Some(tools) = Tools::find() else { return };
    let ingress = resources(&tools, "aws_vpc_security_group_ingress_rule");
    let egress = resources(&tools, "aws_vpc_security_group_egress_rule");
    for (name, rule) in ingress.iter().chain(&egress) {
        // A rule that names a group never matches a forwarded packet.
        assert_eq!(rule.get("referenced_security_group_id"), None, "{name}");
        assert!(rule.get("cidr_ipv4").is_some(), "{name}");
    }
    let rule = |name: &str| &ingress.iter().find(|(found, _)| found == name).unwrap().1;
    let gateway = json!("${aws_security_group.gateway.id}");
    for (name, addresses, protocol) in
        [("tunnel", "${var.home_addresses}", "udp"), ("vpc_to_home", "${var.vpc_cidrs}", "-1")]
    {
        assert_eq!(*at(rule(name), "/security_group_id"), gateway, "{name}");
        assert_eq!(*at(rule(name), "/for_each"), json!(addresses), "{name}");
        assert_eq!(*at(rule(name), "/ip_protocol"), json!(protocol), "{name}");
    }
    assert_eq!(*at(rule("from_home"), "/for_each"), json!("${var.home_prefixes}"));
    // Type 3, code 4: what is not TCP learns the tunnel's MTU by it.
    let told = rule("fragmentation_needed");
    assert_eq!(*at(told, "/cidr_ipv4"), json!("${var.private_ip}/32"));
    assert_eq!(
        (at(told, "/ip_protocol"), at(told, "/from_port"), at(told, "/to_port")),
        (&json!("icmp"), &json!(3), &json!(4))
    );
    let [(_, all)] = egress.as_slice() else { panic!("not one rule") };
    assert_eq!((at(all, "/security_group_id"), at(all, "/cidr_ipv4")), (&gateway, &json!("0.0.0.0/0")));
}
