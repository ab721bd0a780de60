//! Answers in their outer form: pages, redirects, errors as pages or as problem details.

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use poem::Response;
use poem_openapi::Object;

use crate::login::LoginError;
use crate::pages::{DeniedPage, ErrorPage, Html, LoginPage, PageError};
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::paths;
use crate::web::told::Told;
use crate::web::visit::Visit;

/// What a program is told (RFC 9457).
#[derive(Clone, Debug, Object)]
pub struct Problem {
    /// Always `about:blank`: the status and `code` say what kind it is.
    #[oai(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is so and what to do.
    pub detail: String,
    /// A stable word for the kind: `not_signed_in`, `invalid_token`, `store_unavailable` …
    pub code: String,
    /// The request's id, as in the log.
    pub instance: String,
    /// Where a person signs in: on 401, and where the sign-in lies too far back.
    #[oai(skip_serializing_if_is_none)]
    pub login_url: Option<String>,
}

/// A page.
pub fn page(html: Html) -> Response {
    Response::builder().content_type("text/html; charset=utf-8").body(html)
}

/// The card with the button that leads to `login_url`, where a sign-in starts.
pub fn login_card(app: &App, login_url: &str) -> Result<Response, PageError> {
    let (provider_label, is_google) = (app.provider.label.as_str(), app.provider.is_google);
    let card = LoginPage { login_url, provider_label, is_google, notice: None };
    Ok(page(app.pages.login(&card)?))
}

/// 303: go there with GET (RFC 9110, section 15.4.4), whatever brought you here.
pub fn see_other(address: &str) -> Response {
    let Ok(address) = HeaderValue::try_from(address) else {
        // Addresses of ours are serialised URLs, which are ASCII.
        return Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish();
    };
    Response::builder().status(StatusCode::SEE_OTHER).header(LOCATION, address).finish()
}

/// `response` with one more cookie.
pub fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// The problem that `fault` is, for a program.
pub fn problem(fault: &Fault, app: &App, request_id: &str) -> Problem {
    let Told { heading, what, advice, .. } = fault.told(&app.paths);
    let status = fault.status();
    let login_url = match fault {
        Fault::SignInAgain => Some(app.public_url.origin() + &app.paths.fresh_sign_in(paths::ACCOUNT)),
        _ => (status == StatusCode::UNAUTHORIZED).then(|| app.public_url.join(paths::LOGIN)),
    };
    Problem {
        kind: "about:blank".to_owned(),
        title: heading.to_owned(),
        status: status.as_u16(),
        detail: format!("{what} {advice}"),
        code: fault.code().to_owned(),
        instance: request_id.to_owned(),
        login_url,
    }
}

/// The challenge where a token is presented that is none.
pub const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";

/// The challenge of an answer to whom a credential is missing, or to whom theirs is not enough (RFC 6750, section 3).
pub fn challenge(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::BadToken => Some(INVALID_TOKEN),
        Fault::ScopeTooNarrow => Some("Bearer error=\"insufficient_scope\", scope=\"account\""),
        Fault::SessionRequired => Some("Bearer error=\"insufficient_scope\""),
        fault if fault.status() == StatusCode::UNAUTHORIZED => Some("Bearer"),
        _ => None,
    }
}

/// The whole answer to a request that failed.
pub fn failure(error: Error, app: &App, visit: &Visit) -> Response {
    let Error { fault, cookies } = error;
    log(&fault, visit);
    // Whoever fetches ahead or in the background reads no page, whatever it accepts.
    let wants_page = visit.wants_page && !matches!(fault, Fault::NotANavigation);
    let html = if wants_page { error_page(&fault, app, visit).ok() } else { None };
    let mut response = match html {
        Some(html) => page(html),
        None => problem_json(&fault, app, visit),
    };
    response.set_status(fault.status());
    let headers = response.headers_mut();
    add_headers(&fault, headers);
    cookies.into_iter().for_each(|cookie| {
        headers.append(SET_COOKIE, cookie);
    });
    response
}

fn add_headers(fault: &Fault, headers: &mut HeaderMap) {
    if let Some(challenge) = challenge(fault) {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Fault::MethodNotAllowed(allow) = fault {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(seconds) = fault.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

fn error_page(fault: &Fault, app: &App, visit: &Visit) -> Result<Html, PageError> {
    let (pages, paths) = app.seen_from(visit);
    let Told { heading, what, advice, mut way_on } = fault.told(paths);
    if visit.is_shown_elsewhere && fault.status() == StatusCode::SERVICE_UNAVAILABLE {
        // Whoever waits for an app tries that app again, at the very address where they are.
        way_on.1 = String::new();
    }
    let request_id = visit.request_id.as_str();
    if let Fault::NotThroughTheGate { email, .. } = fault {
        return pages.denied(&DeniedPage { email, sentence: what, advice, other_account_url: &way_on.1, request_id });
    }
    if let Fault::Login(failed) = fault
        && let LoginError::NotAllowed { email, .. } | LoginError::Refused { email, .. } = &failed.error
    {
        return pages.denied(&DeniedPage { email, sentence: what, advice, other_account_url: &way_on.1, request_id });
    }
    pages.error(&ErrorPage { heading, what, advice, way_on: (way_on.0, &way_on.1), request_id })
}

fn problem_json(fault: &Fault, app: &App, visit: &Visit) -> Response {
    use poem_openapi::types::ToJSON;
    let body = problem(fault, app, &visit.request_id).to_json_string();
    Response::builder().header(CONTENT_TYPE, "application/problem+json").body(body)
}

/// Notes in the log what went wrong, as loud as it deserves.
pub fn log(fault: &Fault, visit: &Visit) {
    let (reason, request_id) = (fault.code(), visit.request_id.as_str());
    match fault.level() {
        tracing::Level::ERROR => tracing::error!(reason, request_id, "{fault}"),
        tracing::Level::WARN => tracing::warn!(reason, request_id, "{fault}"),
        _ => tracing::debug!(reason, request_id, "{fault}"),
    }
}
