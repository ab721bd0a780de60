//! The doors of oauth2-proxy: what a proxy gets there that was set up for it, and that moving opens nothing.

use std::fs;

use doorward::config::Config;
use doorward::config::gate::{HostPattern, PathPattern, Rule, Who};
use doorward::config::groups::Member;
use doorward::config::public_url::PublicUrl;
use doorward::config::server::TrustedProxy;
use reqwest::Method;
use serde_json::json;

use crate::site::browser::Browser;
use crate::site::echo::{self, Echo};
use crate::site::front;
use crate::site::instance::Site;
use crate::site::program::free_port;
use crate::site::provider::person;
use crate::site::tiers::Tier;
use crate::site::visitors::{Answer, TYPED, Visitor};

fn open(config: &mut Config) {
    config.gate.oauth2_proxy = true;
    config.groups.0.insert("staff".to_owned(), vec![Member::Email("ada@example.com".to_owned())]);
}

/// As nginx asks by the configuration in oauth2-proxy's documentation.
async fn ask(visitor: &impl Visitor, query: &str, host: &str) -> Answer {
    visitor.ask(Method::GET, &format!("/oauth2/auth{query}"), &[("host", host), ("x-forwarded-uri", "/deep")]).await
}

#[tokio::test]
async fn whoever_is_signed_in_passes_with_202_and_the_headers_of_both() {
    let site = Site::start_with(open).await;
    let ada = site.sign_in("ada").await;
    for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
        let answer = ada.ask(method.clone(), "/oauth2/auth", &[("host", "app.localhost")]).await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{method}: {answer:#?}");
        for (name, value) in [
            ("x-auth-request-user", "ada"),
            ("x-auth-request-email", "ada@example.com"),
            ("x-auth-request-groups", "staff"),
            ("remote-user", "ada@example.com"),
        ] {
            assert_eq!(answer.header(name), value, "{method} {name}");
        }
        assert_eq!(answer.header("x-doorward-assertion").split('.').count(), 3, "{method}");
    }
    let token = site.token_holder("ada").await;
    assert_eq!(ask(&token, "", "app.localhost").await.status, 202);
    let nobody = ask(&site.anonymous(), "", "app.localhost").await;
    assert_eq!(nobody.status, 401);
    assert!(nobody.header("x-auth-request-user").is_empty());
}

#[tokio::test]
async fn a_parameter_narrows_and_what_is_not_understood_refuses() {
    let site = Site::start_with(open).await;
    let (ada, nobody) = (site.sign_in("ada").await, site.anonymous());
    for (query, status) in [
        ("?allowed_groups=staff", 202),
        ("?allowed_groups=admins,staff", 202),
        ("?allowed_groups=admins&allowed_groups=staff", 202),
        ("?allowed_emails=ada%40example.com", 202),
        ("?allowed_emails=ADA@Example.com", 202),
        ("?allowed_email_domains=example.com", 202),
        ("?allowed_email_domains=example.com&allowed_groups=staff", 202),
        ("?allowed_groups=admins", 403),
        ("?allowed_emails=grace@example.com", 403),
        ("?allowed_email_domains=example.org", 403),
        // All of them have to fit.
        ("?allowed_email_domains=example.com&allowed_groups=admins", 403),
        ("?allowed_groups=staff&allowed_emails=grace@example.com", 403),
        // Nothing that oauth2-proxy reads as "everybody" opens a door.
        ("?allowed_groups=", 403),
        ("?allowed_groups", 403),
        ("?allowed_groups=staff,", 403),
        ("?allowed_emails=nobody", 403),
        ("?allowed_email_domains=*", 403),
        ("?allowed_email_domains=*.example.com", 403),
        ("?allowed_email_domains=.example.com", 403),
        ("?allowed_Groups=staff", 403),
        ("?allowed_roles=staff", 403),
        ("?allowed_groups=staff&x=y", 403),
    ] {
        assert_eq!(ask(&ada, query, "app.localhost").await.status, status, "{query}");
        let expected = if status == 202 || !is_refused_unread(query) { 401 } else { 403 };
        assert_eq!(ask(&nobody, query, "app.localhost").await.status, expected, "{query} by nobody");
    }
}

/// Whether `query` is refused whoever asks.
fn is_refused_unread(query: &str) -> bool {
    doorward::web::oauth2_proxy::Narrowed::read(query.trim_start_matches('?')).is_err()
}

