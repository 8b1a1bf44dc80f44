//! Against the running kernel, in fresh network namespaces, compared with `ip`.
//!
//! Needs root: without it the tests say so and pass, unless VPNGW_CI=1 forbids that.

// A namespace is entered with a system call.
#![allow(unsafe_code, clippy::unwrap_used, clippy::print_stderr)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::*;

const PROTOCOL: u8 = 157;
const MAIN: u32 = 254;
/// Ten times what an event takes: the kernel itself may hold back a link's change for a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test on a thread of its own that enters a fresh network namespace and ends with it: no thread that other tests
/// use ever leaves the namespace of the process.
fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let body = move || {
        // SAFETY: changes the namespace of this thread alone.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            let error = io::Error::last_os_error();
            assert_ne!(std::env::var("VPNGW_CI").as_deref(), Ok("1"), "a test needs root: {error}");
            eprintln!("skipped, needs root: {error}");
            return;
        }
        ip("link set lo up");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` in the namespace of the calling thread.
fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `ip -j route`: what matches the selector.
fn ip_routes(selector: &str) -> Vec<serde_json::Value> {
    let text = ip(&format!("-j {selector}"));
    if text.trim().is_empty() { Vec::new() } else { serde_json::from_str(&text).unwrap() }
}

/// A kernel with two links, 10.0.0.1/24 and fd00::1/64 on the first, 10.0.1.1/24 and fd00:1::1/64 on the second.
async fn host() -> (Kernel, mpsc::Receiver<Event>, [u32; 2]) {
    let (kernel, events) = Kernel::start(PROTOCOL).unwrap();
    kernel.add_veth("knl0", "knl0p", None).await.unwrap();
    kernel.add_veth("knl1", "knl1p", None).await.unwrap();
    let mut indices = [0; 2];
    for (number, index) in indices.iter_mut().enumerate() {
        *index = up(&kernel, &format!("knl{number}")).await;
        up(&kernel, &format!("knl{number}p")).await;
        kernel.add_address(*index, format!("10.0.{number}.1/24").parse().unwrap()).await.unwrap();
        kernel.add_address(*index, format!("fd00:{number}::1/64").parse().unwrap()).await.unwrap();
    }
    (kernel, events, indices)
}

async fn up(kernel: &Kernel, name: &str) -> u32 {
    let link = link(kernel, name).await;
    kernel.link_up(link.index, None).await.unwrap();
    link.index
}

async fn link(kernel: &Kernel, name: &str) -> Link {
    kernel.links().await.unwrap().into_iter().find(|link| link.name == name).unwrap()
}

fn route(prefix: &str, hops: &[(Option<&str>, u32)]) -> Route {
    let hop =
        |&(gateway, interface): &(Option<&str>, u32)| Hop { gateway: gateway.map(|it| it.parse().unwrap()), interface };
    Route {
        prefix: prefix.parse().unwrap(),
        table: MAIN,
        metric: 20,
        protocol: PROTOCOL,
        target: Target::Hops(hops.iter().map(hop).collect()),
        source: None,
    }
}

fn discard(prefix: &str) -> Route {
    Route { target: Target::Discard, ..route(prefix, &[]) }
}

async fn apply(kernel: &Kernel, ops: Vec<RouteOp>) -> Vec<Result<(), String>> {
    let results = kernel.routes(ops).await.unwrap();
    results.into_iter().map(|result| result.map_err(|error| error.to_string())).collect()
}

async fn replace(kernel: &Kernel, routes: &[Route]) {
    let results = apply(kernel, routes.iter().cloned().map(RouteOp::Replace).collect()).await;
    assert_eq!(results, vec![Ok(()); routes.len()]);
}

async fn own_routes(kernel: &Kernel) -> Vec<Route> {
    let mut routes = kernel.own_routes().await.unwrap();
    routes.sort_by_key(|route| (route.prefix, route.metric));
    routes
}

/// Asks until the answers are these: the kernel notes a link's carrier some time after the link is up or down.
async fn resolves(kernel: &Kernel, questions: Vec<(IpAddr, u32)>, expected: &[Resolution]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answers = kernel.resolve(questions.clone()).await.unwrap();
        if answers == expected || Instant::now() > deadline {
            assert_eq!(answers, expected);
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for an event, passing over others.
async fn wait_for(events: &mut mpsc::Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Event {
    let mut seen = Vec::new();
    let wait = async {
        loop {
            let event = events.recv().await.unwrap();
            if wanted(&event) {
                return event;
            }
            seen.push(event);
        }
    };
    let result = timeout(PATIENCE, wait).await;
    result.unwrap_or_else(|_| panic!("the event did not come; seen: {seen:?}"))
}

/// Lets pass what the test's own preparations caused, and returns what it was.
async fn silence(events: &mut mpsc::Receiver<Event>) -> Vec<Event> {
    let mut passed = Vec::new();
    while let Ok(event) = timeout(Duration::from_millis(200), events.recv()).await {
        passed.extend(event);
    }
    passed
}

/// Nothing but what the kernel may say late of links that are up.
async fn hears_of_no_route(events: &mut mpsc::Receiver<Event>) {
    let heard = silence(events).await;
    assert!(heard.iter().all(|event| *event == Event::Changed), "{heard:?}");
}

/// A process in a network namespace of its own.
struct Guest(Child);

impl Guest {
    fn start() -> Self {
        let mut child =
            Command::new("unshare").args(["-n", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // `cat` answers only after `unshare` is done.
        use std::io::{Read as _, Write as _};
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        Self(child)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn routes_of_every_kind_stand_in_the_kernel_as_ip_shows_them() {
    in_namespace(|| async {
        let (kernel, _events, [one, two]) = host().await;
        let mut with_source = route("10.9.0.0/16", &[(None, one)]);
        with_source.source = Some("10.0.1.1".parse().unwrap());
        let mut elsewhere = route("10.8.0.0/16", &[(None, one)]);
        elsewhere.table = 5000;
        let routes = [
            route("0.0.0.0/0", &[(Some("10.0.0.9"), one)]),
            route("10.1.0.0/16", &[(None, one)]),
            route("10.2.0.0/16", &[(Some("10.0.0.2"), one)]),
            route("10.3.0.0/16", &[(Some("10.0.0.2"), one), (Some("10.0.1.2"), two)]),
            route("10.4.0.0/16", &[(Some("fd00:0::2"), one)]),
            route("10.5.0.0/16", &[(Some("fd00:0::2"), one), (Some("10.0.1.2"), two)]),
            discard("10.6.0.0/16"),
            elsewhere,
            with_source,
            route("fd10:1::/48", &[(None, one)]),
            route("fd10:2::/48", &[(Some("fd00:0::2"), one)]),
            route("fd10:3::/48", &[(Some("fd00:0::2"), one), (Some("fd00:1::2"), two)]),
            discard("fd10:6::/48"),
        ];
        replace(&kernel, &routes).await;
        assert_eq!(own_routes(&kernel).await, routes);

        let shown = |selector: &str| ip_routes(selector).remove(0);
        let multipath = shown("-4 route show 10.5.0.0/16");
        assert_eq!(multipath["protocol"], "157");
        assert_eq!(multipath["metric"], 20);
        assert_eq!(multipath["nexthops"][0]["via"]["host"], "fd00::2");
        assert_eq!(multipath["nexthops"][1]["gateway"], "10.0.1.2");
        assert_eq!(shown("-4 route show 10.6.0.0/16")["type"], "blackhole");
        assert_eq!(shown("-4 route show 10.1.0.0/16")["scope"], "link");
        assert_eq!(shown("-4 route show 10.9.0.0/16")["prefsrc"], "10.0.1.1");
        assert_eq!(shown("-4 route show table 5000")["dst"], "10.8.0.0/16");
        assert_eq!(shown("-6 route show fd10:3::/48")["nexthops"].as_array().unwrap().len(), 2);
        assert_eq!(ip_routes("-4 route show table all proto 157").len(), 9);
        assert_eq!(ip_routes("-6 route show table all proto 157").len(), 4);
    });
}

#[test]
fn a_replaced_route_takes_the_place_of_ours_whatever_it_was() {
    in_namespace(|| async {
        let (kernel, _events, [one, two]) = host().await;
        for (prefix, near, far) in [("10.1.0.0/16", "10.0.0.2", "10.0.1.2"), ("fd10::/48", "fd00:0::2", "fd00:1::2")] {
            let forms = [
                route(prefix, &[(None, one)]),
                route(prefix, &[(Some(near), one)]),
                route(prefix, &[(Some(near), one), (Some(far), two)]),
                route(prefix, &[(Some(far), two)]),
                discard(prefix),
            ];
            for from in &forms {
                for to in &forms {
                    replace(&kernel, std::slice::from_ref(from)).await;
                    replace(&kernel, std::slice::from_ref(to)).await;
                    assert_eq!(own_routes(&kernel).await, std::slice::from_ref(to));
                }
            }
            assert_eq!(apply(&kernel, vec![RouteOp::Delete(forms[4].clone())]).await, [Ok(())]);
        }
    });
}

#[test]
fn a_foreign_route_is_neither_replaced_nor_deleted() {
    in_namespace(|| async {
        let (kernel, _events, [one, _]) = host().await;
        ip("route add 10.1.0.0/16 via 10.0.1.2 metric 20 proto 99");
        ip("route add fd10::/48 via fd00:1::2 metric 20 proto 99");
        let ours = [route("10.1.0.0/16", &[(Some("10.0.0.2"), one)]), route("fd10::/48", &[(Some("fd00:0::2"), one)])];
        let refused = "a route of another program (protocol 99) stands there with metric 20";
        let results = kernel.routes(ours.iter().cloned().map(RouteOp::Replace).collect()).await.unwrap();
        for error in results.into_iter().map(Result::unwrap_err) {
            assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::AlreadyExists, refused));
        }
        let deleted = apply(&kernel, ours.iter().cloned().map(RouteOp::Delete).collect()).await;
        assert_eq!(deleted, [Ok(()), Ok(())], "there is none of ours");
        assert_eq!(own_routes(&kernel).await, []);
        assert_eq!(ip_routes("-4 route show 10.1.0.0/16")[0]["gateway"], "10.0.1.2");
        assert_eq!(ip_routes("-6 route show fd10::/48")[0]["gateway"], "fd00:1::2");
    });
}

#[test]
fn a_foreign_route_before_ours_survives_a_change_of_ours() {
    in_namespace(|| async {
        let (kernel, _events, [one, _]) = host().await;
        replace(&kernel, &[route("10.1.0.0/16", &[(Some("10.0.0.2"), one)])]).await;
        ip("route prepend 10.1.0.0/16 via 10.0.1.2 metric 20 proto 99");
        let change = RouteOp::Replace(route("10.1.0.0/16", &[(Some("10.0.0.3"), one)]));
        apply(&kernel, vec![change]).await;
        assert_eq!(ip_routes("-4 route show 10.1.0.0/16 proto 99")[0]["gateway"], "10.0.1.2");
    });
}

#[test]
fn one_refused_route_leaves_the_rest_of_a_batch_alone() {
    in_namespace(|| async {
        let (kernel, _events, [one, _]) = host().await;
        let bad = route("10.1.77.0/24", &[(Some("203.0.113.1"), one)]);
        let batch: Vec<Route> = (0..1000)
            .map(|n| {
                let prefix = format!("10.{}.{}.0/24", 1 + n / 256, n % 256);
                if prefix == "10.1.77.0/24" { bad.clone() } else { route(&prefix, &[(Some("10.0.0.2"), one)]) }
            })
            .collect();
        let results = apply(&kernel, batch.iter().cloned().map(RouteOp::Replace).collect()).await;
        let refused: Vec<usize> = (0..1000).filter(|&n| results[n].is_err()).collect();
        assert_eq!(refused, [77]);
        assert_eq!(results[77], Err("Nexthop has invalid gateway: Network is unreachable (os error 101)".to_owned()));
        assert_eq!(own_routes(&kernel).await.len(), 999);
        let deleted = apply(&kernel, batch.into_iter().map(RouteOp::Delete).collect()).await;
        assert_eq!(deleted, vec![Ok(()); 1000], "what is not there is deleted without an error");
        assert_eq!(own_routes(&kernel).await, []);
    });
}

#[test]
fn next_hops_resolve_as_the_kernel_would_send() {
    in_namespace(|| async {
        let (kernel, _events, [one, two]) = host().await;
        ip("route add 10.7.0.0/16 via 10.0.1.2");
        ip("route add blackhole 10.8.0.0/16");
        ip("route add prohibit fd88::/48");
        replace(&kernel, &[route("10.9.0.0/16", &[(None, one)])]).await;
        let ask = |text: &str, scope: u32| (text.parse::<IpAddr>().unwrap(), scope);
        let questions = vec![
            ask("10.0.0.1", 0),
            ask("fd00:1::1", 0),
            ask("10.0.0.5", 0),
            ask("10.7.1.1", 0),
            ask("10.8.0.1", 0),
            ask("fd88::1", 0),
            ask("10.9.0.1", 0),
            ask("203.0.113.1", 0),
            ask("fd00:1::7", 0),
            ask("fe80::1", two),
        ];
        let via = |gateway: Option<&str>, interface, prefix: &str, metric| Resolution::Via {
            hop: Hop { gateway: gateway.map(|it| it.parse().unwrap()), interface },
            prefix: prefix.parse().unwrap(),
            metric,
        };
        let unreachable = |text: &str| Resolution::Unreachable(text.to_owned());
        let expected = [
            Resolution::Local,
            Resolution::Local,
            via(None, one, "10.0.0.0/24", 0),
            via(Some("10.0.1.2"), two, "10.7.0.0/16", 0),
            unreachable("the kernel has a blackhole route there"),
            unreachable("the kernel has a prohibit route there"),
            unreachable("reached only by 10.9.0.0/16, a route of ours"),
            unreachable("the kernel has no route there"),
            via(None, two, "fd00:1::/64", 256),
            via(None, two, "fe80::/64", 256),
        ];
        resolves(&kernel, questions, &expected).await;
    });
}

#[test]
fn a_next_hop_behind_a_link_without_carrier_is_unreachable() {
    in_namespace(|| async {
        let (kernel, _events, _) = host().await;
        ip("link set knl0p down");
        let expected = [Resolution::Unreachable("the link of the route 10.0.0.0/24 is down".to_owned())];
        resolves(&kernel, vec![("10.0.0.5".parse().unwrap(), 0)], &expected).await;
    });
}

#[test]
fn links_and_addresses_are_made_as_asked() {
    in_namespace(|| async {
        let (kernel, _events) = Kernel::start(PROTOCOL).unwrap();
        let guest = Guest::start();
        kernel.add_veth("knl0", "knl9", Some(guest.0.id())).await.unwrap();
        kernel.add_bridge("knlbr").await.unwrap();
        let (veth, bridge) = (link(&kernel, "knl0").await, link(&kernel, "knlbr").await);
        kernel.set_master(veth.index, bridge.index).await.unwrap();
        kernel.link_up(veth.index, Some(1300)).await.unwrap();
        kernel.link_up(bridge.index, None).await.unwrap();
        for address in ["192.0.2.1/24", "192.0.2.1/24", "fd00::1/64"] {
            kernel.add_address(bridge.index, address.parse().unwrap()).await.unwrap();
        }

        let veth = link(&kernel, "knl0").await;
        assert!(veth.up && !veth.running && veth.mtu == 1300, "{veth:?}");
        assert_eq!(ip_routes("link show knl0")[0]["master"], "knlbr");
        assert!(kernel.links().await.unwrap().iter().all(|link| link.name != "knl9"), "the peer is elsewhere");
        let addresses = kernel.addresses().await.unwrap();
        for address in ["192.0.2.1/24", "fd00::1/64"] {
            let address = Address { interface: bridge.index, address: address.parse().unwrap() };
            assert!(addresses.contains(&address), "{addresses:?}");
        }
        assert!(!ip("-6 addr show dev knlbr scope global").contains("tentative"));

        kernel.delete_link(veth.index).await.unwrap();
        assert!(kernel.links().await.unwrap().iter().all(|link| link.name != "knl0"));
        let error = kernel.add_bridge("knlbr").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    });
}

#[test]
fn what_others_do_to_our_routes_is_told_and_what_we_do_is_not() {
    in_namespace(|| async {
        let (kernel, mut events, [one, _]) = host().await;
        silence(&mut events).await;
        let ours = [route("10.1.0.0/16", &[(None, one)]), route("fd10::/48", &[(None, one)])];
        replace(&kernel, &ours).await;
        replace(&kernel, &[discard("10.1.0.0/16")]).await;
        replace(&kernel, &ours).await;
        hears_of_no_route(&mut events).await;
        ip("route del 10.1.0.0/16");
        assert_eq!(wait_for(&mut events, |event| *event != Event::Changed).await, Event::OwnRoute(ours[0].clone()));
        ip("-6 route del fd10::/48");
        assert_eq!(wait_for(&mut events, |event| *event != Event::Changed).await, Event::OwnRoute(ours[1].clone()));
    });
}

#[test]
fn foreign_changes_are_told_as_few_events() {
    in_namespace(|| async {
        let (_kernel, mut events, _) = host().await;
        silence(&mut events).await;
        let routes: String = (0..250).map(|n| format!("route add 10.5.{n}.0/24 via 10.0.0.2\n")).collect();
        let start = Instant::now();
        let mut batch = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(batch.stdin.as_mut().unwrap(), routes.as_bytes()).unwrap();
        assert!(batch.wait().unwrap().success());
        wait_for(&mut events, |event| *event == Event::Changed).await;
        let more = silence(&mut events).await;
        let at_most = start.elapsed().as_millis() / 50;
        assert!(more.len() as u128 <= at_most && more.len() < 250, "{} events, {at_most} expected", more.len());
    });
}

#[test]
fn routes_that_the_kernel_flushes_in_silence_are_told_as_lost() {
    in_namespace(|| async {
        let (kernel, mut events, [one, two]) = host().await;
        replace(&kernel, &[route("10.1.0.0/16", &[(None, one)]), route("10.2.0.0/16", &[(Some("10.0.1.2"), two)])])
            .await;
        silence(&mut events).await;
        ip("link set knl0 down");
        wait_for(&mut events, |event| *event == Event::Changed).await;
        wait_for(&mut events, |event| *event == Event::Lost).await;
        assert_eq!(own_routes(&kernel).await.len(), 1);
        kernel.delete_link(two).await.unwrap();
        wait_for(&mut events, |event| *event == Event::Lost).await;
        assert_eq!(own_routes(&kernel).await, []);
    });
}

#[test]
fn a_route_of_ours_replaced_by_another_program_is_told_as_lost() {
    in_namespace(|| async {
        let (kernel, mut events, [one, _]) = host().await;
        replace(&kernel, &[route("10.1.0.0/16", &[(None, one)])]).await;
        silence(&mut events).await;
        ip("route replace 10.1.0.0/16 via 10.0.1.2 metric 20 proto 99");
        wait_for(&mut events, |event| *event == Event::Lost).await;
    });
}

#[test]
fn a_thousand_changes_of_ours_do_not_overrun_the_monitor() {
    in_namespace(|| async {
        let (kernel, mut events, [one, _]) = host().await;
        silence(&mut events).await;
        for gateway in ["10.0.0.2", "10.0.0.3", "10.0.0.4"] {
            let routes: Vec<Route> = (0..1000)
                .map(|n| route(&format!("10.{}.{}.0/24", 1 + n / 256, n % 256), &[(Some(gateway), one)]))
                .collect();
            replace(&kernel, &routes).await;
        }
        hears_of_no_route(&mut events).await;
    });
}

#[test]
fn a_next_hop_behind_a_next_hop_object_is_found() {
    in_namespace(|| async {
        let (kernel, _events, [_, two]) = host().await;
        // Under /proc/sys/net is what belongs to the namespace of the thread that opens it.
        std::fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", "0").unwrap();
        ip("nexthop add id 7 via 10.0.1.2 dev knl1");
        ip("route add 10.7.0.0/16 nhid 7");
        let via = Hop { gateway: Some("10.0.1.2".parse().unwrap()), interface: two };
        let expected = [Resolution::Via { hop: via, prefix: "10.7.0.0/16".parse().unwrap(), metric: 0 }];
        resolves(&kernel, vec![("10.7.0.1".parse().unwrap(), 0)], &expected).await;
    });
}
