//! The pretend provider's doors: takes requests apart, asks [`OpenId`], puts answers together.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use poem::http::{HeaderMap, Method, StatusCode, header};
use poem::{Request, Response};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::demo::pages::Pages;
use crate::demo::people::{self, Files};
use crate::demo::provider::{Authorization, OpenId, Refusal};

/// No request of ours is longer.
const BODY_LIMIT: usize = 16 * 1024;
/// Its pages need their style sheet and the pictures beside it. There are no forms: a form that is redirected to the
/// site would need the site in `form-action`, a link needs nothing.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
/// A picture is looked at, whatever it may be.
const PICTURE_POLICY: &str = "default-src 'none'; sandbox";

/// Everything that can be asked for.
pub struct Doors {
    provider: OpenId,
    pages: Pages,
    host: String,
}

impl Doors {
    /// The doors of `provider`, which is reached as `host`.
    pub fn new(provider: OpenId, host: String) -> Self {
        Self { provider, pages: Pages::new(), host }
    }

    /// Answers one request.
    pub async fn answer(&self, mut request: Request) -> Response {
        // A name that somebody points at 127.0.0.1 (DNS rebinding) finds nothing here.
        if request.header(header::HOST) != Some(self.host.as_str()) {
            return StatusCode::MISDIRECTED_REQUEST.into();
        }
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, "/.well-known/openid-configuration") => {
                answer_json(StatusCode::OK, &self.provider.discovery())
            }
            (&Method::GET, "/keys") => answer_json(StatusCode::OK, &self.provider.key_set()),
            (&Method::GET, "/authorize") => self.authorize(request.uri().query().unwrap_or_default()),
            (&Method::POST, "/token") => self.token(&mut request).await,
            (&Method::GET | &Method::POST, "/userinfo") => self.userinfo(request.headers()),
            (&Method::GET, path) => self.look_up(path),
            _ => StatusCode::METHOD_NOT_ALLOWED.into(),
        }
    }

    fn look_up(&self, path: &str) -> Response {
        if let Some((request, key)) = path.strip_prefix("/choose/").and_then(|rest| rest.split_once('/')) {
            return self.choose(request, key);
        }
        let picture = path.strip_prefix("/pictures/").filter(|name| *name != "icon.svg");
        match (path, picture) {
            ("/demo.css", _) => file("demo.css", "text/css; charset=utf-8"),
            ("/icon.svg" | "/favicon.ico", _) => file("icon.svg", "image/svg+xml"),
            (_, Some(name)) if name.ends_with(".svg") => file(name, "image/svg+xml"),
            _ => {
                let what = "There is nothing at this address. A sign-in starts at the site.";
                self.stopped(StatusCode::NOT_FOUND, "Nothing here", what, true)
            }
        }
    }

    fn authorize(&self, query: &str) -> Response {
        match self.provider.authorize(parameters(query.as_bytes()).as_ref()) {
            Authorization::Ask(request, hint) => {
                page(StatusCode::OK, self.pages.choose(&request, self.provider.site(), hint.as_deref()))
            }
            Authorization::Return(url) => redirect(url.as_str()),
            // The way back to the site is not offered to whoever may have led the person here in its name.
            Authorization::Refuse(what) => {
                self.stopped(StatusCode::BAD_REQUEST, "This sign-in is not in order", what, false)
            }
        }
    }

    fn choose(&self, request: &str, key: &str) -> Response {
        let person = people::by_key(key);
        let answered = if key == "cancel" || person.is_some() { self.provider.choose(request, person) } else { None };
        match answered {
            Some(url) => redirect(url.as_str()),
            None => {
                let what = "This sign-in was answered before, or has waited too long. Start again at the site.";
                self.stopped(StatusCode::GONE, "This sign-in is over", what, true)
            }
        }
    }

    async fn token(&self, request: &mut Request) -> Response {
        let credentials = request.header(header::AUTHORIZATION).and_then(basic_credentials);
        let is_form = request.content_type().is_some_and(|mime| {
            mime.split(';')
                .next()
                .is_some_and(|mime| mime.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
        });
        let Ok(body) = request.take_body().into_bytes_limit(BODY_LIMIT).await else {
            return StatusCode::PAYLOAD_TOO_LARGE.into();
        };
        let form = parameters(&body).filter(|_| is_form);
        match self.provider.exchange(credentials, form.as_ref()) {
            Ok(tokens) => answer_json(StatusCode::OK, &tokens),
            Err(refusal) => refuse(refusal),
        }
    }

    fn userinfo(&self, headers: &HeaderMap) -> Response {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let claims = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| self.provider.userinfo(token.trim()));
        match claims {
            Some(claims) => answer_json(StatusCode::OK, &claims),
            None => {
                let mut response = answer_json(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_token" }));
                let challenge = header::HeaderValue::from_static("Bearer error=\"invalid_token\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
        }
    }

    fn stopped(&self, status: StatusCode, heading: &str, what: &str, offers_home: bool) -> Response {
        let home = self.provider.home();
        page(status, self.pages.stopped(heading, what, offers_home.then_some(home.as_str())))
    }
}

/// The parameters of a query or a form; `None` where one stands twice (RFC 6749, section 3.1).
fn parameters(encoded: &[u8]) -> Option<HashMap<String, String>> {
    let mut parameters = HashMap::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
            return None;
        }
    }
    Some(parameters)
}

/// Id and secret, each form-encoded before they were joined (RFC 6749, section 2.3.1).
fn basic_credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    let plain = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    Some((plain(id)?, plain(secret)?))
}

fn refuse(refusal: Refusal) -> Response {
    let status = match refusal {
        Refusal::InvalidClient => StatusCode::UNAUTHORIZED,
        Refusal::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::InvalidGrant | Refusal::UnsupportedGrantType | Refusal::InvalidRequest => StatusCode::BAD_REQUEST,
    };
    let mut response = answer_json(status, &json!({ "error": refusal.code() }));
    if status == StatusCode::UNAUTHORIZED {
        let challenge = header::HeaderValue::from_static("Basic realm=\"demo\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn answer_json(status: StatusCode, value: &Value) -> Response {
    Response::builder()
        .status(status)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(value.to_string())
}

fn page(status: StatusCode, html: String) -> Response {
    Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(html)
}

/// 303, so that the browser comes by GET whatever it did before (RFC 9700, section 4.12).
fn redirect(url: &str) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, url)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .finish()
}

fn file(name: &str, mime: &str) -> Response {
    let Some(file) = Files::get(name) else { return StatusCode::NOT_FOUND.into() };
    Response::builder()
        .content_type(mime)
        .header(header::CONTENT_SECURITY_POLICY, PICTURE_POLICY)
        .header(header::CACHE_CONTROL, "max-age=300")
        // The site shows the pictures, and it is another origin.
        .header("cross-origin-resource-policy", "cross-origin")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(file.data.into_owned())
}
