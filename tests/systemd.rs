//! The Debian package on a machine with systemd as its first process: installed, restarted, killed, hung, upgraded, purged.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use common::pair::site;
use common::systemd::{Machine, PROGRAMS};
use common::with_site;

#[test]
fn boot_only() {
    with_site(&PROGRAMS, site(), async |lab| {
        let machine = Machine::boot(lab.node("ec2")).await;
        eprintln!("{}", machine.run("systemctl is-system-running; ip -br a; id; cat /proc/1/cgroup; mount; hostname; ps ax; systemctl --no-pager --failed; systemd-detect-virt").unwrap());
        eprintln!("{:#?}", machine.changed());
    });
}
