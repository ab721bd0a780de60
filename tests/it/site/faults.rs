//! Everything that a person can be told when something went wrong, in the words that are really shown.

use std::time::Duration;

use doorward::clock::Timestamp;
use doorward::config::Config;
use doorward::config::public_url::PublicUrl;
use doorward::login::return_to::{ReturnRules, ReturnTo};
use doorward::login::{Failed, LoginError};
use doorward::model::UserId;
use doorward::pages::{DeniedPage, ErrorPage, Html, Pages};
use doorward::store::{Refusal, StoreError};
use doorward::web::error::Fault;
use doorward::web::paths::Paths;
use doorward::web::told::Told;

const EMAIL: &str = "ada@example.com";

/// Every fault, under a name for its picture.
fn faults(site: &PublicUrl) -> Vec<(&'static str, Fault)> {
    let text = || "said for the log".to_owned();
    let mut faults = vec![
        ("not-found", Fault::NotFound),
        ("method-not-allowed", Fault::MethodNotAllowed("GET, HEAD")),
        ("not-signed-in", Fault::NotSignedIn),
        ("not-a-navigation", Fault::NotANavigation),
        ("bad-token", Fault::BadToken),
        ("scope-too-narrow", Fault::ScopeTooNarrow),
        ("session-required", Fault::SessionRequired),
        ("sign-in-again", Fault::SignInAgain),
        ("none-of-yours", Fault::NoneOfYours),
        ("too-many-tokens", Fault::TooManyTokens),
        ("too-many-wait", Fault::TooManyWait),
        ("too-many", Fault::TooMany(Duration::from_secs(10))),
        ("bad-value", Fault::BadValue("A token lives for 1 to 366 days.")),
        ("wrong-kind", Fault::WrongKind),
        ("not-through-the-gate", Fault::NotThroughTheGate { email: EMAIL.to_owned(), return_to: None }),
        ("closed", Fault::Closed),
        ("ambiguous", Fault::Ambiguous),
        ("foreign-origin", Fault::ForeignOrigin),
        ("body-too-large", Fault::BodyTooLarge),
        ("no-provider", Fault::NoProvider),
        ("store-unavailable", Fault::Store(StoreError::Unavailable(text()))),
        ("store-schema", Fault::Store(StoreError::Schema(text()))),
        ("logout-owed", Fault::LogoutOwed),
        ("defect", Fault::Defect),
    ];
    let refused = |refusal| LoginError::Refused { subject: UserId::new("1"), email: EMAIL.to_owned(), refusal };
    let (table, key) = ("users".to_owned(), "email".to_owned());
    let logins = [
        ("login-no-pending", LoginError::NoPendingLogin),
        ("login-bad-id-token", LoginError::BadIdToken(text())),
        ("login-not-asked-again", LoginError::NotAskedAgain(Timestamp::from_unix(1_800_000_000))),
        ("login-declined", LoginError::Declined),
        ("login-provider-error", LoginError::ProviderError(text())),
        ("login-provider-unavailable", LoginError::ProviderUnavailable(text())),
        ("login-clock-skew", LoginError::ClockSkew(text())),
        ("login-email-unverified", LoginError::EmailUnverified(None)),
        ("login-email-malformed", LoginError::EmailMalformed),
        (
            "login-not-allowed",
            LoginError::NotAllowed {
                subject: UserId::new("1"),
                email: EMAIL.to_owned(),
                reason: "not_on_the_list",
                words: text(),
            },
        ),
        ("login-blocked", refused(Refusal::Blocked)),
        ("login-newcomer", refused(Refusal::Newcomer { table: table.clone() })),
        ("login-claimed", refused(Refusal::Claimed)),
        ("login-id-too-long", refused(Refusal::IdTooLong { table: table.clone(), width: 11, length: 21 })),
        ("login-unique-key", refused(Refusal::UniqueKey { table, key })),
        ("login-store", LoginError::Store(StoreError::Unavailable(text()))),
    ];
    let rules = ReturnRules::new(site, &Config::default().apps);
    // An address that is longer than any page is wide.
    let long = ReturnTo::parse(&format!("/{}", "long/".repeat(300)), &rules).expect("a sign-in returns there");
    faults.push(("circle", Fault::Circle(long.clone())));
    faults.extend(logins.map(|(name, error)| {
        (name, Fault::Login(Box::new(Failed { error, return_to: Some(long.clone()), spent: None })))
    }));
    faults
}

/// The page of each, made by `pages`, with addresses below those of `site`.
pub fn told_by(pages: &Pages, site: &PublicUrl) -> Vec<(&'static str, Html)> {
    let paths = Paths::new(site);
    let request_id = "01JD8Q6T9M4W3ZK7";
    let page = |fault: &Fault| {
        let Told { heading, what, advice, way_on } = fault.told(&paths);
        let is_somebody = match fault {
            Fault::NotThroughTheGate { .. } => true,
            Fault::Login(failed) => matches!(failed.error, LoginError::NotAllowed { .. } | LoginError::Refused { .. }),
            _ => false,
        };
        if is_somebody {
            let denied = DeniedPage { email: EMAIL, sentence: what, other_account_url: &way_on.1, request_id };
            return pages.denied(&denied).expect("a page");
        }
        let error = ErrorPage { heading, what, advice, way_on: (way_on.0, &way_on.1), request_id };
        pages.error(&error).expect("a page")
    };
    faults(site).iter().map(|(name, fault)| (*name, page(fault))).collect()
}
