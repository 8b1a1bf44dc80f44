//! The two installation guides, followed command by command as far as no cloud is needed: the package under systemd on
//! the EC2 end, the image as the gateway pod at home, GoBGP for Cilium, FRR with UniFi's file for the edge router.
#![allow(clippy::unwrap_used)]

#[path = "guides/cluster.rs"]
mod cluster;
mod common;
#[path = "guides/page.rs"]
mod page;
#[path = "guides/shell.rs"]
mod shell;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cluster::Cluster;
use common::gobgp::{Families, Settings};
use common::systemd::Machine;
use common::{DEADLINE, Lab, PAUSE, binary, container, packages, systemd, with_site};
use page::{CLOUD, Guide, Step};
use shell::Shell;
use vpngw::lab::homelab_aws;
use vpngw::lab::site::Site;

const EC2: &str = "install-ec2.md";
const HOME: &str = "install-kubernetes.md";
/// Beside what the image and the machine need.
const PROGRAMS: [&str; 5] = ["gobgpd", "gobgp", "bgpd", "zebra", "vtysh"];

/// Everything on either page, in the order in which an owner comes to it.
const ORDER: [(&str, &[&str]); 5] = [
    (
        EC2,
        &["1. The VPC", "2. The home end's keys", "3. The package", "4. Its keys", "5. Its configuration", "6. Start"],
    ),
    (
        HOME,
        &[
            "1. The node",
            "2. The configuration",
            "3. The image",
            "4. The pod",
            "5. Cilium",
            "6. The edge router",
            "7. See it work",
        ],
    ),
    (EC2, &["When it does not work", "Upgrade"]),
    (HOME, &["When it does not work", "Upgrade", "Remove"]),
    (EC2, &["Remove"]),
];

/// The home end's directory, below the workstation's copy of the sources.
const SITE: &str = "packaging/kubernetes/site";

/// Commands that look at what takes its time.
const LOOKS: [&str; 4] = ["vpngw show", "ping ", "ip route", "is-active"];

/// Cilium's nodes as step 5 of the home end has them: name, node, AS, address, what it announces.
const NODES: [(&str, &str, u32, &str, &[&str]); 3] = [
    ("cilium-195", "home", 64512, "192.168.2.195", &["10.244.0.0/24"]),
    ("cilium-19", "node-19", 64512, "192.168.2.19", &["10.244.1.0/24", "192.168.2.201/32"]),
    ("cilium-20", "node-20", 64520, "192.168.2.20", &["10.245.1.0/24", "192.168.2.202/32"]),
];

/// The networks and hosts of the site; its gateways come from the guides. The instance does not forward before
/// `forwarding = true` makes it.
fn site() -> Site {
    let mut site = homelab_aws::site();
    site.gateways.clear();
    site.nodes.iter_mut().filter(|node| node.name == "ec2").for_each(|node| node.forwards = false);
    site
}

#[test]
fn both_guides_lead_from_nothing_to_a_ping_and_back() {
    let Some(cluster) = Cluster::new("home") else { return };
    let Some(package) = packages::find("vpngw_", ".deb", "packaging/deb/build") else { return };
    let programs = [&PROGRAMS[..], &container::PROGRAMS, &systemd::PROGRAMS].concat();
    with_site(&programs, site(), async |lab| {
        let guides = BTreeMap::from([(EC2, Guide::read(EC2)), (HOME, Guide::read(HOME))]);
        let mut reader = Reader::new(lab, cluster, &package).await;
        let mut followed = 0;
        for (page, titles) in ORDER {
            for title in titles {
                beside_the_page(lab, &reader, page, title).await;
                let section = guides[page].section(title);
                for step in &section.steps {
                    reader.follow(lab, step).await;
                }
                followed += 1;
            }
        }
        let sections: usize = guides.values().map(|guide| guide.sections.len()).sum();
        assert_eq!(followed, sections, "a section is not followed");
    });
}

#[test]
fn every_file_that_a_guide_names_is_there() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    // Not made in a working tree, but beside this one.
    let site = docs.join("../packaging/kubernetes/homelab-aws");
    let mut named = 0;
    for page in [EC2, HOME] {
        let text = fs::read_to_string(docs.join(page)).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        let links = links.map(|(link, _)| link.split('#').next().unwrap()).filter(|link| !link.is_empty());
        let steps = Guide::read(page).sections.into_iter().flat_map(|section| section.steps);
        let words: Vec<String> = steps.flat_map(|step| own_words(&step.command)).collect();
        for path in links.map(|link| docs.join(link)).chain(words.iter().map(|word| site.join(word))) {
            assert!(path.exists(), "{page} names {}", path.display());
            named += 1;
        }
    }
    assert!(named > 15, "{named}");
}

