//! A line between the site and its database that a test can cut and mend, freeze and thaw, and slow down.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use doorward::random::{self, OsRandom};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The line; it ends with the value.
pub struct Line {
    /// Where the site's end is.
    pub address: SocketAddr,
    is_whole: watch::Sender<bool>,
    is_frozen: watch::Sender<bool>,
    delay: watch::Sender<Range<u64>>,
}

impl Line {
    /// A whole line from a free loopback port to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (is_whole, state) = watch::channel(true);
        let (is_frozen, frozen) = watch::channel(false);
        let (delay, delays) = watch::channel(0..0);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // A cut line takes the connection and drops it, as a host without its server does.
                if *state.borrow() {
                    tokio::spawn(carry(near, target, state.clone(), (frozen.clone(), delays.clone())));
                } else if state.has_changed().is_err() {
                    return;
                }
            }
        });
        Self { address, is_whole, is_frozen, delay }
    }

    /// Each answer comes so many milliseconds late, now more, now less; none where the range is empty.
    pub fn slow(&self, milliseconds: Range<u64>) {
        self.delay.send_replace(milliseconds);
    }

    /// Ends every connection and takes no further one.
    pub fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    /// Takes connections again.
    pub fn mend(&self) {
        self.is_whole.send_replace(true);
    }

    /// Carries nothing any more; connections stay, and new ones are taken.
    pub fn freeze(&self) {
        self.is_frozen.send_replace(true);
    }

    /// Carries again, and first what was held back.
    pub fn thaw(&self) {
        self.is_frozen.send_replace(false);
    }
}

type Pace = (watch::Receiver<bool>, watch::Receiver<Range<u64>>);

async fn carry(near: TcpStream, target: SocketAddr, mut state: watch::Receiver<bool>, (frozen, delays): Pace) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    let (_at_once, never) = watch::channel(0..0);
    tokio::select! {
        () = pass_on(from_near, to_far, (frozen.clone(), never)) => {}
        () = pass_on(from_far, to_near, (frozen, delays)) => {}
        _ = state.wait_for(|is_whole| !is_whole) => {}
    }
}

async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, (mut frozen, delays): Pace) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count) = from.read(&mut bytes).await
        && count > 0
    {
        let delay = delays.borrow().clone();
        if !delay.is_empty() {
            let chance = u64::from_ne_bytes(random::bytes(&OsRandom));
            tokio::time::sleep(Duration::from_millis(delay.start + chance % (delay.end - delay.start))).await;
        }
        let thawed = frozen.wait_for(|is_frozen| !is_frozen).await.is_ok();
        if !thawed || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
