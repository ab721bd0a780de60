//! Who is at the other end: the peer, or whom a proxy that we trust says it speaks for.
//!
//! `X-Forwarded-For` grows to the right, so it is read from the right and only as far as the proxies are ours. What
//! stands further left was written by strangers.

use std::net::{IpAddr, SocketAddr};

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
        let lines: Vec<&[u8]> = headers.get_all("x-forwarded-for").iter().map(|line| line.as_bytes()).collect();
        // Bytes, not text: whoever writes rubbish to the left must not hide what our proxy wrote to the right of it.
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
            let Some(address) = address(hop) else { break };
            client = Some(address);
            if !is_trusted(Peer::Tcp(address), trusted) {
                break;
            }
        }
    }
    client.map(|address| address.to_string()).unwrap_or_default()
}

/// An address in one of the forms that proxies write: `203.0.113.7`, `2001:db8::1`, either with a port, in brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = bare.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(address.to_canonical())
}
