//! What a gateway leaves behind: nothing, or routes and device for the next one to take over; and never what is not its own.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use common::pair::{PODS, site};
use common::{Lab, binary, eventually, with_site};
use vpngw::lab::process::Signal;
use vpngw::lab::site::Expectation;

const SELECT_DEFERRAL: Duration = Duration::from_secs(12);

fn with_deferral() -> String {
    format!("[bgp]\nselect-deferral = '{}s'\n", SELECT_DEFERRAL.as_secs())
}

/// The EC2 gateway with something changed in its configuration.
struct Ec2<'a> {
    lab: &'a mut Lab,
    config: PathBuf,
    /// As systemd's `StateDirectory=`.
    memory: Option<PathBuf>,
}

impl<'a> Ec2<'a> {
    fn new(lab: &'a mut Lab, changes: &[(&str, &str)]) -> Self {
        let mut gateway = Self { lab, config: PathBuf::new(), memory: None };
        gateway.configure(changes);
        gateway
    }

    /// The same with a state directory.
    fn with_memory(lab: &'a mut Lab) -> Self {
        let memory = Some(lab.running.directory().file("memory"));
        Self { memory, ..Self::new(lab, &[]) }
    }

    fn configure(&mut self, changes: &[(&str, &str)]) {
        let directory = self.lab.running.directory();
        let home = directory.public_key("home").unwrap().to_string();
        let text = include_str!("common/pair/ec2.toml").replace("${HOME_PUBLIC_KEY}", &home);
        let mut text = text.replace("${LAB}", directory.path().to_str().unwrap());
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        self.config = self.lab.file("changed.toml", &text);
    }

    /// A tunnel alone, with kernel routes of its peer's allowed IPs.
    fn configure_static(&mut self, allowed_ips: &[&str]) {
        let directory = self.lab.running.directory();
        let home = directory.public_key("home").unwrap().to_string();
        let text = format!(
            r#"
            [wireguard]
            private-key-file = "{lab}/ec2.key"
            [[wireguard.peer]]
            name          = "homelab"
            public-key    = "{home}"
            allowed-ips   = {allowed_ips:?}
            static-routes = true
            [control]
            socket = "{lab}/ec2.sock"
            "#,
            lab = directory.path().display()
        );
        self.config = self.lab.file("changed.toml", &text);
    }

    /// Neither tunnel nor neighbors, but the same protocol number; it listens elsewhere.
    fn configure_without_tunnel(&mut self) {
        let socket = self.lab.running.directory().file("elsewhere.sock");
        let text = format!(
            "[router]\nasn = 64513\nrouter-id = '10.20.0.10'\n[bgp]\nlisten = []\n[control]\nsocket = '{}'\n",
            socket.display()
        );
        self.config = self.lab.file("changed.toml", &text);
    }

    fn start(&mut self, on_stop: &str) {
        let mut command = self.lab.node("ec2").gateway(&binary());
        command.args(["run", "--on-stop", on_stop, "--config"]).arg(&self.config);
        command.envs(self.memory.iter().map(|directory| ("STATE_DIRECTORY", directory)));
        self.lab.running.run("changed", command).unwrap();
    }

    /// Starts it, and the far end, and waits for routes.
    async fn works(&mut self, on_stop: &str) {
        self.start(on_stop);
        if self.lab.running.process("home").is_err() {
            self.lab.start("home");
        }
        for prefix in PODS {
            self.lab.kernel_route("ec2", prefix, true).await;
        }
    }

    /// Works, and has written down with whom.
    async fn is_remembered(&mut self) {
        self.works("keep").await;
        let file = self.memory.as_ref().unwrap().join("restart-157.json");
        eventually("the neighbor in the file", async || {
            let text = std::fs::read_to_string(&file)?;
            ensure!(text.contains("homelab"), "{text}");
            Ok(())
        })
        .await;
    }

    /// Started by a configuration with [`SELECT_DEFERRAL`], it hears nothing of its routes.
    async fn keeps_its_routes_since(&self, began: Instant) {
        eventually("the end of what nobody wants", async || {
            ensure!(self.routes() == 0, "{} routes", self.routes());
            Ok(())
        })
        .await;
        assert!(began.elapsed() >= SELECT_DEFERRAL, "{:?}", began.elapsed());
    }

    /// SIGKILL, as in a crash.
    async fn crash(&mut self) {
        self.lab.kill("changed").await;
    }

    /// `vpngw stop --withdraw --config`.
    fn withdraw(&self) -> Output {
        let mut command = self.lab.node("ec2").command(binary());
        command.args(["stop", "--withdraw", "--config"]).arg(&self.config).output().unwrap()
    }

