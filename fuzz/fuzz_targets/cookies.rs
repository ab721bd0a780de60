//! Whatever stands in `Cookie` headers, a session is found under the very bytes of its name and nowhere else, and what we
//! set comes back as we set it.
#![no_main]

use doorward::config::public_url::PublicUrl;
use doorward::credential::Plain;
use doorward::login::SealedPendingLogin;
use doorward::web::cookies::Cookies;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fuzz_target!(|data: &[u8]| {
    // One header a line, as HTTP/2 may split them.
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(30) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(COOKIE, value);
    }
    let https = PublicUrl::parse("https://app.test").expect("an address");
    let http = PublicUrl::parse("http://localhost:3000").expect("an address");
    let shared = Cookies::new(&https, None).shared_with(Some("app.test"));
    for cookies in [Cookies::new(&https, None), Cookies::new(&http, None), shared] {
        only_what_was_sent(&cookies, &headers, data);
        round_trip(&cookies, &headers, data);
    }
});

fn only_what_was_sent(cookies: &Cookies, headers: &HeaderMap, data: &[u8]) {
    let sessions = cookies.sessions(headers);
    assert!(sessions.len() <= 2);
    for session in &sessions {
        let session = session.reveal();
        assert!(session.len() == 43 && session.bytes().all(is_base64url));
        let pair = format!("{}={session}", cookies.session_name());
        assert!(data.windows(pair.len()).any(|part| part == pair.as_bytes()), "not what was sent");
    }

    let pending = cookies.pending(headers);
    assert!(pending.len() <= 20);
    for one in &pending {
        assert!(one.label.len() == 10 && one.value.bytes().all(is_base64url));
        // Both are written back into a header of ours.
        assert!(cookies.set_pending(one).to_str().is_ok() && cookies.end_pending(&one.label).to_str().is_ok());
    }
    let gone = cookies.overflow(&pending, 400);
    assert!(pending.starts_with(gone), "the oldest go first");
    let kept = &pending[gone.len()..];
    assert!(kept.len() <= 4 && kept.iter().map(|one| one.value.len()).sum::<usize>() < 4096);
}

/// What is set is found again, before whatever a neighbour planted behind it.
fn round_trip(cookies: &Cookies, planted: &HeaderMap, data: &[u8]) {
    let chosen = |alphabet: &[u8], length: usize| -> String {
        let bytes = data.iter().chain(std::iter::repeat(&0)).take(length);
        bytes.map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
    };
    let session = Plain::presented(chosen(BASE64URL, 43));
    let value = chosen(BASE64URL, 180 + data.len() % 300);
    let pending = SealedPendingLogin { label: chosen(BASE32, 10), value };
    let pairs = [cookies.set_session(&session), cookies.set_pending(&pending)].map(|header| {
        let header = header.to_str().expect("ASCII").to_owned();
        let (pair, attributes) = header.split_once("; ").expect("attributes");
        assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax"));
        pair.to_owned()
    });
    let mut headers = HeaderMap::new();
    headers.append(COOKIE, HeaderValue::try_from(pairs.join("; ")).expect("ASCII"));
    for value in planted.get_all(COOKIE) {
        headers.append(COOKIE, value.clone());
    }
    assert_eq!(cookies.sessions(&headers).first().map(Plain::reveal), Some(session.reveal()));
    assert!(cookies.pending(&headers).first() == Some(&pending));
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
