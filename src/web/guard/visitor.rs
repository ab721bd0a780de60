//! Who is asking: nobody, or a user by session or by token. Three answers, never two: that the store could not be
//! asked is neither, and must not sign anybody out.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::credential::Plain;
use crate::model::{Session, Token, User};
use crate::store::StoreError;
use crate::tokens;
use crate::web::app::App;

/// How a visitor proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// By the cookie of this session.
    Session(Session),
    /// By this API token.
    Token(Token),
}

/// Who a request comes from.
#[derive(Debug)]
pub enum Visitor {
    /// Nobody that we know; no credential was presented, or none that holds.
    Nobody,
    /// A user.
    Known(Box<User>, Box<Via>),
    /// A bearer token was presented that admits nobody (RFC 6750, section 3.1, `invalid_token`).
    BadToken,
    /// Credentials that contradict each other, or that nobody can read.
    Ambiguous,
    /// The store could not be asked.
    Unknown(StoreError),
}

/// The session that the request's cookie holds, with its handle.
pub async fn session(app: &App, headers: &HeaderMap) -> Result<Option<(Plain, Session, User)>, StoreError> {
    for handle in app.cookies.sessions(headers) {
        if let Some((session, user)) = app.sessions.find(&handle).await? {
            return Ok(Some((handle, session, user)));
        }
    }
    Ok(None)
}

/// The visitor of a door for programs: a bearer token decides where there is one, whatever the cookie says.
pub async fn visitor(app: &App, headers: &HeaderMap) -> Visitor {
    let mut credentials = headers.get_all(AUTHORIZATION).iter();
    match (credentials.next(), credentials.next()) {
        (Some(_), Some(_)) => Visitor::Ambiguous,
        (Some(credential), None) if is_bearer(credential.as_bytes()) => by_token(app, credential.as_bytes()).await,
        // Another scheme is for somebody else: a proxy in front that asks for a password of its own.
        _ => match session(app, headers).await {
            Ok(Some((_, session, user))) => Visitor::Known(Box::new(user), Box::new(Via::Session(session))),
            Ok(None) => Visitor::Nobody,
            Err(error) => Visitor::Unknown(error),
        },
    }
}

/// Whether the request presents a bearer token, so that nothing a browser sends by itself decides.
pub fn brings_token(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|credential| is_bearer(credential.as_bytes()))
}

async fn by_token(app: &App, credential: &[u8]) -> Visitor {
    let Some(token) = bearer(credential) else { return Visitor::BadToken };
    match app.tokens.find(&token).await {
        Ok(Some((token, user))) => Visitor::Known(Box::new(user), Box::new(Via::Token(token))),
        Ok(None) => Visitor::BadToken,
        Err(error) => Visitor::Unknown(error),
    }
}

/// The API token in `credential`, an `Authorization` header, if it is one of ours: other tokens are an app's.
pub fn token_of_ours(credential: &[u8]) -> Option<Plain> {
    let token = bearer(credential).filter(|_| is_bearer(credential))?;
    tokens::is_ours(token.reveal()).then_some(token)
}

/// Whether the scheme is `Bearer`, in any case (RFC 9110, section 11.1), with a token or without.
fn is_bearer(credential: &[u8]) -> bool {
    let scheme = credential.split(|byte| *byte == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer")
}

/// The token of `Bearer TOKEN`.
fn bearer(credential: &[u8]) -> Option<Plain> {
    let (_, token) = std::str::from_utf8(credential).ok()?.split_once(' ')?;
    Some(Plain::presented(token.trim_start_matches(' ')))
}
