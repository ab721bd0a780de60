//! What is kept of the claims, and what is refused.

use doorward::config::access::Access;
use doorward::model::Identity;
use serde_json::{Value, json};

use crate::site::desk::Desk;
use crate::site::provider::wire::Canned;
use crate::site::provider::{Door, Script};

async fn identity_after(desk: &Desk, change: impl FnOnce(&mut Script)) -> Result<Identity, &'static str> {
    *desk.provider.script() = Script::default();
    change(&mut desk.provider.script());
    desk.sign_in().await.map(|finished| finished.user.identity).map_err(|failed| failed.error.reason())
}

/// IDN-03, IDN-07: only the JSON value `true` is a yes, wherever it stands.
#[tokio::test]
async fn an_email_is_verified_by_true_alone() {
    let desk = Desk::open().await;
    let trusting = Desk::open_with(|_, provider| provider.trust_email = true).await;
    let table = [
        (Some(json!(true)), Ok(()), Ok(())),
        (Some(json!(false)), Err("email_unverified"), Err("email_unverified")),
        (Some(json!("true")), Err("email_unverified"), Err("email_unverified")),
        (Some(json!("false")), Err("email_unverified"), Err("email_unverified")),
        (Some(json!(1)), Err("email_unverified"), Err("email_unverified")),
        (Some(json!([true])), Err("email_unverified"), Err("email_unverified")),
        (Some(json!(null)), Err("email_unverified"), Ok(())),
        (None, Err("email_unverified"), Ok(())),
    ];
    for (value, strict, lenient) in table {
        for (desk, expected) in [(&desk, strict), (&trusting, lenient)] {
            for in_id_token in [true, false] {
                let outcome = identity_after(desk, |script| {
                    if in_id_token {
                        script.claims.insert("email_verified".to_owned(), value.clone());
                        // Userinfo is as silent as the token.
                        script.person.remove("email_verified");
                    } else {
                        script.without_claim("email");
                        script.without_claim("email_verified");
                        match &value {
                            Some(value) => drop(script.person.insert("email_verified".to_owned(), value.clone())),
                            None => drop(script.person.remove("email_verified")),
                        }
                    }
                })
                .await;
                assert_eq!(outcome.map(drop), expected, "{value:?}, in the ID token: {in_id_token}");
            }
        }
    }
}

/// IDN-04: an address that two programs could read differently names nobody.
#[tokio::test]
async fn an_email_is_plain_or_it_is_refused() {
    let desk = Desk::open().await;
    let long = format!("{}@corp.com", "a".repeat(320));
    let refused = [
        "attacker@evil.com@corp.com",
        "\"a@evil\"@corp.com",
        "\"a\"@corp.com",
        "a@evil.com,b@corp.com",
        "a@evil.com, b@corp.com",
        "a@evil.com;b@corp.com",
        "a@evil.com\u{ff20}corp.com",
        "a\u{ff20}corp.com",
        "a\u{fe6b}corp.com",
        "a@c\u{43e}rp.com",
        "a@corp.com.",
        "a@.corp.com",
        "a@corp..com",
        "a@-corp.com",
        " a@corp.com",
        "a@corp.com ",
        "a b@corp.com",
        "a@corp.com%00",
        "a@corp.com\0",
        "a\r\nb@corp.com",
        "a\u{200b}@corp.com",
        "a\u{202e}@corp.com",
        "\u{212a}@corp.com",
        "\u{fb01}@corp.com",
        "<a@corp.com>",
        "a@[127.0.0.1]",
        "a(comment)@corp.com",
        "a\\@corp.com",
        "@corp.com",
        "a@",
        "a",
        "@",
        "",
        &long,
    ];
    for email in refused {
        let outcome = identity_after(&desk, |script| script.claim("email", email)).await;
        assert_eq!(outcome.map(|identity| identity.email), Err("email_malformed"), "{email:?}");
    }
    for email in [json!(7), json!(["a@corp.com"]), json!({}), json!(true)] {
        let outcome = identity_after(&desk, |script| script.claim("email", email.clone())).await;
        assert!(outcome.is_err(), "{email}");
    }
    for email in [
        "a@CORP.com",
        "Ada.Lovelace+tag@example.co.uk",
        "o'neil@example.com",
        "jörg@example.com",
        "a@xn--crp-jua.com",
        "root@localhost",
    ] {
        let outcome = identity_after(&desk, |script| script.claim("email", email)).await;
        assert_eq!(outcome.map(|identity| identity.email).as_deref(), Ok(email));
    }
}

/// IDN-07: no address at all is no sign-in.
#[tokio::test]
async fn without_an_email_nobody_signs_in() {
    let desk = Desk::open().await;
    let outcome = identity_after(&desk, |script| drop(script.person.remove("email"))).await;
    assert_eq!(outcome, Err("email_unverified"));
}

