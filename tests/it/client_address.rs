//! Whose word counts about where a request comes from.

use std::net::IpAddr;

use doorward::config::server::TrustedProxy;
use doorward::web::guard::client_address::{Peer, client_address, is_trusted};
use http::{HeaderMap, HeaderValue};

fn peer(address: &str) -> Peer {
    Peer::Tcp(address.parse::<IpAddr>().expect("an address"))
}

fn forwarded(lines: &[&[u8]]) -> HeaderMap {
    lines.iter().fold(HeaderMap::new(), |mut headers, line| {
        headers.append("x-forwarded-for", HeaderValue::from_bytes(line).expect("a header's value"));
        headers
    })
}

fn net(net: &str) -> TrustedProxy {
    TrustedProxy::Net(net.parse().expect("a network"))
}

#[test]
fn a_stranger_cannot_speak_for_others() {
    let headers = forwarded(&[b"198.51.100.1"]);
    assert_eq!(client_address(peer("203.0.113.7"), &headers, &[TrustedProxy::Loopback]), "203.0.113.7");
    assert_eq!(client_address(peer("127.0.0.1"), &headers, &[]), "127.0.0.1");
    assert_eq!(client_address(Peer::Unix, &headers, &[TrustedProxy::Loopback]), "");
}

#[test]
fn a_proxy_of_ours_speaks_for_whoever_it_serves() {
    let headers = forwarded(&[b"198.51.100.1"]);
    assert_eq!(client_address(peer("127.0.0.1"), &headers, &[TrustedProxy::Loopback]), "198.51.100.1");
    assert_eq!(client_address(peer("::1"), &headers, &[TrustedProxy::Loopback]), "198.51.100.1");
    assert_eq!(client_address(peer("::ffff:127.0.0.1"), &headers, &[TrustedProxy::Loopback]), "198.51.100.1");
    assert_eq!(client_address(peer("10.1.2.3"), &headers, &[net("10.0.0.0/8")]), "198.51.100.1");
    assert_eq!(client_address(Peer::Unix, &headers, &[TrustedProxy::Unix]), "198.51.100.1");
    assert_eq!(client_address(peer("127.0.0.1"), &HeaderMap::new(), &[TrustedProxy::Loopback]), "127.0.0.1");
}

#[test]
fn what_the_client_wrote_to_the_left_is_never_reached() {
    let trusted = [TrustedProxy::Loopback, net("10.0.0.0/8")];
    for lines in [
        &[&b"1.2.3.4, 198.51.100.1"[..]][..],
        &[b"1.2.3.4", b"198.51.100.1"],
        &[b"1.2.3.4,198.51.100.1, 10.9.9.9"],
        &[b"127.0.0.1, 10.0.0.1, 198.51.100.1 , 10.9.9.9"],
        &[b"\xff\xfe, 198.51.100.1"],
        &[b"1.2.3.4", b"\xff, 198.51.100.1"],
        &[b"<script>, unknown, 198.51.100.1"],
    ] {
        let address = client_address(peer("127.0.0.1"), &forwarded(lines), &trusted);
        assert_eq!(address, "198.51.100.1", "{lines:?}");
    }
}

#[test]
fn the_nearest_address_that_is_known_counts_where_the_next_cannot_be_read() {
    let trusted = [TrustedProxy::Loopback, net("10.0.0.0/8")];
    for lines in [&[&b"198.51.100.1, unknown, 10.9.9.9"[..]][..], &[b"198.51.100.1", b"\xff", b"10.9.9.9"]] {
        assert_eq!(client_address(peer("127.0.0.1"), &forwarded(lines), &trusted), "10.9.9.9", "{lines:?}");
    }
    let empty = forwarded(&[b""]);
    assert_eq!(client_address(peer("127.0.0.1"), &empty, &trusted), "127.0.0.1");
}

#[test]
fn addresses_are_read_in_every_form_that_proxies_write() {
    for (written, read) in [
        ("198.51.100.1:4711", "198.51.100.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
    ] {
        let headers = forwarded(&[written.as_bytes()]);
        assert_eq!(client_address(peer("127.0.0.1"), &headers, &[TrustedProxy::Loopback]), read, "{written}");
    }
}

#[test]
fn a_network_ends_where_it_ends() {
    assert!(is_trusted(peer("10.255.255.255"), &[net("10.0.0.0/8")]));
    assert!(!is_trusted(peer("11.0.0.0"), &[net("10.0.0.0/8")]));
    assert!(!is_trusted(peer("127.0.0.1"), &[TrustedProxy::Unix]));
    assert!(!is_trusted(Peer::Unix, &[TrustedProxy::Loopback, net("0.0.0.0/0")]));
}
