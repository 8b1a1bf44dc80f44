//! kubectl and the validators, as `tests/tools` installs them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::output;

/// Where they are.
pub struct Tools {
    pub directory: PathBuf,
}

impl Tools {
    /// `None`, said on stderr, where they are not installed; CI must not skip.
    pub fn find() -> Option<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let directory = target.join("tools");
        if directory.join("installed").is_file() {
            return Some(Self { directory });
        }
        assert!(std::env::var_os("VPNGW_CI").is_none(), "CI must run this test, which needs what tests/tools installs");
        eprintln!("skipped: this test needs what tests/tools installs");
        None
    }

    /// What `kubectl kustomize` makes of a directory.
    pub fn kustomize(&self, directory: &Path) -> anyhow::Result<String> {
        let mut command = Command::new(self.directory.join("kubectl"));
        command.arg("kustomize").arg(directory);
        output(command)
    }

    /// The documents of a YAML text.
    pub fn yaml(&self, text: &str) -> anyhow::Result<Vec<Value>> {
        let mut file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        file.write_all(text.as_bytes())?;
        let documents = self.read(file.path())?;
        Ok(documents.as_array().cloned().unwrap_or_default())
    }

    /// A file's YAML documents, or its Terraform blocks.
    pub fn read(&self, path: &Path) -> anyhow::Result<Value> {
        let mut command = Command::new(self.directory.join("venv/bin/python"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests/read.py")).arg(path);
        Ok(serde_json::from_str(&output(command)?)?)
    }
}
