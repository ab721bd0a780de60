//! Every door knocked on by nobody, by somebody signed in, by a program with a token, and from a foreign site.
//! A door that is missing here is found by comparing with the list that the front door judges by.

use doorward::web::paths;
use reqwest::Method;

use crate::site::instance::Site;
use crate::site::visitors::{Answer, CROSS_SITE, SAME_ORIGIN, TYPED, Visitor};

/// A door and the status that each visitor gets there.
struct Door {
    method: Method,
    path: &'static str,
    nobody: u16,
    signed_in: u16,
    token_holder: u16,
    /// Somebody signed in whose browser was sent by a page of another site.
    foreign: u16,
    /// Whether the answer depends on the visitor.
    is_personal: bool,
}

const fn door(method: Method, path: &'static str, statuses: [u16; 4], is_personal: bool) -> Door {
    let [nobody, signed_in, token_holder, foreign] = statuses;
    Door { method, path, nobody, signed_in, token_holder, foreign, is_personal }
}

const DOORS: &[Door] = &[
    door(Method::GET, "/", [200, 200, 200, 200], true),
    door(Method::GET, "/login", [303, 303, 303, 200], true),
    door(Method::GET, "/login/callback", [400, 400, 400, 400], true),
    door(Method::GET, "/account", [200, 200, 200, 200], true),
    door(Method::GET, "/account/download", [401, 200, 401, 200], true),
    door(Method::POST, "/account/tokens", [401, 400, 401, 403], true),
    door(Method::POST, "/account/sessions", [401, 400, 401, 403], true),
    door(Method::GET, "/device", [200, 200, 200, 200], true),
    door(Method::POST, "/device", [401, 400, 401, 403], true),
    door(Method::POST, "/api/device", [400, 400, 400, 400], true),
    door(Method::POST, "/api/device/token", [400, 400, 400, 400], true),
    door(Method::GET, "/api/me", [401, 200, 200, 200], true),
    door(Method::GET, "/api/sessions", [401, 200, 200, 200], true),
    door(Method::DELETE, "/api/sessions/0123456789abcdef", [401, 404, 403, 403], true),
    door(Method::GET, "/api/tokens", [401, 200, 200, 200], true),
    door(Method::POST, "/api/tokens", [415, 415, 415, 403], true),
    door(Method::DELETE, "/api/tokens/0123456789abcdef", [401, 404, 403, 403], true),
    door(Method::GET, "/gate", [401, 200, 200, 200], true),
    door(Method::POST, "/gate", [401, 200, 200, 200], true),
    // Closed, as they are unless the configuration opens them; tests/it/oauth2_proxy.rs does.
    door(Method::GET, "/oauth2/auth", [404, 404, 404, 404], false),
    door(Method::POST, "/oauth2/auth", [404, 404, 404, 404], false),
    door(Method::GET, "/oauth2/start", [404, 404, 404, 404], false),
    door(Method::GET, "/oauth2/sign_in", [404, 404, 404, 404], false),
    door(Method::GET, "/oauth2/sign_out", [404, 404, 404, 404], false),
    door(Method::GET, "/oauth2/userinfo", [404, 404, 404, 404], false),
    door(Method::GET, "/.well-known/jwks.json", [200, 200, 200, 200], false),
    door(Method::GET, "/api/openapi.json", [200, 200, 200, 200], false),
    door(Method::GET, "/api/docs", [200, 200, 200, 200], false),
    door(Method::GET, "/healthz", [200, 200, 200, 200], false),
    door(Method::GET, "/readyz", [200, 200, 200, 200], false),
    door(Method::GET, "/favicon.ico", [200, 200, 200, 200], false),
    door(Method::GET, "/robots.txt", [200, 200, 200, 200], false),
    door(Method::GET, "/assets/logo.svg", [200, 200, 200, 200], false),
    door(Method::GET, "/no/such/door", [404, 404, 404, 404], false),
    door(Method::GET, "/account/delete", [401, 200, 401, 200], true),
    // These end the session: they come last.
    door(Method::POST, "/account/delete", [401, 200, 401, 403], true),
    door(Method::DELETE, "/api/sessions", [401, 200, 403, 403], true),
    door(Method::GET, "/logout", [303, 303, 303, 200], true),
    door(Method::POST, "/logout", [303, 303, 303, 403], true),
];

/// A door that is built and not knocked on here is a door that nobody has thought about.
#[test]
fn every_door_that_is_built_is_knocked_on() {
    for built in paths::DOORS {
        let is_it = |door: &&Door| paths::door(door.path).is_some_and(|found| found.path == built.path);
        let allow = if built.takes_any() { "GET, POST" } else { built.allow };
        for method in allow.split(", ").filter(|method| *method != "HEAD") {
            let is_knocked_on = DOORS.iter().filter(is_it).any(|door| door.method.as_str() == method);
            assert!(is_knocked_on, "{method} {}", built.path);
        }
    }
}