#[tokio::test]
async fn the_rules_hold_here_too_and_forged_headers_choose_none() {
    let rule = |host: &str, path: PathPattern, who: Who| Rule {
        host: HostPattern::Exactly(host.to_owned(), None),
        path,
        methods: Vec::new(),
        who,
        tokens: true,
    };
    let site = Site::start_with(|config| {
        open(config);
        config.gate.rules = vec![
            rule("public.localhost", PathPattern::Everything, Who::Everyone),
            rule("app.localhost", PathPattern::Everything, Who::SignedIn),
            rule("mixed.localhost", PathPattern::Below("/public".to_owned()), Who::Everyone),
            rule("mixed.localhost", PathPattern::Everything, Who::SignedIn),
            rule("shut.localhost", PathPattern::Everything, Who::Nobody),
        ];
    })
    .await;
    let (ada, nobody) = (site.sign_in("ada").await, site.anonymous());
    for (host, by_ada, by_nobody) in [
        ("public.localhost", 202, 202),
        ("app.localhost", 202, 401),
        // A rule that looks at paths: which path is asked for is not certain here.
        ("mixed.localhost", 403, 403),
        ("shut.localhost", 403, 403),
        ("unknown.localhost", 403, 403),
    ] {
        assert_eq!(ask(&ada, "", host).await.status, by_ada, "{host}");
        assert_eq!(ask(&nobody, "", host).await.status, by_nobody, "{host} by nobody");
    }
    // Where everybody passes, a list still wants somebody.
    assert_eq!(ask(&nobody, "?allowed_groups=staff", "public.localhost").await.status, 401);
    for forged in [
        &[("x-forwarded-host", "public.localhost")][..],
        &[("x-forwarded-host", "public.localhost"), ("x-forwarded-proto", "http"), ("x-forwarded-uri", "/public/")],
        &[("x-original-url", "http://public.localhost/public/")],
        &[("x-forwarded-uri", "/public/")],
    ] {
        for host in ["app.localhost", "mixed.localhost"] {
            let headers = [&[("host", host)], forged].concat();
            let answer = nobody.ask(Method::GET, "/oauth2/auth", &headers).await;
            assert!(matches!(answer.status, 401 | 403), "{host} {forged:?}: {answer:#?}");
        }
    }
    let twin = ada.ask(Method::GET, "/oauth2/auth", &[("host", "app.localhost"), ("x_forwarded_uri", "/")]).await;
    assert_eq!(twin.status, 400, "{twin:#?}");
}

#[tokio::test]
async fn whoever_is_no_proxy_of_ours_is_not_asked_for_anything() {
    let site = Site::start_with(|config| {
        open(config);
        config.server.trusted_proxies = vec![TrustedProxy::Unix];
        let host = HostPattern::Exactly("app.localhost".to_owned(), None);
        let (methods, who) = (Vec::new(), Who::Everyone);
        config.gate.rules = vec![Rule { host, path: PathPattern::Everything, methods, who, tokens: true }];
    })
    .await;
    assert_eq!(ask(&site.sign_in("ada").await, "", "app.localhost").await.status, 403);
}

#[tokio::test]
async fn the_other_doors_lead_to_our_own() {
    let site = Site::start_with(|config| {
        open(config);
        config.apps.origins = vec!["http://app.localhost".parse().expect("an origin")];
    })
    .await;
    let (ada, nobody) = (site.sign_in("ada").await, site.anonymous());
    let login = |rd: &str| format!("{}/login{rd}", site.url);
    for (door, headers, location) in [
        ("/oauth2/sign_in", &[("host", "app.localhost")][..], login("")),
        ("/oauth2/start?rd=http://app.localhost/deep", &[], login("?rd=http%3A//app.localhost/deep")),
        (
            "/oauth2/sign_in?rd=/deep%3Fa=b",
            &[("host", "app.localhost")],
            login("?rd=http%3A//app.localhost/deep%3Fa%3Db"),
        ),
        (
            "/oauth2/sign_in",
            &[("host", "app.localhost"), ("x-auth-request-redirect", "/deep")],
            login("?rd=http%3A//app.localhost/deep"),
        ),
        ("/oauth2/sign_in?rd=https://evil.example/", &[], login("")),
        ("/oauth2/sign_in?rd=//evil.example/", &[("host", "app.localhost")], login("")),
        ("/oauth2/sign_in?rd=/x", &[("host", "evil.example")], login("")),
        ("/oauth2/sign_out?rd=http://app.localhost/", &[], format!("{}/logout?rd=http%3A//app.localhost/", site.url)),
    ] {
        let answer = ada.ask(Method::GET, door, &[TYPED, headers].concat()).await;
        assert_eq!((answer.status, answer.header("location")), (302, location.as_str()), "{door} {headers:?}");
    }
    assert_eq!(ada.get("/api/me").await.status, 200, "nobody was signed out by looking");
    let info = ada.get("/oauth2/userinfo").await;
    assert_eq!(info.json(), json!({ "user": "ada", "email": "ada@example.com", "groups": ["staff"] }));
    assert_eq!(nobody.get("/oauth2/userinfo").await.status, 401);
}

