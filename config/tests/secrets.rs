//! Key files: who may read them.
#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process;

use config::{SecretError, secrets_from_files};

#[test]
fn a_secret_is_read_from_a_file_of_owner_and_group() {
    for mode in [0o400, 0o600, 0o640, 0o440] {
        let file = File::new("kept", mode, b"secret\n");
        assert_eq!(*secrets_from_files(&file.0).unwrap(), "secret\n");
    }
}

#[test]
fn a_secret_that_everyone_may_read_or_change_is_refused() {
    for mode in [0o644, 0o604, 0o602, 0o666] {
        let file = File::new("open", mode, b"secret");
        let error = secrets_from_files(&file.0).unwrap_err();
        assert!(matches!(error, SecretError::Open(found) if found == mode), "{error}");
        assert_eq!(error.to_string(), format!("mode {mode:04o} lets everyone read or change it: chmod o= it"));
    }
}

#[test]
fn what_is_no_secret_is_refused_with_its_cause() {
    let long = File::new("long", 0o600, &[b'a'; 5000]);
    assert!(matches!(secrets_from_files(&long.0), Err(SecretError::Long)));
    let binary = File::new("binary", 0o600, &[0xff; 32]);
    assert!(matches!(secrets_from_files(&binary.0), Err(SecretError::Read(_))));
    let absent = secrets_from_files(&binary.0.with_extension("absent")).unwrap_err();
    assert_eq!(absent.to_string(), "cannot read it: No such file or directory (os error 2)");
}

/// A file of this test's own.
struct File(PathBuf);

impl File {
    fn new(name: &str, mode: u32, text: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("vpngw-config-{}-{name}-{mode:o}", process::id()));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