/// IDN-06, OIDC-34: the provider may ignore the hint; the signed claim decides, and userinfo's does not.
#[tokio::test]
async fn the_hosted_domain_is_the_signed_one() {
    let rules = Access { hosted_domains: vec!["corp.com".to_owned()], ..Access::default() };
    let desk = Desk::open_with(|config, _| config.access = rules).await;
    let table = [
        (Some(json!("corp.com")), Ok(Some("corp.com"))),
        (Some(json!("CORP.com")), Ok(Some("corp.com"))),
        (Some(json!("evil.com")), Err("not_on_the_list")),
        (Some(json!("corp.com.evil.com")), Err("not_on_the_list")),
        (Some(json!("")), Err("not_on_the_list")),
        (Some(json!(["corp.com"])), Err("not_on_the_list")),
        (None, Err("not_on_the_list")),
    ];
    for (hd, expected) in table {
        let outcome = identity_after(&desk, |script| {
            script.claim("email", "ada@corp.com");
            script.claims.insert("hd".to_owned(), hd.clone());
        })
        .await;
        assert_eq!(outcome.map(|identity| identity.hosted_domain), expected.map(|hd| hd.map(str::to_owned)), "{hd:?}");
    }
    let outcome = identity_after(&desk, |script| {
        script.without_claim("name");
        script.without_claim("hd");
        script.person.insert("hd".to_owned(), json!("corp.com"));
    })
    .await;
    assert_eq!(outcome, Err("not_on_the_list"), "an unsigned hd opened a door");
}

/// OIDC-29, IDN-11: names of the world come through whole; what would harm a page or a column does not.
#[tokio::test]
async fn names_are_cleaned_and_cut() {
    let desk = Desk::open().await;
    let emoji = "👩🏽‍🚀".repeat(100);
    let table: Vec<(Value, String)> = vec![
        (json!("Ada Lovelace"), "Ada Lovelace".to_owned()),
        (json!("</script><img onerror=x>"), "</script><img onerror=x>".to_owned()),
        (json!("{{7*7}}"), "{{7*7}}".to_owned()),
        (json!("  Ada\r\n\tLovelace\u{0} "), "Ada Lovelace".to_owned()),
        (json!("Ada\u{202e}ecalevoL"), "AdaecalevoL".to_owned()),
        (json!("\u{2067}Ada\u{2069}"), "Ada".to_owned()),
        (json!("محمد بن موسى"), "محمد بن موسى".to_owned()),
        (json!("👩🏽‍🚀 Ada"), "👩🏽‍🚀 Ada".to_owned()),
        (json!("n".repeat(10_000)), "n".repeat(255)),
        (json!(emoji), emoji.chars().take(255).collect()),
        (json!(""), "Given".to_owned()),
        (json!(" \n "), "Given".to_owned()),
        (json!(null), "Given".to_owned()),
    ];
    for (name, expected) in table {
        let outcome = identity_after(&desk, |script| {
            script.claim("name", name.clone());
            script.claim("given_name", "Given");
            // Userinfo knows no better.
            script.person.remove("name");
        })
        .await;
        assert_eq!(outcome.map(|identity| identity.name), Ok(Some(expected)), "{name}");
    }
    let outcome = identity_after(&desk, |script| drop(script.person.remove("name"))).await;
    assert_eq!(outcome.map(|identity| identity.name), Ok(Some("ada".to_owned())), "the email's first part");
}

/// `name_claim`: providers call it differently.
#[tokio::test]
async fn the_name_comes_from_the_configured_claim() {
    let desk = Desk::open_with(|_, provider| provider.name_claim = "preferred_username".to_owned()).await;
    let outcome = identity_after(&desk, |script| script.claim("preferred_username", "countess")).await;
    assert_eq!(outcome.map(|identity| identity.name), Ok(Some("countess".to_owned())));
}

/// IDN-11, OIDC-29: a picture is shown from where pictures may come, else none; no picture is worth a failed sign-in.
#[tokio::test]
async fn pictures_come_from_allowed_hosts_or_not_at_all() {
    let hosts = || vec!["lh3.test".to_owned(), "localhost".to_owned()];
    let desk = Desk::open_with(|_, provider| provider.picture_hosts = hosts()).await;
    let kept = ["https://lh3.test/a/b=s96-c", "https://LH3.test:443/x", "http://localhost:3001/ada.svg"];
    for picture in kept {
        let outcome = identity_after(&desk, |script| script.claim("picture", picture)).await;
        let expected = url::Url::parse(picture).expect("a URL").to_string();
        assert_eq!(outcome.map(|identity| identity.picture), Ok(Some(expected)), "{picture}");
    }
    let long = format!("https://lh3.test/{}", "a".repeat(2048));
    let dropped = [
        json!("http://lh3.test/a"),
        json!("https://lh3.test:8443/a"),
        json!("https://evil.test/a"),
        json!("https://lh3.test.evil.test/a"),
        json!("https://sub.lh3.test/a"),
        json!("https://user@lh3.test/a"),
        json!("https://user:secret@lh3.test/a"),
        json!("//lh3.test/a"),
        json!("data:image/svg+xml,<svg/>"),
        json!("javascript:alert(1)"),
        json!("lh3.test/a"),
        json!(""),
        json!(long),
        json!(null),
    ];
    for picture in dropped {
        let outcome = identity_after(&desk, |script| script.claim("picture", picture.clone())).await;
        assert_eq!(outcome.map(|identity| identity.picture), Ok(None), "{picture}");
    }
}

