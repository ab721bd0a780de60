//! Whatever stands in the query of the callback, a parameter counts once, what a provider sends arrives as it was sent,
//! and nothing of it shows in `Debug`.
#![no_main]

use doorward::web::login::answer as answer_of;
use libfuzzer_sys::fuzz_target;
use url::form_urlencoded;

const NAMES: [&str; 4] = ["code", "state", "iss", "error"];

fuzz_target!(|query: &str| {
    by_a_stranger(query);
    by_the_provider(query);
});

fn by_a_stranger(query: &str) {
    let all = |name: &str| -> Vec<String> {
        let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
        pairs.map(|(_, value)| value.into_owned()).collect()
    };
    let [code, state, iss, error] = NAMES.map(all);
    let is_clear = [&code, &state, &iss, &error].iter().all(|values| values.len() <= 1);
    let answer = answer_of(query);
    assert_eq!(answer.is_some(), is_clear);
    let Some(answer) = answer else { return };
    let got = [&answer.code, &answer.state, &answer.iss, &answer.error].map(Option::as_ref);
    assert_eq!(got, [code.first(), state.first(), iss.first(), error.first()]);
    let brought = NAMES.iter().zip(got).filter(|(_, value)| value.is_some()).map(|(name, _)| name);
    assert_eq!(format!("{answer:?}"), format!("Answer with {:?}", brought.collect::<Vec<_>>()));
}

/// Each line of `text` is the value of one parameter, in an order that its length chooses, among others of Google's.
fn by_the_provider(text: &str) {
    let mut names = NAMES;
    names.rotate_left(text.len() % NAMES.len());
    let sent: Vec<_> = names.into_iter().zip(text.lines()).collect();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("scope", text).append_pair("authuser", "0");
    query.extend_pairs(&sent).append_pair("Code", "another").append_pair("prompt", "consent");
    let query = query.finish();
    let answer = answer_of(&query).expect("each parameter is there once");
    for (name, value) in [("code", answer.code), ("state", answer.state), ("iss", answer.iss), ("error", answer.error)]
    {
        let expected = sent.iter().find(|(sent, _)| *sent == name).map(|(_, value)| *value);
        assert_eq!(value.as_deref(), expected, "{name} of {query}");
    }
    if let Some((name, value)) = sent.first() {
        let twice = form_urlencoded::Serializer::new(query).append_pair(name, value).finish();
        assert!(answer_of(&twice).is_none(), "{twice}");
    }
}
