//! Who is at the other end: the peer, or whom a proxy that we trust says it speaks for.
//!
//! `X-Forwarded-For` grows to the right, so it is read from the right and only as far as the proxies are ours. What
//! stands further left was written by strangers.

use std::net::IpAddr;

use http::HeaderMap;

use crate::config::server::TrustedProxy;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP connection from this address.
    Tcp(IpAddr),
    /// A Unix socket.
    Unix,
}

/// Whether forwarded headers from `peer` are believed.
pub fn is_trusted(peer: Peer, trusted: &[TrustedProxy]) -> bool {
    trusted.iter().any(|proxy| match (proxy, peer) {
        (TrustedProxy::Loopback, Peer::Tcp(address)) => address.to_canonical().is_loopback(),
        (TrustedProxy::Net(net), Peer::Tcp(address)) => net.contains(&address.to_canonical()),
        (TrustedProxy::Unix, Peer::Unix) => true,
        _ => false,
    })
}

/// The client's address as text; empty where nobody knows it.
pub fn client_address(peer: Peer, headers: &HeaderMap, trusted: &[TrustedProxy]) -> String {
    let mut client = match peer {
        Peer::Tcp(address) => Some(address.to_canonical()),
        Peer::Unix => None,
    };
    if is_trusted(peer, trusted) {
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = Some(address.to_canonical());
            if !is_trusted(Peer::Tcp(address), trusted) {
                break;
            }
        }
    }
    client.map(|address| address.to_string()).unwrap_or_default()
}
