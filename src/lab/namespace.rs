//! A network namespace and the agent that lives in it.
//!
//! The namespace has no name in the file system: it is there as long as a process or a descriptor of ours is in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};

use super::process;
use super::request::{
    Answer, Call, Echoes, Fetch, Flood, KernelRoute, Ping, Relay, Relayed, Request, Run, StaticRoute, Stream,
};

/// Calls that wait for the agent to read them; a caller beyond waits too.
const CALLS: usize = 16;

/// A handle to one namespace; cheap to clone. The agent ends with the last one.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: Arc<str>,
    agent: Arc<Agent>,
    net: Arc<OwnedFd>,
    calls: mpsc::Sender<(Request, Reply)>,
}

type Reply = oneshot::Sender<Result<Value, String>>;

#[derive(Debug)]
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        process::end(&mut self.0);
    }
}

impl Namespace {
    /// Makes a namespace: `binary` is the `vpngw` that becomes its agent, `name` is for people.
    ///
    /// The agent ends with the calling thread.
    ///
    /// # Errors
    /// Without root, or where the kernel lacks network namespaces.
    pub async fn create(binary: &Path, name: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command.arg("lab-node").stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = process::in_new_namespace(&mut command).spawn();
        let mut agent = Agent(spawned.with_context(|| format!("namespace {name} (this needs root)"))?);
        let stdin = ChildStdin::from_std(agent.0.stdin.take().context("standard input was piped")?)?;
        let stdout = ChildStdout::from_std(agent.0.stdout.take().context("standard output was piped")?)?;
        let mut lines = BufReader::new(stdout).lines();
        lines.next_line().await?.with_context(|| format!("the agent of namespace {name} does not start"))?;
        let net = File::open(format!("/proc/{}/ns/net", agent.0.id()))?;
        let (calls, queue) = mpsc::channel(CALLS);
        tokio::spawn(relay(queue, stdin, lines));
        Ok(Self { name: name.into(), agent: Arc::new(agent), net: Arc::new(net.into()), calls })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The agent's process id; links may be moved into its namespace.
    pub fn pid(&self) -> u32 {
        self.agent.0.id()
    }

    /// A command that will run in this namespace. It is killed when the thread that starts it ends.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        process::in_namespace(&mut command, Arc::clone(&self.net));
        command
    }

    /// A `vpngw` that will run in this namespace, with a `/run` of its own, since other gateways have a `wg0` too.
    pub fn gateway(&self, binary: &Path) -> Command {
        let mut command = self.command(binary);
        process::with_own_run(&mut command);
        command
    }

    /// Has the agent do something that returns nothing.
    ///
    /// # Errors
    /// What the agent says, and its end.
    pub async fn perform(&self, request: Request) -> anyhow::Result<()> {
        self.ask(request).await
    }

    /// Brings up the link, with this address.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn address(&self, link: &str, address: ipnet::IpNet) -> anyhow::Result<()> {
        self.perform(Request::Address { link: link.to_owned(), address }).await
    }

    /// Adds a static route.
    ///
    /// # Errors
    /// Those of the kernel, and a gateway that is on no link.
    pub async fn route(&self, route: StaticRoute) -> anyhow::Result<()> {
        self.perform(Request::Route(route)).await
    }

    /// Every route with this protocol number, by prefix.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn routes(&self, protocol: u8) -> anyhow::Result<Vec<KernelRoute>> {
        self.ask(Request::Routes { protocol }).await
    }

    /// ICMP echo; requests without an answer are no error.
    ///
    /// # Errors
    /// Where none could be sent, as without a route.
    pub async fn ping(&self, ping: Ping) -> anyhow::Result<Echoes> {
        self.ask(Request::Ping(ping)).await
    }

    /// Starts a stream of echo requests; its number.
    ///
    /// # Errors
    /// Where there is no socket for it.
    pub async fn stream(&self, stream: Stream) -> anyhow::Result<u64> {
        self.ask(Request::Stream(stream)).await
    }

    /// What became of a stream's requests so far.
    ///
    /// # Errors
    /// Where there is no such stream.
    pub async fn streamed(&self, number: u64) -> anyhow::Result<Vec<Run>> {
        self.ask(Request::Streamed { number, end: false }).await
    }

    /// Ends a stream: what became of all its requests.
    ///
    /// # Errors
    /// Where there is no such stream.
    pub async fn end_stream(&self, number: u64) -> anyhow::Result<Vec<Run>> {
        self.ask(Request::Streamed { number, end: true }).await
    }

    /// Sends datagrams from forged addresses; how many.
    ///
    /// # Errors
    /// Where the agent may not, or there is no way.
    pub async fn flood(&self, flood: Flood) -> anyhow::Result<u64> {
        self.ask(Request::Flood(flood)).await
    }

    /// Starts a UDP relay with bad weather; where it listens.
    ///
    /// # Errors
    /// Where the address is taken or not ours.
    pub async fn relay(&self, relay: Relay) -> anyhow::Result<SocketAddr> {
        self.ask(Request::Relay(relay)).await
    }

    /// What became of the datagrams of a relay.
    ///
    /// # Errors
    /// Where there is none at this address.
    pub async fn relayed(&self, address: SocketAddr) -> anyhow::Result<Relayed> {
        self.ask(Request::Relayed { address }).await
    }

    /// Starts a TCP echo server.
    ///
    /// # Errors
    /// Where the address is taken or not ours.
    pub async fn serve(&self, address: SocketAddr) -> anyhow::Result<SocketAddr> {
        self.ask(Request::Serve { address }).await
    }

    /// Sends octets to an echo server and reads them back.
    ///
    /// # Errors
    /// Where not all came back as they were, in time.
    pub async fn fetch(&self, fetch: Fetch) -> anyhow::Result<u64> {
        self.ask(Request::Fetch(fetch)).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request) -> anyhow::Result<T> {
        let ended = || anyhow!("{}: the agent has ended", self.name);
        let (reply, answer) = oneshot::channel();
        self.calls.send((request, reply)).await.map_err(|_| ended())?;
        let value = answer.await.map_err(|_| ended())?.map_err(|error| anyhow!("{}: {error}", self.name))?;
        Ok(serde_json::from_value(value)?)
    }
}

/// Carries calls to the agent and its answers back, until either side is gone. Callers that then still wait learn it from
/// their dropped channel.
async fn relay(
    mut calls: mpsc::Receiver<(Request, Reply)>,
    mut stdin: ChildStdin,
    mut lines: tokio::io::Lines<BufReader<ChildStdout>>,
) -> anyhow::Result<()> {
    let mut waiting: BTreeMap<u64, Reply> = BTreeMap::new();
    for number in 1.. {
        let (request, reply) = loop {
            tokio::select! {
                call = calls.recv() => match call {
                    Some(call) => break call,
                    None => return Ok(()),
                },
                line = lines.next_line() => {
                    let Some(line) = line? else { return Ok(()) };
                    let answer: Answer = serde_json::from_str(&line)?;
                    if let Some(reply) = waiting.remove(&answer.number) {
                        // Nobody waits any more: a caller with a deadline of its own.
                        let _ = reply.send(answer.result);
                    }
                }
            }
        };
        waiting.insert(number, reply);
        let mut line = serde_json::to_vec(&Call { number, request })?;
        line.push(b'\n');
        stdin.write_all(&line).await?;
    }
    Ok(())
}
