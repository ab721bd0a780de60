//! `/api/me`: who is asking.

use std::sync::Arc;

use http::HeaderMap;
use poem::web::Data;
use poem::{IntoResponse, Response};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use crate::model::User;
use crate::web::answer::{self, Problem};
use crate::web::api::asking::Asking;
use crate::web::api::written::Written;
use crate::web::app::App;
use crate::web::error::Fault;
use crate::web::guard::visitor::{self, Via, Visitor};
use crate::web::visit::Visit;

/// Who is signed in.
#[derive(Clone, Debug, Object, Serialize)]
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
    fn new(user: User, via: &Via) -> Self {
        let identity = user.identity;
        let via = match via {
            Via::Session(_) => "session",
            Via::Token(_) => "token",
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
    Known(Written<Me>),
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
    /// So many tokens that are none came from the client that it has to wait; told before the door is reached.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooMany(
        Json<Problem>,
        /// Seconds after which to ask again.
        #[oai(header = "Retry-After")]
        u32,
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

/// The answer of `/api/me` to a request with `headers`: the one that [`MeApi`] describes, without the router on the way,
/// which would take longer to find it than it takes.
pub async fn me(headers: &HeaderMap, app: &App, visit: &Visit) -> Response {
    tell(visitor::visitor(app, headers).await, app, visit).into_response()
}

fn tell(visitor: Visitor, app: &App, visit: &Visit) -> MeAnswer {
    let problem = |fault: &Fault| Json(answer::problem(fault, app, &visit.request_id));
    let nobody = |fault: Fault| {
        let challenge = answer::challenge(&fault).unwrap_or_default().to_owned();
        MeAnswer::Nobody(problem(&fault), challenge)
    };
    match visitor {
        Visitor::Known(user, via) => MeAnswer::Known(Written(Me::new(*user, &via))),
        Visitor::Nobody => nobody(Fault::NotSignedIn),
        Visitor::BadToken => nobody(Fault::BadToken),
        Visitor::Ambiguous => MeAnswer::Ambiguous(problem(&Fault::Ambiguous)),
        Visitor::Unknown(error) => {
            let fault = Fault::Store(error);
            answer::log(&fault, visit);
            MeAnswer::Unavailable(problem(&fault), fault.retry_after().unwrap_or_default())
        }
    }
}

/// The door that says who somebody is.
pub struct MeApi;

#[OpenApi]
impl MeApi {
    /// Who is asking?
    ///
    /// Answers by the visitor's session cookie, which a program passes on as it came, or by an API token. A token
    /// decides where there is one, whatever the cookie says.
    #[oai(path = "/me", method = "get", operation_id = "me")]
    async fn me(&self, visitor: Asking, app: Data<&Arc<App>>, visit: Data<&Arc<Visit>>) -> MeAnswer {
        tell(visitor.0, &app, &visit)
    }
}
