//! What the gate answers to a proxy, in each of the ways in which proxies ask.

use reqwest::Method;

use doorward::config::Config;
use doorward::config::gate::{HostPattern, PathPattern, Rule, Who};
use doorward::config::groups::Member;
use doorward::config::server::TrustedProxy;

use crate::site::instance::Site;
use crate::site::visitors::{Anonymous, Answer, TokenHolder, Visitor};

const NAVIGATION: [(&str, &str); 3] =
    [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];

/// Every identity header, as the README lists them.
const IDENTITY: [&str; 9] = [
    "remote-user",
    "remote-email",
    "remote-name",
    "remote-groups",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-preferred-username",
    "x-auth-request-groups",
    "x-doorward-assertion",
];

fn rule(host: &str, path: PathPattern, who: Who) -> Rule {
    Rule { host: HostPattern::Exactly(host.to_owned(), None), path, methods: Vec::new(), who, tokens: true }
}

/// As nginx asks: aside, with the whole address in one header.
async fn aside(visitor: &impl Visitor, url: &str, more: &[(&str, &str)]) -> Answer {
    let headers = [&[("x-original-url", url), ("x-original-method", "GET")], more].concat();
    visitor.ask(Method::GET, "/gate", &headers).await
}

/// As Caddy and Traefik ask: they pass on what we answer.
async fn passing_on(visitor: &impl Visitor, host: &str, uri: &str, more: &[(&str, &str)]) -> Answer {
    let forwarded = [
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", host),
        ("x-forwarded-uri", uri),
        ("x-forwarded-method", "GET"),
    ];
    visitor.ask(Method::GET, "/gate", &[&forwarded, more].concat()).await
}

