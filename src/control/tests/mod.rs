//! The API over real sockets, with answers made up in place of a daemon.
#![allow(clippy::unwrap_used)]

mod limits;
mod monitors;
mod requests;
mod wg;

use std::future::{Ready, ready};
use std::net;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use hyper::Response;
use serde_json::json;
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::body::Body;
use super::request::Request;
use super::server::serve_with;
use super::{Access, Client, Listener, api, segment};

type Answer = Response<Body>;

fn answer(status: u16, body: &impl serde::Serialize) -> Answer {
    let body = Body::from(serde_json::to_vec(body).unwrap());
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
    let scratch = served(|_| ready(answer(200, &["a list"])));
    let error = Client::new(socket(&scratch)).get::<api::Status>("/v1/status").await.unwrap_err();
    assert!(error.to_string().starts_with("vpngw answered /v1/status with something else"), "{error}");
}

#[tokio::test]
async fn a_command_is_sent_with_its_body() {
    let scratch = served(|request| {
        assert_eq!(format!("{request:?}"), r#"Command { neighbor: "a/b", command: Disable(Some("bye")) }"#);
        ready(Response::builder().status(204).body(Body::from(Vec::new())).unwrap())
    });
    let body = api::Disable { message: Some("bye".into()) };
    Client::new(socket(&scratch)).post_with(&format!("/v1/neighbors/{}/disable", segment("a/b")), &body).await.unwrap();
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
