//! Everything that a person can be told when something went wrong, in the words that are really shown.

use std::collections::BTreeSet;
use std::time::Duration;

use doorward::clock::Timestamp;
use doorward::config::Config;
use doorward::config::public_url::PublicUrl;
use doorward::login::return_to::{ReturnRules, ReturnTo};
use doorward::login::{Failed, LoginError};
use doorward::model::UserId;
use doorward::pages::{DeniedPage, ErrorPage, Html, PageError, Pages};
use doorward::store::{Refusal, StoreError};
use doorward::web::error::Fault;
use doorward::web::paths::Paths;
use doorward::web::told::Told;

const EMAIL: &str = "ada@example.com";

/// Every fault, under a name for its picture.
pub fn faults(site: &PublicUrl) -> Vec<(&'static str, Fault)> {
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
        ("held", Fault::Held),
        ("body-too-large", Fault::BodyTooLarge),
        ("body-too-slow", Fault::BodyTooSlow),
        ("too-busy", Fault::TooBusy),
        ("body-broken", Fault::BodyBroken),
        ("uri-too-long", Fault::UriTooLong),
        ("no-provider", Fault::NoProvider),
        ("store-unavailable", Fault::Store(StoreError::Unavailable(text()))),
        ("store-read-only", Fault::Store(StoreError::ReadOnly(text()))),
        ("store-refused", Fault::Store(StoreError::Refused(text()))),
        ("store-schema", Fault::Store(StoreError::Schema(text()))),
        ("logout-owed", Fault::LogoutOwed),
        ("page", Fault::Page(PageError { page: "login.html".into(), source: minijinja::ErrorKind::BadInclude.into() })),
        ("defect", Fault::Defect),
    ];
    let refused = |refusal| LoginError::Refused { subject: UserId::new("1"), email: EMAIL.to_owned(), refusal };
    let (table, key) = ("users".to_owned(), "email".to_owned());
    let logins = [
        ("login-no-pending", LoginError::NoPendingLogin),
        ("login-stale", LoginError::Stale),
        ("login-other-provider", LoginError::OtherProvider),
        ("login-incomplete", LoginError::Incomplete("a code")),
        ("login-other-issuer", LoginError::OtherIssuer),
        ("login-bad-id-token", LoginError::BadIdToken(text())),
        ("login-not-asked-again", LoginError::NotAskedAgain(Timestamp::from_unix(1_800_000_000))),
        ("login-declined", LoginError::Declined),
        ("login-provider-error", LoginError::ProviderError(text())),
        ("login-code-refused", LoginError::CodeRefused(text())),
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
        ("login-similar-id", refused(Refusal::SimilarId { table: table.clone(), existing: "ABC".to_owned() })),
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
        let sentence = what;
        let is_somebody = match fault {
            Fault::NotThroughTheGate { .. } => true,
            Fault::Login(failed) => matches!(failed.error, LoginError::NotAllowed { .. } | LoginError::Refused { .. }),
            _ => false,
        };
        if is_somebody {
            let denied = DeniedPage { email: EMAIL, sentence, advice, other_account_url: &way_on.1, request_id };
            return pages.denied(&denied).expect("a page");
        }
        let error = ErrorPage { heading, what, advice, way_on: (way_on.0, &way_on.1), request_id };
        pages.error(&error).expect("a page")
    };
    faults(site).iter().map(|(name, fault)| (*name, page(fault))).collect()
}

/// The variant of a fault, and of what is in it. Whoever adds one is sent here by the compiler, and from here to
/// [`faults`]: see [`missing`].
fn variant(fault: &Fault) -> &'static str {
    match fault {
        Fault::NotFound => "NotFound",
        Fault::MethodNotAllowed(_) => "MethodNotAllowed",
        Fault::NotSignedIn => "NotSignedIn",
        Fault::NotANavigation => "NotANavigation",
        Fault::BadToken => "BadToken",
        Fault::ScopeTooNarrow => "ScopeTooNarrow",
        Fault::SessionRequired => "SessionRequired",
        Fault::SignInAgain => "SignInAgain",
        Fault::NoneOfYours => "NoneOfYours",
        Fault::TooManyTokens => "TooManyTokens",
        Fault::Held => "Held",
        Fault::TooManyWait => "TooManyWait",
        Fault::BadValue(_) => "BadValue",
        Fault::WrongKind => "WrongKind",
        Fault::NotThroughTheGate { .. } => "NotThroughTheGate",
        Fault::Closed => "Closed",
        Fault::Circle(_) => "Circle",
        Fault::TooMany(_) => "TooMany",
        Fault::Ambiguous => "Ambiguous",
        Fault::ForeignOrigin => "ForeignOrigin",
        Fault::BodyTooLarge => "BodyTooLarge",
        Fault::BodyTooSlow => "BodyTooSlow",
        Fault::TooBusy => "TooBusy",
        Fault::BodyBroken => "BodyBroken",
        Fault::UriTooLong => "UriTooLong",
        Fault::NoProvider => "NoProvider",
        Fault::LogoutOwed => "LogoutOwed",
        Fault::Page(_) => "Page",
        Fault::Defect => "Defect",
        Fault::Store(error) => match error {
            StoreError::Unavailable(_) => "Unavailable",
            StoreError::ReadOnly(_) => "ReadOnly",
            StoreError::Schema(_) => "Schema",
            StoreError::Refused(_) => "Refused by the store",
        },
        Fault::Login(failed) => login_variant(&failed.error),
    }
}

fn login_variant(error: &LoginError) -> &'static str {
    match error {
        LoginError::NoPendingLogin => "NoPendingLogin",
        LoginError::Stale => "Stale",
        LoginError::OtherProvider => "OtherProvider",
        LoginError::Incomplete(_) => "Incomplete",
        LoginError::OtherIssuer => "OtherIssuer",
        LoginError::Declined => "Declined",
        LoginError::ProviderError(_) => "ProviderError",
        LoginError::ProviderUnavailable(_) => "ProviderUnavailable",
        LoginError::CodeRefused(_) => "CodeRefused",
        LoginError::NotAskedAgain(_) => "NotAskedAgain",
        LoginError::BadIdToken(_) => "BadIdToken",
        LoginError::ClockSkew(_) => "ClockSkew",
        LoginError::EmailUnverified(_) => "EmailUnverified",
        LoginError::EmailMalformed => "EmailMalformed",
        LoginError::NotAllowed { .. } => "NotAllowed",
        LoginError::Store(_) => "Store",
        LoginError::Refused { refusal, .. } => match refusal {
            Refusal::Blocked => "Blocked",
            Refusal::Newcomer { .. } => "Newcomer",
            Refusal::SimilarId { .. } => "SimilarId",
            Refusal::Claimed => "Claimed",
            Refusal::IdTooLong { .. } => "IdTooLong",
            Refusal::UniqueKey { .. } => "UniqueKey",
        },
    }
}

/// The variants that this file names and [`faults`] does not hold.
pub fn missing(site: &PublicUrl) -> Vec<&'static str> {
    let held: BTreeSet<&str> = faults(site).iter().map(|(_, fault)| variant(fault)).collect();
    let arms = include_str!("faults.rs").lines().filter_map(|line| line.trim_end_matches(',').split_once(" => \""));
    let named = arms.filter_map(|(_, name)| name.strip_suffix('"'));
    named.filter(|name| !held.contains(name)).collect()
}
