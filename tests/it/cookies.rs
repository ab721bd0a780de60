//! Our cookies, written attribute by attribute and read byte by byte.

use std::time::Duration;

use doorward::config::public_url::PublicUrl;
use doorward::credential::Plain;
use doorward::login::SealedPendingLogin;
use doorward::random::SeededRandom;
use doorward::web::cookies::Cookies;
use http::{HeaderMap, HeaderValue};

fn cookies(public_url: &str) -> Cookies {
    let public_url = PublicUrl::parse(public_url).expect("an address");
    Cookies::new(&public_url, Some(Duration::from_secs(3600)))
}

fn handle() -> Plain {
    Plain::new(&SeededRandom::new(1))
}

fn sent(lines: &[&[u8]]) -> HeaderMap {
    let lines = lines.iter().map(|line| HeaderValue::from_bytes(line).expect("a header's value"));
    lines.fold(HeaderMap::new(), |mut headers, line| {
        headers.append("cookie", line);
        headers
    })
}

fn found(cookies: &Cookies, line: &[u8]) -> Vec<String> {
    cookies.sessions(&sent(&[line])).iter().map(|handle| handle.reveal().to_owned()).collect()
}

fn pending(label: &str, length: usize) -> SealedPendingLogin {
    SealedPendingLogin { label: label.to_owned(), value: "v".repeat(length) }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().expect("ASCII")
}

#[test]
fn a_session_is_set_for_this_host_alone_and_over_tls_where_there_is_tls() {
    let handle = handle();
    let value = handle.reveal();
    assert_eq!(
        text(&cookies("https://example.com/auth").set_session(&handle)),
        format!("__Host-doorward={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600")
    );
    assert_eq!(
        text(&cookies("http://localhost:3000").set_session(&handle)),
        format!("doorward_3000={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600")
    );
    let until_closed = Cookies::new(&PublicUrl::parse("https://example.com").expect("an address"), None);
    assert!(!text(&until_closed.set_session(&handle)).contains("Max-Age"), "it ends with the browser");
    assert_eq!(
        text(&cookies("https://example.com").end_session()),
        "__Host-doorward=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
    );
}

#[test]
fn a_shared_session_goes_to_every_host_of_the_domain_and_a_pending_login_does_not() {
    let shared = cookies("https://auth.example.com").shared_with(Some("example.com"));
    let handle = handle();
    let value = handle.reveal();
    assert_eq!(
        text(&shared.set_session(&handle)),
        format!("__Secure-doorward={value}; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax; Max-Age=3600")
    );
    assert_eq!(
        text(&shared.end_session()),
        "__Secure-doorward=; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
    );
    assert_eq!(found(&shared, format!("__Secure-doorward={value}").as_bytes()), [value]);
    assert_eq!(found(&shared, format!("__Host-doorward={value}").as_bytes()), [""; 0]);
    let pending = text(&shared.set_pending(&pending("abcdefg234", 3))).to_owned();
    assert!(pending.starts_with("__Host-doorward-login-abcdefg234=") && !pending.contains("Domain"), "{pending}");
}

