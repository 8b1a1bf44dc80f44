//! A [`Request`] to its answer: asks the daemon, converts what it shows.

use std::time::{SystemTime, UNIX_EPOCH};

use bgpd::mrt::TableDump;
use bgpd::speaker::{Command, Slice};
use bgpd::view::RouteView;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use ipnet::IpNet;
use serde::Serialize;
use tokio::task::spawn_blocking;
use wgd::capture::Filter;
use wgd::device::Rekey;

use super::api;
use super::body::Body;
use super::lines::Lines;
use super::request::{Refusal, Request};
use crate::daemon::{self, Handle};

/// An answer as it is sent: a slice is at most a few megabytes, a monitor has no end.
pub(super) type Answer = Response<Body>;

/// Answers a request.
pub(super) async fn answer(daemon: Handle, request: Request) -> Answer {
    let answered = match request {
        Request::Health => Ok(ok(&health(&daemon).await)),
        Request::Readiness => Ok(readiness(&daemon).await),
        Request::Status => Ok(ok(&api::Status::from(daemon.status().await))),
        Request::Routes(slice) => Ok(routes(&daemon, slice).await),
        Request::LongestMatch(address) => {
            let found = Vec::from_iter(daemon.longest_match(address).await);
            Ok(shown(&daemon, found, usize::MAX).await)
        }
        Request::Mrt { slice, sequence } => Ok(mrt(&daemon, slice, sequence).await),
        Request::Received { neighbor, slice } => match daemon.received(neighbor.clone(), slice).await {
            Some(views) => Ok(apart(move || ok(&table(&views, slice, |view| api::ReceivedRoute::from(view)))).await),
            None => Err(Refusal::no_such_neighbor(neighbor)),
        },
        Request::Advertised { neighbor, slice } => match daemon.advertised(neighbor.clone(), slice).await {
            Some(views) => Ok(apart(move || ok(&table(&views, slice, |view| api::AdvertisedRoute::from(view)))).await),
            None => Err(Refusal::no_such_neighbor(neighbor)),
        },
        Request::Neighbors => Ok(ok(&neighbors(&daemon).await)),
        Request::Neighbor(name) => match daemon.neighbor(name.clone()).await {
            Some(neighbor) => Ok(ok(&api::Neighbor::new(&neighbor, SystemTime::now()))),
            None => Err(Refusal::no_such_neighbor(name)),
        },
        Request::Peers => Ok(peers(&daemon).await),
        Request::Fib { after, limit } => Ok(fib(&daemon, after, limit).await),
        Request::Events { after } => Ok(ok(&events(&daemon, after).await)),
        Request::Config => Ok(ok(&config(&daemon).await)),
        Request::Monitor(watch) => endless(daemon.monitor(watch).await.map(Lines::Speaker)),
        Request::MonitorTunnel => endless(daemon.monitor_tunnel().await.map(Lines::Tunnel)),
        Request::MonitorPackets { peer, address, snap } => match daemon.peer_key(peer).await {
            Ok(peer) => endless(daemon.capture(Filter { peer, address, snap }).await.map(Lines::Packets)),
            Err(name) => Err(Refusal::new(StatusCode::NOT_FOUND, format!("there is no peer {name}"))),
        },
        Request::Command { neighbor, command } => {
            tracing::info!(neighbor, command = words(&command), "told by the control socket");
            daemon.neighbor_command(neighbor, command).await.map(|()| done()).map_err(Refusal::from)
        }
        Request::Rekey { peer, how } => {
            let command = match how {
                Rekey::Rekey => "rekey",
                Rekey::Reset => "reset",
            };
            tracing::info!(peer, command, "told by the control socket");
            daemon.rekey(peer, how).await.map(|()| done()).map_err(Refusal::from)
        }
        Request::Stop(how) => {
            let routes = match how {
                daemon::Stop::AsConfigured => "as configured",
                daemon::Stop::Withdraw => "withdraw",
                daemon::Stop::KeepRoutes => "keep",
            };
            tracing::info!(routes, "told to stop by the control socket");
            daemon.stop(how).await;
            Ok(done())
        }
    };
    answered.unwrap_or_else(|refusal| refuse(&refusal))
}

/// An answer without an end, or why there is none.
fn endless(lines: Result<Lines, &'static str>) -> Result<Answer, Refusal> {
    let lines = lines.map_err(|why| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why))?;
    let mut answer = with_body(StatusCode::OK, Body::Lines(lines));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    Ok(answer)
}