    fn routes(&self) -> usize {
        self.lab.ip_routes("ec2", "157").unwrap().len()
    }

    fn device(&self) -> anyhow::Result<String> {
        self.lab.output("ec2", "ip", &["-d", "address", "show", "wg0"])
    }

    fn has_no_device(&self) {
        let links = self.lab.output("ec2", "ip", &["-brief", "link"]).unwrap();
        assert!(links.contains("lo") && !links.contains("wg0"), "{links}");
    }

    /// The links that have the tunnel's address.
    fn links_with_the_address(&self) -> anyhow::Result<Vec<String>> {
        let found = self.lab.output("ec2", "ip", &["-br", "address", "show", "to", "169.254.64.1/32"])?;
        Ok(found.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_kept_outlives_a_crash_and_is_taken_over_without_the_addresses_of_before() {
    with_site(&[], site(), async |lab| {
        let mut ec2 =
            Ec2::new(lab, &[("\"fd64:64::1/126\"]", "\"fd64:64::1/126\", \"169.254.65.1/30\", \"fd65::1/64\"]")]);
        ec2.works("keep").await;
        ec2.crash().await;
        assert_eq!(ec2.routes(), PODS.len());
        let device = ec2.device().unwrap();
        assert!(
            device.contains("169.254.65.1/30") && device.contains("fd65::1/64") && device.contains("alias vpngw 157"),
            "{device}"
        );

        ec2.configure(&[]);
        ec2.works("keep").await;
        eventually("the end of the old addresses", async || {
            let device = ec2.device()?;
            ensure!(device.contains("169.254.64.1/30") && device.contains("fd64:64::1/126"), "{device}");
            ensure!(!device.contains("169.254.65.1") && !device.contains("fd65::1"), "{device}");
            Ok(())
        })
        .await;
        // What SIGTERM leaves, `stop` takes away: once.
        ec2.lab.terminate("changed").await;
        assert_eq!(ec2.routes(), PODS.len());
        ec2.device().unwrap();
        let first = ec2.withdraw();
        assert!(first.status.success(), "{}", said(&first));
        assert_eq!(said(&first), "removed 2 routes and interface wg0 of a former run\n");
        assert_eq!(ec2.routes(), 0);
        ec2.has_no_device();
        let second = ec2.withdraw();
        assert!(second.status.success());
        assert_eq!(said(&second), "");
    });
}

#[test]
fn where_nobody_is_remembered_what_is_kept_stays_for_its_time() {
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::new(lab, &[]);
        ec2.works("keep").await;
        // It has no state directory, and nobody tells the next one anything.
        ec2.crash().await;
        ec2.lab.kill("home").await;
        ec2.configure(&[("[bgp]\n", &with_deferral())]);
        let began = Instant::now();
        ec2.start("keep");
        ec2.keeps_its_routes_since(began).await;
    });
}

#[test]
fn where_nobody_of_before_may_come_back_what_is_kept_stays_for_its_time() {
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::with_memory(lab);
        ec2.is_remembered().await;
        ec2.lab.terminate("changed").await;
        ec2.lab.kill("home").await;
        // The neighbor has another name, and is no longer the one that was up.
        let renamed = ("name          = \"homelab\"", "name          = \"far-end\"");
        ec2.configure(&[("[bgp]\n", &with_deferral()), renamed]);
        let began = Instant::now();
        ec2.start("keep");
        ec2.keeps_its_routes_since(began).await;
    });
}

#[test]
fn what_is_kept_stays_while_a_neighbor_is_back_without_graceful_restart_and_has_not_told_it_yet() {
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::with_memory(lab);
        ec2.is_remembered().await;
        ec2.crash().await;
        ec2.lab.kill("home").await;
        let speechless = |text: &str| {
            let (before, originated) = text.split_once("[[bgp.originate]]").unwrap();
            let control = &originated[originated.find("[control]").unwrap()..];
            let name = "name          = \"aws\"\n";
            assert!(before.contains(name), "{text}");
            before.replace(name, &format!("{name}graceful-restart = false\n")) + control
        };
        ec2.lab.running.edit("home", speechless).unwrap();
        ec2.configure(&[("[bgp]\n", &with_deferral())]);
        let began = Instant::now();
        ec2.start("keep");
        ec2.lab.start("home");
        ec2.lab.expect(Expectation::Session { gateway: "ec2", neighbor: "homelab" }).await;
        ec2.keeps_its_routes_since(began).await;
    });
}

