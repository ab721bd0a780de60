//! `/login` and `/login/callback`: out to the provider and back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::USER_AGENT;
use poem::web::Data;
use poem::{Request, Response, handler};
use tracing::Instrument;
use url::form_urlencoded;

use crate::login::return_to::ReturnTo;
use crate::login::{Answer, Failed, Finished, Login, LoginError, Prompt};
use crate::pages::browser::{self, InApp};
use crate::pages::{InAppPage, PageError};
use crate::web::answer::{login_card, page, see_other, with_cookie};
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::guard::{navigation, visitor};
use crate::web::paths;
use crate::web::visit::Visit;

/// Whoever is sent to sign in again so soon after a sign-in goes in circles.
const CIRCLE: Duration = Duration::from_secs(30);

/// What a HEAD gets at a door whose GET does something: that the door is there.
#[handler]
pub fn nothing() -> Response {
    Response::default()
}

/// Starts a sign-in.
#[handler]
pub async fn begin(request: &Request, app: Data<&Arc<App>>) -> Result<Response, Error> {
    let login = login(&app)?;
    let headers = request.headers();
    if !navigation::is_navigation(headers) {
        // A page that reloads its data in the background must not pile up pending logins.
        return Err(Fault::NotANavigation.into());
    }
    let query = request.uri().query().unwrap_or_default();
    let return_to = app.return_to(request.uri().query());
    if let Some(fault) = circle(&app, headers, query, return_to.as_ref()).await {
        return Err(fault.into());
    }
    let prompt = match parameter(query, "prompt").as_deref() {
        Some("select_account") => Prompt::SelectAccount,
        Some("login") => Prompt::Login,
        _ => Prompt::Configured,
    };
    if let Some(window) = in_app(&app, login, headers).filter(|_| parameter(query, "in_app").is_none()) {
        let start = match prompt {
            Prompt::Configured => app.paths.login(return_to.as_ref()),
            Prompt::SelectAccount => app.paths.other_account(return_to.as_ref()),
            Prompt::Login => app.paths.fresh_sign_in_for(return_to.as_ref()),
        };
        return Ok(way_out(&app, window, &start)?);
    }
    if navigation::is_from_elsewhere(headers, &app.public_url.origin()) && !login.shows_chooser() {
        // No link on another site signs anybody in silently.
        return Ok(login_card(&app, &app.paths.login(return_to.as_ref()))?);
    }
    let begun = login.begin(return_to.clone(), prompt).await;
    let begun = begun.map_err(|error| Fault::Login(Box::new(Failed { error, return_to, spent: None })))?;
    let response = see_other(begun.authorization_url.as_str());
    let pending = app.cookies.pending(headers);
    let overflow = app.cookies.overflow(&pending, begun.pending.label.len() + begun.pending.value.len());
    let response =
        overflow.iter().fold(response, |response, old| with_cookie(response, app.cookies.end_pending(&old.label)));
    Ok(with_cookie(response, app.cookies.set_pending(&begun.pending)))
}

/// The app in whose window somebody would meet Google's `disallowed_useragent`; `None` where we know of nothing in the way.
fn in_app(app: &App, login: &Login, headers: &HeaderMap) -> Option<InApp> {
    let user_agent = headers.get(USER_AGENT).filter(|_| app.provider.is_google || login.is_at_google())?;
    browser::in_app(&String::from_utf8_lossy(user_agent.as_bytes()))
}

/// The page that leads from an app's `window` to a browser, to begin there at `start`.
fn way_out(app: &App, window: InApp, start: &str) -> Result<Response, PageError> {
    let address = app.public_url.origin() + start;
    // https://developer.android.com/reference/android/content/Intent#URI_INTENT_SCHEME
    let intent = address.split_once("://").map(|(scheme, rest)| format!("intent://{rest}#Intent;scheme={scheme};end"));
    let way_out = InAppPage {
        app: window.name,
        provider_label: &app.provider.label,
        address: &address,
        open_url: intent.as_deref().filter(|_| window.is_android),
        stay_url: &paths::stay_in_app(start),
    };
    Ok(page(app.pages.in_app(&way_out)?))
}

