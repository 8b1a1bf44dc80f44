//! Method, path, query and body to a request.

use std::fs;
use std::path::Path;

use hyper::{Method, StatusCode, Uri};

use crate::control::request::{Refusal, Request};
use crate::control::{Access, segment};

fn parse(access: Access, method: &Method, uri: &str, body: &str) -> Result<Request, Refusal> {
    Request::parse(access, method, &uri.parse::<Uri>().unwrap(), body.as_bytes())
}

fn get(uri: &str) -> String {
    shown(parse(Access::ReadOnly, &Method::GET, uri, ""))
}

fn post(uri: &str, body: &str) -> String {
    shown(parse(Access::Full, &Method::POST, uri, body))
}

fn shown(parsed: Result<Request, Refusal>) -> String {
    match parsed {
        Ok(request) => format!("{request:?}"),
        Err(refusal) => format!("{} {}", refusal.status.as_u16(), refusal.error),
    }
}

#[test]
fn a_table_has_a_thousand_prefixes_unless_asked() {
    assert_eq!(get("/v1/routes"), "Routes(Slice { after: None, limit: 1000, within: None })");
    assert_eq!(
        get("/v1/routes?prefix=10.1.2.3/8&after=fd00::%2F8&limit=10000"),
        "Routes(Slice { after: Some(fd00::/8), limit: 10000, within: Some(10.0.0.0/8) })"
    );
    assert_eq!(get("/v1/routes?prefix=10.1.2.3"), "LongestMatch(10.1.2.3)");
    assert_eq!(get("/v1/routes?prefix=fd00::1&limit=9"), "LongestMatch(fd00::1)");
    assert_eq!(get("/v1/routes?prefix=10.1.2.3&prefix=::"), "400 parameter prefix is unknown here, or given twice");
    assert_eq!(get("/v1/fib?after=10.0.0.0/8&limit=1"), "Fib { after: Some(10.0.0.0/8), limit: 1 }");
    assert_eq!(get("/v1/events?after=7"), "Events { after: 7 }");
    assert_eq!(
        get("/v1/mrt?sequence=9&limit=2"),
        "Mrt { slice: Slice { after: None, limit: 2, within: None }, sequence: 9 }"
    );
    assert_eq!(get("/v1/mrt?sequence=-1"), "400 sequence=-1 is not allowed: a number");
}

#[test]
fn monitors_are_for_the_control_socket_only() {
    for (path, watch) in [
        ("sessions", "Sessions"),
        ("routes", "Routes"),
        ("sessions/mrt", "SessionRecords"),
        ("routes/mrt", "RouteRecords"),
    ] {
        let uri = format!("/v1/monitor/{path}");
        assert_eq!(shown(parse(Access::Full, &Method::GET, &uri, "")), format!("Monitor({watch})"));
        assert_eq!(get(&uri), "403 monitors are for the control socket only");
    }
    for (uri, request) in [
        ("tunnel", "MonitorTunnel"),
        ("packets", "MonitorPackets { peer: None, address: None, snap: 65535 }"),
        (
            "packets?peer=far&address=10.0.0.7&snap=64",
            "MonitorPackets { peer: Some(\"far\"), address: Some(10.0.0.7/32), snap: 64 }",
        ),
        ("packets?snap=-1", "400 snap=-1 is not allowed: a number of octets"),
        ("messages", "404 there is nothing at /v1/monitor/messages"),
    ] {
        let uri = format!("/v1/monitor/{uri}");
        assert_eq!(shown(parse(Access::Full, &Method::GET, &uri, "")), request);
        assert_eq!(get(&uri), "403 monitors are for the control socket only");
    }
}

