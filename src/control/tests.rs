#![allow(clippy::unwrap_used)]

use std::future::{Ready, pending, ready};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, net};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode, Uri};
use serde_json::json;
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::request::{Refusal, Request};
use super::server::serve_with;
use super::{Access, Client, Listener, api, segment};

mod requests {
    use super::*;

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
        assert_eq!(get("/v1/fib?after=10.0.0.0/8&limit=1"), "Fib { after: Some(10.0.0.0/8), limit: 1 }");
        assert_eq!(get("/v1/events?after=7"), "Events { after: 7 }");
    }

    #[test]
    fn a_name_with_a_slash_is_one_segment() {
        let uri = format!("/v1/neighbors/{}", segment("cilium/192.168.2.19"));
        assert_eq!(get(&uri), r#"Neighbor("cilium/192.168.2.19")"#);
        assert_eq!(
            get("/v1/neighbors/cilium/192.168.2.19"),
            "404 there is nothing at /v1/neighbors/cilium/192.168.2.19"
        );
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
        for (verb, command) in [("reset", "Reset"), ("refresh", "Refresh"), ("resend", "Resend"), ("enable", "Enable")]
        {
            let expected = format!("Command {{ neighbor: \"edge\", command: {command} }}");
            assert_eq!(post(&format!("/v1/neighbors/edge/{verb}"), ""), expected);
        }
        let disable = |body| post("/v1/neighbors/edge/disable", body);
        assert_eq!(disable(""), "Command { neighbor: \"edge\", command: Disable(None) }");
        assert_eq!(disable(r#"{"message": "bye"}"#), "Command { neighbor: \"edge\", command: Disable(Some(\"bye\")) }");
        assert_eq!(post("/v1/stop", ""), "Stop(AsConfigured)");
        assert_eq!(post("/v1/stop", r#"{"routes": "withdraw"}"#), "Stop(Withdraw)");
        assert_eq!(post("/v1/stop", r#"{"routes": "keep"}"#), "Stop(KeepRoutes)");
    }

    #[test]
    fn a_wrong_body_is_refused() {
        assert!(
            post("/v1/stop", r#"{"routes": "burn"}"#)
                .starts_with("400 the body is not what is expected: unknown variant")
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
        assert_eq!(known.collect::<Vec<_>>(), [true; 18]);
    }

    #[test]
    fn what_does_not_exist_is_not_found() {
        assert_eq!(get("/"), "404 there is nothing at /");
        assert_eq!(get("/v2/routes"), "404 there is nothing at /v2/routes");
        assert_eq!(get("/v1/routes/"), "404 there is nothing at /v1/routes/");
        assert_eq!(post("/v1/neighbors/edge/explode", ""), "404 there is nothing at /v1/neighbors/edge/explode");
    }
}

type Answer = Response<Full<Bytes>>;

fn answer(status: u16, body: &impl serde::Serialize) -> Answer {
    let body = Full::from(serde_json::to_vec(body).unwrap());
    Response::builder().status(status).body(body).unwrap()
}

fn socket(scratch: &TempDir) -> PathBuf {
    scratch.path().join("sock")
}

/// Serves `answers` in this test's directory, in place of a daemon.
fn served<F>(answers: impl Fn(Request) -> F + Clone + Send + Sync + 'static) -> TempDir
where
    F: Future<Output = Answer> + Send + 'static,
{
    let scratch = tempdir().unwrap();
    let listener = UnixListener::bind(socket(&scratch)).unwrap();
    tokio::spawn(serve_with(Listener::Unix(listener), Access::Full, answers));
    scratch
}

/// Sends bytes as they are, and returns everything that comes until the other side closes.
async fn raw(scratch: &TempDir, sent: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket(scratch)).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    String::from_utf8(received).unwrap()
}

fn echo(request: Request) -> Ready<Answer> {
    ready(answer(200, &json!({ "asked": format!("{request:?}") })))
}

fn prefix(number: u8) -> ipnet::IpNet {
    format!("10.0.{number}.0/24").parse().unwrap()
}

fn fib_route(number: u8) -> api::FibRoute {
    api::FibRoute {
        prefix: prefix(number),
        table: 254,
        next_hops: Vec::new(),
        discard: true,
        state: api::FibState::Installed,
        error: None,
        tunnel: None,
        vpc: Vec::new(),
    }
}

#[tokio::test]
async fn the_client_joins_all_slices() {
    let scratch = served(|request| {
        let Request::Fib { after, .. } = request else { panic!("asked {request:?}") };
        let table = match after {
            None => api::Fib { routes: vec![fib_route(0), fib_route(1)], next: Some(prefix(1)) },
            Some(after) if after == prefix(1) => api::Fib { routes: vec![fib_route(2)], next: Some(prefix(2)) },
            Some(_) => api::Fib { routes: Vec::new(), next: None },
        };
        ready(answer(200, &table))
    });
    let whole: api::Fib = Client::new(socket(&scratch)).get("/v1/fib").await.unwrap();
    assert_eq!(whole, api::Fib { routes: vec![fib_route(0), fib_route(1), fib_route(2)], next: None });
    assert!(!serde_json::to_string(&whole).unwrap().contains("next\""), "a whole table has no next slice");
}

#[tokio::test]
async fn a_refusal_reaches_the_client_as_its_sentence() {
    let refusal = api::Error { error: "there is no neighbor edge".into() };
    let scratch = served(move |_| ready(answer(404, &refusal)));
    let client = Client::new(socket(&scratch));
    assert_eq!(
        client.get::<api::Neighbor>("/v1/neighbors/edge").await.unwrap_err().to_string(),
        "there is no neighbor edge"
    );
}

#[tokio::test]
async fn an_answer_of_another_kind_is_an_error() {
    let scratch = served(echo);
    let error = Client::new(socket(&scratch)).get::<api::Status>("/v1/status").await.unwrap_err();
    assert!(error.to_string().starts_with("vpngw answered /v1/status with something else"), "{error}");
}

#[tokio::test]
async fn a_command_is_sent_with_its_body() {
    let scratch = served(|request| {
        assert_eq!(format!("{request:?}"), r#"Command { neighbor: "a/b", command: Disable(Some("bye")) }"#);
        ready(Response::builder().status(204).body(Full::default()).unwrap())
    });
    let body = api::Disable { message: Some("bye".into()) };
    Client::new(socket(&scratch)).post(&format!("/v1/neighbors/{}/disable", segment("a/b")), &body).await.unwrap();
}

#[tokio::test]
async fn who_is_not_there_is_named_with_the_likely_reason() {
    let scratch = tempdir().unwrap();
    let error = Client::new(socket(&scratch)).get::<api::Status>("/v1/status").await.unwrap_err();
    let expected = format!(
        "cannot reach vpngw at {}: No such file or directory (os error 2) (is it running?)",
        socket(&scratch).display()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn curl_gets_json_and_one_answer_a_connection() {
    let scratch = served(echo);
    let received = raw(&scratch, b"GET /v1/peers HTTP/1.1\r\nHost: vpngw\r\n\r\n").await;
    assert!(received.starts_with("HTTP/1.1 200 OK\r\nconnection: close\r\n"), "{received}");
    assert!(received.ends_with("\r\n\r\n{\"asked\":\"Peers\"}"), "{received}");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let scratch = served(echo);
    let received = raw(&scratch, b"HEAD /v1/peers HTTP/1.1\r\nHost: vpngw\r\n\r\n").await;
    assert!(received.contains("content-length: 17\r\n") && received.ends_with("\r\n\r\n"), "{received}");
}

#[tokio::test]
async fn a_refused_method_names_the_allowed_ones() {
    let scratch = served(echo);
    let received = raw(&scratch, b"DELETE /v1/peers HTTP/1.1\r\nHost: vpngw\r\n\r\n").await;
    assert!(received.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{received}");
    assert!(received.contains("\r\nallow: GET, HEAD\r\n"), "{received}");
    assert!(received.ends_with(r#"{"error":"method DELETE is not allowed here: GET, HEAD"}"#), "{received}");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let scratch = served(echo);
    let request =
        format!("POST /v1/stop HTTP/1.1\r\nHost: vpngw\r\nContent-Length: 16385\r\n\r\n{}", " ".repeat(16385));
    let received = raw(&scratch, request.as_bytes()).await;
    assert!(received.starts_with("HTTP/1.1 413 "), "{received}");
    assert!(received.ends_with(r#"{"error":"the body is longer than 16384 octets"}"#), "{received}");
}

#[tokio::test]
async fn what_is_not_http_is_answered_with_400() {
    let scratch = served(echo);
    assert!(raw(&scratch, b"\x16\x03\x01 hello\r\n\r\n").await.starts_with("HTTP/1.1 400 Bad Request\r\n"));
}

#[tokio::test]
async fn an_observe_listener_answers_and_takes_no_command() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_with(Listener::Tcp(listener), Access::ReadOnly, echo));
    let ask = async |request: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{request} HTTP/1.1\r\nHost: vpngw\r\n\r\n").as_bytes()).await.unwrap();
        let mut received = String::new();
        stream.read_to_string(&mut received).await.unwrap();
        received
    };
    assert!(ask("GET /healthz").await.ends_with(r#"{"asked":"Health"}"#));
    assert!(ask("POST /v1/stop").await.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
}

// The clock of these tests jumps to the next deadline whenever nothing else can go on.
mod time {
    use super::*;

    /// The clock jumps only while the runtime is idle; then no byte is under way on a local socket.
    const LONG: Duration = Duration::from_secs(600);

    async fn until_closed(sent: &[u8]) -> (String, Duration) {
        let scratch = served(echo);
        let start = tokio::time::Instant::now();
        let received = timeout(LONG, raw(&scratch, sent)).await.expect("the connection was never closed");
        (received, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_dropped() {
        let (_, elapsed) = until_closed(b"").await;
        assert!(elapsed < Duration::from_secs(61), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_end_its_header_is_dropped() {
        let (received, elapsed) = until_closed(b"GET /v1/status HTTP/1.1\r\nHost:").await;
        assert!(elapsed < Duration::from_secs(6), "{elapsed:?} {received}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_send_its_body_is_dropped() {
        let (received, elapsed) =
            until_closed(b"POST /v1/stop HTTP/1.1\r\nHost: v\r\nContent-Length: 9\r\n\r\n{").await;
        assert!(elapsed < Duration::from_secs(61), "{elapsed:?} {received}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_does_not_answer_is_said_to() {
        let scratch = served(|_| pending());
        let received = raw(&scratch, b"GET /healthz HTTP/1.1\r\nHost: v\r\n\r\n").await;
        assert!(received.starts_with("HTTP/1.1 503 "), "{received}");
        assert!(received.ends_with(r#"{"error":"the gateway did not answer within 10 s"}"#), "{received}");
    }

    #[tokio::test(start_paused = true)]
    async fn silent_clients_do_not_keep_others_out_for_long() {
        let scratch = served(echo);
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(UnixStream::connect(socket(&scratch)).await.unwrap());
        }
        let received = timeout(LONG, raw(&scratch, b"GET /healthz HTTP/1.1\r\nHost: v\r\n\r\n")).await.unwrap();
        assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received}");
    }
}
