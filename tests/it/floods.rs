//! Floods against a real process: connections without end or without words, and what whoever is signed in notices of it.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::site::flood::{Flooded, Heard};
use crate::site::program::PATIENCE;
use crate::site::tiers::Tier;

/// Says a number that somebody wants to know; a test that is run alone shows it.
fn tell(what: &str, heard: Heard, site: &Flooded) {
    #[expect(clippy::print_stderr, reason = "docs/reliability.md gives these numbers")]
    {
        eprintln!("{what}: {heard:?}, {:?}, at the most {} KiB", site.holdings(), site.site.program.status("VmHWM"));
    }
}

/// So many connections that begin a request and never end it, until the server has closed them all.
async fn slow_clients(site: &Flooded, number: usize) {
    const HALVES: [&[u8]; 4] =
        [b"", b"GET /api/me HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"PRI * HTTP/2.0\r\n\r\nSM", b"POST /logout HT"];
    let clients = (0..number).map(|at| async move {
        let mut connection = site.connect().await;
        connection.write_all(HALVES[at % HALVES.len()]).await.expect("it listens");
        connection
    });
    let held: Vec<TcpStream> = join_all(clients).await;
    let ends = held.into_iter().map(|mut connection| async move {
        let mut answer = Vec::new();
        // Reset or closed: it is over either way.
        let end = timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "it waits for ever");
    });
    join_all(ends).await;
}

mod long {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_thousand_slow_clients_are_noticed_by_nobody() {
        let Some(_) = Tier::Long.here() else { return };
        let site = Flooded::start("").await;
        let ((), heard) = site.during(slow_clients(&site, 2_000)).await;
        tell("2,000 slow clients", heard, &site);
        site.until_quiet().await;
    }
}
