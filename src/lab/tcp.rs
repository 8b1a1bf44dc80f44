//! A TCP echo server and its client, in the agent: proof that a path carries more than pings.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::request::Fetch;

const CHUNK: usize = 16 * 1024;
/// A period that divides no power of two, so that a lost or doubled chunk shows.
const PERIOD: u64 = 251;

/// Listens and echoes until the agent ends.
pub(super) async fn serve(address: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    let bound = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    Ok(bound)
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let (mut read, mut write) = stream.split();
    tokio::io::copy(&mut read, &mut write).await?;
    write.shutdown().await
}

/// Sends a pattern and reads it back.
pub(super) async fn fetch(fetch: &Fetch) -> anyhow::Result<u64> {
    match timeout(fetch.timeout, exchange(fetch)).await {
        Ok(exchanged) => exchanged,
        Err(_) => bail!("{}: not done in {:?}", fetch.to, fetch.timeout),
    }
}

async fn exchange(fetch: &Fetch) -> anyhow::Result<u64> {
    let socket = if fetch.to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = fetch.from {
        socket.bind(SocketAddr::new(from, 0)).with_context(|| format!("bind to {from}"))?;
    }
    let mut stream = socket.connect(fetch.to).await.with_context(|| format!("connect to {}", fetch.to))?;
    let (mut read, mut write) = stream.split();
    let send = async {
        let mut sent = 0;
        while sent < fetch.octets {
            let chunk = pattern(sent, fetch.octets);
            write.write_all(&chunk).await.context("send")?;
            sent += chunk.len() as u64;
        }
        write.shutdown().await.context("send")
    };
    let receive = async {
        let mut received = 0;
        let mut buffer = vec![0; CHUNK];
        loop {
            let len = read.read(&mut buffer).await.context("receive")?;
            if len == 0 {
                return Ok(received);
            }
            if buffer[..len].iter().zip(received..).any(|(octet, at)| *octet != value(at)) {
                bail!("after {received} octets other ones came back than were sent");
            }
            received += len as u64;
        }
    };
    let ((), received) = tokio::try_join!(send, receive)?;
    if received != fetch.octets {
        bail!("{received} of {} octets came back", fetch.octets);
    }
    Ok(received)
}

fn pattern(from: u64, octets: u64) -> Vec<u8> {
    (from..octets).take(CHUNK).map(value).collect()
}

fn value(at: u64) -> u8 {
    (at % PERIOD) as u8
}
