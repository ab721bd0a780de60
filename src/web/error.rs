//! The one table of what can go wrong at the door: status, sentences, a way on, how loud in the log.
//!
//! Handlers return an [`Error`]; the front door renders it, as a page for people and as problem details (RFC 9457) for
//! programs. Nothing of the request is repeated in either, and nothing of the cause beyond what the reader can use.

use http::{HeaderValue, StatusCode};
use tracing::Level;

use crate::login::return_to::ReturnTo;
use crate::login::{Failed, LoginError};
use crate::pages::PageError;
use crate::store::{Refusal, StoreError};
use crate::web::paths::{ACCOUNT, HOME, LOGIN, Paths};

/// Why there is no ordinary answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing lies at this path.
    #[error("no such door")]
    NotFound,
    /// The door does not take this method; it takes these.
    #[error("the method is not allowed")]
    MethodNotAllowed(&'static str),
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// Only a person going there may begin a sign-in.
    #[error("a sign-in begins with a navigation")]
    NotANavigation,
    /// The bearer token admits nobody.
    #[error("the token is unknown, expired or revoked")]
    BadToken,
    /// The token does not reach as far as this door (RFC 6750, section 3.1, `insufficient_scope`).
    #[error("the token's scope is too narrow")]
    ScopeTooNarrow,
    /// Only a person at a browser may do this, no program with a token.
    #[error("this needs a session")]
    SessionRequired,
    /// The sign-in lies too far back for this.
    #[error("this needs a fresh sign-in")]
    SignInAgain,
    /// The visitor has no session or token of this name, whoever else may.
    #[error("the visitor has none of this name")]
    NoneOfYours,
    /// The visitor has as many tokens as anybody may.
    #[error("there are too many tokens")]
    TooManyTokens,
    /// The site's own tables keep the account from being deleted.
    #[error("the site's own tables refer to this account")]
    Held,
    /// So many programs wait to be let in that no more are taken.
    #[error("too many programs wait to be let in")]
    TooManyWait,
    /// A value that this door does not take, and why.
    #[error("a value cannot be taken: {0}")]
    BadValue(&'static str),
    /// The body is of another kind than this door reads.
    #[error("the body is of the wrong kind")]
    WrongKind,
    /// Somebody signed in asks for something behind the gate that is not for them.
    #[error("this person may not pass")]
    NotThroughTheGate {
        /// The account they used.
        email: String,
        /// What they asked for, where it may be returned to.
        return_to: Option<ReturnTo>,
    },
    /// Something behind the gate that is for nobody, whoever asks.
    #[error("nobody may pass")]
    Closed,
    /// Somebody who signed in a moment ago was sent back to sign in by an app: their cookie does not arrive there.
    #[error("a sign-in leads in circles")]
    Circle(ReturnTo),
    /// Two credentials, or parameters that are there twice.
    #[error("the request contradicts itself")]
    Ambiguous,
    /// A change that no page of ours asked for.
    #[error("the request comes from another site")]
    ForeignOrigin,
    /// The body is too large.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body did not come in time.
    #[error("the body did not come in time")]
    BodyTooSlow,
    /// The body broke off, or was not framed as it should be (RFC 9112, section 6).
    #[error("the body broke off")]
    BodyBroken,
    /// The address is too long.
    #[error("the address is too long")]
    UriTooLong,
    /// Nobody can sign in, since no provider is configured.
    #[error("no provider is configured")]
    NoProvider,
    /// A sign-in failed.
    #[error("{}", .0.error)]
    Login(Box<Failed>),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cookie is gone, the session not yet.
    #[error("the session could not be ended in the store yet")]
    LogoutOwed,
    /// A template is broken.
    #[error(transparent)]
    Page(#[from] PageError),
    /// A defect of ours.
    #[error("a handler failed")]
    Defect,
}

/// A [`Fault`] with the cookies that its answer sets all the same.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub struct Error {
    /// What is wrong.
    pub fault: Fault,
    /// `Set-Cookie` headers.
    pub cookies: Vec<HeaderValue>,
}

impl<F: Into<Fault>> From<F> for Error {
    fn from(fault: F) -> Self {
        Self { fault: fault.into(), cookies: Vec::new() }
    }
}

impl poem::error::ResponseError for Error {
    fn status(&self) -> StatusCode {
        self.fault.status()
    }
}

/// What a person is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The heading.
    pub heading: &'static str,
    /// What is so.
    pub what: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// The button: its words and where it leads.
    pub way_on: (&'static str, String),
}

impl Fault {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotSignedIn | Self::NotANavigation | Self::BadToken => StatusCode::UNAUTHORIZED,
            Self::Ambiguous | Self::BodyBroken | Self::BadValue(_) => StatusCode::BAD_REQUEST,
            Self::ForeignOrigin | Self::ScopeTooNarrow | Self::SessionRequired | Self::SignInAgain => {
                StatusCode::FORBIDDEN
            }
            Self::NotThroughTheGate { .. } | Self::Closed => StatusCode::FORBIDDEN,
            Self::Circle(_) => StatusCode::CONFLICT,
            Self::NoneOfYours => StatusCode::NOT_FOUND,
            Self::TooManyTokens | Self::Held => StatusCode::CONFLICT,
            Self::TooManyWait => StatusCode::TOO_MANY_REQUESTS,
            Self::WrongKind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::NoProvider | Self::Store(_) | Self::LogoutOwed => StatusCode::SERVICE_UNAVAILABLE,
            Self::Page(_) | Self::Defect => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Login(failed) => match &failed.error {
                LoginError::NotAllowed { .. } | LoginError::Refused { .. } => StatusCode::FORBIDDEN,
                LoginError::ProviderUnavailable(_) | LoginError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
                LoginError::CodeRefused(_) => StatusCode::BAD_GATEWAY,
                _ => StatusCode::BAD_REQUEST,
            },
        }
    }

    /// A stable word for programs, log and test: `code` of the problem details.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::NotSignedIn => "not_signed_in",
            Self::NotANavigation => "not_a_navigation",
            Self::BadToken => "invalid_token",
            Self::ScopeTooNarrow => "insufficient_scope",
            Self::SessionRequired => "session_required",
            Self::SignInAgain => "reauthentication_required",
            Self::NoneOfYours => "none_of_yours",
            Self::TooManyTokens => "too_many_tokens",
            Self::TooManyWait => "too_many_wait",
            Self::Held => "held",
            Self::BadValue(_) => "invalid_value",
            Self::WrongKind => "wrong_content_type",
            Self::NotThroughTheGate { .. } => "not_allowed",
            Self::Closed => "closed",
            Self::Circle(_) => "sign_in_circle",
            Self::Ambiguous => "invalid_request",
            Self::ForeignOrigin => "foreign_origin",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyBroken => "body_broken",
            Self::UriTooLong => "uri_too_long",
            Self::NoProvider => "no_provider",
            Self::Login(failed) => failed.error.reason(),
            Self::Store(error) => error.reason(),
            Self::LogoutOwed => "logout_owed",
            Self::Page(_) | Self::Defect => "defect",
        }
    }

    /// How loud it is: `ERROR`, somebody must act; `WARN`, something is degraded; `DEBUG`, somebody else's mistake.
    pub fn level(&self) -> Level {
        match self {
            Self::Page(_) | Self::Defect | Self::NoProvider => Level::ERROR,
            Self::Store(_) | Self::LogoutOwed => Level::WARN,
            // The login room writes its own line.
            _ => Level::DEBUG,
        }
    }

    /// After how many seconds asking again makes sense.
    pub fn retry_after(&self) -> Option<u32> {
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => Some(2),
            StatusCode::TOO_MANY_REQUESTS => Some(60),
            _ => None,
        }
    }

    /// What a person is told, with addresses of ours as `paths` write them.
    pub fn told(&self, paths: &Paths) -> Told {
        let home = || ("Go to the start page", paths.to(HOME));
        let told = |heading, what, advice, way_on| Told { heading, what, advice, way_on };
        match self {
            Self::NotFound => told(
                "Page not found",
                "There is no page at this address.",
                "Check the address, or go on from the start page.",
                home(),
            ),
            Self::MethodNotAllowed(_) => told(
                "That does not work here",
                "This address exists, but not for this kind of request.",
                "Go on from the start page.",
                home(),
            ),
            Self::NotSignedIn | Self::BadToken => told(
                "You are not signed in",
                "This can only be seen by somebody who is signed in.",
                "Sign in and try again.",
                ("Sign in", paths.to(LOGIN)),
            ),
            Self::NotANavigation => told(
                "Open this page yourself",
                "A sign-in starts only when a person opens this page, not in the background.",
                "Use the button to start.",
                ("Sign in", paths.to(LOGIN)),
            ),
            Self::NotThroughTheGate { .. } | Self::Closed | Self::Circle(_) => shut_gate(self, paths),
            Self::Ambiguous => told(
                "This request contradicts itself",
                "It holds something twice that may be there only once.",
                "Start again from the start page.",
                home(),
            ),
            Self::ScopeTooNarrow | Self::SessionRequired | Self::SignInAgain => too_little(self, paths),
            Self::NoneOfYours => told(
                "Nothing of that name",
                "You have no session or token with this id; perhaps it has ended already.",
                "Look at the list again.",
                ("Go to your account", paths.to(ACCOUNT)),
            ),
            Self::TooManyTokens => told(
                "That is one token too many",
                "You have as many tokens as anybody may have here.",
                "Revoke one that you no longer need; then make the new one.",
                ("Go to your account", paths.to(ACCOUNT)),
            ),
            Self::Held => told(
                "It cannot be deleted here",
                "This site's own data refers to your account and may not be left without it; nothing was changed.",
                "Ask whoever runs the site: its log names what stands in the way.",
                ("Go to your account", paths.to(ACCOUNT)),
            ),
            Self::TooManyWait => told(
                "Too many wait already",
                "So many terminals wait to be let in, here or at your address, that no more are taken.",
                "Decide about those, or try again in a few minutes.",
                home(),
            ),
            Self::BadValue(why) => {
                told("That cannot be taken", why, "Change it and try again.", ("Go to your account", paths.to(ACCOUNT)))
            }
            Self::WrongKind => told(
                "That cannot be read",
                "The body is of another kind than this address takes.",
                "Send it as application/json, and say so in Content-Type.",
                home(),
            ),
            Self::ForeignOrigin => told(
                "This did not come from our page",
                "Another site, or a program, asked for a change in your name, and it was not made.",
                "If you meant to do it, do it on this site's own page.",
                home(),
            ),
            Self::BodyTooLarge | Self::BodyTooSlow | Self::BodyBroken | Self::UriTooLong => told(
                "This request cannot be taken",
                "It is larger than anything this site needs, took too long to arrive, or broke off.",
                "Go on from the start page.",
                home(),
            ),
            Self::NoProvider => told(
                "Nobody can sign in yet",
                "This site has no sign-in provider in its configuration.",
                "Whoever runs the site must add one; config.toml.example shows how.",
                home(),
            ),
            Self::Login(failed) => login_told(failed, paths),
            Self::Store(StoreError::Schema(_)) => told(
                "The database is not ready",
                "This site's database cannot be used as it stands; you have not been signed out.",
                "Whoever runs the site finds the reason in its log. Try again later.",
                ("Try again", paths.to(HOME)),
            ),
            Self::Store(_) => told(
                "One moment, please",
                "This site's database cannot be asked right now; you have not been signed out.",
                "Try again in a few seconds.",
                ("Try again", paths.to(HOME)),
            ),
            Self::LogoutOwed => told(
                "Signed out of this browser only",
                "This browser has forgotten you, but the database could not be told yet.",
                "The sign-out is finished as soon as the database answers; until then do not count on it elsewhere.",
                home(),
            ),
            Self::Page(_) | Self::Defect => told(
                "Something broke here",
                "This is a defect of the site, not of anything you did; nothing was changed.",
                "Try again, and tell whoever runs the site the number below if it stays.",
                ("Try again", paths.to(HOME)),
            ),
        }
    }
}

