//! `/healthz` and `/readyz`: for whoever decides whether to restart us, and whether to send us people.

use std::sync::Arc;

use http::header::RETRY_AFTER;
use http::uri::Scheme;
use http::{HeaderName, StatusCode};
use poem::web::Data;
use poem::{Addr, Request, Response, handler};
use serde_json::json;

use crate::countersign::{self, Question};
use crate::store::StoreError;
use crate::web::app::App;
use crate::web::guard::forwarded::IDENTITY;
use crate::web::guard::host;
use crate::web::visit::Visit;

/// After how many seconds it makes sense to ask an instance again that was told to end: another may be in its place then.
const RETRY_SECONDS: &str = "2";

/// The process is alive; needs nothing. Whoever proves to be an operator's command is told how the request arrived.
#[handler]
pub fn healthz(request: &Request, app: Data<&Arc<App>>, visit: Data<&Arc<Visit>>) -> Response {
    let mut body = json!({ "status": "ok" });
    if let Some((arrived, proof)) = recognised(request, &app, &visit) {
        body["arrived"] = arrived.into();
        body["proof"] = proof.into();
    }
    Response::builder().content_type("application/json").body(body.to_string())
}

/// How the request arrived, as the text that is proved, and the proof. `None`: nobody of ours asks.
fn recognised(request: &Request, app: &App, visit: &Visit) -> Option<(String, String)> {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let keys = app.login.as_ref()?.keys_at_hand();
    let question = Question::read(&text(countersign::HEADER)?, &keys, app.clock.now())?;
    let peer = match &request.remote_addr().0 {
        Addr::SocketAddr(address) => address.to_string(),
        _ => "unix".to_owned(),
    };
    let between = host::between(visit.is_behind_proxy, *request.scheme() == Scheme::HTTP, &app.public_url);
    let arrived_as = |name: &HeaderName| headers.contains_key(name);
    let identity: Vec<String> = IDENTITY.iter().filter(|name| arrived_as(name)).map(ToString::to_string).collect();
    let arrived = json!({
        "instance": app.instance,
        "peer": peer,
        "address": visit.address,
        "is_believed": visit.is_behind_proxy,
        "is_elsewhere": host::is_elsewhere(headers, request.uri().authority(), &app.public_url, between),
        "host": text("host"),
        "forwarded_host": text("x-forwarded-host"),
        "scheme": text("x-forwarded-proto"),
        "identity": identity,
    });
    let arrived = arrived.to_string();
    let proof = question.answer(&keys, &arrived);
    Some((arrived, proof))
}

/// Whether people can be served. A provider that is away is degraded: whoever is signed in stays so.
#[handler]
pub async fn readyz(app: Data<&Arc<App>>) -> Response {
    if app.is_leaving() {
        return shutting_down();
    }
    let (database, schema) = match app.store.check_readable().await {
        Ok(()) => ("ok", "ok"),
        Err(StoreError::Schema(_)) => ("ok", "unavailable"),
        Err(_) => ("unavailable", "unknown"),
    };
    let provider = match &app.login {
        Some(login) if login.provider_is_known() => "ok",
        Some(_) => "degraded",
        None => "none",
    };
    let is_ready = database == "ok" && schema == "ok";
    let status = match (is_ready, provider) {
        (false, _) => "unavailable",
        (true, "ok") => "ok",
        (true, _) => "degraded",
    };
    let body = json!({ "status": status, "checks": { "database": database, "schema": schema, "provider": provider } });
    let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Response::builder().status(code).content_type("application/json").body(body.to_string())
}

/// This process ends soon. Said without a look at the database, which may take longer than there is time.
fn shutting_down() -> Response {
    let reason =
        "this instance is told to end: everything is served for a moment yet, so send people to another one now";
    let body = json!({ "status": "unavailable", "checks": { "shutdown": "under way" }, "reason": reason });
    let response = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).header(RETRY_AFTER, RETRY_SECONDS);
    response.content_type("application/json").body(body.to_string())
}
