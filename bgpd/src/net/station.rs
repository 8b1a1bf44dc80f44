//! Connections to monitoring stations (RFC 7854 §3.2): we dial, and only ever write. Runs on thread `bgp`.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{sleep, timeout};

use super::shell::{Core, Shell};
use crate::settings::StationSettings;
use crate::speaker::{Input, Monitoring};

/// RFC 7854 §3.2: between two tries to connect, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(720);
/// How long a connection may take to come up, and a write to be taken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A station that is wanted.
pub(super) struct Station {
    settings: StationSettings,
    state: Rc<State>,
    task: AbortHandle,
}

/// What its task shares with the others.
#[derive(Default)]
struct State {
    connected: Cell<bool>,
    /// The speaker has something for it.
    waiting: Notify,
}

impl Station {
    /// It is there, and has not been told all.
    pub(super) fn is_connected(&self) -> bool {
        self.state.connected.get()
    }
}

impl Core {
    /// Tells those that the speaker has something for.
    pub(super) fn wake_stations(&self) {
        for name in self.speaker.stations_waiting() {
            let of_this_name = self.stations.iter().filter(|station| station.settings.name == name);
            of_this_name.for_each(|station| station.state.waiting.notify_one());
        }
    }
}

impl Shell {
    /// Stations as the settings have them; what is gone or has changed is dropped.
    pub(super) fn reconcile_stations(self: &Rc<Self>, core: &mut Core) {
        let wanted = &core.speaker.settings().stations;
        if core.stations.iter().map(|station| &station.settings).eq(wanted) {
            return;
        }
        let wanted = wanted.clone();
        let (mut known, gone): (Vec<_>, Vec<_>) =
            core.stations.drain(..).partition(|station| wanted.contains(&station.settings));
        for Station { settings, task, .. } in gone {
            task.abort();
            core.speaker.input(Instant::now(), Input::StationDown { station: settings.name });
        }
        core.stations = wanted
            .into_iter()
            .map(|settings| match known.iter().position(|station| station.settings == settings) {
                Some(position) => known.swap_remove(position),
                None => {
                    let state = Rc::<State>::default();
                    let task = self.spawn(run(self.clone(), settings.clone(), state.clone()));
                    Station { settings, state, task }
                }
            })
            .collect();
    }
}

/// The task of a station.
async fn run(shell: Rc<Shell>, settings: StationSettings, state: Rc<State>) {
    let StationSettings { name, address } = settings;
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = match connect(&address).await {
            Ok(stream) => {
                tracing::info!(station = name, address, "a monitoring station is connected");
                let began = Instant::now();
                state.connected.set(true);
                let ended = serve(&shell, &name, &state, stream).await;
                state.connected.set(false);
                shell.input(Input::StationDown { station: name.clone() });
                shell.has_gone();
                if began.elapsed() > LONGEST_PAUSE {
                    pause = FIRST_PAUSE;
                }
                ended
            }
            Err(error) => Err(error),
        };
        let Err(error) = ended else { return };
        tracing::warn!(station = name, address, %error, "a monitoring station is not connected");
        sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

async fn connect(address: &str) -> io::Result<TcpStream> {
    timeout(PATIENCE, TcpStream::connect(address)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Sends what the speaker has for it, until the speaker stops or the connection ends.
async fn serve(shell: &Rc<Shell>, name: &str, state: &State, stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    shell.input(Input::StationUp { station: name.to_owned(), wall });
    let mut out = BytesMut::new();
    loop {
        let monitoring = shell.poll_station(name, &mut out);
        let written = timeout(PATIENCE, writer.write_all_buf(&mut out)).await;
        written.map_err(|_| io::Error::other("it reads nothing"))??;
        match monitoring {
            Monitoring::More => yield_now().await,
            Monitoring::Behind => return Err(io::Error::other("it does not keep up")),
            Monitoring::Over => return writer.shutdown().await,
            Monitoring::Nothing => tokio::select! {
                () = state.waiting.notified() => {}
                error = end(&mut reader) => return Err(error),
            },
        }
    }
}

/// Until the station closes; it has nothing to say.
async fn end(reader: &mut OwnedReadHalf) -> io::Error {
    let mut sink = [0; 256];
    loop {
        match reader.read(&mut sink).await {
            Ok(0) => return io::Error::other("it has closed the connection"),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}
