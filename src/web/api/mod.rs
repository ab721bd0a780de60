//! `/api`: for programs. The document that describes it is made from this very code.

use std::sync::Arc;

use http::HeaderMap;
use poem::web::Data;
use poem::{Request, RequestBody, Response, handler};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::types::Example;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi, OpenApiService};
use serde_json::{Value, json};

use crate::model::User;
use crate::pages::DocsPage;
use crate::web::answer::{self, Problem};
use crate::web::app::App;
use crate::web::cookies::Cookies;
use crate::web::error::{Error, Fault};
use crate::web::guard::visitor::{self, Via, Visitor};
use crate::web::paths;
use crate::web::visit::Visit;

/// Who is signed in.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct Me {
    /// The provider's `sub`: the key of the row in `users`.
    pub id: String,
    /// The email address, which may change and is no key.
    pub email: String,
    /// Whether the provider vouched for it; nobody signs in otherwise.
    pub email_verified: bool,
    /// What the person is called.
    #[oai(nullable)]
    pub name: Option<String>,
    /// Where the picture lies.
    #[oai(nullable)]
    pub picture: Option<String>,
    /// Who vouched, as the configuration names it: `google`.
    pub provider: String,
    /// The Google Workspace domain, as signed by Google.
    #[oai(nullable)]
    pub hosted_domain: Option<String>,
    /// When they first signed in (RFC 3339, UTC).
    pub created_at: String,
    /// When they last signed in (RFC 3339, UTC).
    pub last_login_at: String,
    /// How this request proved it: `session` or `token`.
    pub via: String,
}

impl Example for Me {
    fn example() -> Self {
        Self {
            id: "110169484474386276334".to_owned(),
            email: "ada@example.com".to_owned(),
            email_verified: true,
            name: Some("Ada Lovelace".to_owned()),
            picture: Some("https://lh3.googleusercontent.com/a/ada=s96-c".to_owned()),
            provider: "google".to_owned(),
            hosted_domain: None,
            created_at: "2026-11-21T09:00:00Z".to_owned(),
            last_login_at: "2026-11-25T09:00:00Z".to_owned(),
            via: "session".to_owned(),
        }
    }
}

impl Me {
    fn new(user: User, via: Via) -> Self {
        let identity = user.identity;
        let via = match via {
            Via::Session => "session",
            Via::Token => "token",
        };
        Self {
            id: user.id.to_string(),
            email: identity.email,
            email_verified: identity.email_verified,
            name: identity.name,
            picture: identity.picture,
            provider: identity.provider,
            hosted_domain: identity.hosted_domain,
            created_at: user.created_at.to_string(),
            last_login_at: user.last_login_at.to_string(),
            via: via.to_owned(),
        }
    }
}

/// Answers of `/api/me`.
#[derive(ApiResponse)]
pub enum MeAnswer {
    /// Who is signed in.
    #[oai(status = 200)]
    Known(Json<Me>),
    /// The request presents two credentials.
    #[oai(status = 400, content_type = "application/problem+json")]
    Ambiguous(Json<Problem>),
    /// Nobody is signed in, or the token admits nobody.
    #[oai(status = 401, content_type = "application/problem+json")]
    Nobody(
        Json<Problem>,
        /// How to prove who one is (RFC 6750, section 3).
        #[oai(header = "WWW-Authenticate")]
        String,
    ),
    /// The database could not be asked. Nobody was signed out: ask again.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(
        Json<Problem>,
        /// Seconds after which to ask again.
        #[oai(header = "Retry-After")]
        u32,
    ),
}

/// The doors for programs.
pub struct Api;

#[OpenApi]
impl Api {
    /// Who is asking?
    ///
    /// Answers by the visitor's session cookie, which a program passes on as it came, or by an API token. A token
    /// decides where there is one, whatever the cookie says.
    #[oai(path = "/me", method = "get", operation_id = "me")]
    async fn me(&self, visitor: Asking, app: Data<&Arc<App>>, visit: Data<&Arc<Visit>>) -> MeAnswer {
        let problem = |fault: &Fault| Json(answer::problem(fault, &app, &visit.request_id));
        let nobody = |fault: Fault| {
            let challenge = answer::challenge(&fault).unwrap_or_default().to_owned();
            MeAnswer::Nobody(problem(&fault), challenge)
        };
        match visitor.0 {
            Visitor::Known(user, via) => MeAnswer::Known(Json(Me::new(*user, via))),
            Visitor::Nobody => nobody(Fault::NotSignedIn),
            Visitor::BadToken => nobody(Fault::BadToken),
            Visitor::Ambiguous => MeAnswer::Ambiguous(problem(&Fault::Ambiguous)),
            Visitor::Unknown(error) => {
                let fault = Fault::Store(error);
                answer::log(&fault, &visit);
                MeAnswer::Unavailable(problem(&fault), fault.retry_after().unwrap_or_default())
            }
        }
    }
}

/// The visitor of an operation, with the two ways to be known in the document. The library's own extractor for cookies
/// reads them in a way that lets neighbours plant some.
struct Asking(Visitor);

const BY_COOKIE: &str = "session";
const BY_TOKEN: &str = "token";

impl<'a> ApiExtractor<'a> for Asking {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = |ty, description| MetaSecurityScheme {
            ty,
            description: Some(description),
            name: None,
            key_in: None,
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        let by_cookie = MetaSecurityScheme {
            key_in: Some("cookie"),
            // Its true name depends on the public URL and is filled in when the document is made.
            name: Some(BY_COOKIE),
            ..scheme("apiKey", "The cookie of a browser that is signed in.")
        };
        let by_token = MetaSecurityScheme {
            scheme: Some("bearer"),
            bearer_format: Some("dw_pat_…"),
            ..scheme("http", "An API token, made by `doorward tokens create`.")
        };
        registry.create_security_scheme(BY_COOKIE, by_cookie);
        registry.create_security_scheme(BY_TOKEN, by_token);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![BY_COOKIE, BY_TOKEN]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let app: &Arc<App> = request.data().ok_or(Error::from(Fault::Defect))?;
        Ok(Self(visitor::visitor(app, request.headers() as &HeaderMap).await))
    }
}

/// The API as endpoints.
pub fn service() -> OpenApiService<Api, ()> {
    OpenApiService::new(Api, "Doorward API", env!("CARGO_PKG_VERSION"))
        .description("Who is signed in, for programs in any language.")
}

/// The OpenAPI document of a Doorward at `public_url` with `cookies`.
pub fn document(cookies: &Cookies, api_url: &str) -> Value {
    let text = service().server(api_url).spec();
    let mut document: Value = serde_json::from_str(&text).unwrap_or_default();
    document["components"]["securitySchemes"][BY_COOKIE]["name"] = json!(cookies.session_name());
    complete(&mut document["components"]["schemas"]["Me"]);
    document
}

/// Says of [`Me`] what its Rust types cannot: every field is always there, whether null or not.
fn complete(me: &mut Value) {
    let names = me["properties"].as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    me["required"] = json!(names.unwrap_or_default());
    for moment in ["created_at", "last_login_at"] {
        me["properties"][moment]["format"] = json!("date-time");
    }
    me["properties"]["via"]["enum"] = json!(["session", "token"]);
}

/// The document.
#[handler]
pub fn openapi(app: Data<&Arc<App>>) -> Response {
    let document = document(&app.cookies, &app.public_url.join(paths::API));
    Response::builder().content_type("application/json").body(document.to_string())
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
