//! packaging/kubernetes, rendered by kubectl.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use config::settings::OnStop;
use serde_json::{Value, json};
use tempfile::TempDir;
use vpngw::cli::SEND_TIME;
use vpngw::daemon::STOP_TIME;

use crate::common::{binary, output};
use crate::tools::{End, Tools, at, list, only, packaging, repository, text, word, words};

/// The oldest Kubernetes that is looked at; and the newest one that the validator knows.
const VERSIONS: [Option<&str>; 2] = [Some("1.30"), None];

/// The kustomization as an owner has it: copied, with key files beside it.
struct Copy {
    directory: TempDir,
}

impl Copy {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut copy = Command::new("cp");
        copy.arg("--recursive").arg(packaging("kubernetes")).arg(directory.path());
        output(copy).unwrap();
        let copy = Self { directory };
        for name in ["wg0.key", "aws.psk", "cilium.password"] {
            std::fs::write(copy.overlay().join(name), format!("the secret in {name}\n")).unwrap();
        }
        copy
    }

    fn base(&self) -> PathBuf {
        self.directory.path().join("kubernetes/base")
    }

    fn overlay(&self) -> PathBuf {
        self.directory.path().join("kubernetes/homelab-aws")
    }

    /// Renders a directory into a file.
    fn render(&self, tools: &Tools, directory: &Path) -> PathBuf {
        let rendered = self.directory.path().join("rendered.yaml");
        std::fs::write(&rendered, tools.kustomize(directory).unwrap()).unwrap();
        rendered
    }
}

/// The overlay's documents.
fn overlay(tools: &Tools) -> &'static [Value] {
    static RENDERED: OnceLock<Value> = OnceLock::new();
    list(RENDERED.get_or_init(|| {
        let copy = Copy::new();
        tools.read(&copy.render(tools, &copy.overlay())).unwrap()
    }))
}

fn pod(documents: &[Value]) -> &Value {
    at(only(documents, "Deployment"), "/spec/template/spec")
}

fn container(documents: &[Value]) -> &Value {
    let [container] = list(at(pod(documents), "/containers")) else { panic!("not one container") };
    container
}

#[test]
fn base_and_overlay_are_what_kubernetes_takes() {
    let Some(tools) = Tools::find() else { return };
    let copy = Copy::new();
    for directory in [copy.base(), copy.overlay()] {
        let rendered = copy.render(&tools, &directory);
        for version in VERSIONS {
            let said = tools.kubernetes_validate(&rendered, version);
            assert!(said.is_ok(), "{}, {version:?}: {said:?}", directory.display());
        }
    }
}

#[test]
fn the_validator_refuses_a_field_that_kubernetes_does_not_know() {
    let Some(tools) = Tools::find() else { return };
    let copy = Copy::new();
    let deployment = copy.base().join("deployment.yaml");
    let text = std::fs::read_to_string(&deployment).unwrap();
    std::fs::write(&deployment, text.replace("hostNetwork: true", "hostNetworks: true")).unwrap();
    let rendered = copy.render(&tools, &copy.overlay());
    for version in VERSIONS {
        assert!(tools.kubernetes_validate(&rendered, version).is_err(), "{version:?}");
    }
}

#[test]
fn nothing_but_the_gateway_is_installed() {
    let Some(tools) = Tools::find() else { return };
    let documents = overlay(&tools);
    let kinds: Vec<&str> = documents.iter().map(|document| word(at(document, "/kind"))).collect();
    let expected = ["ConfigMap", "Deployment", "Namespace", "Secret", "ServiceAccount"];
    assert_eq!(kinds.iter().copied().collect::<BTreeSet<_>>(), expected.into());
    assert_eq!(kinds.len(), expected.len());
    let namespace = at(only(documents, "Namespace"), "/metadata/name");
    for document in documents.iter().filter(|document| document["kind"] != "Namespace") {
        assert_eq!(at(document, "/metadata/namespace"), namespace, "{document:#}");
    }
}

/// What must stand in the pod's template whatever the site is, by pointer.
fn needed() -> Value {
    json!({
        "/hostNetwork": true,
        // Of the node: the tunnel's endpoint resolves while the cluster's DNS is down.
        "/dnsPolicy": "Default",
        "/automountServiceAccountToken": false,
        "/enableServiceLinks": false,
        "/securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        // File capabilities need the escalation; `privileged` is not there.
        "/containers/0/securityContext": {
            "allowPrivilegeEscalation": true,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"], "add": ["NET_ADMIN", "NET_BIND_SERVICE"] },
        },
    })
}