#[tokio::test]
async fn whoever_is_signed_in_passes_with_every_identity_header() {
    let site = Site::start_with(|config| {
        config.groups.0.insert("staff".to_owned(), vec![Member::Email("ada@example.com".to_owned())]);
        config.groups.0.insert("all".to_owned(), vec![Member::Id("ada".to_owned())]);
    })
    .await;
    let ada = site.sign_in("ada").await;
    let answer = aside(&ada, "http://app.localhost/x", &[]).await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    assert!(answer.body.is_empty());
    let expected =
        ["ada@example.com", "ada@example.com", "ada of tests", "all,staff", "ada", "ada@example.com", "", "all,staff"];
    for (name, value) in IDENTITY.iter().zip(expected) {
        assert_eq!(answer.headers.get(*name).map(|value| value.as_bytes()), Some(value.as_bytes()), "{name}");
    }
    assert_eq!(answer.header("x-doorward-assertion").split('.').count(), 3);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_login_may_be_the_id() {
    let site = Site::start_with(|config| config.gate.user = doorward::config::gate::RemoteUser::Id).await;
    let answer = aside(&site.sign_in("ada").await, "http://app.localhost/", &[]).await;
    assert_eq!((answer.header("remote-user"), answer.header("remote-email")), ("ada", "ada@example.com"));
}

/// FWD-06: a proxy keeps what the client sent where we say nothing.
#[tokio::test]
async fn where_nobody_is_known_every_identity_header_is_there_and_empty() {
    let site = Site::start_with(|config| {
        config.gate.rules = vec![rule("app.localhost", PathPattern::Everything, Who::Everyone)];
    })
    .await;
    let answer = aside(
        &site.anonymous(),
        "http://app.localhost/x",
        &[("remote-user", "root"), ("x-doorward-assertion", "a.b.c")],
    )
    .await;
    assert_eq!(answer.status, 200);
    for name in IDENTITY {
        assert_eq!(answer.headers.get(name).map(|value| value.as_bytes()), Some(&b""[..]), "{name}");
    }
}

/// FWD-08
#[tokio::test]
async fn whoever_must_sign_in_is_told_so_in_the_way_of_their_proxy() {
    let site =
        Site::start_with(|config| config.apps.origins = vec!["http://app.localhost".parse().expect("an origin")]).await;
    let nobody = site.anonymous();
    let login = format!("{}/login?rd=http%3A//app.localhost/deep%3Fa%3Db%26c%3Dd", site.url);

    // nginx makes a 500 of anything but 401 and 403.
    let answer = aside(&nobody, "http://app.localhost/deep?a=b&c=d", &NAVIGATION).await;
    assert_eq!((answer.status, answer.header("location")), (401, login.as_str()));
    assert_eq!(answer.header("www-authenticate"), "Bearer");

    let answer = passing_on(&nobody, "app.localhost", "/deep?a=b&c=d", &NAVIGATION).await;
    assert_eq!((answer.status, answer.header("location")), (302, login.as_str()));
    // An old browser says no more than what it would like to read.
    let answer = passing_on(&nobody, "app.localhost", "/deep?a=b&c=d", &[("accept", "text/html,*/*")]).await;
    assert_eq!(answer.status, 302);

    let script = [("accept", "application/json"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
    let answer = passing_on(&nobody, "app.localhost", "/api", &script).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["code"], "not_signed_in");
    assert_eq!(answer.json()["login_url"], format!("{}/login", site.url));
    // A form that is sent anew after a sign-in would arrive without its fields.
    let headers = [
        &NAVIGATION[..],
        &[
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "app.localhost"),
            ("x-forwarded-uri", "/form"),
            ("x-forwarded-method", "POST"),
        ],
    ]
    .concat();
    assert_eq!(nobody.ask(Method::GET, "/gate", &headers).await.status, 401);
}

#[tokio::test]
async fn an_app_that_may_not_be_returned_to_gets_no_return_address() {
    let site = Site::start().await;
    let answer = passing_on(&site.anonymous(), "evil.example", "/x", &NAVIGATION).await;
    assert_eq!((answer.status, answer.header("location")), (302, format!("{}/login", site.url).as_str()));
}

/// RED-06, FWD-09: an app that a rule names may be returned to, and no other host.
#[tokio::test]
async fn an_app_that_a_rule_names_may_be_returned_to() {
    let site = Site::start_with(|config| {
        config.gate.rules = vec![
            rule("app.localhost", PathPattern::Everything, Who::SignedIn),
            Rule {
                host: HostPattern::Below("example".to_owned()),
                ..rule("x", PathPattern::Everything, Who::SignedIn)
            },
        ];
    })
    .await;
    let answer = passing_on(&site.anonymous(), "app.localhost", "/x", &NAVIGATION).await;
    assert_eq!(answer.header("location"), format!("{}/login?rd=http%3A//app.localhost/x", site.url));
    let answer = passing_on(&site.anonymous(), "evil.example", "/x", &NAVIGATION).await;
    assert_eq!(answer.header("location"), format!("{}/login", site.url));
}

#[tokio::test]
async fn whoever_may_not_pass_gets_403_and_never_a_redirect() {
    let site = Site::start_with(|config| {
        let admins = Who::Listed(doorward::config::gate::Lists {
            emails: vec!["bob@example.com".to_owned()],
            ..Default::default()
        });
        config.gate.rules = vec![rule("app.localhost", PathPattern::Everything, admins)];
    })
    .await;
    let ada = site.sign_in("ada").await;
    for answer in [
        aside(&ada, "http://app.localhost/", &NAVIGATION).await,
        passing_on(&ada, "app.localhost", "/", &NAVIGATION).await,
    ] {
        assert_eq!(answer.status, 403);
        assert!(!answer.headers.contains_key("location"));
        assert!(answer.body.contains("ada@example.com"), "the page says which account was used: {}", answer.body);
        // The page is shown under the app's host: whatever is ours is named by our whole address.
        assert!(
            answer
                .body
                .contains(&format!("href=\"{}/login?rd=http%3A//app.localhost/&amp;prompt=select_account\"", site.url)),
            "{}",
            answer.body
        );
        assert!(!answer.body.contains("href=\"/"), "{}", answer.body);
        assert!(answer.header("content-security-policy").contains(&format!("style-src {}", site.url)));
        assert!(!answer.headers.contains_key("remote-user"));
    }
    let program = passing_on(&ada, "app.localhost", "/", &[]).await;
    assert_eq!((program.status, program.json()["code"].clone()), (403, "not_allowed".into()));
    let nobody = passing_on(&site.anonymous(), "other.localhost", "/", &NAVIGATION).await;
    assert_eq!(nobody.status, 403, "no rule names this host");
    assert_eq!(aside(&site.sign_in("bob").await, "http://app.localhost/", &[]).await.status, 200);
}

/// FWD-01
#[tokio::test]
async fn a_stranger_cannot_tell_what_is_asked_for() {
    let site = Site::start_with(|config| {
        config.server.trusted_proxies = vec![TrustedProxy::Unix];
        config.gate.rules = vec![rule("app.localhost", PathPattern::Everything, Who::Everyone)];
    })
    .await;
    let answer = aside(&site.anonymous(), "http://app.localhost/", &[]).await;
    assert_eq!(answer.status, 403);
    let answer = passing_on(&site.anonymous(), "app.localhost", "/", &NAVIGATION).await;
    assert_eq!(answer.status, 403);
    assert!(!answer.headers.contains_key("location"));
}

/// FWD-05
#[tokio::test]
async fn headers_that_contradict_each_other_are_refused() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let good = [("x-forwarded-proto", "http"), ("x-forwarded-host", "app.localhost"), ("x-forwarded-uri", "/")];
    let bad: [&[(&str, &str)]; 19] = [
        &[("x-forwarded-uri", "/public")],
        &[("x-forwarded-host", "other.localhost")],
        &[("x-forwarded-proto", "https")],
        &[("x-forwarded-method", "GET, POST")],
        &[("x_forwarded_uri", "/public")],
        &[("x_forwarded-uri", "/public")],
        &[("x-forwarded_host", "other.localhost")],
        &[("x_original_url", "http://other.localhost/")],
        &[("x-original-url", "app.localhost/")],
        &[("x-original-url", "ftp://app.localhost/")],
        &[("x-original-url", "http:///x")],
        &[("x-original-url", "http://a@b/x")],
        &[("x-original-url", "http://app.localhost/"), ("x-original-url", "http://other.localhost/")],
        &[("x-original-url", "http://app.localhost/"), ("x-original-method", "GET"), ("x-original-method", "POST")],
        &[("x_forwarded_for", "10.0.0.1")],
        &[("remote_user", "root")],
        &[("remote.user", "root")],
        &[("x-auth_request-email", "root@example.com")],
        &[("x_doorward_assertion", "a.b.c")],
    ];
    for more in bad {
        let answer = ada.ask(Method::GET, "/gate", &[&good[..], more].concat()).await;
        assert_eq!((answer.status, answer.header("remote-user")), (400, ""), "{more:?}");
    }
    for missing in 0..2 {
        let mut headers = good.to_vec();
        headers.remove(missing);
        assert_eq!(ada.ask(Method::GET, "/gate", &headers).await.status, 400, "{headers:?}");
    }
    assert_eq!(ada.ask(Method::GET, "/gate", &good).await.status, 200);
}

