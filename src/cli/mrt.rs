//! `vpngw show routes --mrt`: the Loc-RIB as a file in the MRT format (RFC 6396).

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use bgpd::mrt;

use crate::control::Client;

/// Writes the file, all of it or none.
pub(super) async fn dump(client: &Client, prefix: Option<&str>, file: &Path) -> anyhow::Result<()> {
    let mut name = file.file_name().with_context(|| format!("{} is no file's name", file.display()))?.to_owned();
    name.push(".part");
    let part = file.with_file_name(name);
    let written = write(client, prefix, &part).await;
    if written.is_err() {
        // What failed is said; a part that cannot be removed either is for its owner to see.
        let _ = fs::remove_file(&part);
    }
    written?;
    fs::rename(&part, file).with_context(|| format!("cannot rename {} to {}", part.display(), file.display()))
}

async fn write(client: &Client, prefix: Option<&str>, file: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", file.display());
    let mut out = BufWriter::new(File::create(file).with_context(context)?);
    slices(client, prefix, &mut out, context).await?;
    out.flush().with_context(context)
}

/// Joins slices. Each begins with the table of neighbors, which is written again only when it has changed.
async fn slices(
    client: &Client,
    prefix: Option<&str>,
    out: &mut impl Write,
    context: impl Fn() -> String,
) -> anyhow::Result<()> {
    let (mut sequence, mut query) = (0, String::new());
    let mut neighbors = Vec::new();
    loop {
        let within = prefix.map(|prefix| format!("&prefix={prefix}")).unwrap_or_default();
        let slice = client.octets(&format!("/v1/mrt?sequence={sequence}{query}{within}")).await?;
        let mut last = None;
        for record in mrt::records(&slice) {
            if record.is_peer_index_table() {
                if record.body() == neighbors {
                    continue;
                }
                neighbors = record.body().to_vec();
            } else {
                last = record.prefix();
                sequence += 1;
            }
            out.write_all(record.octets).with_context(&context)?;
        }
        match last {
            Some(last) => query = format!("&after={last}"),
            None => return Ok(()),
        }
    }
}
