//! A site that runs: its network, its gateways and their private directory. Dropping it ends and removes everything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::check::Witnesses;
use super::directory::Directory;
use super::network::Network;
use super::process::{Process, Signal};
use super::site::{Gateway, Site};
use crate::control::Client;

/// The protocol number of a gateway's kernel routes, where its configuration names no other.
pub const PROTOCOL: u8 = 157;
/// How long a gateway may take to say good-bye to its neighbors and to remove its routes.
const STOP: Duration = Duration::from_secs(60);

/// Fields are dropped in this order: programs, then namespaces, then files.
#[derive(Debug)]
pub struct Running {
    processes: BTreeMap<String, Process>,
    network: Arc<Network>,
    directory: Directory,
    gateways: Vec<Gateway>,
    environment: Vec<(String, String)>,
    binary: PathBuf,
}

impl Running {
    /// Builds the network and makes the keys; no gateway runs yet. `binary` is the `vpngw` for all of it.
    ///
    /// Every process ends with the calling thread.
    ///
    /// # Errors
    /// Without root, and those of the kernel.
    pub async fn build(site: &Site, binary: &Path) -> anyhow::Result<Self> {
        let directory = Directory::create()?;
        let mut environment = vec![("LAB".to_owned(), directory.path().display().to_string())];
        for gateway in &site.gateways {
            let public_key = directory.private_key(gateway.name)?;
            let name = gateway.name.to_uppercase().replace('-', "_");
            environment.push((format!("{name}_PUBLIC_KEY"), public_key.to_string()));
        }
        directory.preshared_key("tunnel")?;
        let network = Arc::new(Network::build(site, binary).await?);
        let (gateways, binary) = (site.gateways.clone(), binary.to_owned());
        Ok(Self { processes: BTreeMap::new(), network, directory, gateways, environment, binary })
    }

    /// Its namespaces.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its files.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The gateways of the site, running or not.
    pub fn gateways(&self) -> &[Gateway] {
        &self.gateways
    }

    /// Whom to ask how the site is.
    pub fn witnesses(&self) -> Witnesses {
        let client = |gateway: &Gateway| (gateway.name, Client::new(self.socket(gateway.name)));
        Witnesses { network: Arc::clone(&self.network), clients: self.gateways.iter().map(client).collect() }
    }

    /// The control socket of a gateway.
    pub fn socket(&self, gateway: &str) -> PathBuf {
        self.directory.file(&format!("{gateway}.sock"))
    }

    /// Starts a gateway of the site.
    ///
    /// # Errors
    /// Where the site has none of that name, or it cannot be started; that it ends at once shows only later.
    pub fn start(&mut self, name: &str) -> anyhow::Result<()> {
        let gateway = self.gateways.iter().find(|gateway| gateway.name == name);
        let gateway = gateway.with_context(|| format!("the site has no gateway {name}"))?;
        let config = self.directory.write(&format!("{name}.toml"), &gateway.config)?;
        let mut command = self.network.node(gateway.node)?.gateway(&self.binary);
        command.arg("run").arg("--config").arg(config).envs(self.environment.iter().cloned());
        command.env("STATE_DIRECTORY", self.directory.file(&format!("{name}.state")));
        self.run(name, command)
    }

    /// Gives a gateway another configuration, from its next start on.
    ///
    /// # Errors
    /// Where the site has none of that name.
    pub fn edit(&mut self, name: &str, edit: impl FnOnce(&str) -> String) -> anyhow::Result<()> {
        let gateway = self.gateways.iter_mut().find(|gateway| gateway.name == name);
        let gateway = gateway.with_context(|| format!("the site has no gateway {name}"))?;
        gateway.config = edit(&gateway.config);
        Ok(())
    }

    /// Starts any program as part of the site; its output is kept under its name.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run(&mut self, name: &str, command: std::process::Command) -> anyhow::Result<()> {
        let log = self.directory.file(&format!("{name}.log"));
        // One that runs under this name is ended first: it may hold what the new one needs.
        self.processes.remove(name);
        let process = Process::start(name, command, &log)?;
        self.processes.insert(name.to_owned(), process);
        Ok(())
    }

    /// A program that was started.
    ///
    /// # Errors
    /// Where none of that name was.
    pub fn process(&mut self, name: &str) -> anyhow::Result<&mut Process> {
        self.processes.get_mut(name).with_context(|| format!("{name} was not started"))
    }

    /// SIGKILL, as in a crash, and the wait for the end; from then on nobody expects the program to run.
    ///
    /// # Errors
    /// Where none of that name was started.
    pub async fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let mut process = self.processes.remove(name).with_context(|| format!("{name} was not started"))?;
        process.kill().await.map(drop)
    }

    /// All programs that were started.
    pub fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        self.processes.values_mut()
    }

    /// A program that was started and has ended, and how.
    ///
    /// # Errors
    /// Those of `waitpid`.
    pub fn ended(&mut self) -> anyhow::Result<Option<String>> {
        for process in self.processes.values_mut() {
            if let Some(status) = process.ended()? {
                return Ok(Some(format!("{} has ended: {status}", process.name())));
            }
        }
        Ok(None)
    }

    /// Ends every program in order, all at once, and waits for them.
    ///
    /// # Errors
    /// Where one has failed or does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        for process in self.processes.values_mut() {
            process.signal(Signal::Terminate)?;
        }
        for process in self.processes.values_mut() {
            let status = process.wait(STOP).await?;
            ensure!(status.success(), "{} has failed: {status}", process.name());
        }
        Ok(())
    }

    /// Nodes whose kernel still has routes of a gateway, with their number.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn leftovers(&self) -> anyhow::Result<BTreeMap<&'static str, usize>> {
        let mut found = BTreeMap::new();
        for gateway in &self.gateways {
            let routes = self.network.node(gateway.node)?.routes(PROTOCOL).await?;
            if !routes.is_empty() {
                found.insert(gateway.node, routes.len());
            }
        }
        Ok(found)
    }
}
