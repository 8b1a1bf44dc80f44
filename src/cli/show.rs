//! `vpngw show`: one question to the gateway, as a table for people or as its JSON.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::args::{Show, What};
use super::output::{print, print_again};
use super::{mrt, text};
use crate::control::{Answer, Client, segment};

/// Between two looks of `--watch`.
const WATCH: Duration = Duration::from_secs(1);

/// Shows something once, or again and again.
pub(super) async fn show(client: &Client, arguments: &Show) -> anyhow::Result<()> {
    if let What::Routes { prefix, mrt: Some(file) } = &arguments.what {
        return mrt::dump(client, prefix.as_deref(), file).await;
    }
    print(&look(client, arguments).await?)?;
    if !arguments.watch {
        return Ok(());
    }
    loop {
        sleep(WATCH).await;
        // A gateway that restarts is watched on: only the first look may fail.
        let seen = look(client, arguments).await.unwrap_or_else(|error| format!("{error:#}\n"));
        print_again(&seen)?;
    }
}

async fn look(client: &Client, arguments: &Show) -> anyhow::Result<String> {
    let ask = Ask { client, json: arguments.json };
    match &arguments.what {
        What::Status => ask.of("/v1/status", text::status).await,
        What::Neighbors => ask.of("/v1/neighbors", text::neighbors).await,
        What::Neighbor { name } => ask.of(&format!("/v1/neighbors/{}", segment(name)), text::neighbor).await,
        What::Routes { prefix: None, .. } => ask.of("/v1/routes", text::routes).await,
        What::Routes { prefix: Some(prefix), .. } => ask.of(&format!("/v1/routes?prefix={prefix}"), text::routes).await,
        What::Received { name } => ask.of(&format!("/v1/received/{}", segment(name)), text::received).await,
        What::Advertised { name } => ask.of(&format!("/v1/advertised/{}", segment(name)), text::advertised).await,
        What::Fib => ask.of("/v1/fib", text::fib).await,
        What::Peers => ask.of("/v1/peers", text::peers).await,
        What::Events => ask.of("/v1/events", text::events).await,
        What::Config => ask.of("/v1/config", text::config).await,
    }
}

struct Ask<'a> {
    client: &'a Client,
    json: bool,
}

impl Ask<'_> {
    async fn of<T: Answer + Serialize>(&self, path: &str, text: fn(&T) -> String) -> anyhow::Result<String> {
        let answer: T = self.client.get(path).await?;
        Ok(if self.json { serde_json::to_string_pretty(&answer)? + "\n" } else { text(&answer) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser as _;
    use tempfile::tempdir;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;
    use crate::cli::args::{Arguments, Command};

    /// What `vpngw show WORDS` says to a gateway that answers every request with the same body. In place of PATH it has
    /// the path that was asked.
    async fn shown(words: &str, status: &str, body: &str) -> Result<String, String> {
        let directory = tempdir().unwrap();
        let socket = directory.path().join("sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (status, body) = (status.to_owned(), body.to_owned());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..length]);
            let body = body.replace("PATH", head.split(' ').nth(1).unwrap());
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let arguments = Arguments::parse_from(["vpngw", "show"].into_iter().chain(words.split(' ')));
        let Command::Show(show) = arguments.command else { panic!("{words}") };
        look(&Client::new(socket), &show).await.map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn every_word_asks_its_path() {
        for (words, path) in [
            ("status", "/v1/status"),
            ("neighbors", "/v1/neighbors"),
            ("neighbor cilium/192.168.2.19", "/v1/neighbors/cilium%2F192.168.2.19"),
            ("routes", "/v1/routes"),
            ("routes 10.1.2.3/8", "/v1/routes?prefix=10.0.0.0/8"),
            ("routes fd00::1", "/v1/routes?prefix=fd00::1"),
            ("received homelab", "/v1/received/homelab"),
            ("advertised fe80::1%eth0", "/v1/advertised/fe80::1%25eth0"),
            ("fib", "/v1/fib"),
            ("peers", "/v1/peers"),
            ("events", "/v1/events"),
            ("config", "/v1/config"),
        ] {
            let asked = shown(words, "404 Not Found", r#"{"error": "PATH"}"#).await;
            assert_eq!(asked, Err(path.into()), "{words}");
        }
    }

    #[tokio::test]
    async fn json_is_what_the_gateway_said_and_text_is_for_people() {
        let event = r#"{"number":1,"at":"2026-11-21T10:11:12Z","kind":"peer-up","subject":"homelab","text":"up"}"#;
        let body = format!(r#"{{"events":[{event}]}}"#);
        let json = shown("events --json", "200 OK", &body).await.unwrap();
        assert_eq!(json.split_whitespace().collect::<String>(), body);
        let text = shown("events", "200 OK", &body).await.unwrap();
        assert_eq!(text.lines().last(), Some("2026-11-21T10:11:12Z  peer-up  homelab  up"));
    }

    #[tokio::test]
    async fn an_answer_without_a_sentence_is_told_by_its_status() {
        let said = shown("events", "500 Internal Server Error", "").await;
        assert_eq!(said, Err("vpngw answered with 500 Internal Server Error".into()));
    }
}
