//! `/account`: where one is signed in, one's tokens, one's data. What is changed here is changed by POST, and the answer
//! leads back to the page, so that a reload repeats nothing. The one exception is a new token, which is shown in the
//! answer itself: it stands in no address and in no cookie.

use std::sync::Arc;

use http::header::{CONTENT_DISPOSITION, HeaderValue};
use poem::web::Data;
use poem::{Request, Response, handler};
use poem_openapi::types::ToJSON;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::clock::Timestamp;
use crate::model::{EventKind, Origin, Recorded, Scope, Session, Token, User};
use crate::pages::account::{AccountPage, AccountUrls, ActivityRow, MadeToken, SessionRow, TokenRow};
use crate::pages::browser::browser;
use crate::pages::moment::Moment;
use crate::tokens::{TokenError, USUAL_DAYS, Wanted};
use crate::web::answer::{login_card, page, see_other, with_cookie};
use crate::web::api::sessions::BrowserSession;
use crate::web::api::tokens::ApiToken;
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::guard::visitor;
use crate::web::paths;
use crate::web::visit::Visit;

/// What was done, as the address of the page names it, and as the page says it.
const DONE: &[(&str, &str)] = &[
    ("session-ended", "The session has ended."),
    ("others-ended", "All your other sessions have ended."),
    ("token-revoked", "The token is revoked: it admits nobody any more."),
    ("tokens-revoked", "All your tokens are revoked: they admit nobody any more."),
];

/// How much of what happened lately is shown.
const RECENT: u32 = 20;

/// How much of it can be taken along.
const ALL_EVENTS: u32 = 100_000;

/// The page.
#[handler]
pub async fn account(request: &Request, app: Data<&Arc<App>>) -> Result<Response, Error> {
    let Some((_, session, user)) = visitor::session(&app, request.headers()).await? else {
        return Ok(login_card(&app, &app.paths.login_to(paths::ACCOUNT))?);
    };
    let done = request.uri().query().and_then(|query| query.strip_prefix("done="));
    let notice = DONE.iter().find(|(word, _)| Some(*word) == done).map(|(_, sentence)| *sentence);
    show(&app, &user, &session, &Shown { notice, ..Shown::default() }).await
}

/// Ends one session, all others, or all.
#[handler]
pub async fn end_sessions(
    request: &Request,
    body: Vec<u8>,
    app: Data<&Arc<App>>,
    visit: Data<&Arc<Visit>>,
) -> Result<Response, Error> {
    let (session, user) = signed_in(&app, request).await?;
    let end = field(&body, "end").ok_or(Fault::Ambiguous)?;
    match end.as_str() {
        "all" => {
            app.sessions.end_all(&user.id).await?;
            app.record(EventKind::SessionRevoked, &user.id, &visit.origin(), "all").await;
            Ok(with_cookie(see_other(&app.paths.to(paths::HOME)), app.cookies.end_session()))
        }
        "others" => {
            if app.sessions.end_others(&session).await? > 0 {
                app.record(EventKind::SessionRevoked, &user.id, &visit.origin(), "all others").await;
            }
            Ok(done(&app, "others-ended"))
        }
        id => {
            // One that has ended meanwhile is what was asked for.
            if app.sessions.end_own(&user.id, id).await? {
                app.record(EventKind::SessionRevoked, &user.id, &visit.origin(), id).await;
            }
            if session.handle.short() == id {
                return Ok(with_cookie(see_other(&app.paths.to(paths::HOME)), app.cookies.end_session()));
            }
            Ok(done(&app, "session-ended"))
        }
    }
}

