//! How operations are refused. The front door renders the refusal as it renders every other; here stands what the
//! document says of it.

use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;

use crate::web::answer::Problem;
use crate::web::error::Error;

/// Why something was not shown.
pub struct Unread(pub Error);

/// Why a stranger was not heard.
pub struct Unheard(pub Error);

/// Why something was not changed.
pub struct Unchanged(pub Error);

const AMBIGUOUS: (u16, &str) = (400, "The request presents two credentials, or a value that this door does not take.");
const NOBODY: (u16, &str) = (401, "Nobody is signed in, or the token admits nobody.");
const NARROW: (u16, &str) = (403, "The token's scope does not reach as far: `insufficient_scope`.");
const FORBIDDEN: (u16, &str) = (
    403,
    "Not from here: `session_required` to a token, which may look and not touch; `foreign_origin` where the browser does \
     not say that a page of this site asks; `reauthentication_required` where the sign-in lies too far back.",
);
const MISSING: (u16, &str) = (404, "You have none with this id.");
const FULL: (u16, &str) = (409, "You have as many as anybody may: `too_many_tokens`.");
const TOO_LARGE: (u16, &str) = (413, "The body is too large.");
const NOT_JSON: (u16, &str) = (415, "The body is not said to be `application/json`.");
const WAIT: (u16, &str) = (
    429,
    "Too often from one client, with tokens that are none or with terminals: `too_many_requests`; or so many terminals wait \
     already that no more are taken: `too_many_wait`.",
);
const AWAY: (u16, &str) =
    (503, "The database could not be asked. Nothing was changed, nobody was signed out: ask again.");

fn meta(refusals: &[(u16, &'static str)]) -> MetaResponses {
    let described = |(status, description): &(u16, &'static str)| MetaResponse {
        description,
        status: Some(*status),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: "application/problem+json",
            schema: Json::<Problem>::schema_ref(),
        }],
        headers: match status {
            401 => vec![header("WWW-Authenticate", "How to prove who one is (RFC 6750, section 3).", true)],
            403 => vec![header("WWW-Authenticate", "What a token lacks (RFC 6750, section 3.1).", false)],
            429 | 503 => vec![header("Retry-After", "Seconds after which to ask again.", true)],
            _ => Vec::new(),
        },
    };
    MetaResponses { responses: refusals.iter().map(described).collect() }
}

fn header(name: &str, description: &str, required: bool) -> MetaHeader {
    let (name, description) = (name.to_owned(), Some(description.to_owned()));
    MetaHeader { name, description, required, deprecated: false, schema: String::schema_ref() }
}

impl ApiResponse for Unread {
    fn meta() -> MetaResponses {
        meta(&[AMBIGUOUS, NOBODY, NARROW, WAIT, AWAY])
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

impl ApiResponse for Unchanged {
    fn meta() -> MetaResponses {
        meta(&[AMBIGUOUS, NOBODY, FORBIDDEN, MISSING, FULL, TOO_LARGE, NOT_JSON, WAIT, AWAY])
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

impl ApiResponse for Unheard {
    fn meta() -> MetaResponses {
        meta(&[TOO_LARGE, WAIT, AWAY])
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

impl<E: Into<Error>> From<E> for Unheard {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<Unheard> for poem::Error {
    fn from(refused: Unheard) -> Self {
        refused.0.into()
    }
}

impl<E: Into<Error>> From<E> for Unread {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl<E: Into<Error>> From<E> for Unchanged {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<Unread> for poem::Error {
    fn from(refused: Unread) -> Self {
        refused.0.into()
    }
}

impl From<Unchanged> for poem::Error {
    fn from(refused: Unchanged) -> Self {
        refused.0.into()
    }
}
