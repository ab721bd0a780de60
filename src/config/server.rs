//! `[server]`: where we listen and whom we believe.

use std::path::PathBuf;

use ipnet::IpNet;

/// `[server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where connections are taken.
    pub listen: Listen,
    /// Whose `X-Forwarded-*` we believe.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// How many connections are served at once; further ones wait in the system's queue.
    pub max_connections: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: Listen::Tcp { host: "localhost".to_owned(), port: 3000 },
            trusted_proxies: vec![TrustedProxy::Loopback],
            max_connections: 20_000,
        }
    }
}

/// A place to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `localhost:3000`: every address the name has; or `127.0.0.1:3000`, `[::]:3000`.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 lets the system choose.
        port: u16,
    },
    /// `unix:/run/doorward.sock`
    Unix(PathBuf),
}

/// Somebody whose forwarded headers are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// `loopback`: 127.0.0.0/8 and ::1.
    Loopback,
    /// `unix`: whoever comes through our Unix socket.
    Unix,
    /// `10.0.0.0/8`, or one address.
    Net(IpNet),
}