/// Makes a token, revokes one, or all.
#[handler]
pub async fn change_tokens(
    request: &Request,
    body: Vec<u8>,
    app: Data<&Arc<App>>,
    visit: Data<&Arc<Visit>>,
) -> Result<Response, Error> {
    let (session, user) = signed_in(&app, request).await?;
    match field(&body, "revoke").as_deref() {
        Some("all") => {
            if app.tokens.revoke_all(&user.id).await? > 0 {
                app.record(EventKind::TokenRevoked, &user.id, &visit.origin(), "all").await;
            }
            Ok(done(&app, "tokens-revoked"))
        }
        Some(id) => {
            if app.tokens.revoke_own(&user.id, id).await? {
                app.record(EventKind::TokenRevoked, &user.id, &visit.origin(), id).await;
            }
            Ok(done(&app, "token-revoked"))
        }
        None => make(&app, &user, &session, &visit.origin(), &body).await,
    }
}

async fn make(app: &App, user: &User, session: &Session, origin: &Origin, body: &[u8]) -> Result<Response, Error> {
    if !app.sessions.is_fresh(session) {
        return Err(Fault::SignInAgain.into());
    }
    let scope = field(body, "scope").map_or(Some(Scope::Me), |word| Scope::named(&word));
    let days = field(body, "days").map_or(Some(USUAL_DAYS), |days| days.parse().ok());
    let name = field(body, "name").unwrap_or_default();
    // Neither is typed on the page.
    let (Some(scope), Some(days)) = (scope, days) else { return Err(Fault::Ambiguous.into()) };
    let refusal = match app.tokens.create_own(&user.id, Wanted { name, scope, days }).await {
        Ok((value, token)) => {
            app.record(EventKind::TokenCreated, &user.id, origin, &token.hash.short()).await;
            let me_url = app.public_url.join(paths::ME);
            let made = MadeToken { name: &token.name, value: value.reveal(), me_url: &me_url };
            return show(app, user, session, &Shown { made: Some(made), ..Shown::default() }).await;
        }
        Err(TokenError::Store(error)) => return Err(error.into()),
        Err(error) => error,
    };
    let sentence = match refusal {
        TokenError::TooMany => "You have as many tokens as anybody may. Revoke one that you no longer need.",
        TokenError::BadName => "Give the token a name of 1 to 100 characters, so that you can tell it from others.",
        _ => "A token lives for 1 to 366 days.",
    };
    let mut response = show(app, user, session, &Shown { refusal: Some(sentence), ..Shown::default() }).await?;
    response.set_status(http::StatusCode::BAD_REQUEST);
    Ok(response)
}

/// Everything that is kept about the visitor.
#[handler]
pub async fn download(request: &Request, app: Data<&Arc<App>>) -> Result<Response, Error> {
    let (current, user) = signed_in(&app, request).await?;
    let sessions = app.sessions.list_own(&user.id).await?;
    let tokens = app.tokens.list_own(&user.id).await?;
    let events = app.audit.of(&user.id, ALL_EVENTS).await?;
    let identity = &user.identity;
    let data = json!({
        "account": {
            "id": user.id.as_str(),
            "email": identity.email,
            "email_verified": identity.email_verified,
            "name": identity.name,
            "picture": identity.picture,
            "provider": identity.provider,
            "issuer": identity.issuer,
            "subject": identity.subject,
            "hosted_domain": identity.hosted_domain,
            "created_at": user.created_at.to_string(),
            "last_login_at": user.last_login_at.to_string(),
        },
        "sessions": sessions.iter().map(|one| BrowserSession::new(one, Some(&current)).to_json()).collect::<Vec<_>>(),
        "tokens": tokens.iter().map(|one| ApiToken::new(one).to_json()).collect::<Vec<_>>(),
        "events": events.iter().map(event_json).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&data).map_err(|_| Fault::Defect)?;
    let as_file = HeaderValue::from_static("attachment; filename=\"my-account.json\"");
    Ok(Response::builder().content_type("application/json").header(CONTENT_DISPOSITION, as_file).body(text + "\n"))
}

fn event_json(Recorded { event, .. }: &Recorded) -> Value {
    json!({
        "at": event.at.to_string(),
        "event": event.kind.word(),
        "by": event.origin.actor.word(),
        "address": event.origin.address,
        "reason": event.reason,
        "detail": event.detail,
    })
}

/// What the page shows beside what there is.
#[derive(Clone, Default)]
struct Shown<'a> {
    notice: Option<&'a str>,
    refusal: Option<&'a str>,
    made: Option<MadeToken<'a>>,
}

