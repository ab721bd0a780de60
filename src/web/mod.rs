//! Everything that speaks HTTP. This page is the front door: every route, and all that happens before one is taken.
//!
//! In this order: the request gets a name · its address and body are held against the limits · a listed program's
//! preflight is answered · a page under another host is sent to the right one · a change must come from a page of ours ·
//! the door is opened · whatever went wrong becomes a page or problem details · the security headers, those for listed
//! programs and the request's name are added · one line is logged.

pub mod account;
pub mod answer;
pub mod api;
pub mod app;
pub mod assets;
pub mod cookies;
pub mod delete;
pub mod device;
pub mod error;
pub mod gate;
pub mod guard;
pub mod health;
pub mod home;
pub mod jwks;
pub mod login;
pub mod logout;
pub mod metrics;
pub mod oauth2_proxy;
pub mod paths;
pub mod told;
pub mod visit;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::header::WWW_AUTHENTICATE;
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use poem::endpoint::BoxEndpoint;
use poem::error::ReadBodyError;
use poem::{Endpoint, EndpointExt, Request, Response, Route, get, post};
use poem_openapi::error::{ParseParamError, ParseRequestPayloadError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::guard::{cors, csrf, host, visitor};
use crate::web::visit::Visit;

/// How long an address may be, in bytes; the longest `rd` is encoded in it.
const MAX_URI: usize = 8 * 1024;

/// How long a body may be, in bytes; no form of ours comes near it.
const MAX_BODY: usize = 64 * 1024;

/// How long a body may take, unless told otherwise.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// How soon a form is there, and how many bodies are waited for beyond that: one connection of HTTP/2 may begin a hundred,
/// and each of them holds its headers and what came of the body.
const SOON: Duration = Duration::from_millis(200);
const MOST_SLOW_BODIES: usize = 256;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Every door but those at which proxies ask. HEAD is spelled out where GET does something: a HEAD must do nothing.
fn routes(app: &Arc<App>) -> BoxEndpoint<'static, Response> {
    let doors = Route::new()
        .at(paths::HOME, get(home::home))
        .at(paths::LOGIN, get(login::begin).head(login::nothing))
        .at(paths::CALLBACK, get(login::callback).head(login::nothing))
        .at(paths::LOGOUT, get(logout::ask).head(login::nothing).post(logout::log_out))
        .at(paths::ACCOUNT, get(account::account))
        .at(paths::ACCOUNT_SESSIONS, post(account::end_sessions))
        .at(paths::ACCOUNT_TOKENS, post(account::change_tokens))
        .at(paths::DOWNLOAD, get(account::download))
        .at(paths::DELETE, get(delete::ask).post(delete::delete))
        .at(paths::DEVICE, get(device::ask).post(device::decide))
        .at(paths::OPENAPI, get(api::openapi))
        .at(paths::DOCS, get(api::docs))
        .at(paths::OAUTH2_START, get(oauth2_proxy::sign_in))
        .at(paths::OAUTH2_SIGN_IN, get(oauth2_proxy::sign_in))
        .at(paths::OAUTH2_SIGN_OUT, get(oauth2_proxy::sign_out))
        .at(paths::OAUTH2_USERINFO, get(oauth2_proxy::userinfo))
        .at(paths::JWKS, get(jwks::jwks))
        .at(paths::HEALTHZ, get(health::healthz))
        .at(paths::READYZ, get(health::readyz))
        .at(paths::ASSET, get(assets::asset))
        .at(paths::FAVICON, get(assets::favicon))
        .at(paths::ROBOTS, get(assets::robots))
        .nest(paths::API, api::service());
    let routes = match app.paths.base() {
        "" => doors,
        base => Route::new().nest(base, doors),
    };
    routes.data(Arc::clone(app)).map_to_response().boxed()
}

/// The front door.
pub struct FrontDoor {
    app: Arc<App>,
    routes: BoxEndpoint<'static, Response>,
    body_patience: Duration,
    slow_bodies: Semaphore,
}