#[test]
fn a_pending_login_is_kept_for_ten_minutes_under_its_label() {
    let pending = pending("abcdefg234", 3);
    assert_eq!(
        text(&cookies("https://example.com").set_pending(&pending)),
        "__Host-doorward-login-abcdefg234=vvv; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"
    );
    assert_eq!(
        text(&cookies("http://localhost:8080").end_pending("abcdefg234")),
        "doorward_8080-login-abcdefg234=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    );
}

#[test]
fn only_the_very_bytes_of_our_name_are_ours() {
    let (cookies, value) = (cookies("https://example.com"), handle().reveal().to_owned());
    for name in [
        "%5F%5FHost-doorward",
        "__Host%2Ddoorward",
        "__host-doorward",
        "__Host-doorward ",
        "__Host-doorwar",
        "__Host-doorward1",
        "\u{a0}__Host-doorward",
        "\u{2003}__Host-doorward",
        "\"__Host-doorward\"",
        "doorward",
        "",
    ] {
        assert_eq!(found(&cookies, format!("{name}={value}").as_bytes()), Vec::<String>::new(), "{name:?}");
    }
    for line in [
        format!("__Host-doorward={value}"),
        format!("a=b;__Host-doorward={value}"),
        format!("a=b; \t __Host-doorward={value};c"),
        format!(";;; =; __Host-doorward={value}"),
    ] {
        assert_eq!(found(&cookies, line.as_bytes()), std::slice::from_ref(&value), "{line:?}");
    }
}

#[test]
fn a_value_that_is_no_handle_is_not_looked_at() {
    let (cookies, value) = (cookies("https://example.com"), handle().reveal().to_owned());
    for broken in [
        String::new(),
        format!("\"{value}\""),
        format!("{value} "),
        format!("{value}x"),
        value[1..].to_owned(),
        format!("{}%2D", &value[3..]),
        format!("{}é", &value[2..]),
        "x".repeat(60_000),
    ] {
        let line = format!("__Host-doorward={broken}");
        assert_eq!(found(&cookies, line.as_bytes()), Vec::<String>::new(), "{broken:?}");
    }
}

#[test]
fn bytes_beyond_ascii_in_somebody_elses_cookie_hide_nothing() {
    let (cookies, value) = (cookies("https://example.com"), handle().reveal().to_owned());
    let mut line = b"name=J\xf6rg; \xff\xfe=\x80; ".to_vec();
    line.extend(format!("__Host-doorward={value}; caf\u{e9}=\u{1f363}").as_bytes());
    assert_eq!(found(&cookies, &line), [value]);
}

#[test]
fn rubbish_of_our_name_takes_nobodys_place_and_two_handles_are_tried_at_most() {
    let cookies = cookies("https://example.com");
    let handles: Vec<String> = (0..3).map(|seed| Plain::new(&SeededRandom::new(seed)).reveal().to_owned()).collect();
    let rubbish = "__Host-doorward=x; ".repeat(50);
    let line = format!("{rubbish}__Host-doorward={}", handles[0]);
    assert_eq!(found(&cookies, line.as_bytes()), handles[..1]);
    let lines: Vec<String> = handles.iter().map(|handle| format!("__Host-doorward={handle}")).collect();
    let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    let tried: Vec<String> = cookies.sessions(&sent(&lines)).iter().map(|handle| handle.reveal().to_owned()).collect();
    assert_eq!(tried, handles[..2], "several headers count as one");
}

#[test]
fn pending_logins_are_told_from_everything_that_looks_like_them() {
    let cookies = cookies("http://localhost:3000");
    let line = "doorward_3000-login-abcdefg234=one; doorward_3000-login-ABCDEFG234=capitals; \
                doorward_3000-login-abcdefg23=short; doorward_3001-login-abcdefg234=port; \
                doorward_3000-login-abcdefg235=not%20ours; doorward_3000-login-zzzzzzzzzz=two";
    let found = cookies.pending(&sent(&[line.as_bytes()]));
    let values: Vec<&str> = found.iter().map(|pending| pending.value.as_str()).collect();
    assert_eq!(values, ["one", "two"]);
}

#[test]
fn the_oldest_pending_logins_make_room() {
    let cookies = cookies("https://example.com");
    let labels = |pending: &[SealedPendingLogin]| pending.iter().map(|one| one.label.clone()).collect::<Vec<_>>();
    let many: Vec<_> = (0..9).map(|n| pending(&format!("aaaaaaaaa{}", char::from(b'a' + n)), 100)).collect();
    assert_eq!(labels(cookies.overflow(&many, 100)), labels(&many[..5]), "four are left beside the new one");
    let few: Vec<_> = many[..4].to_vec();
    assert!(cookies.overflow(&few, 100).is_empty());
    // Long addresses to return to: fewer fit, and together they stay under four kilobytes.
    let long: Vec<_> = (0..4).map(|n| pending(&format!("aaaaaaaaa{}", char::from(b'a' + n)), 1500)).collect();
    let kept = &long[cookies.overflow(&long, 1500).len()..];
    let bytes: usize = kept.iter().map(|one| one.value.len() + "__Host-doorward-login-aaaaaaaaaa=; ".len()).sum();
    assert_eq!(kept.len(), 1);
    assert!(bytes + 1500 < 4096, "{bytes}");
}