async fn show(app: &App, user: &User, current: &Session, shown: &Shown<'_>) -> Result<Response, Error> {
    let now = app.clock.now();
    let sessions = app.sessions.list_own(&user.id).await?;
    let tokens = app.tokens.list_own(&user.id).await?;
    let sessions: Vec<_> = sessions.iter().map(|session| session_row(session, current, now)).collect();
    let tokens: Vec<_> = tokens.iter().map(|token| token_row(token, now)).collect();
    let events = app.audit.of(&user.id, RECENT).await?;
    let activity: Vec<_> = events.iter().map(|event| activity_row(event, now)).collect();
    Ok(page(app.pages.account(&AccountPage {
        email: &user.identity.email,
        notice: shown.notice,
        refusal: shown.refusal,
        sessions: &sessions,
        tokens: &tokens,
        activity: &activity,
        made: shown.made.clone(),
        is_fresh: app.sessions.is_fresh(current),
        urls: AccountUrls {
            home: &app.paths.to(paths::HOME),
            sessions: &app.paths.to(paths::ACCOUNT_SESSIONS),
            tokens: &app.paths.to(paths::ACCOUNT_TOKENS),
            fresh_sign_in: &app.paths.fresh_sign_in(paths::ACCOUNT),
            download: &app.paths.to(paths::DOWNLOAD),
            delete: &app.paths.to(paths::DELETE),
        },
    })?))
}

fn session_row(session: &Session, current: &Session, now: Timestamp) -> SessionRow {
    SessionRow {
        id: session.handle.short(),
        browser: browser(&session.user_agent),
        address: session.address.clone(),
        signed_in: Moment::new(session.created_at, now),
        last_seen: Moment::new(session.last_seen_at, now),
        is_current: session.handle == current.handle,
    }
}

fn token_row(token: &Token, now: Timestamp) -> TokenRow {
    TokenRow {
        id: token.hash.short(),
        name: token.name.clone(),
        scope: match token.scope {
            Scope::Me => "Shows who you are and opens apps as you",
            Scope::Account => "Opens apps as you, and lists your sessions and tokens",
        },
        last_four: token.last_four.clone(),
        created: Moment::new(token.created_at, now),
        expires: Moment::new(token.expires_at, now),
        is_expired: token.expires_at <= now,
        last_used: token.last_used_at.map(|used| Moment::new(used, now)),
    }
}

fn activity_row(Recorded { event, .. }: &Recorded, now: Timestamp) -> ActivityRow {
    ActivityRow {
        words: match event.kind {
            EventKind::Login => "You signed in",
            EventKind::Refusal => "A sign-in was refused",
            EventKind::Logout => "You logged out",
            EventKind::SessionRevoked => "A session was ended",
            EventKind::TokenCreated => "A token was made",
            EventKind::TokenRevoked => "A token was revoked",
            EventKind::TerminalApproved => "You let a terminal in",
            EventKind::TerminalDenied => "You turned a terminal away",
            EventKind::Block => "You were blocked",
            EventKind::Unblock => "You were let in again",
            EventKind::Deletion => "An account with your number was deleted",
            EventKind::Other => "Something else happened",
        },
        address: event.origin.address.clone(),
        at: Moment::new(event.at, now),
    }
}

/// The session that the request presents. Whoever has none is told so: a form may not be redirected to a provider.
pub async fn signed_in(app: &App, request: &Request) -> Result<(Session, User), Error> {
    let found = visitor::session(app, request.headers()).await?;
    found.map(|(_, session, user)| (session, user)).ok_or_else(|| Fault::NotSignedIn.into())
}

/// Back to the page, which says what was done.
fn done(app: &App, word: &str) -> Response {
    see_other(&format!("{}?done={word}", app.paths.to(paths::ACCOUNT)))
}

/// The value of a form's field.
pub fn field(body: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