/// The files of packaging/ in a command that is typed in the home end's directory.
fn own_words(command: &str) -> Vec<String> {
    let words = command.split_whitespace().map(|word| word.trim_start_matches('@'));
    words.filter(|word| word.starts_with("../../") && !word.starts_with("../../../")).map(str::to_owned).collect()
}

/// What happens in a cloud or on a router when a section is reached, whose commands are not followed here.
async fn beside_the_page(lab: &mut Lab, reader: &Reader, page: &str, title: &str) {
    match (page, title) {
        (HOME, "2. The configuration") => {
            let copy = lab.running.directory().file(SITE).join("ec2.toml");
            fs::write(copy, reader.machine.run("cat /etc/vpngw/vpngw.toml").unwrap()).unwrap();
        }
        (HOME, "5. Cilium") => {
            let password = fs::read_to_string(lab.running.directory().file(SITE).join("cilium.password")).unwrap();
            for (name, node, asn, address, prefixes) in NODES {
                let settings = Settings {
                    asn,
                    router_id: address,
                    neighbors: &[("192.168.2.195", 64512)],
                    families: Families::Own,
                    // As Cilium takes it: a newline would be a part of it.
                    password: Some(&password),
                };
                let gobgp = lab.gobgp(name, node, &settings).await;
                prefixes.iter().for_each(|prefix| gobgp.announce(prefix));
            }
        }
        (HOME, "6. The edge router") => {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/unifi/bgp.conf");
            lab.frr("edge", "edge", &fs::read_to_string(file).unwrap()).await;
        }
        _ => {}
    }
}

/// A shell that a command which hangs does not hold for ever.
fn patient(mut timeout: Command) -> Command {
    timeout.args(["900", "bash"]);
    timeout
}

/// Who sits at the shells.
struct Reader {
    cluster: Cluster,
    machine: Machine,
    shells: BTreeMap<&'static str, Shell>,
}

impl Reader {
    async fn new(lab: &Lab, cluster: Cluster, package: &Path) -> Self {
        let machine = Machine::boot(lab.node("ec2")).await;
        machine.put(package, &format!("/root/{}", package.file_name().unwrap().display()));
        let mut ec2 = Shell::start(machine.shell("cd && exec timeout 900 bash"));
        // Root needs no sudo, and this machine has none.
        ec2.run("sudo() { \"$@\"; }");
        let mut workstation = Shell::start(patient(Command::new("timeout")));
        let program = binary();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
        workstation.run(&format!(
            "cd {} && cp -r {} . && PATH={}:$PATH",
            lab.running.directory().path().display(),
            sources.display(),
            program.parent().unwrap().display()
        ));
        let node = |name| Shell::start(patient(lab.node(name).command("timeout")));
        let shells =
            [("ec2", ec2), ("workstation", workstation), ("instance", node("instance")), ("pod", node("pod-19"))];
        Self { cluster, machine, shells: shells.into() }
    }

    /// Types the command, and waits for what the page promises: what is looked at may take its time.
    async fn follow(&mut self, lab: &mut Lab, step: &Step) {
        if step.place == CLOUD {
            return;
        }
        let command = step.filled_in(|words| self.value(words));
        let started = Instant::now();
        loop {
            let (printed, code) = self.type_in(lab, &step.place, &command).await;
            if step.promises(&printed) && (code == 0 || command.starts_with("ls ")) {
                return;
            }
            let again = LOOKS.iter().any(|look| command.contains(look)) && started.elapsed() < DEADLINE;
            assert!(
                again,
                "{}: {command}\nprinted (exit code {code})\n{printed}\nwhere the page has\n{}\n{}",
                step.at,
                step.output.join("\n"),
                self.machine.story(),
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn type_in(&mut self, lab: &mut Lab, place: &str, command: &str) -> (String, i32) {
        let shell = self.shells.get_mut(place).unwrap_or_else(|| panic!("no place {place}"));
        let Some(arguments) = command.strip_prefix("kubectl ") else { return shell.run(command) };
        let (directory, _) = shell.run("pwd");
        match self.cluster.kubectl(lab, Path::new(directory.trim()), arguments).await {
            Ok(printed) => (printed, 0),
            Err(error) => (format!("{error:#}\n"), 1),
        }
    }

    /// What the reader fills in for these words, taken from where the pages say.
    fn value(&mut self, words: &str) -> String {
        let (place, command) = match words {
            "home public key" => ("workstation", "vpngw key public < wg0.key"),
            "preshared key" => ("workstation", "cat aws.psk"),
            "aws public key" => ("ec2", "vpngw key public < /etc/vpngw/wg0.key"),
            "gateway address" => return "203.0.113.10".to_owned(),
            "registry" => return "registry.example.net".to_owned(),
            _ => panic!("nobody knows <{words}>"),
        };
        let (printed, code) = self.shells.get_mut(place).unwrap().run(command);
        assert_eq!(code, 0, "{command}: {printed}");
        printed.trim().to_owned()
    }
}