impl FrontDoor {
    /// The door to `app`.
    pub fn new(app: Arc<App>) -> Self {
        let slow_bodies = Semaphore::new(MOST_SLOW_BODIES);
        Self { routes: routes(&app), app, body_patience: BODY_PATIENCE, slow_bodies }
    }

    /// The same with another patience for bodies that do not come.
    pub fn waiting_for_bodies(self, body_patience: Duration) -> Self {
        Self { body_patience, ..self }
    }

    async fn answer(&self, mut request: Request, visit: &Arc<Visit>) -> Result<Response, Error> {
        if request.uri().path_and_query().is_some_and(|address| address.as_str().len() > MAX_URI) {
            return Err(Fault::UriTooLong.into());
        }
        let is_closed = |door: &&paths::Door| paths::is_of_oauth2_proxy(door.path) && !self.app.opens_oauth2_proxy;
        let door = visit.door.filter(|door| !is_closed(door)).ok_or(Fault::NotFound)?;
        let is_preflight = visit.is_api && cors::is_preflight(&visit.method, request.headers());
        if is_preflight && self.app.cors.listed(request.headers()).is_some() {
            return Ok(cors::allowed());
        }
        if !door.takes(&visit.method) {
            return Err(Fault::MethodNotAllowed(door.allow).into());
        }
        self.brake(door, visit, request.headers())?;
        if door.path == paths::GATE {
            // Nothing changes, whatever the method, and the body is the app's: neither origin nor body matters here.
            return gate::gate(request.headers(), request.uri().query(), &self.app, visit).await;
        }
        if door.path == paths::OAUTH2_AUTH {
            let (query, authority) = (request.uri().query(), request.uri().authority());
            return oauth2_proxy::auth(request.headers(), query, authority, &self.app, visit).await;
        }
        if door.is_page && paths::is_safe(&visit.method) && self.is_elsewhere(&request, visit) {
            return Ok(self.right_host(&request));
        }
        if !paths::is_safe(&visit.method) && !self.may_change(door, &request, visit) {
            return Err(Fault::ForeignOrigin.into());
        }
        if door.path == paths::ME {
            return Ok(api::me::me(request.headers(), &self.app, visit).await);
        }
        self.read_body(&mut request).await?;
        // Whatever changes something may end a session.
        let _forgetting = (!paths::is_safe(&visit.method)).then(|| self.app.sessions.forget_recent());
        request.set_data(Arc::clone(visit));
        self.routes.call(request).await.map_err(fault)
    }

    /// Whether a change may be asked for: by a page of ours, or by a program with a token of its own, which no page of
    /// another site can make a browser send; below `/api` it alone decides, whatever cookie comes with it. Doors
    /// that take strangers look at no cookie at all.
    fn may_change(&self, door: &paths::Door, request: &Request, visit: &Visit) -> bool {
        let is_program = self.app.paths.below(&visit.path).is_some_and(paths::is_for_programs)
            && visitor::brings_token(request.headers());
        is_program || door.takes_strangers || csrf::is_same_origin(request.headers(), &self.app.public_url.origin())
    }

    /// Whether the client may knock here once more. A token that is none is counted when that has been found out.
    fn brake(&self, door: &paths::Door, visit: &Visit, headers: &HeaderMap) -> Result<(), Error> {
        let (limits, now) = (&self.app.limits, self.app.clock.now());
        if visitor::brings_token(headers) {
            limits.bad_tokens.look(&visit.address, now).map_err(Fault::TooMany)?;
        }
        let brake = match door.path {
            paths::LOGIN => &limits.sign_ins,
            paths::CALLBACK => &limits.callbacks,
            paths::DEVICES => &limits.terminals,
            paths::DEVICE if visit.method == Method::POST => &limits.terminals,
            _ => return Ok(()),
        };
        // A HEAD does nothing there.
        if visit.method == Method::HEAD {
            return Ok(());
        }
        brake.knock(&visit.address, now).map_err(|wait| Fault::TooMany(wait).into())
    }

