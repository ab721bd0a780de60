//! `/api/tokens`: the credentials of somebody's programs.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::model::{self, EventKind, Token};
use crate::tokens::{TokenError, USUAL_DAYS, Wanted};
use crate::web::api::asking::Asking;
use crate::web::api::refused::{Unchanged, Unread};
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::visit::Visit;

/// What a token may be used for: `me` to show who its user is; `account` to read their sessions and tokens as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Scope {
    /// To show who its user is.
    Me,
    /// To read the lists of their sessions and tokens as well.
    Account,
}

impl From<model::Scope> for Scope {
    fn from(scope: model::Scope) -> Self {
        match scope {
            model::Scope::Me => Self::Me,
            model::Scope::Account => Self::Account,
        }
    }
}

impl From<Scope> for model::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Me => Self::Me,
            Scope::Account => Self::Account,
        }
    }
}

/// A token, without its value.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct ApiToken {
    /// What to call it by; admits nobody.
    pub id: String,
    /// What the person calls it.
    pub name: String,
    /// What it may be used for.
    pub scope: Scope,
    /// Its last four characters.
    pub last_four: String,
    /// When it was made (RFC 3339, UTC).
    pub created_at: String,
    /// When it ends (RFC 3339, UTC).
    pub expires_at: String,
    /// When it was last used, exact to a minute; null where it never was (RFC 3339, UTC).
    #[oai(nullable)]
    pub last_used_at: Option<String>,
}

impl Example for ApiToken {
    fn example() -> Self {
        Self {
            id: "9c1d0a4be77f3025".to_owned(),
            name: "Laptop".to_owned(),
            scope: Scope::Me,
            last_four: "x7Qd".to_owned(),
            created_at: "2026-11-25T09:00:00Z".to_owned(),
            expires_at: "2027-02-23T09:00:00Z".to_owned(),
            last_used_at: None,
        }
    }
}

impl ApiToken {
    /// As the API and the download of one's data tell of it.
    pub fn new(token: &Token) -> Self {
        Self {
            id: token.hash.short(),
            name: token.name.clone(),
            scope: token.scope.into(),
            last_four: token.last_four.clone(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
            last_used_at: token.last_used_at.map(|used| used.to_string()),
        }
    }
}

/// A token that was made just now.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct NewApiToken {
    /// The token itself: shown this once, kept nowhere.
    pub token: String,
    /// What to call it by; admits nobody.
    pub id: String,
    /// What the person calls it.
    pub name: String,
    /// What it may be used for.
    pub scope: Scope,
    /// Its last four characters.
    pub last_four: String,
    /// When it was made (RFC 3339, UTC).
    pub created_at: String,
    /// When it ends (RFC 3339, UTC).
    pub expires_at: String,
}

impl Example for NewApiToken {
    fn example() -> Self {
        let ApiToken { id, name, scope, last_four, created_at, expires_at, .. } = ApiToken::example();
        let token = "dw_pat_ThisIsOnlyAnExampleAndAdmitsNobodyAnywhere00003x7Qd".to_owned();
        Self { token, id, name, scope, last_four, created_at, expires_at }
    }
}

/// A token to be made.
#[derive(Clone, Debug, Object)]
#[oai(example, deny_unknown_fields)]
pub struct WantedToken {
    /// What to call it.
    #[oai(validator(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    ))]
    pub name: String,
    /// What it may be used for.
    #[oai(default = "narrowest")]
    pub scope: Scope,
    /// How many days it shall live.
    #[oai(default = "usual_days", validator(minimum(value = "1"), maximum(value = "366")))]
    pub days: u32,
}

fn narrowest() -> Scope {
    Scope::Me
}

fn usual_days() -> u32 {
    USUAL_DAYS
}

impl Example for WantedToken {
    fn example() -> Self {
        Self { name: "Laptop".to_owned(), scope: Scope::Me, days: USUAL_DAYS }
    }
}

