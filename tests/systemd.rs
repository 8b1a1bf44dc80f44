//! The Debian package on a machine with systemd as its first process: installed, restarted, killed, hung, upgraded, removed.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use common::pair::{ENDS, PODS, site};
use common::systemd::{Machine, PROGRAMS};
use common::{Lab, eventually, packages, with_site};
use serde_json::Value;
use vpngw::lab::site::Expectation;

/// CAP_NET_BIND_SERVICE (10) and CAP_NET_ADMIN (12).
const CAPABILITIES: &str = "0000000000001400";
/// The worst exposure that `systemd-analyze security` may find, of 10.
const EXPOSURE: f64 = 2.0;

/// The package of what is under test.
fn package() -> Option<PathBuf> {
    packages::find("vpngw_", ".deb", "packaging/deb/build")
}

/// Boots a machine in place of the EC2 gateway and installs the package as its users do.
async fn installed(lab: &Lab, package: &Path) -> Machine {
    let machine = Machine::boot(lab.node("ec2")).await;
    machine.put(package, "/tmp/vpngw.deb");
    apt(&machine, "install /tmp/vpngw.deb");
    machine
}

fn apt(machine: &Machine, what: &str) -> String {
    let command = format!("DEBIAN_FRONTEND=noninteractive apt-get -o Apt::Cmd::Disable-Script-Warning=1 -y {what}");
    machine.run(&command).unwrap()
}

/// The site's configuration of this end, as its owner would write it into /etc/vpngw.
fn configure(lab: &Lab, machine: &Machine) {
    let directory = lab.running.directory();
    let home = directory.public_key("home").unwrap().to_string();
    let text = include_str!("common/pair/ec2.toml").replace("${LAB}/ec2.sock", "/run/vpngw/vpngw.sock");
    let text = text.replace("${LAB}", "/etc/vpngw").replace("${HOME_PUBLIC_KEY}", &home);
    let text = format!("{text}group = 'vpngw'\n[kernel]\nforwarding = true\nrp-filter = false\n");
    for key in ["ec2.key", "tunnel.psk"] {
        machine.put(&directory.file(key), &format!("/etc/vpngw/{key}"));
    }
    machine.write("/etc/vpngw/vpngw.toml", text.as_bytes());
    machine.run("chmod 0640 /etc/vpngw/*").unwrap();
}

/// Tunnel, session, kernel routes and packets.
async fn works(lab: &Lab) {
    lab.expect(Expectation::Tunnel { gateway: "home", peer: "aws" }).await;
    lab.expect(Expectation::Session { gateway: "home", neighbor: "aws" }).await;
    for prefix in PODS {
        lab.kernel_route("ec2", prefix, true).await;
    }
    for (pod, instance) in ENDS {
        lab.pings("pod", pod, instance).await;
    }
}

/// The service's process, once it is up.
async fn running(machine: &Machine) -> u32 {
    eventually("the service", async || {
        ensure!(property(machine, "ActiveState")? == "active", "{}", machine.run("systemctl --no-pager status vpngw")?);
        Ok(property(machine, "MainPID")?.parse()?)
    })
    .await
}

/// The service's process, once it is another one.
async fn running_again(machine: &Machine, before: u32) -> u32 {
    eventually("the service's new process", async || {
        let now = running(machine).await;
        ensure!(now != before, "it is still {now}");
        Ok(now)
    })
    .await
}

fn property(machine: &Machine, name: &str) -> anyhow::Result<String> {
    Ok(machine.run(&format!("systemctl show --property {name} --value vpngw"))?.trim().to_owned())
}

/// Does something, and finds that neither a route of ours nor the device went away meanwhile.
async fn keeps_routes(lab: &mut Lab, name: &str, what: impl AsyncFnOnce(&mut Lab)) {
    let mut monitor = lab.node("ec2").command("ip");
    monitor.args(["monitor", "link", "address", "route"]);
    lab.running.run(name, monitor).unwrap();
    let passes = async |lab: &mut Lab, marker: &str| {
        eventually("what the monitor says of a route", async || {
            for verb in ["add", "delete"] {
                lab.output("ec2", "ip", &["route", verb, marker, "dev", "lo"])?;
            }
            let said = lab.running.process(name)?.output();
            ensure!(said.contains(marker), "{said}");
            Ok(said)
        })
        .await
    };
    passes(lab, "192.0.2.1").await;
    what(lab).await;
    let said = passes(lab, "192.0.2.2").await;
    let lost: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("Deleted") && (line.contains("proto 157") || line.contains("wg0")))
        .collect();
    assert!(lost.is_empty(), "{lost:#?}\n{said}");
    lab.kill(name).await;
}