/// FWD-03
#[tokio::test]
async fn no_method_and_no_name_of_a_client_is_let_through() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        assert_eq!(site.anonymous().ask(method.clone(), "/gate", &[("user-agent", "GoogleHC/1.0")]).await.status, 401);
        assert_eq!(ada.ask(method, "/gate", &[]).await.status, 200);
    }
}

#[tokio::test]
async fn a_token_of_ours_decides_and_an_apps_own_passes_by() {
    let site = Site::start().await;
    let ada = site.sign_in("ada").await;
    let bob = site.token_holder("bob").await;
    let answer = aside(&bob, "http://app.localhost/", &[]).await;
    assert_eq!((answer.status, answer.header("remote-email")), (200, "bob@example.com"));

    // The app's own credential: our cookie decides.
    for credential in ["Basic YWRhOng=", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer", "Token abc"] {
        let answer = aside(&ada, "http://app.localhost/", &[("authorization", credential)]).await;
        assert_eq!((answer.status, answer.header("remote-email")), (200, "ada@example.com"), "{credential}");
        assert_eq!(
            aside(&site.anonymous(), "http://app.localhost/", &[("authorization", credential)]).await.status,
            401
        );
    }

    // One of ours that admits nobody is not made up for by a cookie.
    let wrong = format!("Bearer dw_pat_{}", "0".repeat(49));
    let answer = aside(&ada, "http://app.localhost/", &[("authorization", &wrong)]).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer error=\"invalid_token\""));
    let token = site.token_of("carol").await;
    let (one, two) = (format!("Bearer {token}"), format!("bearer {token}"));
    let both = aside(&ada, "http://app.localhost/", &[("authorization", &one), ("authorization", &two)]).await;
    assert_eq!(both.status, 400);
}

