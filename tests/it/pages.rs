//! Every page with every sample.

use doorward::config::pages as config;
use doorward::pages::{Pages, samples};

#[test]
fn every_sample_renders() {
    let pages = Pages::new(&config::Pages::default(), "/auth");
    for (name, html) in samples::all(&pages) {
        let html = html.unwrap_or_else(|error| panic!("{name}: {error}: {:?}", error.source));
        assert!(html.starts_with("<!doctype html>"), "{name}");
    }
}