/// What must not be there at all.
const ABSENT: [&str; 6] = [
    "/hostPID",
    "/hostIPC",
    "/initContainers",
    "/containers/0/env",
    "/containers/0/envFrom",
    "/containers/0/resources/limits/cpu",
];

#[test]
fn the_pod_has_what_it_needs_and_no_more() {
    let Some(tools) = Tools::find() else { return };
    let documents = overlay(&tools);
    let pod = pod(documents);
    for (pointer, expected) in needed().as_object().unwrap() {
        assert_eq!(at(pod, pointer), expected, "{pointer}");
    }
    for pointer in ABSENT {
        assert_eq!(pod.pointer(pointer), None, "{pointer}");
    }
    let account = only(documents, "ServiceAccount");
    assert_eq!(at(pod, "/serviceAccountName"), at(account, "/metadata/name"));
    assert_eq!(*at(account, "/automountServiceAccountToken"), json!(false));
}

#[test]
fn two_gateways_never_run_on_one_address() {
    let Some(tools) = Tools::find() else { return };
    let documents = overlay(&tools);
    let deployment = only(documents, "Deployment");
    assert_eq!(*at(deployment, "/spec/replicas"), json!(1));
    assert_eq!(*at(deployment, "/spec/strategy"), json!({ "type": "Recreate" }));
    // The scheduler knows host ports: a second pod finds no room on the node.
    for port in list(at(container(documents), "/ports")) {
        assert_eq!(at(port, "/hostPort"), at(port, "/containerPort"));
    }
}

#[test]
fn the_namespace_lets_the_pod_in() {
    let Some(tools) = Tools::find() else { return };
    let documents = overlay(&tools);
    let labels = at(only(documents, "Namespace"), "/metadata/labels");
    for mode in ["enforce", "audit", "warn"] {
        assert_eq!(labels[format!("pod-security.kubernetes.io/{mode}")], "privileged", "{mode}");
    }
}

#[test]
fn the_declared_ports_are_those_of_the_configuration() {
    let Some(tools) = Tools::find() else { return };
    let home = End::example("home");
    let declared: BTreeSet<(String, u64)> = list(at(container(overlay(&tools)), "/ports"))
        .iter()
        .map(|port| (word(at(port, "/protocol")).to_owned(), at(port, "/hostPort").as_u64().unwrap()))
        .collect();
    let mut configured = BTreeSet::from([("UDP".to_owned(), u64::from(home.tunnel().listen_port))]);
    configured
        .extend(home.config.bgp.unwrap().listen.iter().map(|socket| ("TCP".to_owned(), u64::from(socket.port()))));
    assert_eq!(declared, configured);
}

#[test]
fn the_probes_ask_where_the_gateway_listens() {
    let Some(tools) = Tools::find() else { return };
    let documents = overlay(&tools);
    let observe = End::example("home").config.control.observe;
    for (probe, path) in [("startup", "/healthz"), ("liveness", "/healthz"), ("readiness", "/readyz")] {
        let asked = at(container(documents), &format!("/{probe}Probe/httpGet"));
        assert_eq!(*at(asked, "/path"), json!(path), "{probe}");
        // The kubelet's default is the node's address.
        let socket = format!("{}:{}", word(at(asked, "/host")), at(asked, "/port"));
        assert!(observe.iter().any(|listener| listener.to_string() == socket), "{probe}: {socket}");
        assert!(socket.starts_with("127.0.0.1:"), "{probe}: {socket}");
    }
}

#[test]
fn every_file_that_the_configuration_names_is_mounted() {
    let Some(tools) = Tools::find() else { return };
    let documents = overlay(&tools);
    let home = End::example("home");
    let directory = mount_path(documents, "configuration");
    let sources = list(at(volume(documents, "configuration"), "/projected/sources"));
    let mut mounted = BTreeMap::new();
    for source in sources {
        for (kind, name) in [("ConfigMap", "/configMap/name"), ("Secret", "/secret/name")] {
            let Some(name) = source.pointer(name) else { continue };
            let object = only(documents, kind);
            assert_eq!(at(object, "/metadata/name"), name, "kustomize has not put the hash in");
            let files = at(object, "/data").as_object().unwrap();
            mounted.extend(files.keys().map(|file| (Path::new(directory).join(file), kind)));
        }
    }
    // `run` reads this file unless told; a key in a ConfigMap would be there for everyone.
    let mut expected: BTreeMap<_, _> = home.secrets.into_iter().map(|path| (path, "Secret")).collect();
    expected.insert("/etc/vpngw/vpngw.toml".into(), "ConfigMap");
    assert_eq!(mounted, expected);
    // A key file that others may read is refused.
    assert_eq!(at(volume(documents, "configuration"), "/projected/defaultMode").as_u64(), Some(0o440));
}

