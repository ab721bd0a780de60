//! `/.well-known/jwks.json`: the keys by which apps check assertions.

use std::sync::Arc;

use http::header::CACHE_CONTROL;
use poem::web::Data;
use poem::{Response, handler};

use crate::web::app::App;
use crate::web::error::Error;

/// The public keys (RFC 7517, section 5). May be kept for five minutes: a new key is published ten before it signs.
#[handler]
pub async fn jwks(app: Data<&Arc<App>>) -> Result<Response, Error> {
    let keys = app.assertions.key_set().await?;
    let response = Response::builder().content_type("application/jwk-set+json");
    Ok(response.header(CACHE_CONTROL, "public, max-age=300").body(keys.to_string()))
}