#[test]
fn who_was_up_before_everything_was_removed_is_not_waited_for() {
    const DISCARD: (&str, &str) =
        ("[control]\n", "[[bgp.originate]]\nprefix = '10.98.0.0/16'\ndiscard = true\n[control]\n");
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::with_memory(lab);
        ec2.is_remembered().await;
        ec2.lab.terminate("changed").await;
        ec2.lab.kill("home").await;
        // It does not know where the service has its state.
        assert!(ec2.withdraw().status.success());
        ec2.configure(&[DISCARD]);
        for _ in 0..2 {
            ec2.start("keep");
            ec2.lab.kernel_route("ec2", "10.98.0.0/16", true).await;
            ec2.lab.answers("ec2").await;
            let neighbor = ec2.lab.show("ec2", &["neighbor", "homelab"]).unwrap();
            assert!(!neighbor["note"].to_string().contains("waited for"), "{neighbor}");
            ec2.crash().await;
        }
        assert!(ec2.withdraw().status.success());
    });
}

#[test]
fn without_a_speaker_nobody_is_waited_for() {
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::new(lab, &[]);
        ec2.configure_static(&["10.97.0.0/16", "10.98.0.0/16"]);
        ec2.start("keep");
        ec2.lab.kernel_route("ec2", "10.98.0.0/16", true).await;
        ec2.crash().await;
        ec2.configure_static(&["10.97.0.0/16"]);
        ec2.start("keep");
        ec2.lab.kernel_route("ec2", "10.98.0.0/16", false).await;
        assert_eq!(ec2.routes(), 1);
        ec2.lab.tell("ec2", &["stop", "--withdraw"]).await;
    });
}

#[test]
fn without_keep_a_crash_leaves_nothing_even_of_a_device_that_was_kept() {
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::new(lab, &[]);
        ec2.works("keep").await;
        ec2.crash().await;
        ec2.device().unwrap();
        ec2.works("withdraw").await;
        eventually("its answer", async || {
            let mut command = Command::new(binary());
            command.arg("--socket").arg(ec2.lab.running.socket("ec2")).args(["show", "status"]);
            common::output(command)
        })
        .await;
        ec2.crash().await;
        ec2.has_no_device();
        assert_eq!(ec2.routes(), 0);
    });
}

#[test]
fn the_file_overrules_what_the_service_says() {
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::new(lab, &[("[router]", "[router]\non-stop = 'withdraw'")]);
        ec2.works("keep").await;
        ec2.lab.terminate("changed").await;
        assert_eq!(ec2.routes(), 0);
        ec2.has_no_device();
    });
}

#[test]
fn a_device_of_somebody_else_is_neither_used_nor_removed() {
    with_site(&[], site(), async |lab| {
        lab.output("ec2", "ip", &["tuntap", "add", "wg0", "mode", "tun"]).unwrap();
        let mut ec2 = Ec2::new(lab, &[]);
        ec2.start("keep");
        let process = ec2.lab.running.process("changed").unwrap();
        let status = process.wait(common::DEADLINE).await.unwrap();
        assert_eq!(status.code(), Some(1));
        let log = process.output();
        assert!(log.contains("error: interface wg0 is there already and is not ours"), "{log}");
        // Nobody expects it to run any more.
        ec2.crash().await;
        let stopped = ec2.withdraw();
        assert!(stopped.status.success() && said(&stopped).is_empty(), "{}", said(&stopped));
        ec2.device().unwrap();
    });
}

#[test]
fn what_a_gateway_uses_that_listens_elsewhere_is_not_removed() {
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::new(lab, &[]);
        ec2.works("withdraw").await;
        ec2.configure(&[("ec2.sock", "elsewhere.sock")]);
        let refused = ec2.withdraw();
        assert_eq!(refused.status.code(), Some(1));
        let text = said(&refused);
        assert!(text.starts_with("error: nothing was removed: a gateway with protocol 157 runs"), "{text}");
        assert_eq!(ec2.routes(), PODS.len());
        // Nor by a configuration that would not need its device.
        ec2.configure_without_tunnel();
        let refused = ec2.withdraw();
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).starts_with("error: nothing was removed"), "{}", said(&refused));
        assert_eq!(ec2.routes(), PODS.len());
        // Where it does listen it is stopped, although it would have kept them.
        ec2.configure(&[]);
        let stopped = ec2.withdraw();
        assert!(stopped.status.success(), "{}", said(&stopped));
        assert_eq!(ec2.routes(), 0);
    });
}

