//! From "not known" to "signed in".
//!
//! | step   | who          | leaves behind                                           |
//! |--------|--------------|---------------------------------------------------------|
//! | begin  | this site    | a pending login, sealed in the browser's cookie, valid ten minutes |
//! | …      | the provider | a code in the browser's address                         |
//! | finish | this site    | a user, a session                                       |
//!
//! A pending login can be used once; whoever comes second starts again. This room knows no HTTP of the browser's.

pub mod return_to;

use openidconnect::url::Url;

use crate::credential::Plain;
use crate::login::return_to::ReturnTo;
use crate::model::{Browser, User};
use crate::store::{Refusal, StoreError};

/// Signs people in.
pub struct Login {}

/// A sign-in that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where to send the browser: the provider's authorization endpoint with our request (RFC 6749, section 4.1.1).
    pub authorization_url: Url,
    /// What the browser must bring back.
    pub pending: SealedPendingLogin,
}

/// A pending login as it lies in the browser, one cookie each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPendingLogin {
    /// Tells the attempts of one browser apart; ten characters of `[a-z2-7]`, made from `state`.
    pub label: String,
    /// The sealed content, base64url.
    pub value: String,
}

/// What the provider's redirect brought (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The authorization code.
    pub code: Option<String>,
    /// The state we sent.
    pub state: Option<String>,
    /// Who answers.
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// A sign-in that succeeded.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The new session's handle.
    pub session: Plain,
    /// Who signed in.
    pub user: User,
    /// Where they wanted to go.
    pub return_to: Option<ReturnTo>,
}

/// A sign-in that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: LoginError,
    /// Where the person wanted to go, when that could be read: starting again leads there.
    pub return_to: Option<ReturnTo>,
    /// The label of the pending login that is spent by this, so that its cookie can go.
    pub spent: Option<String>,
}

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
    /// What the provider sent does not hold: signature, issuer, audience, times, nonce, subject …
    #[error("the ID token does not hold: {0}")]
    BadIdToken(String),
    /// The clocks are too far apart for the token's times to be judged.
    #[error("the ID token's times do not fit our clock: {0}")]
    ClockSkew(String),
    /// The provider does not vouch for the email.
    #[error("the email {0:?} is not verified")]
    EmailUnverified(Option<String>),
    /// The email is of no form that can be trusted to name one mailbox.
    #[error("the email is malformed")]
    EmailMalformed,
    /// The rules do not let this person in.
    #[error("not allowed: {reason}")]
    NotAllowed {
        /// The account they used.
        email: String,
        /// The rule's word.
        reason: &'static str,
    },
    /// The store found a reason not to let this person in.
    #[error("{refusal}")]
    Refused {
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
            Self::BadIdToken(_) => "bad_id_token",
            Self::ClockSkew(_) => "clock_skew",
            Self::EmailUnverified(_) => "email_unverified",
            Self::EmailMalformed => "email_malformed",
            Self::NotAllowed { reason, .. } => reason,
            Self::Refused { refusal, .. } => refusal.reason(),
            Self::Store(error) => error.reason(),
        }
    }
}

impl Login {
    /// Starts a sign-in that shall end at `return_to`. `choose_account`: let the provider show its chooser even
    /// where the configuration does not ask for it. Asks the provider's metadata, never the store.
    pub async fn begin(&self, return_to: Option<ReturnTo>, choose_account: bool) -> Result<Begun, LoginError> {
        let _ = (return_to, choose_account);
        unimplemented!()
    }

    /// Whether the provider is asked to show its chooser at every sign-in, so that no link can sign anybody in silently.
    pub fn shows_chooser(&self) -> bool {
        unimplemented!()
    }

    /// Finishes the sign-in that `answer` belongs to. `pending` is all that the browser brought, `previous` the session
    /// it presented, to be ended. Runs to its end even when the caller goes away.
    pub async fn finish(
        &self,
        answer: Answer,
        pending: Vec<SealedPendingLogin>,
        browser: Browser,
        previous: Option<Plain>,
    ) -> Result<Finished, Failed> {
        let _ = (answer, pending, browser, previous);
        unimplemented!()
    }

    /// Whether the provider's metadata and keys are at hand.
    pub fn provider_is_known(&self) -> bool {
        unimplemented!()
    }
}