/// What is told to somebody whose credential holds, but not for this.
fn too_little(fault: &Fault, paths: &Paths) -> Told {
    let told = |heading, what, advice, way_on| Told { heading, what, advice, way_on };
    let account = paths.to(ACCOUNT);
    match fault {
        Fault::ScopeTooNarrow => told(
            "This token does not reach as far",
            "The token may show who you are, and no more.",
            "Use a token with the scope `account`.",
            ("Go to your account", account),
        ),
        Fault::SessionRequired => told(
            "Only you can do this",
            "A token may look and not touch: changes need a person at a browser.",
            "Do it on the page of your account.",
            ("Go to your account", account),
        ),
        _ => told(
            "Please sign in again",
            "Your sign-in lies more than ten minutes back, and this must not be done from a browser that was left open.",
            "Sign in again; you come back to your account.",
            ("Sign in again", paths.fresh_sign_in(ACCOUNT)),
        ),
    }
}

/// What is told to somebody whom an app behind the gate does not let in, or does not see.
fn shut_gate(fault: &Fault, paths: &Paths) -> Told {
    let told = |heading, what, advice, way_on| Told { heading, what, advice, way_on };
    match fault {
        Fault::NotThroughTheGate { return_to, .. } => told(
            "You may not see this",
            "You are signed in, but this page is not open to your account.",
            "Use another account, or ask whoever runs the site.",
            ("Use another account", paths.other_account(return_to.as_ref())),
        ),
        Fault::Circle(return_to) => told(
            "You are signed in, but the app does not see it",
            "The page you came from asks you to sign in although you just did: your browser does not bring it this \
             site's cookie.",
            "If your browser blocks cookies, allow them for this site. If not, whoever runs the site finds in its log \
             what is set up wrong.",
            ("Sign in again", paths.other_account(Some(return_to))),
        ),
        _ => told(
            "This page is not open to anybody",
            "Whoever runs this site has not opened this address.",
            "Check the address, or ask whoever runs the site.",
            ("Go to the start page", paths.to(HOME)),
        ),
    }
}