/// A command as the command line has it.
fn words(command: &Command) -> String {
    match command {
        Command::Reset => "reset".to_owned(),
        Command::Refresh => "refresh".to_owned(),
        Command::Resend => "resend".to_owned(),
        Command::Disable(None) => "disable".to_owned(),
        Command::Disable(Some(message)) => format!("disable: {message}"),
        Command::Enable => "enable".to_owned(),
        Command::Drain => "drain".to_owned(),
    }
}

async fn health(daemon: &Handle) -> api::Health {
    // The question is the check: who cannot answer it is not healthy.
    daemon.threads_answer().await;
    api::Health { healthy: true }
}

async fn readiness(daemon: &Handle) -> Answer {
    let not_ready = daemon.not_ready().await;
    let ready = not_ready.is_empty();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, &api::Readiness { ready, not_ready })
}

async fn routes(daemon: &Handle, slice: Slice) -> Answer {
    shown(daemon, daemon.routes(slice).await, slice.limit).await
}

/// Without a speaker there is nothing to dump.
async fn mrt(daemon: &Handle, slice: Slice, sequence: u32) -> Answer {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let dumped = daemon.dump(slice, at).await;
    apart(move || {
        let octets = dumped.map(|(collector, neighbors, routes)| {
            let mut dump = TableDump::new(collector, &neighbors, sequence);
            routes.iter().for_each(|route| dump.route(route));
            dump.finish().0.freeze()
        });
        let mut answer = with_status(StatusCode::OK, octets.unwrap_or_default());
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        answer
    })
    .await
}

/// With what became of them in the kernel.
async fn shown(daemon: &Handle, views: Vec<RouteView>, limit: usize) -> Answer {
    let fib = daemon.fib_routes(views.iter().map(|view| view.prefix).collect()).await;
    apart(move || ok(&api::Routes::new(&views, limit, &fib))).await
}

/// Makes an answer on a thread of its own: 10,000 routes take about 100 ms, and the runtime's thread has dead tunnels to
/// bring to the kernel meanwhile.
async fn apart(make: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    spawn_blocking(make).await.unwrap_or_else(|error| {
        tracing::error!(%error, "an answer was not made");
        with_status(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
    })
}

fn table<R>(views: &[RouteView], slice: Slice, convert: impl FnMut(&RouteView) -> R) -> api::Table<R> {
    api::Table::slice(views, slice.limit, |view| view.prefix, convert)
}

async fn neighbors(daemon: &Handle) -> api::Neighbors {
    let neighbors = daemon.neighbors().await;
    let now = SystemTime::now();
    api::Neighbors { neighbors: neighbors.iter().map(|neighbor| api::Neighbor::new(neighbor, now)).collect() }
}

async fn peers(daemon: &Handle) -> Answer {
    let views = daemon.peers().await;
    apart(move || ok(&api::Peers { peers: views.iter().map(api::Peer::from).collect() })).await
}

async fn fib(daemon: &Handle, after: Option<IpNet>, limit: usize) -> Answer {
    let views = daemon.fib(after, limit).await;
    let links = daemon.links().await;
    let convert = move |view: &_| api::FibRoute::new(view, &links);
    apart(move || ok(&api::Table::slice(&views, limit, |view| view.prefix, convert))).await
}

async fn events(daemon: &Handle, after: u64) -> api::Events {
    api::Events { events: daemon.events(after).await.into_iter().map(api::Event::from).collect() }
}

async fn config(daemon: &Handle) -> api::ConfigFiles {
    let files = daemon.config().iter().map(api::ConfigFile::from).collect();
    api::ConfigFiles { files, drift: daemon.drift().await }
}

fn ok(value: &impl Serialize) -> Answer {
    json(StatusCode::OK, value)
}

fn done() -> Answer {
    with_status(StatusCode::NO_CONTENT, Bytes::new())
}

/// The error as JSON.
pub(super) fn refuse(refusal: &Refusal) -> Answer {
    let mut answer = json(refusal.status, &api::Error { error: refusal.error.clone() });
    if let Some(allow) = refusal.allow {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    answer
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(text) => {
            let mut answer = with_status(status, text);
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            answer
        }
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            with_status(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
        }
    }
}

fn with_status(status: StatusCode, body: impl Into<Full<Bytes>>) -> Answer {
    with_body(status, Body::Whole(body.into()))
}

fn with_body(status: StatusCode, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