#[tokio::test]
async fn a_revoked_session_is_stopped_at_the_gate_of_every_instance() {
    let site = Site::start().await;
    let second = site.second_instance().await;
    let ada = site.sign_in("ada").await;
    let there = ada.browser().also_at(&second.url);
    there.plant(&site.session_cookie(), &ada.browser().cookie(&site.session_cookie()).expect("a session"));
    assert_eq!(aside(&there, "http://app.localhost/", &[]).await.status, 200);
    assert_eq!(ada.post("/logout").await.status, 303);
    assert_eq!(aside(&there, "http://app.localhost/", &[]).await.status, 401);
}

#[tokio::test]
async fn while_the_store_is_away_nobody_is_told_to_sign_in() {
    let Some((site, line)) = Site::behind_a_line().await else { return };
    let ada = site.sign_in("ada").await;
    assert_eq!(aside(&ada, "http://app.localhost/", &[]).await.status, 200);
    line.cut();
    let answer = aside(&ada, "http://app.localhost/", &NAVIGATION).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.header("retry-after").is_empty());
    assert!(!answer.headers.contains_key("location"));
    let answer = passing_on(&ada, "app.localhost", "/", &NAVIGATION).await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("href=\"\""), "the way on is the very address of the app: {}", answer.body);
    line.mend();
    site.until_status(ada.browser(), "/gate", 200).await;
}

/// FWD-10: many people at once, each gets their own answer.
#[tokio::test]
async fn nobody_is_told_another_persons_name() {
    let site = Site::start().await;
    let mut people = Vec::new();
    for number in 0..25 {
        people.push((format!("p{number}@example.com"), site.sign_in(&format!("p{number}")).await));
    }
    let asked = (0..8).flat_map(|_| &people).map(|(email, person)| async move {
        let answer = aside(person, "http://app.localhost/", &[]).await;
        assert_eq!((answer.status, answer.header("remote-email")), (200, email.as_str()));
    });
    futures_util::future::join_all(asked).await;
}

/// FWD-07
#[tokio::test]
async fn a_name_cannot_break_out_of_its_header() {
    let site = Site::start().await;
    let browser: Anonymous = site.anonymous();
    let request = browser.visit("/login").await.location();
    site.provider.script().person =
        crate::site::provider::person("zoe", "zoe@example.com", "Zoë\r\nX-Admin: 1\u{0}\u{7f} 李");
    let answer = site.provider.approve(&request);
    let callback =
        format!("/login/callback?code={}&state={}", answer.code.expect("a code"), answer.state.expect("a state"));
    assert_eq!(browser.visit(&callback).await.status, 303);
    let answer = aside(&browser, "http://app.localhost/", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("x-admin"));
    let name = answer.headers.get("remote-name").map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    let name = String::from_utf8(name).expect("UTF-8");
    assert!(name.starts_with("Zoë") && name.ends_with('李'), "{name:?}");
    assert!(!name.chars().any(char::is_control), "{name:?}");
}