/// What a person is told whose sign-in failed. The way on keeps where they wanted to go.
fn login_told(failed: &Failed, paths: &Paths) -> Told {
    let again = paths.login(failed.return_to.as_ref());
    let other = paths.other_account(failed.return_to.as_ref());
    let told = |heading, what, advice, way_on| Told { heading, what, advice, way_on };
    match &failed.error {
        LoginError::NoPendingLogin | LoginError::Stale | LoginError::OtherProvider => told(
            "Please sign in again",
            "This sign-in is not known to this browser any more: it was used already, took longer than ten minutes, or \
             was begun elsewhere.",
            "Start again; if that does not help, allow cookies for this site.",
            ("Sign in again", again),
        ),
        LoginError::Incomplete(_) | LoginError::OtherIssuer | LoginError::BadIdToken(_) => told(
            "The answer could not be trusted",
            "What came back from the sign-in provider does not hold, so nobody was signed in.",
            "Start again; if it happens twice, tell whoever runs the site the number below.",
            ("Sign in again", again),
        ),
        LoginError::Declined => told(
            "You did not sign in",
            "The sign-in was cancelled at the provider.",
            "Start again whenever you like.",
            ("Sign in", again),
        ),
        LoginError::ProviderError(_) | LoginError::CodeRefused(_) => told(
            "The provider refused",
            "The sign-in provider did not accept this site's request, so nobody was signed in.",
            "Try again; if it stays, whoever runs the site finds the reason in its log.",
            ("Try again", again),
        ),
        LoginError::ProviderUnavailable(_) => told(
            "The provider is not answering",
            "The sign-in provider cannot be asked right now. Whoever is signed in stays signed in.",
            "Try again in a moment.",
            ("Try again", again),
        ),
        LoginError::ClockSkew(_) => told(
            "The clocks do not agree",
            "This site's clock and the provider's are too far apart for a sign-in to be trusted.",
            "Whoever runs the site must set its clock; then try again.",
            ("Try again", again),
        ),
        LoginError::EmailUnverified(_) => told(
            "Your email is not verified",
            "The provider does not vouch that this email address is yours, and this site needs that.",
            "Verify the address with the provider, or use another account.",
            ("Use another account", other),
        ),
        LoginError::EmailMalformed => told(
            "Your email cannot be used",
            "The account has no email address, or one of a form this site cannot trust.",
            "Use another account.",
            ("Use another account", other),
        ),
        LoginError::NotAllowed { .. } => told(
            "You may not come in",
            "You signed in, but this account is not among those that this site lets in.",
            "Use another account, or ask whoever runs the site.",
            ("Use another account", other),
        ),
        LoginError::Refused { refusal, .. } => told(
            "You may not come in",
            refusal_sentence(refusal),
            "Use another account, or ask whoever runs the site; the number below helps them.",
            ("Use another account", other),
        ),
        LoginError::Store(error) => Told { way_on: ("Try again", again), ..Fault::Store(error.clone()).told(paths) },
    }
}

/// Why somebody who proved who they are is refused, without names of tables: the log has those.
fn refusal_sentence(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Blocked => "Whoever runs this site has blocked this account.",
        Refusal::Newcomer { .. } => "This site lets in only people whom it knows already, and not this account.",
        Refusal::SimilarId { .. } | Refusal::Claimed => {
            "This account's number is taken by another one in this site's table of users."
        }
        Refusal::IdTooLong { .. } => "This account's number does not fit into this site's table of users.",
        Refusal::UniqueKey { .. } => {
            "This site's table of users allows each value once, and another row already holds yours, your email most \
             likely."
        }
    }
}
