//! Floods that only HTTP/2 knows, against a real process: each costs the one who sends it the connection, or nothing, and
//! whoever is signed in is answered all the while.

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::site::flood::{Flooded, Heard};
use crate::site::frames::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, INITIAL_WINDOW_SIZE, PING, Peer,
    RST_STREAM, SETTINGS, Said, WINDOW_UPDATE, frame, headers, remembered, stream,
};
use crate::site::program::{PATIENCE, PAUSE};
use crate::site::tiers::Tier;
use crate::site::visitors::Visitor;

/// How many do the same at once.
const PEERS: usize = 20;

/// What memory may grow by while all of them are at it.
const MOST_KIB: usize = 96 * 1024;

/// A GET of `target` on the stream with this number, ended.
fn get(site: &Flooded, number: usize, target: &str) -> Vec<u8> {
    let block = headers("GET", target, &format!("localhost:{}", site.site.port), &[]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &block)
}

/// What each of [`PEERS`] hears who send `bytes`, and what whoever is signed in hears meanwhile.
async fn all_send(site: &Flooded, bytes: &[u8]) -> (Vec<Said>, Heard) {
    let attack = || async { Peer::greet(site.connect().await, &[]).await.attack(bytes).await };
    let heard = site.during(join_all((0..PEERS).map(|_| attack()))).await;
    site.until_quiet().await;
    heard
}

