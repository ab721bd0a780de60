//! Who asks an operation of the API, and what of them it needs.

use std::sync::Arc;

use http::HeaderMap;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::model::{Scope, Session, Token, User};
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::guard::visitor::{self, Via, Visitor};

/// The visitor of an operation, with the two ways to be known in the document. The library's own extractor for cookies
/// reads them in a way that lets neighbours plant some.
pub struct Asking(pub Visitor);

/// The scheme of the session's cookie.
pub const BY_COOKIE: &str = "session";
/// The scheme of API tokens.
pub const BY_TOKEN: &str = "token";

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
            ..scheme("http", "An API token, made at `/account`, by `doorward login` or by `doorward tokens create`.")
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

impl Asking {
    /// Whoever may read the user's lists: a session, or a token whose scope goes as far. The session, where it is one.
    pub fn reader(self) -> Result<(User, Option<Session>), Error> {
        match self.known()? {
            (user, Via::Session(session)) => Ok((user, Some(session))),
            (user, Via::Token(token)) if token.scope >= Scope::Account => Ok((user, None)),
            (_, Via::Token(_)) => Err(Fault::ScopeTooNarrow.into()),
        }
    }

    /// Whoever may change something: a person at a browser, never a program with a token, which could give itself
    /// another one and outlive its own revocation.
    pub fn person(self) -> Result<(User, Session), Error> {
        match self.known()? {
            (user, Via::Session(session)) => Ok((user, session)),
            (_, Via::Token(_)) => Err(Fault::SessionRequired.into()),
        }
    }

    /// The token that asks, where it is one.
    pub fn token(&self) -> Option<&Token> {
        match &self.0 {
            Visitor::Known(_, via) => match &**via {
                Via::Token(token) => Some(token),
                Via::Session(_) => None,
            },
            _ => None,
        }
    }

    fn known(self) -> Result<(User, Via), Error> {
        match self.0 {
            Visitor::Known(user, via) => Ok((*user, *via)),
            Visitor::Nobody => Err(Fault::NotSignedIn.into()),
            Visitor::BadToken => Err(Fault::BadToken.into()),
            Visitor::Ambiguous => Err(Fault::Ambiguous.into()),
            Visitor::Unknown(error) => Err(Fault::Store(error).into()),
        }
    }
}
