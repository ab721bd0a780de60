//! Whoever started us and looks after us: systemd, or a program that speaks its words (sd_notify(3)). It is told when we
//! are ready, read again, or end, and fed while we live; and it may hand over sockets that it listened on for us
//! (sd_listen_fds(3)).

#[cfg(unix)]
use std::os::unix::net::UnixDatagram;
#[cfg(unix)]
use std::sync::Arc;
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::server::Running;
use crate::server::listen::Listener;

/// The name of a socket that is for the metrics: `FileDescriptorName=metrics`.
#[cfg(unix)]
const METRICS: &str = "metrics";

/// Whoever looks after us, or nobody.
pub struct Supervisor {
    #[cfg(unix)]
    socket: Option<Arc<UnixDatagram>>,
    /// After how long without a word from us it believes that we hang.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    pub fn of(context: &Context) -> Self {
        let told = |name: &str| {
            let found = context.environment.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        let is_ours = told("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let micros = told("WATCHDOG_USEC").and_then(|micros| micros.parse().ok()).filter(|micros| *micros > 0);
        Self {
            #[cfg(unix)]
            socket: told("NOTIFY_SOCKET").and_then(connect).map(Arc::new),
            watchdog: micros.filter(|_| is_ours).map(Duration::from_micros),
        }
    }

    /// We serve.
    pub fn ready(&self) {
        self.say("READY=1\nSTATUS=serving");
    }

    /// We read the configuration again; [`Supervisor::ready`] tells the end of it.
    pub fn reloading(&self) {
        #[cfg(unix)]
        {
            // Tells this reload from the one before (sd_notify(3)).
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
            self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the configuration again"));
        }
    }

    /// We end, and take `most` for it where we serve for `delay` before.
    pub fn stopping(&self, delay: Duration, most: Duration) {
        if delay.is_zero() {
            return self.say("STOPPING=1\nSTATUS=finishing requests that are under way");
        }
        // TimeoutStopSec knows nothing of the delay.
        let micros = most.as_micros();
        self.say(&format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}\nSTATUS=serving while /readyz sends people elsewhere, then finishing \
             requests that are under way"
        ));
    }

    /// Feeds the watchdog for as long as `running` does, twice in the time that it waits. Whoever feeds it takes the way
    /// of a request: a server whose threads hang does not.
    #[cfg(unix)]
    pub fn feed_for(&self, running: &mut Running) {
        let (Some(socket), Some(patience)) = (self.socket.clone(), self.watchdog) else { return };
        let inside = running.inside();
        running.also(async move {
            let mut ticks = tokio::time::interval(patience / 2);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                drop(inside.app());
                let _ = socket.send(b"WATCHDOG=1");
            }
        });
    }

    /// There is no such watchdog here.
    #[cfg(not(unix))]
    pub fn feed_for(&self, _: &mut Running) {}

    fn say(&self, words: &str) {
        #[cfg(unix)]
        if let Some(socket) = &self.socket {
            // Whoever does not listen any more will find out by themselves.
            let _ = socket.send(words.as_bytes());
        }
        #[cfg(not(unix))]
        let _ = (words, self.watchdog);
    }
}

#[cfg(unix)]
fn connect(place: &str) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = place.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).ok()?;
        return socket.connect_addr(&address).ok().map(|()| socket);
    }
    socket.connect(place).ok().map(|()| socket)
}

/// Sockets that were handed over.
#[derive(Debug, Default)]
pub struct Handed {
    /// For people and proxies.
    pub doors: Vec<Listener>,
    /// For Prometheus.
    pub metrics: Vec<Listener>,
}

/// The sockets that whoever started us has handed over; none, if there is nobody like that.
#[cfg(unix)]
pub fn handed_over(context: &Context) -> Result<Handed, Failure> {
    let mut sockets = listenfd::ListenFd::from_env();
    let names = context.environment.iter().find(|(name, _)| name == "LISTEN_FDNAMES");
    let names: Vec<&str> = names.map(|(_, names)| names.split(':').collect()).unwrap_or_default();
    let mut handed = Handed::default();
    for place in 0..sockets.len() {
        let listener = match sockets.take_tcp_listener(place) {
            Ok(Some(tcp)) => Listener::of_tcp(tcp),
            _ => match sockets.take_unix_listener(place) {
                Ok(Some(unix)) => Listener::of_unix(unix),
                _ => continue,
            },
        };
        let listener = listener.map_err(|error| {
            Failure::not_so(format!("socket {place} of those that were handed over cannot be used: {error}"))
                .hint("look at ListenStream= in the .socket unit, or stop that unit: Doorward then listens by itself")
        })?;
        match names.get(place) {
            Some(&METRICS) => handed.metrics.push(listener),
            _ => handed.doors.push(listener),
        }
    }
    Ok(handed)
}

/// Nobody hands sockets over here.
#[cfg(not(unix))]
pub fn handed_over(_: &Context) -> Result<Handed, Failure> {
    Ok(Handed::default())
}