#[test]
fn a_device_whose_name_is_no_longer_configured_goes_with_its_addresses() {
    const RENAMED: [(&str, &str); 1] = [("[wireguard]\n", "[wireguard]\ninterface = 'wgrev1'\n")];
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::new(lab, &[]);
        ec2.works("keep").await;
        ec2.crash().await;
        assert_eq!(ec2.links_with_the_address().unwrap(), ["wg0"]);
        ec2.configure(&RENAMED);
        ec2.works("keep").await;
        eventually("the end of the old device", async || {
            ensure!(ec2.links_with_the_address()? == ["wgrev1"], "{:?}", ec2.links_with_the_address()?);
            ensure!(ec2.routes() == PODS.len(), "{} routes", ec2.routes());
            Ok(())
        })
        .await;
        // By a configuration that knows neither name, once nobody uses it.
        ec2.crash().await;
        ec2.configure(&[]);
        let stopped = ec2.withdraw();
        assert_eq!(said(&stopped), "removed 2 routes and interface wgrev1 of a former run\n");
        assert_eq!(ec2.links_with_the_address().unwrap(), [""; 0]);

        // By a start without any tunnel. What others have made stays.
        lab.output("ec2", "ip", &["tuntap", "add", "theirs0", "mode", "tun"]).unwrap();
        let mut ec2 = Ec2::new(lab, &[]);
        ec2.works("keep").await;
        ec2.crash().await;
        ec2.configure_without_tunnel();
        ec2.start("keep");
        eventually("the end of the device", async || {
            ensure!(ec2.links_with_the_address()?.is_empty(), "{:?}", ec2.links_with_the_address()?);
            Ok(())
        })
        .await;
        lab.output("ec2", "ip", &["link", "show", "theirs0"]).unwrap();
    });
}

#[test]
fn a_second_gateway_must_have_another_protocol_number() {
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::new(lab, &[]);
        ec2.works("withdraw").await;
        ec2.configure_without_tunnel();
        let mut second = ec2.lab.node("ec2").gateway(&binary());
        second.args(["run", "--config"]).arg(&ec2.config);
        ec2.lab.running.run("second", second).unwrap();
        let process = ec2.lab.running.process("second").unwrap();
        let status = process.wait(common::DEADLINE).await.unwrap();
        let log = process.output();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(
            log.contains("error: another vpngw with [kernel] protocol 157 runs in this network namespace"),
            "{log}"
        );
        ec2.lab.kill("second").await;
        assert_eq!(ec2.routes(), PODS.len());
    });
}

#[test]
fn when_a_gateway_has_stopped_the_next_can_start() {
    with_site(&[], site(), async |lab| {
        let mut ec2 = Ec2::new(lab, &[("[control]\n", "[control]\nobserve = ['127.0.0.1:9179', '10.20.0.10:9179']\n")]);
        let socket = ec2.lab.running.socket("ec2");
        ec2.start("withdraw");
        for _ in 0..10 {
            ec2.lab.answers("ec2").await;
            let mut again = ec2.lab.node("ec2").command("sh");
            again.args(["-c", "\"$0\" --socket \"$1\" stop && exec \"$0\" run --config \"$2\""]);
            again.arg(binary()).arg(&socket).arg(&ec2.config);
            ec2.lab.running.run("again", again).unwrap();
            let before = ec2.lab.running.process("changed").unwrap();
            assert!(before.wait(common::DEADLINE).await.unwrap().success(), "{}", before.output());
            ec2.lab.answers("ec2").await;
            // The next round's.
            ec2.lab.terminate("again").await;
            ec2.start("withdraw");
        }
        ec2.lab.answers("ec2").await;
    });
}

#[test]
fn a_stop_that_is_asked_for_while_it_reads_its_keys_is_not_lost() {
    with_site(&[], site(), async |lab| {
        let key = lab.running.directory().file("ec2.key");
        let pipe = lab.running.directory().file("pipe");
        let mut ec2 = Ec2::new(lab, &[("ec2.key", "pipe")]);
        let mut made = Command::new("mkfifo");
        assert!(made.args(["-m", "600"]).arg(&pipe).status().unwrap().success());
        // Its start waits for the key.
        ec2.start("withdraw");
        let pid = ec2.lab.running.process("changed").unwrap().pid();
        eventually("a program that listens for SIGTERM", async || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).context("no signals")?;
            ensure!(u64::from_str_radix(caught.trim(), 16)? & 1 << 14 != 0, "{caught}");
            Ok(())
        })
        .await;
        ec2.lab.running.process("changed").unwrap().signal(Signal::Terminate).unwrap();
        std::fs::write(&pipe, std::fs::read(key).unwrap()).unwrap();
        let process = ec2.lab.running.process("changed").unwrap();
        let status = process.wait(common::DEADLINE).await.unwrap();
        assert!(status.success(), "{status}: {}", process.output());
        assert!(process.output().contains("stopping"), "{}", process.output());
        ec2.has_no_device();
    });
}