/// Whoever signed in a moment ago and is sent here again by an app does not arrive there with the cookie: to sign in once
/// more would lead in circles. Whoever chooses an account wants to sign in, wherever they come from.
async fn circle(app: &App, headers: &HeaderMap, query: &str, return_to: Option<&ReturnTo>) -> Option<Fault> {
    let return_to = return_to.filter(|address| address.is_elsewhere() && parameter(query, "prompt").is_none())?;
    let (_, session, _) = visitor::session(app, headers).await.ok()??;
    if app.sessions.age(&session) >= CIRCLE {
        return None;
    }
    let app_origin = return_to.origin();
    tracing::warn!(
        app = app_origin,
        "somebody who has just signed in is sent here to sign in by an app: the session's cookie does not arrive there. \
         Its host must be that of public_url (127.0.0.1 is not localhost) or lie in sessions.cookie_domain, it must be \
         reached over https where public_url is, and a proxy before it must pass the cookie on to /gate"
    );
    Some(Fault::Circle(return_to.clone()))
}

/// The provider sends the browser back here.
#[handler]
pub async fn callback(request: &Request, app: Data<&Arc<App>>, visit: Data<&Arc<Visit>>) -> Result<Response, Error> {
    let login = login(&app)?;
    let headers = request.headers();
    if navigation::is_prefetch(headers) {
        // Nobody has asked for this yet, and a code can be spent only once.
        return Err(Fault::NotANavigation.into());
    }
    let answer = answer(request.uri().query().unwrap_or_default()).ok_or(Fault::Ambiguous)?;
    let mut presented = app.cookies.sessions(headers).into_iter();
    let previous = presented.next();
    let pending = app.cookies.pending(headers);
    // What the sign-in logs bears the number that its page shows, and whence it came.
    let (request_id, address) = (visit.request_id.as_str(), visit.address.as_str());
    let span = tracing::info_span!("sign_in", request_id, address);
    match login.finish(answer, pending, visit.browser(headers), previous).instrument(span).await {
        Ok(Finished { session, return_to, spent, .. }) => {
            // The store ended the session before.
            drop(app.sessions.forget_recent());
            // Whichever of two is the person's own: whatever was presented ends with the sign-in.
            for other in presented {
                if app.sessions.end(&other).await.is_err() {
                    app.sessions.end_later(&other);
                }
            }
            let response = see_other(return_to.as_ref().map_or(app.home(), ReturnTo::as_str));
            let response = with_cookie(response, app.cookies.end_pending(&spent));
            Ok(with_cookie(response, app.cookies.set_session(&session)))
        }
        Err(failed) => failure(&app, headers, failed).await,
    }
}

/// Back and reload lead to the callback again. Whoever is signed in by then goes on to where they wanted to go.
async fn failure(app: &App, headers: &HeaderMap, failed: Failed) -> Result<Response, Error> {
    let is_used_up = matches!(failed.error, LoginError::NoPendingLogin | LoginError::Stale);
    if is_used_up && visitor::session(app, headers).await?.is_some() {
        return Ok(see_other(failed.return_to.as_ref().map_or(app.home(), ReturnTo::as_str)));
    }
    let cookies = failed.spent.iter().map(|label| app.cookies.end_pending(label)).collect();
    Err(Error { fault: Fault::Login(Box::new(failed)), cookies })
}

fn login(app: &App) -> Result<&Login, Error> {
    app.login.as_ref().ok_or_else(|| Fault::NoProvider.into())
}

fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The provider's answer in `query`; `None` where a parameter of it is there twice (RFC 6749, section 3.1).
/// Everything else in it is not looked at: tokens in the address authenticate nobody.
pub fn answer(query: &str) -> Option<Answer> {
    let mut answer = Answer::default();
    let mut seen = HashSet::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match key.as_ref() {
            "code" => &mut answer.code,
            "state" => &mut answer.state,
            "iss" => &mut answer.iss,
            "error" => &mut answer.error,
            _ => continue,
        };
        if !seen.insert(key.into_owned()) {
            return None;
        }
        *slot = Some(value.into_owned());
    }
    Some(answer)
}
