//! `/healthz` and `/readyz`: for whoever decides whether to restart us, and whether to send us people.

use std::sync::Arc;

use http::StatusCode;
use poem::web::Data;
use poem::{Response, handler};
use serde_json::json;

use crate::store::StoreError;
use crate::web::app::App;

/// The process is alive; needs nothing.
#[handler]
pub fn healthz() -> Response {
    Response::builder().content_type("application/json").body(json!({ "status": "ok" }).to_string())
}

/// Whether people can be served. A provider that is away is degraded: whoever is signed in stays so.
#[handler]
pub async fn readyz(app: Data<&Arc<App>>) -> Response {
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
