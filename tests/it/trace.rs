//! W3C Trace Context: taken from whom we trust, told to the provider, written into the log.

use doorward::web::guard::trace::Trace;
use http::{HeaderMap, HeaderValue};
use reqwest::Method;
use serde_json::Value;

use crate::site::binary::{Binary, PROVIDER_AWAY};
use crate::site::instance::Site;
use crate::site::provider::Door;
use crate::site::visitors::{Anonymous, TYPED, Visitor};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn taken(values: &[&str]) -> Option<Trace> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append("traceparent", HeaderValue::from_str(value).expect("a value"));
    }
    Trace::taken(&headers)
}

#[test]
fn a_trace_is_taken_only_where_it_is_well_formed() {
    for (text, flags) in [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "01"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "00"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", "01"),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings", "01"),
    ] {
        let trace = taken(&[text]).unwrap_or_else(|| panic!("{text} is refused"));
        let told = trace.traceparent("0123456789abcdef");
        assert_eq!(told, format!("00-{ID}-0123456789abcdef-{flags}"), "{text}");
    }
    for text in [
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-sesame-open-01",
    ] {
        assert_eq!(taken(&[text]), None, "{text}");
    }
    let good = format!("00-{ID}-00f067aa0ba902b7-01");
    assert_eq!(taken(&[&good, &good]), None, "which of the two?");
    assert_eq!(taken(&[]), None);
}

/// What the provider was told with the code, when the callback came with `sent`.
async fn told_to_provider(site: &Site, sent: &str) -> (String, String) {
    let browser = site.anonymous();
    let request = browser.visit("/login").await.location();
    let callback = site.authorize(&browser, &request, "ada").await;
    let headers = [&[("traceparent", sent)], TYPED].concat();
    let back = browser.ask(Method::GET, callback.as_str(), &headers).await;
    assert_eq!(back.status, 303, "{back:#?}");
    let told = site.provider.trace(Door::Token).expect("the provider is told of the trace");
    (told, back.header("x-request-id").to_owned())
}

#[tokio::test]
async fn the_provider_is_told_of_the_trace_of_a_proxy() {
    let site = Site::start().await;
    let (told, request_id) = told_to_provider(&site, &format!("00-{ID}-00f067aa0ba902b7-01")).await;
    assert_eq!(told, format!("00-{ID}-{request_id}-01"), "the request is the one that asks");
    let (told, request_id) = told_to_provider(&site, "00-sesame-open-01").await;
    let trace = taken(&[&told]).unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(told, format!("00-{}-{request_id}-00", trace.id), "what is malformed is replaced");
}

#[tokio::test]
async fn a_stranger_names_no_trace() {
    let site = Site::start_with(|config| config.server.trusted_proxies = Vec::new()).await;
    let (told, _) = told_to_provider(&site, &format!("00-{ID}-00f067aa0ba902b7-01")).await;
    assert!(!told.contains(ID) && taken(&[&told]).is_some(), "{told}");
}

#[tokio::test]
async fn the_log_names_the_request_and_its_trace() {
    let site = Binary::serve(PROVIDER_AWAY);
    let browser = Anonymous::at(&site.public_url);
    let sent = format!("00-{ID}-00f067aa0ba902b7-01");
    let answer = browser.ask(Method::GET, "/nothing-here", &[("traceparent", &sent), ("accept", "text/html")]).await;
    let request_id = answer.header("x-request-id").to_owned();
    assert!(answer.body.contains(&request_id), "the page does not show it: {answer:#?}");
    let line = site.program.wait_for("the line of the request", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["request_id"] == *request_id).then_some(line)
    });
    assert_eq!(line["trace_id"], ID, "{line}");
    let other = browser.get("/nothing-there").await.header("x-request-id").to_owned();
    let line = site.program.wait_for("the line of the other", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["request_id"] == *other).then_some(line)
    });
    let begun = line["trace_id"].as_str().expect("a trace").to_owned();
    assert!(begun != ID && begun.len() == 32, "{line}");
}
