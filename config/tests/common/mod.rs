//! Reading configurations in tests.
#![allow(dead_code)] // each test binary uses its part

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use config::{Config, Context, Diagnostic, SecretError, Source};
use zeroize::Zeroizing;

/// Keys of two ends that know each other, by the names of their files: `one.key` and `other.key`.
pub(crate) const ONE_PUBLIC: &str = "pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk=";
pub(crate) const OTHER_PUBLIC: &str = "zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk=";

pub(crate) type Outcome = Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>>;

/// A configuration that is taken.
pub(crate) fn taken(text: &str) -> Config {
    let (config, _) = read(&[("vpngw.toml", text)]).unwrap_or_else(|errors| panic!("{}", told(&errors)));
    config
}

/// Reads files on a host with the address 192.0.2.1.
pub(crate) fn read(files: &[(&str, &str)]) -> Outcome {
    read_with_router_id(files, Some(Ipv4Addr::new(192, 0, 2, 1)))
}

/// Reads files on a host with this address, a few key files and a small environment.
pub(crate) fn read_with_router_id(files: &[(&str, &str)], default_router_id: Option<Ipv4Addr>) -> Outcome {
    let source = |(name, text): &(&str, &str)| Source { name: (*name).to_owned(), text: (*text).to_owned() };
    let sources: Vec<_> = files.iter().map(source).collect();
    config::read(
        &sources,
        &Context {
            default_router_id,
            default_on_stop: config::OnStop::Withdraw,
            now: std::time::SystemTime::UNIX_EPOCH,
            env: &environment,
            secrets: &secrets,
        },
    )
}

pub(crate) fn told(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n\n")).collect()
}

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "NODE_NAME" => "mlops-1",
        "GREETING" => "hello world",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn secrets(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let text = match path.to_str() {
        Some("one.key") => "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n",
        Some("other.key") => "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n",
        Some("third.key") => "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\n",
        Some("missing.key") => return Err(SecretError::Read(io::Error::from(io::ErrorKind::NotFound))),
        Some("empty") => "\n",
        Some("password") => "  correct horse\n",
        _ => return config::no_secrets(path),
    };
    Ok(Zeroizing::new(text.to_owned()))
}
