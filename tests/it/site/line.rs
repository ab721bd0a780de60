//! A line between the site and its database that a test can cut and mend.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The line; it ends with the value.
pub struct Line {
    /// Where the site's end is.
    pub address: SocketAddr,
    is_whole: watch::Sender<bool>,
}

impl Line {
    /// A whole line from a free loopback port to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (is_whole, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // A cut line takes the connection and drops it, as a host without its server does.
                if *state.borrow() {
                    tokio::spawn(carry(near, target, state.clone()));
                } else if state.has_changed().is_err() {
                    return;
                }
            }
        });
        Self { address, is_whole }
    }

    /// Ends every connection and takes no further one.
    pub fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    /// Takes connections again.
    pub fn mend(&self) {
        self.is_whole.send_replace(true);
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut state: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = state.wait_for(|is_whole| !is_whole) => {}
    }
}
