//! A sealed pending login opens if not one character of it was changed, and then holds what was sealed.
#![no_main]

use std::time::Duration;

use doorward::clock::Timestamp;
use doorward::login::SealedPendingLogin;
use doorward::login::pending::{PendingLogin, fingerprint};
use doorward::random::SeededRandom;
use doorward::store::Key;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let now = Timestamp::from_unix(1_764_000_000);
    let key = |id, secret, age| Key { id, secret: [secret; 32], created_at: now - Duration::from_secs(age) };
    // The second one seals since a minute ago.
    let keys = [key(1, 7, 86_400), key(2, 8, 240)];
    let (first, rest) = data.split_at(data.len().min(1));
    let first = first.first().copied().unwrap_or_default();

    // Made up by a stranger.
    let stranger = String::from_utf8_lossy(rest).into_owned();
    let label = "abcdefghij".to_owned();
    assert!(PendingLogin::open(&SealedPendingLogin { label, value: stranger }, &keys).is_err());

    // Sealed here, with whatever a stranger wanted to return to. No address holds a control character.
    let is_address = |text: &&str| (1..2000).contains(&text.len()) && !text.chars().any(char::is_control);
    let return_to = std::str::from_utf8(rest).ok().filter(is_address);
    let random = SeededRandom::new(u64::from(first));
    let provider = fingerprint("https://accounts.google.com", "client");
    let must_prove = first % 2 == 1;
    let login =
        PendingLogin { must_prove, ..PendingLogin::begin(&random, provider, now, return_to.map(str::to_owned)) };
    let sealed = login.seal(&keys, &random).expect("there are keys");
    // It has to fit into a cookie beside others.
    assert!(sealed.value.len() < 300 + 2 * return_to.map_or(0, str::len));
    let opened = PendingLogin::open(&sealed, &keys).expect("it was sealed with one of them");
    assert_eq!((opened.return_to.as_deref(), opened.must_prove, opened.begun_at), (return_to, must_prove, now));
    assert!(opened.state == login.state && opened.nonce == login.nonce && opened.verifier == login.verifier);
    assert_eq!(opened.provider, provider);
    assert!(PendingLogin::open(&sealed, &keys[..1]).is_err(), "sealed with the newest key");

    // The same, with characters put in the place of others: pairs of a place and a character.
    let mut value = sealed.value.clone().into_bytes();
    for pair in rest.chunks_exact(2) {
        let place = usize::from(pair[0]) % value.len();
        value[place] = pair[1] & 0x7f;
    }
    let value = String::from_utf8(value).expect("ASCII");
    let is_changed = value != sealed.value;
    let tampered = SealedPendingLogin { label: sealed.label.clone(), value };
    assert_eq!(PendingLogin::open(&tampered, &keys).is_err(), is_changed);
    let cut = SealedPendingLogin { value: sealed.value[..sealed.value.len() - 1].to_owned(), ..sealed.clone() };
    assert!(PendingLogin::open(&cut, &keys).is_err());
    let moved = SealedPendingLogin { label: "abcdefghij".to_owned(), value: sealed.value };
    assert_eq!(PendingLogin::open(&moved, &keys).is_err(), moved.label != sealed.label);
});