/// Every one of them was sent away for asking too much.
fn all_were_sent_away(said: &[Said]) {
    assert!(said.iter().all(|said| said.goaway == Some(ENHANCE_YOUR_CALM)), "{said:?}");
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_requests_back_at_once_is_sent_away() {
    let site = Flooded::start("").await;
    let reset = |number| frame(RST_STREAM, 0, stream(number), &CANCEL.to_be_bytes());
    let bytes: Vec<u8> =
        (0..5_000).flat_map(|number| [get(&site, number, "/api/me"), reset(number)].concat()).collect();
    let (said, heard) = all_send(&site, &bytes).await;
    all_were_sent_away(&said);
    site.tell("100,000 requests taken back", heard);
    // With time to look at each there is nothing to send anybody away for; it costs what requests cost.
    let patient = || async {
        let mut peer = Peer::greet(site.connect().await, &[]).await;
        for number in 0..500 {
            if !peer.send(&get(&site, number, "/login")).await || !peer.send(&reset(number)).await {
                break;
            }
            tokio::task::yield_now().await;
        }
        peer.attack(&[]).await
    };
    site.during(join_all((0..PEERS).map(|_| patient()))).await;
    site.until_quiet().await;
}

/// CVE-2024-27316.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_an_end_are_not_read_to_their_end() {
    let site = Flooded::start("").await;
    let begun = frame(HEADERS, END_STREAM, stream(0), &headers("GET", "/", "localhost", &[]));
    let filler = (0..100).flat_map(|number| remembered(&format!("x-filler-{number}"), &"f".repeat(100))).collect();
    for more in [Vec::new(), filler] {
        let bytes = [begun.clone(), frame(CONTINUATION, 0, stream(0), &more).repeat(1_000)].concat();
        let (said, heard) = all_send(&site, &bytes).await;
        all_were_sent_away(&said);
        site.tell(&format!("headers without an end, {} bytes a frame", more.len()), heard);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_bytes_do_not_become_many_headers() {
    let site = Flooded::start("").await;
    // One header of 4,000 bytes, and then as often as a frame holds it: 48 MB from 16 KB.
    let block = [headers("GET", "/", "localhost", &[]), remembered("x-bomb", &"b".repeat(4_000)), vec![0xbe; 12_000]];
    let bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream(0), &block.concat());
    let (said, heard) = all_send(&site, &bytes).await;
    assert!(said.iter().all(|said| said.goaway.is_some() || said.answers == 1), "{said:?}");
    site.tell("48 MB of headers from 16 KB", heard);
    site.grew_by_at_most(MOST_KIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_settings_and_windows_are_answered_and_nothing_more() {
    let site = Flooded::start("").await;
    for (what, bytes) in [
        ("pings", frame(PING, 0, 0, &[7; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("windows", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
    ] {
        let (said, heard) = all_send(&site, &bytes.repeat(5_000)).await;
        assert!(what != "pings" || said.iter().all(|said| said.pings >= 5_000), "{said:?}");
        site.tell(&format!("100,000 {what}"), heard);
    }
    site.grew_by_at_most(MOST_KIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_what_pings_bring_is_not_listened_to() {
    const MOST: usize = 64 * 1024 * 1024;
    let site = Flooded::start("").await;
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(1_000);
    let deaf = || async {
        let mut peer = Peer::greet(site.connect().await, &[]).await;
        let mut sent = 0;
        // What both systems hold on the way is megabytes; then nothing goes on.
        while let Ok(true) = timeout(25 * PAUSE, peer.send(&pings)).await {
            sent += pings.len();
            assert!(sent < MOST, "it goes on listening");
        }
        (peer, sent)
    };
    let (held, heard) = site.during(join_all((0..PEERS).map(|_| deaf()))).await;
    let sent: usize = held.iter().map(|(_, sent)| sent).sum();
    site.tell(&format!("{sent} bytes of pings whose answers nobody reads"), heard);
    site.grew_by_at_most(MOST_KIB);
    drop(held);
    site.until_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_pieces_of_a_body_are_not_counted_for_ever() {
    let site = Flooded::start("").await;
    let authority = format!("localhost:{}", site.site.port);
    let begun = headers("POST", "/logout", &authority, &[("sec-fetch-site", "same-origin")]);
    let begun = frame(HEADERS, END_HEADERS, stream(0), &begun);
    let bytes = [begun, frame(DATA, 0, stream(0), &[]).repeat(20_000)].concat();
    let (said, heard) = all_send(&site, &bytes).await;
    all_were_sent_away(&said);
    site.tell("400,000 empty pieces of a body", heard);
}

/// CVE-2025-8671: a client that makes the server reset its streams, so that they are not counted while they are worked on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_makes_us_take_requests_back_is_sent_away() {
    const MOST_RESETS: usize = 101;
    let site = Flooded::start("").await;
    let overflow = |number| frame(WINDOW_UPDATE, 0, stream(number), &0x7fff_ffff_u32.to_be_bytes());
    let late = |number| frame(DATA, 0, stream(number), b"late");
    for spoil in [&overflow as &dyn Fn(usize) -> Vec<u8>, &late] {
        let bytes: Vec<u8> =
            (0..5_000).flat_map(|number| [get(&site, number, "/api/me"), spoil(number)].concat()).collect();
        let (said, heard) = all_send(&site, &bytes).await;
        assert!(said.iter().all(|said| said.goaway.is_some()), "{said:?}");
        assert!(said.iter().all(|said| said.resets <= MOST_RESETS), "{said:?}");
        site.tell("100,000 requests that are spoilt", heard);
    }
}

/// Clients that take none of what they ask for, a hundred answers each; all have begun.
async fn starved(site: &Flooded) -> Vec<Peer> {
    const STREAMS: usize = 100;
    // The largest answer that costs nothing to make: what is waited for here is the room, not the processor.
    let page = site.ada.visit("").await.body;
    let (_, style) = page.split_once("/assets/app.").expect("a style sheet");
    let style = format!("/assets/app.{}", style.split('"').next().unwrap_or_default());
    let asking: Vec<u8> = (0..STREAMS).flat_map(|number| get(site, number, &style)).collect();
    let starve = || async {
        let mut peer = Peer::greet(site.connect().await, &[(INITIAL_WINDOW_SIZE, 0)]).await;
        assert!(peer.send(&asking).await, "it listens");
        peer.until_answers(STREAMS).await;
        peer
    };
    join_all((0..PEERS).map(|_| starve())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_are_few_and_end_with_their_connection() {
    let site = Flooded::start("").await;
    let (held, heard) = site.during(starved(&site)).await;
    site.tell("2,000 answers that nobody takes", heard);
    site.grew_by_at_most(MOST_KIB);
    drop(held);
    site.until_quiet().await;
}

mod long {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_takes_no_answer_for_a_minute_is_sent_away() {
        let Some(_) = Tier::Long.here() else { return };
        let site = Flooded::start("").await;
        let held = starved(&site).await;
        let ends = held.into_iter().map(|peer| timeout(2 * PATIENCE, peer.end()));
        let (ends, heard) = site.during(join_all(ends)).await;
        assert!(ends.iter().all(Result::is_ok), "it holds them for ever");
        site.tell("answers that nobody took for a minute", heard);
        site.until_quiet().await;
    }
}