    /// Reads the body whole, within bounds of size and time, so that no handler has to think of either.
    async fn read_body(&self, request: &mut Request) -> Result<(), Error> {
        let body = request.take_body();
        if body.is_empty() {
            return Ok(());
        }
        let mut reading = pin!(body.into_bytes_limit(MAX_BODY));
        let read = match timeout(SOON.min(self.body_patience), reading.as_mut()).await {
            Ok(read) => read,
            Err(_) => {
                let _place = self.slow_bodies.try_acquire().map_err(|_| Fault::TooBusy)?;
                let rest = self.body_patience.saturating_sub(SOON);
                timeout(rest, reading).await.map_err(|_| Fault::BodyTooSlow)?
            }
        };
        match read {
            Ok(bytes) => {
                request.set_body(bytes);
                Ok(())
            }
            Err(ReadBodyError::PayloadTooLarge) => Err(Fault::BodyTooLarge.into()),
            Err(_) => Err(Fault::BodyBroken.into()),
        }
    }

    fn is_elsewhere(&self, request: &Request, visit: &Visit) -> bool {
        let is_plain = *request.scheme() == Scheme::HTTP;
        let between = host::between(visit.is_behind_proxy, is_plain, &self.app.public_url);
        host::is_elsewhere(request.headers(), request.uri().authority(), &self.app.public_url, between)
    }

    /// 302 to the same door under `public_url`. Not a permanent one: the operator may change it.
    fn right_host(&self, request: &Request) -> Response {
        let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
        let location = format!("{}{address}", self.app.public_url.origin());
        match HeaderValue::try_from(location) {
            Ok(location) => Response::builder().status(StatusCode::FOUND).header("location", location).finish(),
            Err(_) => Response::builder().status(StatusCode::BAD_REQUEST).finish(),
        }
    }
}

impl Endpoint for FrontDoor {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let counted = crate::metrics::request();
        let visit = Arc::new(Visit::of(&self.app, &request));
        let listed = self.app.cors.listed(request.headers());
        let answered = AssertUnwindSafe(self.answer(request, &visit)).catch_unwind().await;
        let answered = answered.unwrap_or_else(|panic| {
            tracing::error!(request_id = visit.request_id, "a handler panicked: {}", words(&*panic));
            Err(Fault::Defect.into())
        });
        let mut response = answered.unwrap_or_else(|error| answer::failure(error, &self.app, &visit));
        if response.headers().get(WWW_AUTHENTICATE).is_some_and(|challenge| challenge == answer::INVALID_TOKEN) {
            // Whether that was one too many is seen at the next one.
            let _ = self.app.limits.bad_tokens.knock(&visit.address, self.app.clock.now());
        }
        if visit.method == Method::HEAD {
            response.set_body(());
        }
        self.app.headers(&visit).add_to(response.headers_mut());
        if visit.is_api {
            self.app.cors.add_to(listed, response.headers_mut());
        }
        if let Ok(request_id) = HeaderValue::try_from(&visit.request_id) {
            response.headers_mut().insert(REQUEST_ID, request_id);
        }
        let route = visit.door.map_or("none", |door| door.path);
        let took = counted.answered(route, visit.method.as_str(), response.status().as_str());
        log(&visit, response.status(), took);
        Ok(response)
    }
}

/// What whoever panicked had to say.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

/// A poem error as one of ours.
fn fault(error: poem::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(other) => match other.status() {
            StatusCode::NOT_FOUND => Fault::NotFound.into(),
            StatusCode::BAD_REQUEST if other.is::<ParseRequestPayloadError>() || other.is::<ParseParamError>() => {
                Fault::BadValue("The body or a parameter is not what this address takes; /api/docs shows what it does.")
                    .into()
            }
            StatusCode::BAD_REQUEST => Fault::Ambiguous.into(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Fault::WrongKind.into(),
            status => {
                tracing::error!(status = status.as_u16(), "a handler failed: {other}");
                Fault::Defect.into()
            }
        },
    }
}

/// One line for each request, without its query: that may hold a code.
fn log(visit: &Visit, status: StatusCode, took: Duration) {
    tracing::info!(
        request_id = visit.request_id,
        trace_id = visit.trace.id,
        method = visit.method.as_str(),
        path = visit.path,
        status = status.as_u16(),
        duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        address = visit.address,
        "request"
    );
}
