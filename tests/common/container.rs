//! The container image as a kubelet runs it: unpacked by umoci, started by crun with what a pod's manifest says.
//!
//! Neither has a daemon nor touches the machine's own containers. A container is a program of the lab like any other: its
//! standard output and its exit status are crun's, and SIGTERM to crun is SIGTERM to it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Lab, can_run, output, packages};

/// What this needs installed.
pub const PROGRAMS: [&str; 4] = ["crun", "umoci", "tar", "unshare"];

/// crun knows no cgroups of version 1, and the containers need none of either version.
const WITHOUT_CGROUPS: &str = "mount -t cgroup2 none /sys/fs/cgroup; exec crun --cgroup-manager=disabled \"$@\"";

/// The unpacked image. Dropping it ends its containers and removes everything.
pub struct Image {
    directory: TempDir,
    /// How the image says that it is run.
    process: Value,
}

/// What a manifest says of a container, in its words. What is not here is as strict as Kubernetes can have it: all
/// capabilities dropped, a read-only root.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// In place of the image's entrypoint.
    pub command: Vec<String>,
    /// In place of the image's command.
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// `runAsUser` and `runAsGroup`, in place of the image's.
    pub run_as: Option<(u32, u32)>,
    /// `capabilities.add`: `NET_ADMIN`.
    pub capabilities: Vec<String>,
    pub allow_privilege_escalation: bool,
    /// In the network of the node that it is started on; else in an empty one.
    pub host_network: bool,
    pub mounts: Vec<Mount>,
}

/// A volume, mounted.
#[derive(Clone, Debug)]
pub struct Mount {
    pub source: PathBuf,
    pub mount_path: String,
    pub read_only: bool,
}

impl Image {
    /// Unpacks what `packaging/image/build` made. Skips, and says so, where that cannot be.
    pub fn load() -> Option<Self> {
        if !can_run(&PROGRAMS) {
            return None;
        }
        let archive = packages::find("vpngw-", ".oci.tar", "packaging/image/build")?;
        // Not in /tmp, which may be mounted without capabilities of files and without devices.
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let process = unpack(&archive, directory.path()).unwrap();
        Some(Self { directory, process })
    }

    /// Runs it to its end, in an empty network; one that does not end is told to.
    pub fn run(&self, name: &str, container: &Container) -> Output {
        let mut timeout = Command::new("timeout");
        timeout.args(["--kill-after=20", "60", "unshare"]);
        self.start(timeout, name, container).output().unwrap()
    }

    /// Standard output of a command in a running container, started as the container's own was.
    pub fn exec(&self, name: &str, command: &[&str]) -> anyhow::Result<String> {
        let mut process = read(&self.bundle(name).join("config.json"))?["process"].take();
        process["args"] = json!(command);
        let file = tempfile::NamedTempFile::new_in(self.directory.path())?;
        fs::write(&file, process.to_string())?;
        let mut exec = self.crun(Command::new("unshare"));
        exec.arg("exec").arg("--process").arg(file.path()).arg(name);
        output(exec)
    }

    /// The group of its user, which `fsGroup` gives the volumes to.
    pub fn group(&self) -> u32 {
        self.process["user"]["gid"].as_u64().unwrap().try_into().unwrap()
    }

    /// A `hostPath` volume: the TUN device, with the mode that udev gives it.
    pub fn tun(&self) -> Mount {
        let node = self.directory.path().join("tun");
        if !node.exists() {
            let mut mknod = Command::new("mknod");
            mknod.args(["--mode=666"]).arg(&node).args(["c", "10", "200"]);
            output(mknod).unwrap();
        }
        Mount { source: node, mount_path: "/dev/net/tun".to_owned(), read_only: false }
    }

