//! What every part of these tests needs: the tools, the files as JSON, and the configurations that they must agree with.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use config::{Config, Context, Source, no_secrets};
use serde_json::Value;

use crate::common::output;
pub(crate) use crate::common::tools::Tools;

impl Tools {
    /// Against Kubernetes' own schemas of a version, the newest one known where it is absent. Unknown fields are errors.
    pub(crate) fn kubernetes_validate(&self, manifests: &Path, version: Option<&str>) -> anyhow::Result<String> {
        let mut command = Command::new(self.directory.join("venv/bin/kubernetes-validate"));
        command.arg("--strict").args(version.map(|version| format!("--kubernetes-version={version}"))).arg(manifests);
        output(command)
    }

    /// The YAML documents of a file below packaging/.
    pub(crate) fn packaged(&self, path: &str) -> Vec<Value> {
        list(&self.read(&packaging(path)).unwrap()).to_vec()
    }
}

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(crate) fn packaging(path: &str) -> PathBuf {
    repository("packaging").join(path)
}

/// A file below packaging/.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(packaging(path)).unwrap()
}

/// One end of the site, and the key files that it names.
pub(crate) struct End {
    pub(crate) config: Config,
    pub(crate) secrets: BTreeSet<PathBuf>,
}

impl End {
    /// `ec2` or `home`.
    pub(crate) fn example(name: &str) -> Self {
        let name = format!("config/examples/{name}.toml");
        let text = std::fs::read_to_string(repository(&name)).unwrap();
        let secrets = RefCell::new(BTreeSet::new());
        let note = |path: &Path| {
            secrets.borrow_mut().insert(path.to_owned());
            no_secrets(path)
        };
        let context = Context {
            default_router_id: None,
            default_on_stop: config::OnStop::Withdraw,
            now: std::time::SystemTime::UNIX_EPOCH,
            env: &|_| None,
            secrets: &note,
        };
        let (config, _) = config::read(&[Source { name, text }], &context).unwrap();
        Self { config, secrets: secrets.into_inner() }
    }

    pub(crate) fn speaker(&self) -> &bgpd::Settings {
        &self.config.bgp.as_ref().unwrap().speaker
    }

    pub(crate) fn tunnel(&self) -> &config::settings::Wireguard {
        self.config.wireguard.as_ref().unwrap()
    }

    /// What the far end may announce: the `routed-ips` of the only peer.
    pub(crate) fn far_prefixes(&self) -> BTreeSet<String> {
        let [(_, prefixes)] = self.tunnel().routed_ips.as_slice() else { panic!("not one peer") };
        prefixes.iter().map(ToString::to_string).collect()
    }
}

/// The JSON value at a pointer that must be there.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value:#}"))
}

pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value:#}"))
}

pub(crate) fn words(value: &Value) -> BTreeSet<String> {
    list(value).iter().map(|value| word(value).to_owned()).collect()
}

/// The only document of a kind.
pub(crate) fn only<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<_> = documents.iter().filter(|document| document["kind"] == kind).collect();
    let [document] = found[..] else { panic!("{} of {kind}", found.len()) };
    document
}
