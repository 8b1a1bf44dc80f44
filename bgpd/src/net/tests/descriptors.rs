//! Out of file descriptors: accepting pauses, costs nothing, and goes on.

use std::fs::File;
use std::io::{Read, Seek};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::gateway::listener;
use super::neighbor::Heard;
use super::*;

const CHILD: &str = "net::tests::descriptors::in_a_process_with_few_descriptors";

#[test]
fn without_file_descriptors_accepting_pauses_and_then_goes_on() {
    let test = std::env::current_exe().unwrap();
    let script = format!("ulimit -n 64; exec '{}' --exact {CHILD} --ignored --nocapture", test.display());
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn in_a_process_with_few_descriptors() {
    let (listening, at) = listener(Ipv4Addr::LOCALHOST);
    let unused = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let settings = settings(64513, 1).neighbor("far", unused, |neighbor| neighbor.passive = true);
    let gateway = Gateway::start(settings, vec![listening]);
    gateway.neighbors().await; // the thread runs, and has its name
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let mut statistics = statistics();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
        assert!(taken.len() < 1000, "the limit does not hold");
    }
    socket.connect(&at.into()).unwrap();
    let before = busy(&mut statistics);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spent = busy(&mut statistics) - before;
    assert!(spent < Duration::from_millis(300), "the thread worked {spent:?} of a second in which it could do nothing");
    drop(taken);
    let stream = TcpStream::from(socket);
    let heard = tokio::task::spawn_blocking(move || RawNeighbor::over(stream).hear());
    assert!(matches!(heard.await.unwrap(), Heard::Open(_)));
}

/// The scheduler's statistics of the thread `bgp`.
fn statistics() -> File {
    let thread = std::fs::read_dir("/proc/self/task").unwrap().find_map(|task| {
        let path = task.ok()?.path();
        (std::fs::read_to_string(path.join("comm")).ok()? == "bgp\n").then_some(path)
    });
    File::open(thread.unwrap().join("schedstat")).unwrap()
}

/// The processor time of the thread so far.
fn busy(statistics: &mut File) -> Duration {
    let mut text = String::new();
    statistics.rewind().unwrap();
    statistics.read_to_string(&mut text).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
