//! `vpngw monitor`: a line each time something changes, or a record in a file, until Ctrl-C.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::{Monitor, Watched};
use super::output::{print, say};
use super::text;
use crate::control::api::{Line, RecordLine, RouteLine, SessionLine};
use crate::control::{Client, Lines};

/// Watches until it is interrupted, which is how it ends well.
pub(super) async fn monitor(client: &Client, arguments: &Monitor) -> anyhow::Result<()> {
    tokio::select! {
        ended = watch(client, arguments) => ended,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C"),
    }
}

async fn watch(client: &Client, Monitor { json, write, what }: &Monitor) -> anyhow::Result<()> {
    let path = match what {
        Watched::Sessions => "/v1/monitor/sessions",
        Watched::Routes => "/v1/monitor/routes",
    };
    if let Some(file) = write {
        return records(client.lines(&format!("{path}/mrt")).await?, file).await;
    }
    let lines = client.lines(path).await?;
    match what {
        Watched::Sessions => show(lines, *json, |line: &SessionLine| text::session_change(line)).await,
        Watched::Routes => show(lines, *json, |line: &RouteLine| text::route_change(line)).await,
    }
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

/// The file grows by whole records: who follows it never sees the half of one.
async fn records(mut lines: Lines, path: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    let mut file = File::create(path).with_context(context)?;
    say(&format!("writing to {} until Ctrl-C", path.display()));
    let mut length = 0;
    loop {
        let mut octets = Vec::new();
        for line in read::<RecordLine>(&lines.next().await?) {
            match line? {
                Line::Missed { missed } => say(&text::missed(missed)),
                Line::Change(record) => octets.extend(BASE64_STANDARD.decode(record.record).context("no record")?),
            }
        }
        if let Err(error) = file.write_all(&octets) {
            // What came of it ends with a piece of a record. That it failed is what is said.
            let _ = file.set_len(length);
            return Err(error).with_context(context);
        }
        length += octets.len() as u64;
    }
}

fn read<T: DeserializeOwned>(lines: &[u8]) -> impl Iterator<Item = anyhow::Result<T>> {
    let lines = lines.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).context("vpngw sent a line that is none of a monitor's"))
}
