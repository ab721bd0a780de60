//! Why a sign-in failed, and what the log says of it.

use crate::clock::Timestamp;
use crate::login::provider::Provider;
use crate::model::{EventKind, UserId};
use crate::store::{Refusal, StoreError};

/// Why a sign-in failed. Sentences for the log; pages have their own.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The browser brought no pending login for this `state`: another browser's, cookies refused, replayed.
    #[error("no pending login for this state")]
    NoPendingLogin,
    /// The pending login is older than ten minutes.
    #[error("the pending login is older than ten minutes")]
    Stale,
    /// The pending login was begun for another provider or client.
    #[error("the pending login belongs to another provider")]
    OtherProvider,
    /// The answer carries neither a code nor an error, or no state.
    #[error("the provider's answer lacks {0}")]
    Incomplete(&'static str),
    /// The answer names another issuer than the one that was asked (RFC 9207).
    #[error("the answer names another issuer")]
    OtherIssuer,
    /// The person declined at the provider.
    #[error("the person declined at the provider")]
    Declined,
    /// The provider answered with an error of its own; the code is one of RFC 6749 or OpenID Connect, cut and cleaned.
    #[error("the provider answered {0}")]
    ProviderError(String),
    /// The provider cannot be reached, or did not answer in time or in form; later it may.
    #[error("the provider cannot be asked: {0}")]
    ProviderUnavailable(String),
    /// The provider refuses us: wrong client id or secret, wrong redirect URI, a spent code.
    #[error("the provider refused the code: {0}")]
    CodeRefused(String),
    /// The person was to show anew who they are, and the provider says that they did so before that only.
    #[error("the provider did not ask the person again: auth_time is {0}")]
    NotAskedAgain(Timestamp),
    /// What the provider sent does not hold: signature, issuer, audience, times, nonce, subject …
    #[error("the ID token does not hold: {0}")]
    BadIdToken(String),
    /// The clocks are too far apart for the token's times to be judged.
    #[error("the ID token's times do not fit our clock: {0}")]
    ClockSkew(String),
    /// The provider does not vouch for the email.
    #[error("the email {} is not verified", .0.as_deref().unwrap_or("of this person"))]
    EmailUnverified(Option<String>),
    /// The email is of no form that can be trusted to name one mailbox.
    #[error("the email is malformed")]
    EmailMalformed,
    /// The rules do not let this person in.
    #[error("not allowed: {words}")]
    NotAllowed {
        /// Whom the provider vouched for.
        subject: UserId,
        /// The account they used.
        email: String,
        /// The rule's word.
        reason: &'static str,
        /// The rule in words.
        words: String,
    },
    /// The store found a reason not to let this person in.
    #[error("{refusal}")]
    Refused {
        /// Whom the provider vouched for.
        subject: UserId,
        /// The account they used.
        email: String,
        /// Which reason.
        refusal: Refusal,
    },
    /// The store cannot take the sign-in.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LoginError {
    /// A stable word for logs, metrics and tests.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoPendingLogin => "no_pending_login",
            Self::Stale => "stale",
            Self::OtherProvider => "other_provider",
            Self::Incomplete(_) => "incomplete",
            Self::OtherIssuer => "other_issuer",
            Self::Declined => "declined",
            Self::ProviderError(_) => "provider_error",
            Self::ProviderUnavailable(_) => "provider_unavailable",
            Self::CodeRefused(_) => "code_refused",
            Self::NotAskedAgain(_) => "not_asked_again",
            Self::BadIdToken(_) => "bad_id_token",
            Self::ClockSkew(_) => "clock_skew",
            Self::EmailUnverified(_) => "email_unverified",
            Self::EmailMalformed => "email_malformed",
            Self::NotAllowed { reason, .. } => reason,
            Self::Refused { refusal, .. } => refusal.reason(),
            Self::Store(error) => error.reason(),
        }
    }

    /// What the operator can do about it; `provider` as the configuration names it, `redirect_uri` as it is sent. `None`
    /// where the person did as they liked, or was slow.
    pub fn advice(&self, provider: &str, redirect_uri: &str) -> Option<String> {
        let advice = match self {
            Self::Declined | Self::Stale => return None,
            Self::NoPendingLogin => "the person starts again; where it happens to many, they do not type the host of \
                                     public_url, refuse cookies, or come through a proxy that takes cookies away"
                .to_owned(),
            Self::OtherProvider => "the configuration was changed meanwhile: starting again helps".to_owned(),
            Self::Incomplete(_) => {
                "an address that was typed or cut off; where it happens to everybody, something on the \
                                    way takes the query away"
                    .to_owned()
            }
            Self::OtherIssuer => format!(
                "check providers.{provider}.issuer: the provider calls itself otherwise, or somebody mixes in an answer of \
                 another one"
            ),
            Self::CodeRefused(word) | Self::ProviderError(word) => about_word(word, provider, redirect_uri),
            Self::ProviderUnavailable(_) => "`doorward doctor` tells whether it can be asked from here".to_owned(),
            Self::NotAskedAgain(_) => "the provider does not heed max_age: the person signs out there first".to_owned(),
            Self::BadIdToken(_) => format!(
                "check issuer, client_id and algorithms under [providers.{provider}]; where they are right, the token is \
                 not the provider's"
            ),
            Self::ClockSkew(_) => "set this machine's clock by NTP: timedatectl set-ntp true".to_owned(),
            Self::EmailUnverified(_) => format!(
                "the person verifies it at the provider; where that never says so and its addresses can be trusted: \
                 providers.{provider}.trust_email = true"
            ),
            Self::EmailMalformed => "the person needs an account with one ordinary address".to_owned(),
            Self::NotAllowed { email, .. } => format!("`doorward access explain --email {email}` tells more"),
            Self::Refused { refusal, subject, .. } => about_refusal(refusal, subject),
            Self::Store(StoreError::Unavailable(_)) => "whoever tries again gets in once it answers".to_owned(),
            Self::Store(_) => "`doorward doctor` looks at the database".to_owned(),
        };
        Some(advice)
    }
}