#[test]
fn a_name_with_a_slash_is_one_segment() {
    let uri = format!("/v1/neighbors/{}", segment("cilium/192.168.2.19"));
    assert_eq!(get(&uri), r#"Neighbor("cilium/192.168.2.19")"#);
    assert_eq!(get("/v1/neighbors/cilium/192.168.2.19"), "404 there is nothing at /v1/neighbors/cilium/192.168.2.19");
}

#[test]
fn any_name_survives_its_way_through_a_path() {
    for name in ["fe80::1%eth0", "a b", "50%", "ü/?#", "..", "a+b"] {
        let uri = format!("/v1/neighbors/{}", segment(name));
        assert_eq!(get(&uri), format!("Neighbor({name:?})"));
    }
}

#[test]
fn a_wrong_parameter_is_answered_with_what_is_allowed() {
    assert_eq!(get("/v1/routes?limit=0"), "400 limit=0 is not allowed: 1 to 10000");
    assert_eq!(get("/v1/routes?limit=x"), "400 limit=x is not allowed: 1 to 10000");
    assert_eq!(get("/v1/routes?prefix=10"), "400 prefix=10 is not allowed: a prefix or an address");
    assert_eq!(get("/v1/events?after=-1"), "400 after=-1 is not allowed: a number");
    assert_eq!(get("/v1/routes?limt=9"), "400 parameter limt is unknown here, or given twice");
    assert_eq!(get("/v1/fib?limit=9&limit=8"), "400 parameter limit is unknown here, or given twice");
    assert_eq!(get("/v1/neighbors/%FF"), "400 %FF is not UTF-8");
}

#[test]
fn every_command_is_read() {
    for (verb, command) in
        [("reset", "Reset"), ("refresh", "Refresh"), ("resend", "Resend"), ("drain", "Drain"), ("enable", "Enable")]
    {
        let expected = format!("Command {{ neighbor: \"edge\", command: {command} }}");
        assert_eq!(post(&format!("/v1/neighbors/edge/{verb}"), ""), expected);
    }
    let disable = |body| post("/v1/neighbors/edge/disable", body);
    assert_eq!(disable(""), "Command { neighbor: \"edge\", command: Disable(None) }");
    assert_eq!(disable(r#"{"message": "bye"}"#), "Command { neighbor: \"edge\", command: Disable(Some(\"bye\")) }");
    let long = |octets| post("/v1/neighbors/edge/disable", &format!(r#"{{"message": "{}"}}"#, "x".repeat(octets)));
    assert!(long(255).starts_with("Command"));
    assert_eq!(long(256), "400 the message has 256 octets: 255 at most (RFC 9003)");
    for (verb, how) in [("rekey", "Rekey"), ("reset", "Reset")] {
        let expected = format!("Rekey {{ peer: \"home\", how: {how} }}");
        assert_eq!(post(&format!("/v1/peers/home/{verb}"), ""), expected);
    }
    assert_eq!(post("/v1/stop", ""), "Stop(AsConfigured)");
    assert_eq!(post("/v1/stop", r#"{"routes": "withdraw"}"#), "Stop(Withdraw)");
    assert_eq!(post("/v1/stop", r#"{"routes": "keep"}"#), "Stop(KeepRoutes)");
}

#[test]
fn a_wrong_body_is_refused() {
    assert!(
        post("/v1/stop", r#"{"routes": "burn"}"#).starts_with("400 the body is not what is expected: unknown variant")
    );
    assert!(
        post("/v1/stop", r#"{"route": "keep"}"#).starts_with("400 the body is not what is expected: unknown field")
    );
    assert!(post("/v1/neighbors/edge/disable", "bye").starts_with("400 the body is not what is expected"));
}

#[test]
fn a_method_that_is_not_allowed_is_told_which_is() {
    let refused = |access, method, uri| parse(access, &method, uri, "").unwrap_err();
    for (access, method, uri, allow) in [
        (Access::Full, Method::POST, "/v1/routes", "GET, HEAD"),
        (Access::Full, Method::GET, "/v1/stop", "POST"),
        (Access::Full, Method::DELETE, "/v1/neighbors/edge/reset", "POST"),
        (Access::ReadOnly, Method::POST, "/v1/stop", "GET, HEAD"),
        (Access::ReadOnly, Method::POST, "/v1/neighbors/edge/reset", "GET, HEAD"),
        (Access::ReadOnly, Method::PUT, "/anything", "GET, HEAD"),
    ] {
        let refusal = refused(access, method, uri);
        assert_eq!((refusal.status, refusal.allow), (StatusCode::METHOD_NOT_ALLOWED, Some(allow)), "{uri}");
    }
}

#[test]
fn every_request_of_the_reference_is_known() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/control-api.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()?.split_once(' '));
    let known = rows.map(|(method, path)| parse(Access::Full, &method.parse().unwrap(), path, "").is_ok());
    assert_eq!(known.collect::<Vec<_>>(), [true; 25]);
}

#[test]
fn what_does_not_exist_is_not_found() {
    assert_eq!(get("/"), "404 there is nothing at /");
    assert_eq!(get("/v2/routes"), "404 there is nothing at /v2/routes");
    assert_eq!(get("/v1/routes/"), "404 there is nothing at /v1/routes/");
    assert_eq!(post("/v1/neighbors/edge/explode", ""), "404 there is nothing at /v1/neighbors/edge/explode");
}