/// The `auth_request` configuration of oauth2-proxy's documentation, with the two addresses of this machine, `$http_host` for
/// `$host` since browsers type a port here, and a page for some alone.
const NGINX: &str = r#"
server {
  listen 127.0.0.1:PORT ssl;
  server_name app.corp.test;
  ssl_certificate site.crt; ssl_certificate_key site.key;

  location /oauth2/ {
    proxy_pass       http://127.0.0.1:4180;
    proxy_set_header Host                    $http_host;
    proxy_set_header X-Real-IP               $remote_addr;
    proxy_set_header X-Auth-Request-Redirect $request_uri;
  }
  location = /oauth2/auth {
    proxy_pass       http://127.0.0.1:4180;
    proxy_set_header Host             $http_host;
    proxy_set_header X-Real-IP        $remote_addr;
    proxy_set_header X-Forwarded-Uri  $request_uri;
    proxy_set_header Content-Length   "";
    proxy_pass_request_body           off;
  }
  location / {
    auth_request /oauth2/auth;
    error_page 401 = @oauth2_signin;
    auth_request_set $user   $upstream_http_x_auth_request_user;
    auth_request_set $email  $upstream_http_x_auth_request_email;
    proxy_set_header X-User  $user;
    proxy_set_header X-Email $email;
    proxy_pass UPSTREAM;
  }
  location /staff/ {
    auth_request /oauth2/auth_staff;
    proxy_pass UPSTREAM;
  }
  location = /oauth2/auth_staff {
    internal;
    proxy_pass       http://127.0.0.1:4180/oauth2/auth?allowed_groups=staff;
    proxy_set_header Host             $http_host;
    proxy_set_header Content-Length   "";
    proxy_pass_request_body           off;
  }
  location @oauth2_signin {
    return 302 /oauth2/sign_in?rd=$scheme://$http_host$request_uri;
  }
}
server {
  listen 127.0.0.1:PORT ssl;
  server_name auth.corp.test;
  ssl_certificate site.crt; ssl_certificate_key site.key;
  location / {
    proxy_pass http://127.0.0.1:4180;
    proxy_set_header Host $http_host;
  }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_nginx_of_its_documentation_works_as_it_stands() {
    if Tier::Proxies.here().is_none() || Tier::Browser.here().is_none() {
        return;
    }
    let (port, echo, folder) = (free_port(), Echo::start().await, tempfile::tempdir().expect("a folder"));
    let (own, app) = (format!("https://auth.corp.test:{port}"), format!("https://app.corp.test:{port}"));
    let site = Site::start_with(|config| {
        open(config);
        config.public_url = PublicUrl::parse(&own).expect("an address");
        config.sessions.cookie_domain = Some("corp.test".to_owned());
        config.apps.origins = vec![app.parse().expect("an origin")];
    })
    .await;
    let names = ["auth.corp.test".to_owned(), "app.corp.test".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    for (name, text) in [("site.crt", made.cert.pem()), ("site.key", made.signing_key.serialize_pem())] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let text = NGINX
        .replace("PORT", &port.to_string())
        .replace("127.0.0.1:4180", &format!("127.0.0.1:{}", site.port()))
        .replace("UPSTREAM", &echo.url);
    let nginx = front::nginx(folder.path(), &text);
    front::wait_for(port, &nginx);
    let flags = ["--host-resolver-rules=MAP *.corp.test 127.0.0.1", "--ignore-certificate-errors"];
    let browser = Browser::open_with(&folder.path().join("profile"), &flags).await;

    site.provider.script().person = person("ada", "ada@example.com", "Ada Lovelace");
    browser.visit(&format!("{app}/deep?a=b")).await;
    browser.sees("GET /deep?a=b ").await;
    assert_eq!(browser.address().await, format!("{app}/deep?a=b"), "back where the person wanted to go");
    let heard = browser.text().await;
    assert_eq!(echo::header(&heard, "x-email"), Some("ada@example.com"), "{heard}");
    assert_eq!(echo::header(&heard, "x-user"), Some("ada"), "{heard}");
    browser.visit(&format!("{app}/staff/x")).await;
    browser.sees("GET /staff/x ").await;

    // The app's link to the log-out asks, and leads back.
    let sign_out = format!("{app}/oauth2/sign_out?rd={app}/");
    browser.evaluate(&format!("(location.href = {sign_out:?}, true)")).await;
    browser.sees("Log out?").await;
    browser.click("Log out").await;
    browser.sees("You are logged out").await;
    site.provider.script().person = person("grace", "grace@example.com", "Grace");
    browser.visit(&format!("{app}/deep")).await;
    browser.sees("GET /deep ").await;
    browser.visit(&format!("{app}/staff/x")).await;
    browser.sees("403 Forbidden").await;
    browser.close().await;
}
