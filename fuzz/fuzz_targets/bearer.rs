//! Whatever stands in `Authorization`, only a whole token of ours is looked up, one that is made by the book is whole,
//! and one wrong letter is noticed at once.
#![no_main]

use doorward::tokens;
use doorward::web::guard::visitor;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fuzz_target!(|data: &[u8]| {
    presented(data);
    let token = by_the_book(data);
    assert!(tokens::is_well_formed(&token), "{token}");
    for scheme in ["Bearer ", "bearer ", "BEARER   "] {
        let found = visitor::token_of_ours(format!("{scheme}{token}").as_bytes());
        assert_eq!(found.as_ref().map(|found| found.reveal()), Some(token.as_str()));
    }
    one_slip(&token, data);
});

/// What a stranger sends as it is.
fn presented(data: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(data) {
        headers.append(AUTHORIZATION, value);
    }
    let Some(token) = visitor::token_of_ours(data) else { return };
    let token = token.reveal();
    assert!(tokens::is_ours(token) && data.ends_with(token.as_bytes()));
    assert!(headers.is_empty() || visitor::brings_token(&headers), "a token that nobody would look at");
    if tokens::is_well_formed(token) {
        assert!(token.len() == 56 && token.is_ascii());
    }
}

/// A token as the documentation describes it: 43 characters that `data` chooses, and the checksum in base62.
fn by_the_book(data: &[u8]) -> String {
    let chosen = data.iter().chain(std::iter::repeat(&0)).take(43);
    let mut token = "dw_pat_".to_owned();
    token.extend(chosen.map(|byte| char::from(BASE62[usize::from(*byte) % 62])));
    let sum = u64::from(crc32fast::hash(token.as_bytes()));
    let digits = (0..6).rev().map(|place| char::from(BASE62[(sum / 62_u64.pow(place) % 62) as usize]));
    let digits: String = digits.collect();
    token + &digits
}

/// Another letter in one place, two neighbours exchanged, one letter more or less.
fn one_slip(token: &str, data: &[u8]) {
    let [place, letter] = [data.first(), data.last()].map(|byte| usize::from(byte.copied().unwrap_or_default()));
    let place = place % token.len();
    let bytes = token.as_bytes();
    let mut changed = bytes.to_vec();
    changed[place] = BASE62[letter % 62];
    let mut exchanged = bytes.to_vec();
    exchanged.swap(place, (place + 1) % token.len());
    let longer = [bytes, &BASE62[..1]].concat();
    for slip in [&changed[..], &exchanged, &longer, &bytes[1..], &bytes[..bytes.len() - 1]] {
        let slip = std::str::from_utf8(slip).expect("ASCII");
        assert!(slip == token || !tokens::is_well_formed(slip), "{slip} is as good as {token}");
    }
}