/// A token was made.
#[derive(ApiResponse)]
pub enum CreatedAnswer {
    /// The token, shown this once.
    #[oai(status = 201)]
    Created(Json<NewApiToken>),
}

/// A token was revoked.
#[derive(ApiResponse)]
pub enum RevokedAnswer {
    /// It admits nobody any more, on any instance.
    #[oai(status = 204)]
    Revoked,
}

/// What the token that asks calls itself by.
const CURRENT: &str = "current";

/// The doors about tokens.
pub struct TokensApi;

#[OpenApi]
impl TokensApi {
    /// Which tokens have I made?
    ///
    /// The newest first, without their values. A token needs the scope `account`.
    #[oai(path = "/tokens", method = "get", operation_id = "list_tokens")]
    async fn list(&self, visitor: Asking, app: Data<&Arc<App>>) -> Result<Json<Vec<ApiToken>>, Unread> {
        let (user, _) = visitor.reader()?;
        let tokens = app.tokens.list_own(&user.id).await.map_err(Fault::from)?;
        Ok(Json(tokens.iter().map(ApiToken::new).collect()))
    }

    /// Makes a token
    ///
    /// Needs a session whose sign-in was within the last ten minutes; else `reauthentication_required`, and `login_url`
    /// leads to a fresh one.
    #[oai(path = "/tokens", method = "post", operation_id = "create_token")]
    async fn create(
        &self,
        visitor: Asking,
        app: Data<&Arc<App>>,
        visit: Data<&Arc<Visit>>,
        wanted: Json<WantedToken>,
    ) -> Result<CreatedAnswer, Unchanged> {
        let (user, session) = visitor.person()?;
        if !app.sessions.is_fresh(&session) {
            return Err(Fault::SignInAgain.into());
        }
        let WantedToken { name, scope, days } = wanted.0;
        let wanted = Wanted { name, scope: scope.into(), days };
        let (value, token) = app.tokens.create_own(&user.id, wanted).await.map_err(fault)?;
        app.record(EventKind::TokenCreated, &user.id, &visit.origin(), &token.hash.short()).await;
        let ApiToken { id, name, scope, last_four, created_at, expires_at, .. } = ApiToken::new(&token);
        let token = value.reveal().to_owned();
        Ok(CreatedAnswer::Created(Json(NewApiToken { token, id, name, scope, last_four, created_at, expires_at })))
    }

    /// Revokes one of my tokens
    ///
    /// Needs a session; but with the id `current` a token ends itself, which is the one change that it can make.
    #[oai(path = "/tokens/:id", method = "delete", operation_id = "revoke_token")]
    async fn revoke(
        &self,
        visitor: Asking,
        app: Data<&Arc<App>>,
        visit: Data<&Arc<Visit>>,
        /// The token's `id` in the list, or `current`.
        id: Path<String>,
    ) -> Result<RevokedAnswer, Unchanged> {
        if *id == CURRENT
            && let Some(token) = visitor.token()
        {
            app.tokens.revoke(token).await.map_err(Fault::from)?;
            app.record(EventKind::TokenRevoked, &token.user_id, &visit.origin(), &token.hash.short()).await;
            return Ok(RevokedAnswer::Revoked);
        }
        let (user, _) = visitor.person()?;
        if !app.tokens.revoke_own(&user.id, &id).await.map_err(Fault::from)? {
            return Err(Fault::NoneOfYours.into());
        }
        app.record(EventKind::TokenRevoked, &user.id, &visit.origin(), &id).await;
        Ok(RevokedAnswer::Revoked)
    }
}

/// What it means at the door that no token was made.
pub fn fault(error: TokenError) -> Error {
    match error {
        TokenError::TooMany => Fault::TooManyTokens.into(),
        TokenError::BadName => Fault::BadValue("A token needs a name of 1 to 100 characters that can be shown.").into(),
        TokenError::BadLife => Fault::BadValue("A token lives for 1 to 366 days.").into(),
        TokenError::Store(error) => Fault::Store(error).into(),
    }
}
