//! A private directory for keys, configurations, sockets and logs, removed when dropped.

use std::fs::{self, DirBuilder, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use wgd::settings::{PrivateKey, PublicKey};

/// The directory; only its owner may enter.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes it, with a name that nobody has.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create() -> anyhow::Result<Self> {
        let unique = random()?.iter().take(8).fold(String::new(), |name, octet| format!("{name}{octet:02x}"));
        let path = std::env::temp_dir().join(format!("vpngw-lab-{unique}"));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file that only its owner may read.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        let opened = File::options().create(true).write(true).truncate(true).mode(0o600).open(&path);
        opened.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Makes a private key in `NAME.key`; returns the public key that belongs to it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn private_key(&self, name: &str) -> anyhow::Result<PublicKey> {
        self.write(&format!("{name}.key"), &BASE64_STANDARD.encode(random()?))?;
        self.public_key(name)
    }

    /// The public key that belongs to the private key in `NAME.key`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn public_key(&self, name: &str) -> anyhow::Result<PublicKey> {
        let text = fs::read_to_string(self.file(&format!("{name}.key")))?;
        Ok(PrivateKey::from_base64(&text)?.public_key())
    }

    /// Makes a preshared key in `NAME.psk`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn preshared_key(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.write(&format!("{name}.psk"), &BASE64_STANDARD.encode(random()?))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Nothing is left to tell, and nobody to be told.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn random() -> anyhow::Result<[u8; 32]> {
    let mut octets = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut octets).context("/dev/urandom")?;
    Ok(octets)
}
