//! The signals that a server is sent: to end, and to read its configuration again.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cli::failure::Failure;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// SIGTERM or SIGINT; or SIGHUP, where it tells that our terminal was closed.
    End,
    /// SIGHUP.
    Reload,
}

/// Signals as they arrive.
pub struct Signals {
    arrived: mpsc::Receiver<Told>,
    /// Whether a reload was asked for while nobody could do it.
    is_reload_due: bool,
    _listening: JoinHandle<()>,
}

impl Signals {
    /// Listens for them from now on; none that comes later is lost.
    #[cfg(unix)]
    pub fn listen() -> Result<Self, Failure> {
        use std::io::IsTerminal;

        use tokio::signal::unix::{SignalKind, signal};

        let listen =
            |kind| signal(kind).map_err(|error| Failure::not_so(format!("signals cannot be listened for: {error}")));
        let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let mut hangup = listen(SignalKind::hangup())?;
        let (arrive, arrived) = mpsc::channel(2);
        // A window that is closed sends the same signal, and takes the terminal away before.
        let is_at_a_terminal = || std::io::stderr().is_terminal();
        let was_at_a_terminal = is_at_a_terminal();
        let listening = tokio::spawn(async move {
            loop {
                let told = tokio::select! {
                    _ = terminate.recv() => Told::End,
                    _ = interrupt.recv() => Told::End,
                    _ = hangup.recv() => {
                        if was_at_a_terminal && !is_at_a_terminal() { Told::End } else { Told::Reload }
                    }
                };
                if arrive.send(told).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { arrived, is_reload_due: false, _listening: listening })
    }

    /// Listens for them from now on; none that comes later is lost.
    #[cfg(not(unix))]
    pub fn listen() -> Result<Self, Failure> {
        let (arrive, arrived) = mpsc::channel(2);
        let listening = tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && arrive.send(Told::End).await.is_ok() {}
        });
        Ok(Self { arrived, is_reload_due: false, _listening: listening })
    }

    /// The next one.
    pub async fn next(&mut self) -> Told {
        if std::mem::take(&mut self.is_reload_due) {
            return Told::Reload;
        }
        self.arrived.recv().await.unwrap_or(Told::End)
    }

    /// The next one that asks to end; a reload that is asked for before waits for [`Signals::next`].
    pub async fn end(&mut self) {
        while self.arrived.recv().await == Some(Told::Reload) {
            self.is_reload_due = true;
        }
    }
}
