//! What a sign-in leaves in the log: one line that says how it ended, and nothing that could be used again.

use doorward::login::Answer;
use serde_json::json;

use crate::site::desk::Desk;
use crate::site::log::Log;
use crate::site::provider::wire::Canned;
use crate::site::provider::{CLIENT_SECRET, Door};

/// The lines about how sign-ins ended.
fn outcomes(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("signed in") || line.contains("a sign-in")).collect()
}

/// AUD-01, LGN-16, OIDC-30: one line each; code, state, nonce, verifier, tokens, handle, cookie and the client's secret
/// stand in none, at no level, whether it goes well or not.
#[tokio::test]
async fn a_sign_in_leaves_one_line_and_no_secret() {
    let log = Log::default();
    let _kept = log.keep();
    let desk = Desk::open().await;
    let endings: [(&str, Option<Canned>); 5] = [
        ("signed in", None),
        (
            "code_refused",
            Some(Canned::json(json!({ "error": "invalid_grant", "error_description": "canary" })).with_status(400)),
        ),
        ("provider_unavailable", Some(Canned::status(500).with_body("canary"))),
        (
            "bad_id_token",
            Some(Canned::json(
                json!({ "access_token": "canary", "token_type": "Bearer", "id_token": "canary.e30.e30" }),
            )),
        ),
        ("provider_unavailable", Some(Canned::json(json!({ "access_token": { "canary": 1 } })))),
    ];
    for (ending, canned) in endings {
        desk.provider.script().canned.clear();
        if let Some(canned) = canned {
            desk.provider.script().answer(Door::Token, canned);
        }
        let (begun, answer) = desk.approved().await;
        let url = begun.authorization_url.clone();
        let finished = desk.finish(answer.clone(), &begun).await;
        let text = log.take();
        let lines = outcomes(&text);
        assert!(lines.len() == 1 && lines[0].contains(ending), "{ending}: {lines:?}");
        let mut secrets =
            vec![CLIENT_SECRET.to_owned(), "canary".to_owned(), "access-token-of".to_owned(), begun.pending.value];
        secrets.extend([answer.code, answer.state].into_iter().flatten());
        secrets.extend(url.query_pairs().filter(|(name, _)| name == "nonce").map(|(_, nonce)| nonce.into_owned()));
        secrets.extend(finished.ok().map(|finished| finished.session.reveal().to_owned()));
        for secret in secrets {
            assert!(!text.contains(&secret), "{ending}: {secret} stands in the log:\n{text}");
        }
    }
}

/// OIDC-25, AUD-02: what a stranger puts into the address cannot make a line of its own.
#[tokio::test]
async fn nobody_writes_lines_into_the_log() {
    let log = Log::default();
    let _kept = log.keep();
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    log.take();
    let error = Some("x\r\n2027-01-15 INFO signed in user.id=1\u{1b}[2J".to_owned());
    desk.finish(Answer { error, ..answer }, &begun).await.expect_err("an error");
    let text = log.take();
    assert_eq!(outcomes(&text).len(), 1, "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
    let (begun, answer) = desk.approved().await;
    desk.provider.script().claim("email", "ada@example.com\r\nINFO signed in");
    desk.finish(answer, &begun).await.expect_err("no email");
    assert_eq!(outcomes(&log.take()).len(), 1);
}
