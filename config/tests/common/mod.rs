//! Reading configurations in tests.
#![allow(dead_code)] // each test binary uses its part

use std::net::Ipv4Addr;
use std::path::Path;

use config::{Config, Context, Diagnostic, SecretError, Source};
use zeroize::Zeroizing;

/// Keys of two ends that know each other, by the names of their files: `one.key` and `other.key`.
pub(crate) const ONE_PUBLIC: &str = "pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk=";
pub(crate) const OTHER_PUBLIC: &str = "zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk=";

/// A configuration that is taken.
pub(crate) fn taken(text: &str) -> Config {
    let (config, _) = read(&[("vpngw.toml", text)]).unwrap_or_else(|errors| panic!("{}", told(&errors)));
    config
}

/// Reads files on a host with the address 192.0.2.1 and a few key files.
pub(crate) fn read(files: &[(&str, &str)]) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let source = |(name, text): &(&str, &str)| Source { name: (*name).to_owned(), text: (*text).to_owned() };
    let sources: Vec<_> = files.iter().map(source).collect();
    let env = |name: &str| (name == "NODE_NAME").then(|| "mlops-1".to_owned());
    let router_id = Some(Ipv4Addr::new(192, 0, 2, 1));
    config::read(&sources, &Context { default_router_id: router_id, env: &env, secrets: &secrets })
}

pub(crate) fn told(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n\n")).collect()
}

fn secrets(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let text = match path.to_str() {
        Some("one.key") => "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n",
        Some("other.key") => "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n",
        Some("third.key") => "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\n",
        Some("password") => "  correct horse\n",
        _ => return config::no_secrets(path),
    };
    Ok(Zeroizing::new(text.to_owned()))
}
