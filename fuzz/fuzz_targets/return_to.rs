//! Whatever stands in `rd`, a browser that follows what we make of it ends where it may.
#![no_main]

use doorward::config::apps::{Apps, MAX_LENGTH};
use doorward::config::public_url::PublicUrl;
use doorward::login::return_to::{ReturnRules, ReturnTo};
use libfuzzer_sys::fuzz_target;
use url::Url;

const ALLOWED: [&str; 3] = ["https://app.test", "https://sibling.test", "http://localhost:8000"];

fuzz_target!(|text: &str| {
    for public_url in ["https://app.test", "https://app.test/auth"] {
        let origins = ALLOWED[1..].iter().map(|origin| Url::parse(origin).expect("an origin")).collect();
        let public_url = PublicUrl::parse(public_url).expect("an address");
        let rules = ReturnRules::new(&public_url, &Apps { origins, ..Apps::default() });
        let Some(address) = ReturnTo::parse(text, &rules) else { continue };
        let address = address.as_str();
        assert!(address.len() <= MAX_LENGTH && address.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
        for page in ["https://app.test/", "https://app.test/login/callback?code=x", "https://app.test/a/b/c"] {
            let target = Url::parse(page).and_then(|page| page.join(address)).expect("an address browsers can read");
            assert!(ALLOWED.contains(&target.origin().ascii_serialization().as_str()), "{address} leads to {target}");
            assert!(target.username().is_empty() && target.password().is_none());
        }
        // What a careless proxy makes of it by decoding once.
        let decoded = percent_encoding::percent_decode_str(address).decode_utf8_lossy().into_owned();
        assert!(!decoded.starts_with("//") && !decoded.starts_with("/\\"), "{address}");
        // What was found safe once is so again: it is looked at a second time when the person comes back.
        assert_eq!(ReturnTo::parse(address, &rules).as_ref().map(ReturnTo::as_str), Some(address));
    }
});