#[tokio::test]
async fn a_token_alone_is_no_session_in_the_assertion() {
    let site = Site::start().await;
    let holder: TokenHolder = site.token_holder("ada").await;
    let answer = aside(&holder, "http://app.localhost/", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.header("x-doorward-assertion").is_empty());
}

/// The default of the configuration is the gate without rules.
#[test]
fn without_a_word_about_the_gate_there_are_no_rules() {
    assert!(Config::default().gate.rules.is_empty());
}

/// An app that does not get the cookie sends people to sign in for ever.
#[tokio::test]
async fn a_sign_in_that_leads_in_circles_is_explained() {
    let site = Site::start_with(|config| {
        config.apps.origins = vec!["http://app.example.localhost".parse().expect("an origin")];
    })
    .await;
    let ada = site.sign_in("ada").await;
    let there = "/login?rd=http%3A//app.example.localhost/deep";
    let page = ada.visit(there).await;
    assert_eq!((page.status, page.is_redirect()), (409, false), "{page:#?}");
    assert!(page.body.contains("does not see it"), "{}", page.body);
    let again = "href=\"/login?rd=http%3A//app.example.localhost/deep&amp;prompt=select_account\"";
    assert!(page.body.contains(again), "{}", page.body);
    // The way on is a sign-in all the same, and so is one that nobody sent anybody to.
    let on = ada.visit("/login?rd=http%3A//app.example.localhost/deep&prompt=select_account").await;
    assert_eq!(on.status, 303);
    assert_eq!(ada.visit("/login?rd=/report").await.status, 303);
    site.clock.advance(std::time::Duration::from_secs(30));
    assert_eq!(ada.visit(there).await.status, 303, "whoever comes back later may sign in again");
}

#[tokio::test]
async fn a_log_out_returns_to_the_app_that_asked_for_it() {
    let site = Site::start_with(|config| {
        config.apps.origins = vec!["http://app.example.localhost".parse().expect("an origin")];
    })
    .await;
    let there = "/logout?rd=http%3A//app.example.localhost/bye";
    // An app is another site: it can ask, and only the person can answer.
    let ada = site.sign_in("ada").await;
    let question = ada.ask(Method::GET, there, crate::site::visitors::CROSS_SITE).await;
    assert_eq!(question.status, 200);
    assert!(question.body.contains("action=\"/logout?rd=http%3A//app.example.localhost/bye\""), "{}", question.body);
    let done = ada.post(there).await;
    // A form may not be redirected off the site: the page holds a link.
    assert_eq!(done.status, 200);
    assert!(done.body.contains("href=\"http://app.example.localhost/bye\""), "{}", done.body);
    assert_eq!(ada.get("/api/me").await.status, 401);
    assert_eq!(ada.visit(there).await.location().as_str(), "http://app.example.localhost/bye", "signed out already");
    let bob = site.sign_in("bob").await;
    assert_eq!(bob.visit(there).await.location().as_str(), "http://app.example.localhost/bye");
    let eve = site.sign_in("eve").await;
    assert_eq!(eve.post("/logout?rd=https%3A//evil.example/").await.header("location"), "/");
}

/// nginx asks aside first and then hands on what we say: in between somebody may have been let in.
#[tokio::test]
async fn whoever_was_let_in_meanwhile_asks_once_more() {
    let site = Site::start().await;
    let forwarded = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.localhost"),
        ("x-forwarded-uri", "/deep?a=b"),
        ("x-forwarded-method", "POST"),
    ];
    let ask = async |visitor: &Anonymous| visitor.ask(Method::GET, "/gate?answer", &forwarded).await;
    let answer = ask(site.sign_in("ada").await.browser()).await;
    // Not 302: what was sent is sent again.
    assert_eq!((answer.status, answer.header("location")), (307, "https://app.localhost/deep?a=b"), "{answer:#?}");
    assert!(answer.header("x-doorward-assertion").is_empty(), "the browser is no app");
    assert_eq!(ask(&site.anonymous()).await.status, 401);
}