/// Boots a machine, installs the package, and has it work. Returns what the machine had changed before that.
async fn at_work(lab: &mut Lab, package: &Path) -> (Machine, BTreeSet<PathBuf>) {
    let machine = Machine::boot(lab.node("ec2")).await;
    let before = machine.changed();
    lab.output("ec2", "sh", &["-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"]).unwrap();
    machine.put(package, "/tmp/vpngw.deb");
    apt(&machine, "install /tmp/vpngw.deb");
    assert_eq!(machine.run("stat -c '%a %U:%G' /etc/vpngw").unwrap().trim(), "2750 root:vpngw");
    // Without a configuration it is enabled and does not start.
    assert_eq!(machine.run("systemctl is-enabled vpngw").unwrap().trim(), "enabled");
    assert_eq!(property(&machine, "ActiveState").unwrap(), "inactive");
    configure(lab, &machine);
    lab.start("home");
    machine.run("systemctl start vpngw").unwrap();
    works(lab).await;
    (machine, before)
}

#[test]
fn the_package_runs_and_restarts_without_losing_a_route() {
    let Some(package) = package() else { return };
    with_site(&[&PROGRAMS[..], &["wg"]].concat(), site(), async |lab| {
        let (machine, _) = at_work(lab, &package).await;
        has_no_more_rights_than_it_needs(&machine).await;
        let kill = "kill -9 $(systemctl show -P MainPID vpngw)";
        for (name, command) in [("a restart", "systemctl restart vpngw"), ("a crash", kill)] {
            let process = running(&machine).await;
            keeps_routes(lab, name, async |lab| {
                machine.run(command).unwrap();
                running_again(&machine, process).await;
                works(lab).await;
            })
            .await;
        }
        a_hung_process_is_replaced(lab, &machine).await;
        machine.run("vpngw stop --withdraw").unwrap();
    });
}

#[test]
fn the_package_is_upgraded_without_losing_a_route_and_goes_without_leaving_one() {
    let Some(package) = package() else { return };
    with_site(&[&PROGRAMS[..], &["dpkg-deb"]].concat(), site(), async |lab| {
        let (machine, before) = at_work(lab, &package).await;
        an_upgrade_keeps_routes(lab, &machine).await;

        // Removed while it runs; what its owner made stays.
        apt(&machine, "remove vpngw");
        nothing_in_the_kernel(lab);
        assert!(machine.run("ls /etc/vpngw").unwrap().contains("ec2.key"));
        apt(&machine, "install /tmp/vpngw.deb");
        works(lab).await;

        // Removed while it fails and is started again and again, with a configuration that nobody can read any more.
        machine.run("cd /etc/vpngw && cp -p vpngw.toml good && echo '[' >>vpngw.toml").unwrap();
        assert!(!machine.sh("systemctl restart vpngw").unwrap().status.success());
        eventually("the wait for the next start", async || {
            let state = property(&machine, "SubState")?;
            ensure!(state == "auto-restart", "{state}");
            Ok(())
        })
        .await;
        for prefix in PODS {
            lab.kernel_route("ec2", prefix, true).await;
        }
        apt(&machine, "remove vpngw");
        nothing_in_the_kernel(lab);
        machine.run("mv /etc/vpngw/good /etc/vpngw/vpngw.toml").unwrap();
        apt(&machine, "install /tmp/vpngw.deb");
        works(lab).await;

        // Purged while it does not run and has kept its routes.
        machine.run("systemctl stop vpngw").unwrap();
        for prefix in PODS {
            lab.kernel_route("ec2", prefix, true).await;
        }
        apt(&machine, "purge vpngw");
        nothing_in_the_kernel(lab);
        nothing_in_the_files(&machine, &before);
    });
}