#[tokio::test]
async fn every_door_answers_each_visitor_as_agreed() {
    let site = Site::start().await;
    let mut wrong = Vec::new();
    for door in DOORS {
        let headers = if door.method == Method::GET { TYPED } else { SAME_ORIGIN };
        let mut check = |who: &str, answer: &Answer, wanted: u16| {
            if answer.status != wanted {
                wrong.push(format!("{} {} by {who}: {} instead of {wanted}", door.method, door.path, answer.status));
            }
            if let Err(problem) = is_guarded(answer, door.is_personal) {
                wrong.push(format!("{} {} by {who}: {problem}", door.method, door.path));
            }
        };
        // Each knock comes from a fresh visitor: a door may sign people out.
        let signed_in = site.sign_in("ada").await;
        check("a foreign site", &signed_in.ask(door.method.clone(), door.path, CROSS_SITE).await, door.foreign);
        check("somebody signed in", &signed_in.ask(door.method.clone(), door.path, headers).await, door.signed_in);
        check("nobody", &site.anonymous().ask(door.method.clone(), door.path, headers).await, door.nobody);
        let holder = site.token_holder("ada").await;
        check("a token holder", &holder.ask(door.method.clone(), door.path, headers).await, door.token_holder);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether the answer carries what every answer must.
fn is_guarded(answer: &Answer, is_personal: bool) -> Result<(), String> {
    let policy = answer.header("content-security-policy");
    if !policy.contains("default-src 'none'") || !policy.contains("frame-ancestors 'none'") || policy.contains("unsafe")
    {
        return Err(format!("Content-Security-Policy: {policy}"));
    }
    for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "same-origin")] {
        if answer.header(name) != value {
            return Err(format!("{name}: {:?}", answer.header(name)));
        }
    }
    if answer.headers.contains_key("access-control-allow-origin") {
        return Err("other origins are let in".to_owned());
    }
    if answer.header("x-request-id").is_empty() {
        return Err("no X-Request-Id".to_owned());
    }
    let kind = answer.header("content-type");
    let is_clear = match kind.split_once('/') {
        Some(("application", kind)) => kind.contains("json"),
        Some(("text", kind)) => kind.ends_with("; charset=utf-8"),
        Some(("image", _)) => true,
        _ => answer.body.is_empty(),
    };
    if !is_clear {
        return Err(format!("Content-Type: {kind:?}"));
    }
    if is_personal {
        let vary = answer.header("vary").to_ascii_lowercase();
        if answer.header("cache-control") != "no-store" || !vary.contains("cookie") || !vary.contains("authorization") {
            return Err(format!("Cache-Control: {}, Vary: {vary}", answer.header("cache-control")));
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_door_that_can_be_read_can_be_asked_for_its_head() {
    let site = Site::start().await;
    let mut wrong = Vec::new();
    for door in DOORS.iter().filter(|door| door.method == Method::GET) {
        let signed_in = site.sign_in("ada").await;
        let before = signed_in.browser().cookies();
        let head = signed_in.ask(Method::HEAD, door.path, TYPED).await;
        if !head.body.is_empty() || head.status >= 500 || head.status == 405 {
            wrong.push(format!("HEAD {}: {} with {:?}", door.path, head.status, head.body));
        }
        let still_in = signed_in.get("/api/me").await.status == 200;
        if signed_in.browser().cookies() != before || !still_in {
            wrong.push(format!("HEAD {} had an effect", door.path));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_door_says_which_methods_it_takes() {
    let site = Site::start_with(|config| config.gate.oauth2_proxy = true).await;
    let mut wrong = Vec::new();
    let is_choosy = |door: &&Door| paths::door(door.path).is_some_and(|built| !built.takes_any());
    for door in DOORS.iter().filter(is_choosy) {
        let allowed = paths::door(door.path).expect("it is built").allow;
        let others = ["PUT", "DELETE", "PATCH", "PROPFIND", "TRACE"];
        for method in others.into_iter().filter(|method| !allowed.contains(method)) {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let answer = site.anonymous().ask(method.clone(), door.path, SAME_ORIGIN).await;
            let allow = answer.header("allow");
            if answer.status != 405 || !allow.contains(door.method.as_str()) {
                wrong.push(format!("{method} {}: {}, Allow: {allow:?}", door.path, answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn no_post_from_elsewhere_passes_the_front_door() {
    let site = Site::start().await;
    let own = site.url.clone();
    let with = |site_header: &'static str| [("sec-fetch-site", site_header)];
    let refused: &[&[(&str, &str)]] = &[
        &[],
        &with("cross-site"),
        &with("same-site"),
        &with("none"),
        &[("origin", "null")],
        &[("origin", "http://localhost:1")],
        &[("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
    ];
    for headers in refused {
        let signed_in = site.sign_in("ada").await;
        let answer = signed_in.ask(Method::POST, "/logout", headers).await;
        assert_eq!(answer.status, 403, "{headers:?}: {answer:#?}");
        assert_eq!(signed_in.get("/api/me").await.status, 200, "{headers:?} ended a session");
    }
    for headers in [&with("same-origin")[..], &[("origin", own.as_str())]] {
        let signed_in = site.sign_in("ada").await;
        assert_eq!(signed_in.ask(Method::POST, "/logout", headers).await.status, 303, "{headers:?}");
        assert_eq!(signed_in.get("/api/me").await.status, 401, "{headers:?}");
    }
}

#[tokio::test]
async fn a_path_that_only_looks_like_a_door_is_none() {
    let site = Site::start().await;
    let signed_in = site.sign_in("ada").await;
    for path in ["/API/me", "/api/me;x", "/api//me", "/%2fapi/me", "/login/callback/", "/assets/../config.toml"] {
        let answer = signed_in.visit(path).await;
        assert!(matches!(answer.status, 404 | 400), "{path}: {answer:#?}");
        assert_eq!(is_guarded(&answer, false), Ok(()), "{path}");
    }
}