/// OIDC-19: userinfo is asked where something is missing, and believed where it is about the same person.
#[tokio::test]
async fn userinfo_fills_what_is_missing() {
    let desk = Desk::open().await;
    for missing in ["email", "email_verified", "name"] {
        let asked = desk.provider.hits(Door::Userinfo);
        let outcome = identity_after(&desk, |script| script.without_claim(missing)).await.expect("userinfo knows");
        assert_eq!((outcome.email.as_str(), outcome.name.as_deref()), ("ada@example.com", Some("Ada Lovelace")));
        assert_eq!(desk.provider.hits(Door::Userinfo), asked + 1, "{missing}");
    }
}

/// OIDC-19: userinfo about somebody else, or in a form that is none of ours, signs nobody in.
#[tokio::test]
async fn userinfo_that_cannot_be_believed_is_refused() {
    let desk = Desk::open().await;
    let ada = json!({ "sub": "1101", "email": "ada@example.com", "email_verified": true });
    let with_sub = |sub: Value| {
        let mut claims = ada.clone();
        claims["sub"] = sub;
        claims
    };
    let table = [
        (Canned::json(with_sub(json!("2202"))), "bad_id_token"),
        (Canned::json(with_sub(json!("1101 "))), "bad_id_token"),
        (Canned::json(with_sub(json!(1101))), "bad_id_token"),
        (Canned::json(with_sub(json!(null))), "bad_id_token"),
        (Canned::json(json!({ "email": "ada@example.com", "email_verified": true })), "bad_id_token"),
        (Canned::json(json!([ada])), "provider_unavailable"),
        (Canned::json(json!("ada")), "provider_unavailable"),
        (
            Canned::status(200).with_header("content-type", "application/jwt").with_body("e30.e30.AA"),
            "provider_unavailable",
        ),
        (Canned::status(401), "provider_unavailable"),
        (Canned::status(500), "provider_unavailable"),
    ];
    for (number, (canned, reason)) in table.into_iter().enumerate() {
        let outcome = identity_after(&desk, |script| {
            script.without_claim("email");
            script.answer(Door::Userinfo, canned);
        })
        .await;
        assert_eq!(outcome, Err(reason), "row {number}");
    }
}

/// OIDC-19: where only the name is missing, an endpoint that fails costs the name; one that lies costs the sign-in.
#[tokio::test]
async fn a_missing_name_is_not_worth_a_failed_sign_in() {
    let desk = Desk::open().await;
    let outcome = identity_after(&desk, |script| {
        script.without_claim("name");
        script.answer(Door::Userinfo, Canned::status(500));
    })
    .await;
    assert_eq!(outcome.map(|identity| identity.name), Ok(Some("ada".to_owned())));
    let outcome = identity_after(&desk, |script| {
        script.without_claim("name");
        script.userinfo = Some(json!({ "sub": "2202", "name": "Grace" }));
    })
    .await;
    assert_eq!(outcome, Err("bad_id_token"));
}

/// IDN-03: an address is vouched for by a word about that very address.
#[tokio::test]
async fn a_word_about_one_address_does_not_vouch_for_another() {
    let desk = Desk::open().await;
    let outcome = identity_after(&desk, |script| {
        script.claim("email", "ceo@corp.com");
        script.without_claim("email_verified");
        script.userinfo = Some(json!({ "sub": "1101", "email": "ada@example.com", "email_verified": true }));
    })
    .await;
    assert_eq!(outcome.map(|identity| identity.email).as_deref(), Ok("ada@example.com"));
    let outcome = identity_after(&desk, |script| {
        script.claim("email_verified", true);
        script.without_claim("email");
        script.userinfo = Some(json!({ "sub": "1101", "email": "ceo@corp.com" }));
    })
    .await;
    assert_eq!(outcome, Err("email_unverified"));
    let outcome = identity_after(&desk, |script| {
        script.claim("email", "ceo@corp.com");
        script.without_claim("email_verified");
        script.userinfo = Some(json!({ "sub": "1101", "email_verified": true }));
    })
    .await;
    assert_eq!(outcome, Err("email_unverified"));
}

/// IDN-01: who somebody is does not hang on their address.
#[tokio::test]
async fn people_are_known_by_their_subject() {
    let desk = Desk::open().await;
    for (sub, email) in [("1", "shared@example.com"), ("2", "shared@example.com"), ("1", "new@example.com")] {
        identity_after(&desk, |script| {
            script.claim("sub", sub);
            script.claim("email", email);
        })
        .await
        .expect("an honest provider");
    }
    let mut people: Vec<_> =
        desk.store.everybody().into_iter().map(|user| (user.id.to_string(), user.identity.email)).collect();
    people.sort();
    assert_eq!(
        people,
        [("1".to_owned(), "new@example.com".to_owned()), ("2".to_owned(), "shared@example.com".to_owned())]
    );
}