#[test]
fn the_configuration_map_is_the_example() {
    let Some(tools) = Tools::find() else { return };
    let map = only(overlay(&tools), "ConfigMap");
    let example = std::fs::read_to_string(repository("config/examples/home.toml")).unwrap();
    assert_eq!(word(at(map, "/data/vpngw.toml")), example);
}

#[test]
fn the_socket_and_the_tunnel_device_have_their_places() {
    let Some(tools) = Tools::find() else { return };
    let documents = overlay(&tools);
    let socket = End::example("home").config.control.socket;
    assert_eq!(socket.parent(), Some(Path::new(mount_path(documents, "run"))));
    assert_eq!(*at(volume(documents, "run"), "/emptyDir/medium"), json!("Memory"));
    assert_eq!(mount_path(documents, "tun"), "/dev/net/tun");
    let device = json!({ "path": "/dev/net/tun", "type": "CharDevice" });
    assert_eq!(*at(volume(documents, "tun"), "/hostPath"), device);
}

#[test]
fn a_pod_sets_no_sysctls() {
    let kernel = End::example("home").config.kernel;
    assert_eq!((kernel.forwarding, kernel.rp_filter), (None, None), "/proc/sys is read-only there");
}

#[test]
fn the_pods_commands_are_ones_that_the_program_knows() {
    let Some(tools) = Tools::find() else { return };
    let documents = overlay(&tools);
    let container = container(documents);
    let run: Vec<&str> = list(at(container, "/args")).iter().map(word).collect();
    let mut help = Command::new(binary());
    help.args(run).arg("--help");
    assert!(output(help).unwrap().contains("/etc/vpngw/vpngw.toml"));

    let stop: Vec<&str> = list(at(container, "/lifecycle/preStop/exec/command")).iter().map(word).collect();
    assert_eq!(stop[0], "/vpngw", "the image has no shell and no PATH");
    // Nobody listens there: failed, and not a usage error.
    let status = Command::new(binary()).args(&stop[1..]).args(["--socket", "/nonexistent"]).status().unwrap();
    assert_eq!(status.code(), Some(1), "{stop:?}");
}

#[test]
fn the_image_is_the_one_of_this_version() {
    let Some(tools) = Tools::find() else { return };
    let image = word(at(container(overlay(&tools)), "/image"));
    assert!(image.ends_with(concat!("/vpngw:", env!("CARGO_PKG_VERSION"))), "{image}");
}

#[test]
fn a_pod_that_moves_leaves_no_routes_behind() {
    assert_eq!(End::example("home").config.on_stop, OnStop::Withdraw);
}

#[test]
fn the_drain_ends_within_the_grace_period() {
    let Some(tools) = Tools::find() else { return };
    let documents = overlay(&tools);
    let command = words(at(container(documents), "/lifecycle/preStop/exec/command"));
    let wait = command.iter().find_map(|word| word.strip_suffix('s')?.parse().ok()).map(Duration::from_secs).unwrap();
    let grace = Duration::from_secs(at(pod(documents), "/terminationGracePeriodSeconds").as_u64().unwrap());
    // A neighbor that does not read, and a kernel that does not answer.
    let worst = SEND_TIME + wait + STOP_TIME;
    // Half as much again, for a busy node to start the command and to end the process.
    assert!(worst * 3 / 2 <= grace, "{SEND_TIME:?} + {wait:?} + {STOP_TIME:?}, of {grace:?}");
}

#[test]
fn secrets_stay_out_of_git() {
    let ignored = text("kubernetes/homelab-aws/.gitignore");
    for path in End::example("home").secrets {
        let extension = path.extension().unwrap().to_str().unwrap();
        assert!(ignored.lines().any(|line| line == format!("*.{extension}")), "{}", path.display());
    }
}

fn volume<'a>(documents: &'a [Value], name: &str) -> &'a Value {
    list(at(pod(documents), "/volumes")).iter().find(|volume| volume["name"] == name).unwrap()
}

fn mount_path<'a>(documents: &'a [Value], volume: &str) -> &'a str {
    let mounts = list(at(container(documents), "/volumeMounts"));
    word(at(mounts.iter().find(|mount| mount["name"] == volume).unwrap(), "/mountPath"))
}
