//! Defects of ours: a panic while a request is answered is an answer of 500 and a line in the log, and nothing else.

use std::sync::Arc;

use doorward::clock::{Clock, SystemClock};
use doorward::config::Config;
use doorward::config::provider::{self, Provider};
use doorward::config::public_url::PublicUrl;
use doorward::config::secret::Secret;
use doorward::config::server::Listen;
use doorward::names::Names;
use doorward::random::OsRandom;
use doorward::server::{self, Running, listen};
use doorward::store::{SharedStore, Users};
use doorward::web::app::App;

use crate::site::log::Log;
use crate::site::memory::Memory;
use crate::site::seed;
use crate::site::visitors::{Anonymous, Visitor, provide_cryptography};

const ISSUER: &str = "http://127.0.0.1:9";

/// A site on `store`, and the browser of somebody who is signed in there.
async fn site_on(store: &Arc<Memory>) -> (Running, Anonymous) {
    provide_cryptography();
    let names = Names::from_system();
    let anywhere = Listen::Tcp { host: "localhost".to_owned(), port: 0 };
    let listeners = listen::bind(&anywhere, &names).await.expect("a free port");
    let port = listeners[0].address().expect("an address").port();
    let provider = Provider {
        issuer: ISSUER.to_owned(),
        client_id: "client".to_owned(),
        client_secret: Secret::new("secret"),
        ..provider::other("away")
    };
    let url = format!("http://localhost:{port}");
    let public_url = PublicUrl::parse(&url).expect("an address");
    let config = Config { public_url, provider: Some(provider), ..Config::default() };
    let shared = Arc::clone(store) as SharedStore;
    let app = App::new(&config, shared, Arc::new(SystemClock), Arc::new(OsRandom), names).expect("a provider");
    let (handle, sign_in) = seed::sign_in(ISSUER, "ada", SystemClock.now());
    store.sign_in(&sign_in).await.expect("it takes it");
    let browser = Anonymous::at(&url);
    browser.plant(&format!("doorward_{port}"), handle.reveal());
    (server::start(Arc::new(app), listeners, None, 100), browser)
}

#[tokio::test]
async fn a_panic_in_a_handler_is_told_to_whoever_asked_and_to_the_log() {
    let log = Log::default();
    let _guard = log.keep();
    let store = Arc::new(Memory::default());
    let (_running, ada) = site_on(&store).await;
    assert_eq!(ada.get("api/sessions").await.status, 200);
    store.break_down(Some("sessions"));
    log.take();
    let page = ada.visit("account").await;
    assert_eq!(page.status, 500, "{page:#?}");
    assert!(page.header("content-type").starts_with("text/html") && page.body.contains("Something broke here"));
    assert!(page.header("content-security-policy").contains("default-src"), "{page:#?}");
    let problem = ada.get("api/sessions").await;
    assert_eq!((problem.status, problem.header("content-type")), (500, "application/problem+json"), "{problem:#?}");
    assert_eq!(problem.json()["code"], "defect");
    assert_eq!(problem.json()["instance"], problem.header("x-request-id"));
    let said = log.take();
    for answer in [&page, &problem] {
        let id = answer.header("x-request-id");
        assert!(answer.body.contains(id) && !answer.body.contains("made up"), "{answer:#?}");
        let told =
            said.lines().find(|line| line.contains("a handler panicked: made up by a test") && line.contains(id));
        assert!(told.is_some_and(|line| line.contains("ERROR")), "{id} is not in {said}");
        assert!(said.lines().any(|line| line.contains("status=500") && line.contains(id)), "{said}");
        assert!(answer.set_cookies().is_empty(), "{answer:#?}");
    }
    store.break_down(None);
    assert_eq!(ada.get("api/sessions").await.status, 200, "the process goes on");
}

#[tokio::test]
async fn a_panic_while_sessions_are_looked_up_signs_nobody_out_and_ends_with_its_cause() {
    let store = Arc::new(Memory::default());
    let (_running, ada) = site_on(&store).await;
    assert_eq!(ada.get("api/me").await.status, 200);
    store.break_down(Some("sessions_by_handle"));
    for _ in 0..3 {
        let refused = ada.get("api/me").await;
        assert_eq!((refused.status, refused.header("retry-after").is_empty()), (503, false), "{refused:#?}");
        assert!(refused.set_cookies().is_empty(), "{refused:#?}");
    }
    store.break_down(None);
    assert_eq!(ada.get("api/me").await.status, 200, "one task looks all of them up, and it is still there");
}
