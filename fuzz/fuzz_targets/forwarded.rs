//! Whatever a proxy or a stranger says of a request, it is read in one way or not at all.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use doorward::config::server::TrustedProxy;
use doorward::gate::target::Path;
use doorward::web::guard::client_address::{Peer, client_address};
use doorward::web::guard::forwarded;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(40) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }

    let stranger = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
    let trusted = [TrustedProxy::Loopback, TrustedProxy::Net("10.0.0.0/8".parse().expect("a network"))];
    // A stranger chooses nothing.
    assert_eq!(client_address(Peer::Tcp(stranger), &headers, &trusted), stranger.to_string());
    if let Ok(told) = forwarded::read(&headers, false) {
        assert!(told.target.is_none() && !told.is_passed_on);
    }
    // Whom our proxy names is an address.
    let named = client_address(Peer::Tcp(IpAddr::V4(Ipv4Addr::LOCALHOST)), &headers, &trusted);
    assert!(named.parse::<IpAddr>().is_ok(), "{named}");

    // Where only the host is known, no rule that looks at paths may let anybody pass.
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    if let Ok(Some(target)) = forwarded::read_by_host(&headers, true, "https", host) {
        assert!(target.path == Path::Ambiguous && host.is_some());
    }
    assert!(!matches!(forwarded::read_by_host(&headers, false, "https", host), Ok(Some(_))));

    let Ok(told) = forwarded::read(&headers, true) else { return };
    let Some(target) = told.target else { return };
    if let Path::Canonical(path) = &target.path {
        assert!(path.is_empty() || path.starts_with('/'));
        assert!(!path.contains(['\\', ';', '#', '?', '%']) && !path.chars().any(char::is_control));
        assert!(path.split('/').skip(1).all(|part| !matches!(part, "" | "." | "..")), "{path}");
    }
    // The host whose rules are asked is the one that a browser would go to.
    if let Ok(url) = Url::parse(&target.url()) {
        if let Some(Host::Domain(domain)) = url.host() {
            assert_eq!(domain, target.host);
        }
        assert!(url.username().is_empty() && url.password().is_none());
    }
});
