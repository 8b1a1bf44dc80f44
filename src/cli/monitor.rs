//! `vpngw monitor`: a line each time something changes, or a record in a file, until Ctrl-C.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::{Monitor, Packets, Watched};
use super::output::{print, say};
use super::{pcapng, text};
use crate::control::api::{Line, Packet, PacketLine, PeerLine, RecordLine, RouteLine, SessionLine};
use crate::control::{Client, Lines, segment};

/// Watches until it is interrupted, which is how it ends well.
pub(super) async fn monitor(client: &Client, arguments: &Monitor) -> anyhow::Result<()> {
    tokio::select! {
        ended = watch(client, arguments) => ended,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C"),
    }
}

async fn watch(client: &Client, Monitor { json, write, what }: &Monitor) -> anyhow::Result<()> {
    let path = match what {
        Watched::Sessions => "/v1/monitor/sessions".to_owned(),
        Watched::Routes => "/v1/monitor/routes".to_owned(),
        Watched::Tunnel => "/v1/monitor/tunnel".to_owned(),
        Watched::Packets(packets) => path_of(packets),
    };
    if let Some(file) = write {
        return match what {
            Watched::Sessions | Watched::Routes => records(client.lines(&format!("{path}/mrt")).await?, file).await,
            Watched::Tunnel => bail!("there is no file format for what becomes of WireGuard peers: use --json"),
            Watched::Packets(packets) => capture(client.lines(&path).await?, file, packets.snap).await,
        };
    }
    let lines = client.lines(&path).await?;
    match what {
        Watched::Sessions => show(lines, *json, |line: &SessionLine| text::session_change(line)).await,
        Watched::Routes => show(lines, *json, |line: &RouteLine| text::route_change(line)).await,
        Watched::Tunnel => show(lines, *json, |line: &PeerLine| text::peer_change(line)).await,
        Watched::Packets(_) => show(lines, *json, |line: &PacketLine| text::packet(line)).await,
    }
}

fn path_of(Packets { peer, address, snap }: &Packets) -> String {
    let mut path = format!("/v1/monitor/packets?snap={snap}");
    for (name, value) in [("peer", peer), ("address", address)] {
        if let Some(value) = value {
            path += &format!("&{name}={}", segment(value));
        }
    }
    path
}

async fn show<T: DeserializeOwned + Serialize>(
    mut lines: Lines,
    json: bool,
    text: impl Fn(&T) -> String,
) -> anyhow::Result<()> {
    loop {
        let mut shown = String::new();
        for line in read::<T>(&lines.next().await?) {
            let line = line?;
            shown += &if json { serde_json::to_string(&line)? } else { text(&line) };
            shown.push('\n');
        }
        print(&shown)?;
    }
}

async fn records(mut lines: Lines, path: &Path) -> anyhow::Result<()> {
    let mut file = Growing::create(path)?;
    loop {
        let mut octets = Vec::new();
        for line in read::<RecordLine>(&lines.next().await?) {
            match line? {
                Line::Missed { missed } => say(&text::missed(missed)),
                Line::Change(record) => octets.extend(BASE64_STANDARD.decode(record.record).context("no record")?),
            }
        }
        file.grow(&octets)?;
    }
}

async fn capture(mut lines: Lines, path: &Path, snap: u16) -> anyhow::Result<()> {
    let mut file = Growing::create(path)?;
    file.grow(&pcapng::begin(snap.into()))?;
    let mut before = 0;
    loop {
        let mut octets = Vec::new();
        for line in read::<PacketLine>(&lines.next().await?) {
            match line? {
                Line::Missed { missed } => {
                    say(&text::missed_packets(missed));
                    before = missed;
                }
                Line::Change(Packet { at, direction, peer, length, packet }) => {
                    let at = humantime::parse_rfc3339(&at).context("no time")?.duration_since(UNIX_EPOCH)?;
                    let (at, length) = (at.as_nanos() as u64, length as u32); // until the year 2554, and 4 GiB
                    let packet = BASE64_STANDARD.decode(packet).context("no packet")?;
                    octets.extend(pcapng::packet(at, direction, &peer, length, &packet, before));
                    before = 0;
                }
            }
        }
        file.grow(&octets)?;
    }
}

/// A file that grows by whole records: who follows it never sees the half of one.
struct Growing<'a> {
    path: &'a Path,
    file: File,
    length: u64,
}

impl<'a> Growing<'a> {
    fn create(path: &'a Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        say(&format!("writing to {} until Ctrl-C", path.display()));
        Ok(Self { path, file, length: 0 })
    }

    fn grow(&mut self, octets: &[u8]) -> anyhow::Result<()> {
        if let Err(error) = self.file.write_all(octets) {
            // What came of it ends with a piece of a record. That it failed is what is said.
            let _ = self.file.set_len(self.length);
            return Err(error).with_context(|| format!("cannot write {}", self.path.display()));
        }
        self.length += octets.len() as u64;
        Ok(())
    }
}

fn read<T: DeserializeOwned>(lines: &[u8]) -> impl Iterator<Item = anyhow::Result<T>> {
    let lines = lines.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).context("vpngw sent a line that is none of a monitor's"))
}