    /// A `projected` volume, as the kubelet lays it out.
    pub fn projected(&self, mount_path: &str, files: &[(&str, &str)]) -> Mount {
        let volume = self.volume();
        let data = volume.join("..2026_11_21_00_00_00.1");
        fs::create_dir(&data).unwrap();
        symlink(data.file_name().unwrap(), volume.join("..data")).unwrap();
        for (name, text) in files {
            let file = data.join(name);
            fs::write(&file, text).unwrap();
            chown(&file, None, Some(self.group())).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o440)).unwrap();
            symlink(Path::new("..data").join(name), volume.join(name)).unwrap();
        }
        Mount { source: volume, mount_path: mount_path.to_owned(), read_only: true }
    }

    /// An `emptyDir` volume.
    pub fn empty_dir(&self, mount_path: &str) -> Mount {
        let volume = self.volume();
        chown(&volume, None, Some(self.group())).unwrap();
        fs::set_permissions(&volume, Permissions::from_mode(0o2777)).unwrap();
        Mount { source: volume, mount_path: mount_path.to_owned(), read_only: false }
    }

    fn volume(&self) -> PathBuf {
        let volume = tempfile::Builder::new().prefix("volume").tempdir_in(self.directory.path()).unwrap().keep();
        fs::set_permissions(&volume, Permissions::from_mode(0o755)).unwrap();
        volume
    }

    fn start(&self, unshare: Command, name: &str, container: &Container) -> Command {
        let bundle = self.bundle(name);
        fs::create_dir_all(&bundle).unwrap();
        // A root of its own: the runtime makes the places for its mounts in it, and two at once would be in each other's
        // way. Capabilities of files are copied too.
        let mut copy = Command::new("cp");
        copy.arg("--archive").arg(self.directory.path().join("bundle/rootfs")).arg(&bundle);
        output(copy).unwrap();
        let specification = self.specification(container).to_string();
        fs::write(bundle.join("config.json"), specification).unwrap();
        let mut run = self.crun(unshare);
        run.arg("run").arg("--bundle").arg(bundle).arg(name);
        run
    }

    fn bundle(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("bundle-{name}"))
    }

    fn crun(&self, mut unshare: Command) -> Command {
        unshare.args(["--mount", "sh", "-ec", WITHOUT_CGROUPS, "crun"]);
        unshare.arg("--root").arg(self.directory.path().join("state"));
        unshare
    }

    /// A configuration of the OCI runtime specification, as containerd writes it for a pod.
    fn specification(&self, container: &Container) -> Value {
        let (entrypoint, arguments) = self.process["args"].as_array().unwrap().split_first().unwrap();
        let either = |ours: &[String], images: &[Value]| match ours {
            [] => images.to_vec(),
            ours => ours.iter().map(|word| json!(word)).collect(),
        };
        let command = either(&container.command, std::slice::from_ref(entrypoint));
        // As in Kubernetes: a `command` takes the image's arguments away with its entrypoint.
        let arguments = if container.command.is_empty() { arguments } else { &[] };
        let words = [command, either(&container.args, arguments)].concat();
        let user = container
            .run_as
            .map_or_else(|| self.process["user"].clone(), |(uid, gid)| json!({ "uid": uid, "gid": gid }));
        let env: Vec<String> = container.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let capabilities: Vec<String> = container.capabilities.iter().map(|name| format!("CAP_{name}")).collect();
        let namespaces = ["pid", "ipc", "mount"].into_iter().chain((!container.host_network).then_some("network"));
        json!({
            "ociVersion": "1.0.0",
            "root": { "path": "rootfs", "readonly": true },
            "process": {
                "user": user,
                "args": words,
                "env": env,
                "cwd": "/",
                "noNewPrivileges": !container.allow_privilege_escalation,
                // None inheritable and none ambient, also for a user that is not root.
                "capabilities": { "bounding": capabilities, "permitted": capabilities, "effective": capabilities },
            },
            "mounts": mounts(&container.mounts),
            "linux": {
                "namespaces": namespaces.map(|kind| json!({ "type": kind })).collect::<Vec<_>>(),
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
                "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            },
        })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let mut list = self.crun(Command::new("unshare"));
        list.args(["list", "--quiet"]);
        for name in output(list).unwrap_or_default().lines() {
            let mut delete = self.crun(Command::new("unshare"));
            delete.args(["delete", "--force", name]);
            if let Err(error) = output(delete) {
                eprintln!("{error:#}");
            }
        }
    }
}

impl Lab {
    /// Starts a container on a node; it is a program of the lab, under this name.
    pub fn container(&mut self, image: &Image, name: &str, node: &str, container: &Container) {
        let unshare = self.node(node).command("unshare");
        self.running.run(name, image.start(unshare, name, container)).unwrap();
    }
}

/// Makes `bundle/rootfs`; returns how the image says that it is run.
fn unpack(archive: &Path, directory: &Path) -> anyhow::Result<Value> {
    let (layout, bundle) = (directory.join("layout"), directory.join("bundle"));
    fs::create_dir(&layout)?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(archive).arg("--directory").arg(&layout);
    output(tar)?;
    let index = read(&layout.join("index.json"))?;
    let images = index["manifests"].as_array().context("no images")?;
    ensure!(images.len() == 1, "{index}");
    let tag = images[0]["annotations"]["org.opencontainers.image.ref.name"].as_str().context("no name")?;
    let mut umoci = Command::new("umoci");
    umoci.arg("unpack").arg("--image").arg(format!("{}:{tag}", layout.display())).arg(&bundle);
    output(umoci)?;
    fs::remove_dir_all(layout)?;
    Ok(read(&bundle.join("config.json"))?["process"].take())
}

fn read(file: &Path) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(file)?)?)
}

fn mounts(volumes: &[Mount]) -> Vec<Value> {
    let system =
        |kind, path, options: &[&str]| json!({ "type": kind, "source": kind, "destination": path, "options": options });
    let mut mounts = vec![
        system("proc", "/proc", &["nosuid", "noexec", "nodev"]),
        system("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        system("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
    ];
    mounts.extend(volumes.iter().map(|volume| {
        let access = if volume.read_only { "ro" } else { "rw" };
        json!({
            "type": "bind",
            "source": volume.source,
            "destination": volume.mount_path,
            "options": ["rbind", "rprivate", access],
        })
    }));
    mounts
}
