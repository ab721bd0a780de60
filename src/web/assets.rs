//! `/assets/…`, `/favicon.ico`, `/robots.txt`: files that the pages hold in memory. Nothing that is asked for is looked
//! up on any disk.

use std::sync::Arc;

use http::header::CACHE_CONTROL;
use poem::web::{Data, Path};
use poem::{Response, handler};

use crate::pages::assets::Assets;
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::guard::security_headers::CORP;

/// A year, unchanged: the name holds the content's hash.
const FOREVER: &str = "public, max-age=31536000, immutable";
const A_DAY: &str = "public, max-age=86400";

/// A file by its hashed name.
#[handler]
pub fn asset(Path(name): Path<String>, app: Data<&Arc<App>>) -> Result<Response, Error> {
    let file = app.pages.asset(&name).ok_or(Fault::NotFound)?;
    Ok(Response::builder()
        .content_type(file.mime)
        .header(CACHE_CONTROL, if file.immutable { FOREVER } else { A_DAY })
        // A page about an app behind the gate is shown under that app's host.
        .header(CORP, "cross-origin")
        .body(file.bytes))
}

/// The icon for browsers that ask without having been told where it is.
#[handler]
pub fn favicon() -> Result<Response, Error> {
    let icon = Assets::file("favicon.ico").ok_or(Fault::NotFound)?;
    Ok(Response::builder().content_type(icon.mime).header(CACHE_CONTROL, A_DAY).body(icon.bytes))
}

/// Nothing here is worth finding.
#[handler]
pub fn robots() -> Response {
    Response::builder()
        .content_type("text/plain; charset=utf-8")
        .header(CACHE_CONTROL, A_DAY)
        .body("User-agent: *\nDisallow: /\n")
}