/// What to do about an error code of the provider's (RFC 6749, sections 4.1.2.1 and 5.2).
fn about_word(word: &str, provider: &str, redirect_uri: &str) -> String {
    match word {
        "invalid_client" | "unauthorized_client" => format!(
            "check providers.{provider}.client_id and client_secret (or the file they come from) against the provider's \
             console: it does not take them"
        ),
        "redirect_uri_mismatch" => {
            format!("register {redirect_uri} as a redirect URI at the provider, letter for letter")
        }
        "invalid_grant" => "the code was used before, or came too late: starting again helps; where it happens to \
                            everybody, look at this machine's clock"
            .to_owned(),
        "invalid_scope" => "let this client ask for openid, email and profile at the provider".to_owned(),
        "server_error" | "temporarily_unavailable" => "the trouble is the provider's own; it passes".to_owned(),
        _ => "look the word up in the provider's documentation; `doorward doctor` tries this client there".to_owned(),
    }
}

/// What to do where the store does not let somebody in.
fn about_refusal(refusal: &Refusal, subject: &UserId) -> String {
    match refusal {
        Refusal::Blocked => format!("`doorward users unblock {subject}` lets them in again"),
        Refusal::Newcomer { table } => {
            format!("add a row with the id {subject} to {table}, or set access.sign_up = \"open\"")
        }
        Refusal::SimilarId { table, existing } => format!(
            "give the row `{existing}` of {table} another id if it is somebody else's, or this very one if it is theirs"
        ),
        Refusal::Claimed => format!("`doorward users show {subject}` tells whose it is"),
        Refusal::IdTooLong { table, .. } => format!("widen the column id of {table} to varchar(255)"),
        Refusal::UniqueKey { table, key } => format!(
            "Doorward leaves the table alone; where nothing of yours needs the key, remove it: ALTER TABLE {table} DROP \
             INDEX {key}"
        ),
    }
}

/// A word of the provider's as it may stand in a log: its letters, cut.
pub fn cleaned(word: &str) -> String {
    let is_plain = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    let word: String = word.chars().filter(is_plain).take(64).collect();
    if word.is_empty() { "an error without a name".to_owned() } else { word }
}

/// One line for each sign-in that failed; what needs an operator is louder than what a person did.
pub fn log_failure(error: &LoginError, provider: &Provider) {
    let (event, reason) = (EventKind::Refusal.word(), error.reason());
    let advice =
        error.advice(provider.name(), provider.redirect_uri()).map(|advice| format!("; {advice}")).unwrap_or_default();
    match error {
        LoginError::NotAllowed { subject, .. } => {
            tracing::info!(event, user.id = %subject, reason, "a sign-in failed: {error}{advice}");
        }
        LoginError::Refused { subject, .. } => {
            tracing::warn!(event, user.id = %subject, reason, "a sign-in failed: {error}{advice}");
        }
        LoginError::ProviderUnavailable(_)
        | LoginError::CodeRefused(_)
        | LoginError::BadIdToken(_)
        | LoginError::ClockSkew(_)
        | LoginError::Store(_) => tracing::warn!(event, reason, "a sign-in failed: {error}{advice}"),
        _ => tracing::info!(event, reason, "a sign-in failed: {error}{advice}"),
    }
}