async fn has_no_more_rights_than_it_needs(machine: &Machine) {
    let process = running(machine).await;
    let status = machine.run(&format!("cat /proc/{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap()
    };
    let user = machine.run("id -u vpngw").unwrap();
    assert_ne!(user.trim(), "0");
    assert_eq!(field("Uid"), [user.trim(); 4].join(" "));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), CAPABILITIES, "{set}");
    }
    assert_eq!((field("NoNewPrivs"), field("Seccomp")), ("1".to_owned(), "2".to_owned()));
    let limits = machine.run(&format!("cat /proc/{process}/limits")).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"]);
    // It could set what its sandbox protects everything else of.
    assert_eq!(
        machine.run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/wg0/rp_filter").unwrap(),
        "1\n0\n"
    );
    assert_eq!(machine.run("stat -c '%a %U:%G' /run/vpngw/vpngw.sock").unwrap().trim(), "660 vpngw:vpngw");
    assert!(machine.run("ip route show proto vpngw").unwrap().contains(PODS[0]));
    // root's own
    assert_eq!(machine.run("stat -c '%a %U:%G' /run/wireguard/wg0.sock").unwrap().trim(), "600 vpngw:vpngw");
    assert!(machine.run("wg show wg0 allowed-ips").unwrap().contains(PODS[0]));
}

async fn a_hung_process_is_replaced(lab: &mut Lab, machine: &Machine) {
    let hasty = "[Service]\nWatchdogSec=10s\nTimeoutAbortSec=1s\n";
    machine.write("/etc/systemd/system/vpngw.service.d/hasty.conf", hasty.as_bytes());
    machine.run("systemctl daemon-reload && systemctl restart vpngw").unwrap();
    let process = running(machine).await;
    // It pings: it lives longer than it could without.
    eventually("fifteen seconds of life", async || {
        let status: Value = serde_json::from_str(&machine.run("vpngw show status --json")?)?;
        ensure!(status["uptime_seconds"].as_f64().context("no uptime")? > 15.0, "{status}");
        Ok(())
    })
    .await;
    assert_eq!(running(machine).await, process);
    keeps_routes(lab, "a hang", async |lab| {
        machine.run(&format!("kill -STOP {process}")).unwrap();
        running_again(machine, process).await;
        works(lab).await;
    })
    .await;
    let journal = machine.run("journalctl --no-pager -u vpngw").unwrap();
    assert!(journal.contains("Watchdog timeout"), "{journal}");
    machine.run("rm -r /etc/systemd/system/vpngw.service.d && systemctl daemon-reload").unwrap();
}

async fn an_upgrade_keeps_routes(lab: &mut Lab, machine: &Machine) {
    let process = running(machine).await;
    let repack = "cd /tmp && dpkg-deb -R vpngw.deb next && sed -i 's/^Version: .*/&+next/' next/DEBIAN/control \
                  && dpkg-deb -Znone -b next next.deb";
    machine.run(repack).unwrap();
    keeps_routes(lab, "an upgrade", async |lab| {
        apt(machine, "install /tmp/next.deb");
        running_again(machine, process).await;
        works(lab).await;
    })
    .await;
    assert!(machine.run("dpkg-query -W -f '${Version}' vpngw").unwrap().ends_with("+next"));
    // What its owner has stopped stays so.
    machine.run("systemctl stop vpngw").unwrap();
    apt(machine, "install --reinstall /tmp/next.deb");
    assert_eq!(property(machine, "ActiveState").unwrap(), "inactive");
    machine.run("systemctl start vpngw").unwrap();
    works(lab).await;
}

fn nothing_in_the_kernel(lab: &Lab) {
    assert!(lab.ip_routes("ec2", "157").unwrap().is_empty());
    let links = lab.output("ec2", "ip", &["-brief", "link"]).unwrap();
    assert!(links.contains("lo") && !links.contains("wg0"), "{links}");
}

/// But for the books of dpkg and apt, and logs.
fn nothing_in_the_files(machine: &Machine, before: &BTreeSet<PathBuf>) {
    const BOOKS: [&str; 8] = [
        "/var/lib/dpkg",
        "/var/lib/apt",
        "/var/lib/PackageKit",
        "/var/lib/systemd/timers",
        "/var/cache/apt",
        "/var/cache/debconf",
        "/var/cache/man",
        "/var/log",
    ];
    // The lists of users and groups, and the copies that their tools make.
    let lists = ["passwd", "group", "shadow", "gshadow", "subuid", "subgid"];
    for list in lists {
        let (now, then) =
            (machine.run(&format!("cat /etc/{list}")).unwrap(), fs::read(format!("/etc/{list}")).unwrap());
        assert_eq!(now.as_bytes(), then, "/etc/{list}");
    }
    let is_list = |file: &Path| {
        lists.iter().any(|list| [format!("/etc/{list}"), format!("/etc/{list}-")].contains(&file.display().to_string()))
    };
    let after = machine.changed();
    let left: Vec<_> = after
        .difference(before)
        .filter(|file| !BOOKS.iter().any(|book| file.starts_with(book)) && !is_list(file))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    for list in ["passwd", "group"] {
        // 2: there is no such entry.
        assert_eq!(machine.sh(&format!("getent {list} vpngw")).unwrap().status.code(), Some(2), "{list}");
    }
    assert_eq!(
        machine.run("find /etc/vpngw /run/vpngw /run/wireguard /var/lib/vpngw 2>/dev/null || true").unwrap(),
        ""
    );
}

