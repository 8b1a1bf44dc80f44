//! What systemd is told, and that the watchdog is pinged only while every thread answers.
#![allow(clippy::unwrap_used)]
#![allow(unsafe_code)] // One thread alone is stopped by ptrace(2).

mod common;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use common::pair::site;
use common::{DEADLINE, Lab, binary, eventually, with_site};

/// A ping is due every tenth of a second.
const WATCHDOG: Duration = Duration::from_millis(300);
/// Ten pings would have come.
const SILENCE: Duration = Duration::from_secs(1);

/// What systemd would hear.
struct Ear(UnixDatagram);

impl Ear {
    /// The next message.
    fn next(&self, limit: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(limit)).unwrap();
        let mut buffer = [0; 1024];
        match self.0.recv(&mut buffer) {
            Ok(len) => Some(String::from_utf8(buffer[..len].to_vec()).unwrap().trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn hears(&self, wanted: &str) {
        let start = Instant::now();
        while self.next(DEADLINE).as_deref() != Some(wanted) {
            assert!(start.elapsed() < DEADLINE, "{wanted} did not come");
        }
    }

    /// But for what was on its way, however late: every thread may have answered just before one was stopped.
    fn hears_nothing(&self) {
        let on_its_way: Vec<String> = std::iter::from_fn(|| self.next(SILENCE)).take(4).collect();
        assert!(on_its_way.len() < 4, "{on_its_way:?}");
    }
}

/// The gateway `home`, as systemd would start it.
fn start(lab: &mut Lab, environment: &[(&str, &str)]) -> (Ear, u32) {
    let socket = lab.running.directory().file("notify");
    let ear = Ear(UnixDatagram::bind(&socket).unwrap());
    let directory = lab.running.directory().path().to_str().unwrap().to_owned();
    let key = lab.running.directory().public_key("ec2").unwrap().to_string();
    let text = include_str!("common/pair/home.toml").replace("${LAB}", &directory).replace("${EC2_PUBLIC_KEY}", &key);
    let config = lab.file("noted.toml", &text);
    let mut command = lab.node("home").gateway(&binary());
    command.args(["run", "--config"]).arg(config).env("NOTIFY_SOCKET", socket).envs(environment.iter().copied());
    lab.running.run("noted", command).unwrap();
    (ear, lab.running.process("noted").unwrap().pid())
}

#[test]
fn systemd_hears_when_the_gateway_is_ready_and_when_it_stops() {
    with_site(&[], site(), async |lab| {
        let (ear, _) = start(lab, &[]);
        assert_eq!(ear.next(DEADLINE).unwrap(), "READY=1");
        // What READY promises is there: its socket answers, its device is up.
        lab.show("home", &["status"]).unwrap();
        assert!(lab.output("home", "ip", &["link", "show", "wg0"]).unwrap().contains("UP"));
        // Nobody asked for pings.
        assert_eq!(ear.next(SILENCE), None);
        lab.terminate("noted").await;
        assert_eq!(ear.next(DEADLINE).unwrap(), "STOPPING=1");
    });
}

#[test]
fn the_watchdog_is_pinged_only_while_every_thread_answers() {
    with_site(&[], site(), async |lab| {
        let limit = WATCHDOG.as_micros().to_string();
        let (ear, pid) = start(lab, &[("WATCHDOG_USEC", &limit)]);
        for thread in ["vpngw", "bgp", "kernel", "wireguard"] {
            ear.hears("WATCHDOG=1");
            let stopped = eventually("the thread", async || Stopped::thread(pid, thread)).await;
            ear.hears_nothing();
            drop(stopped);
            ear.hears("WATCHDOG=1");
        }
        lab.terminate("noted").await;
    });
}

/// A thread that does not run until this is dropped.
struct Stopped(i32);

impl Stopped {
    fn thread(process: u32, name: &str) -> anyhow::Result<Self> {
        let tasks = fs::read_dir(format!("/proc/{process}/task"))?;
        let named =
            |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name);
        let task = tasks.filter_map(Result::ok).find(named);
        let id: i32 = task.ok_or_else(|| anyhow::anyhow!("no thread {name}"))?.file_name().to_string_lossy().parse()?;
        trace(libc::PTRACE_SEIZE, id);
        trace(libc::PTRACE_INTERRUPT, id);
        // SAFETY: a null status is allowed.
        assert_eq!(unsafe { libc::waitpid(id, std::ptr::null_mut(), libc::__WALL) }, id);
        Ok(Self(id))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        trace(libc::PTRACE_DETACH, self.0);
    }
}

fn trace(request: libc::c_uint, thread: i32) {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: none of these requests reads or writes memory of ours.
    let result = unsafe { libc::ptrace(request, thread, none, none) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
