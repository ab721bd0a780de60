//! axe-core, the npm package: a long list of rules about what people cannot read, reach or hear, tried on a page that a
//! browser shows.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::site::browser::Browser;
use crate::site::tiers::Tier;

/// WCAG 2.2 up to level AA, and what is good practice beyond it.
const ASK: &str = "axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'],
    preload: false, resultTypes: ['violations', 'incomplete'],
}).then(found => ({ rules: found.passes.length, violations: found.violations, incomplete: found.incomplete }))";

/// The rules. They come along to every page that the browser visits from then on.
pub struct Axe(());

/// What axe says of a page.
#[derive(Debug, Default)]
pub struct Judged {
    /// What breaks a rule, one line each: the rule, the element, why.
    pub violations: Vec<String>,
    /// What a person has to look at, likewise.
    pub unclear: Vec<String>,
}

impl Axe {
    /// Brings the rules to `browser`. `None`: the tier is missing.
    pub async fn brought_to(browser: &Browser) -> Option<Self> {
        let modules = Tier::Axe.here()?;
        let script = Path::new(&modules).join("axe-core/axe.min.js");
        let script = fs::read_to_string(&script).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        browser.bring_along(&script).await;
        Some(Self(()))
    }

    /// Tries every rule on what `browser` shows now, as it shows it now.
    pub async fn judge(&self, browser: &Browser) -> Judged {
        let found = browser.promised(ASK).await;
        assert!(found["rules"].as_u64().is_some_and(|rules| rules > 5), "hardly a rule was tried: {found}");
        Judged { violations: lines(&found["violations"]), unclear: lines(&found["incomplete"]) }
    }
}

fn lines(rules: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for rule in rules.as_array().into_iter().flatten() {
        for node in rule["nodes"].as_array().into_iter().flatten() {
            let why = node["failureSummary"].as_str().unwrap_or_default().replace('\n', " ");
            lines.push(format!("{}: {}: {why}", rule["id"], node["html"]));
        }
    }
    lines
}
