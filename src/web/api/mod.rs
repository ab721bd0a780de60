//! `/api`: for programs. The document that describes it is made from this very code.

pub mod asking;
pub mod device;
pub mod me;
pub mod refused;
pub mod sessions;
pub mod tokens;
mod written;

use std::sync::Arc;

use poem::web::Data;
use poem::{Response, handler};
use poem_openapi::OpenApiService;
use serde_json::{Value, json};

use crate::model::Scope;
use crate::pages::DocsPage;
use crate::web::answer;
use crate::web::api::asking::BY_COOKIE;
use crate::web::api::device::{DeviceApi, GRANT_TYPE};
use crate::web::api::me::MeApi;
use crate::web::api::sessions::SessionsApi;
use crate::web::api::tokens::TokensApi;
use crate::web::app::App;
use crate::web::cookies::Cookies;
use crate::web::error::Error;
use crate::web::paths;

/// The API as endpoints.
pub fn service() -> OpenApiService<(MeApi, SessionsApi, TokensApi, DeviceApi), ()> {
    OpenApiService::new((MeApi, SessionsApi, TokensApi, DeviceApi), "Doorward API", env!("CARGO_PKG_VERSION"))
        .description("Who is signed in, for programs in any language; and what a person keeps here, their sessions and their tokens.")
}

/// The OpenAPI document of a Doorward at `public_url` with `cookies`.
pub fn document(cookies: &Cookies, api_url: &str) -> Value {
    let text = service().server(api_url).spec();
    let mut document: Value = serde_json::from_str(&text).unwrap_or_default();
    document["components"]["securitySchemes"][BY_COOKIE]["name"] = json!(cookies.session_name());
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        complete(name, schema);
        narrow(name, schema);
    }
    document
}

/// Says of what we answer what its Rust types cannot: a field that may be null is there all the same, a moment is one,
/// and a word is one of a few.
fn complete(name: &str, schema: &mut Value) {
    const ANSWERED: &[&str] =
        &["Me", "BrowserSession", "ApiToken", "NewApiToken", "Ended", "DeviceCodes", "DeviceToken", "OAuthError"];
    const MOMENTS: &[&str] = &["created_at", "last_login_at", "last_seen_at", "expires_at", "last_used_at"];
    if !ANSWERED.contains(&name) {
        return;
    }
    let Some(fields) = schema["properties"].as_object_mut() else { return };
    for (field, described) in fields.iter_mut() {
        if MOMENTS.contains(&field.as_str()) {
            described["format"] = json!("date-time");
        }
        if field == "via" {
            described["enum"] = json!(["session", "token"]);
        }
    }
    let names: Vec<String> = fields.keys().cloned().collect();
    schema["required"] = json!(names);
}

/// Says of what we are sent what its Rust types cannot: which words there are, and where no further field is taken.
fn narrow(name: &str, schema: &mut Value) {
    match name {
        "WantedToken" => schema["additionalProperties"] = json!(false),
        "DeviceRequest" => schema["properties"]["scope"]["enum"] = json!(Scope::ALL.map(Scope::as_str)),
        "DeviceTokenRequest" => schema["properties"]["grant_type"]["enum"] = json!([GRANT_TYPE]),
        _ => {}
    }
}

/// The document.
#[handler]
pub fn openapi(app: Data<&Arc<App>>) -> Response {
    // Anybody may ask, and it is the dearest thing here to make.
    let made = || document(&app.cookies, &app.public_url.join(paths::API)).to_string().into();
    Response::builder().content_type("application/json").body(app.openapi.get_or_init(made).clone())
}

/// The document, readable.
#[handler]
pub fn docs(app: Data<&Arc<App>>) -> Result<Response, Error> {
    let server_url = app.public_url.join(paths::API);
    let described = document(&app.cookies, &server_url);
    let openapi_url = app.paths.to(paths::OPENAPI);
    let page = DocsPage { openapi: &described, openapi_url: &openapi_url, server_url: &server_url };
    Ok(answer::page(app.pages.docs(&page)?))
}
