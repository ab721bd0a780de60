//! The one table of what can go wrong at the door: status, stable word, how loud in the log. What people are told of it
//! stands in [`crate::web::told`].
//!
//! Handlers return an [`Error`]; the front door renders it, as a page for people and as problem details (RFC 9457) for
//! programs. Nothing of the request is repeated in either, and nothing of the cause beyond what the reader can use.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tracing::Level;

use crate::login::return_to::ReturnTo;
use crate::login::{Failed, LoginError};
use crate::pages::PageError;
use crate::store::StoreError;

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
    /// The client knocked too often, and has to wait so long.
    #[error("too many attempts from one client")]
    TooMany(Duration),
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
    /// Too many others let us wait for their bodies.
    #[error("too many bodies are waited for")]
    TooBusy,
    /// The body broke off, or was not framed as it should be (RFC 9112, section 6).
    #[error("the body broke off")]
    BodyBroken,
    /// The address is too long.
    #[error("the address is too long")]
    UriTooLong,
    /// Nobody can sign in, since no provider is configured.
    #[error("no provider is configured: add [providers.google], as config.toml.example shows")]
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
            Self::TooManyWait | Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::WrongKind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::NoProvider | Self::Store(_) | Self::LogoutOwed | Self::TooBusy => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::TooMany(_) => "too_many_requests",
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
            Self::TooBusy => "too_busy",
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
        if let Self::TooMany(wait) = self {
            return Some(u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX));
        }
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => Some(2),
            StatusCode::TOO_MANY_REQUESTS => Some(60),
            _ => None,
        }
    }
}