#[test]
fn a_start_that_fails_says_why_in_one_sentence() {
    let Some(package) = package() else { return };
    with_site(&PROGRAMS, site(), async |lab| {
        let machine = installed(lab, &package).await;
        configure(lab, &machine);
        machine.run("rm /etc/vpngw/ec2.key").unwrap();
        assert!(machine.run("systemctl start vpngw").is_err());
        eventually("the sentence", async || {
            let said = machine.sh("systemctl --no-pager --full status vpngw")?.stdout;
            let said = String::from_utf8_lossy(&said);
            let status = said
                .lines()
                .find(|line| line.trim_start().starts_with("Status: "))
                .with_context(|| said.to_string())?;
            ensure!(status.contains("/etc/vpngw/ec2.key"), "{status}");
            eprintln!("{status}");
            Ok(())
        })
        .await;
        // It tries again, and comes back when the file does.
        machine.put(&lab.running.directory().file("ec2.key"), "/etc/vpngw/ec2.key");
        machine.run("chmod 0640 /etc/vpngw/ec2.key").unwrap();
        running(&machine).await;

        // A group that the service's user is not in.
        machine.run("sed -i \"s/^group = .*/group = 'adm'/\" /etc/vpngw/vpngw.toml").unwrap();
        assert!(!machine.sh("systemctl restart vpngw").unwrap().status.success());
        let said = machine.run("journalctl --no-pager -u vpngw").unwrap();
        assert!(said.contains("to group adm (our user is not in it: SupplementaryGroups=adm in"), "{said}");
        machine.write("/etc/systemd/system/vpngw.service.d/group.conf", b"[Service]\nSupplementaryGroups=adm\n");
        machine.run("systemctl daemon-reload && systemctl restart vpngw").unwrap();
        assert_eq!(machine.run("stat -c '%a %U:%G' /run/vpngw/vpngw.sock").unwrap().trim(), "660 vpngw:adm");
        machine.run("vpngw stop --withdraw").unwrap();
    });
}

#[test]
fn the_unit_is_sound_and_little_exposed() {
    let Some(package) = package() else { return };
    with_site(&PROGRAMS, site(), async |lab| {
        let machine = installed(lab, &package).await;
        let said = machine.sh("systemd-analyze verify vpngw.service 2>&1").unwrap();
        assert!(said.status.success() && said.stdout.is_empty(), "{}", String::from_utf8_lossy(&said.stdout));
        let said = machine.run("systemd-analyze security --no-pager vpngw.service").unwrap();
        let last = said.lines().last().unwrap();
        eprintln!("{last}");
        let level = last.split_once("vpngw.service: ").unwrap().1.split(' ').next().unwrap();
        assert!(level.parse::<f64>().unwrap() < EXPOSURE, "{said}");
    });
}

#[test]
fn in_the_image_of_a_machine_it_makes_its_directory_and_a_user_of_somebody_else_stays() {
    let Some(package) = package() else { return };
    with_site(&PROGRAMS, site(), async |lab| {
        let machine = Machine::boot(lab.node("ec2")).await;
        machine.put(&package, "/tmp/vpngw.deb");
        machine.run("useradd --system --user-group --home-dir /srv/vpngw vpngw").unwrap();
        // As where systemd does not run.
        let without = "unshare --mount sh -c 'mount -t tmpfs none /run/systemd && dpkg --install /tmp/vpngw.deb'";
        machine.run(without).unwrap();
        assert_eq!(machine.run("stat -c '%a %U:%G' /etc/vpngw").unwrap().trim(), "2750 root:vpngw");
        machine.run("dpkg --purge vpngw").unwrap();
        assert!(!machine.run("ls /etc").unwrap().lines().any(|name| name == "vpngw"));
        assert!(machine.run("getent passwd vpngw").unwrap().contains(":/srv/vpngw:"));
        machine.run("getent group vpngw").unwrap();
    });
}
