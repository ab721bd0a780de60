//! `/api/sessions`: the browsers that somebody is signed in with.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::model::{EventKind, Session};
use crate::pages::browser::browser;
use crate::web::api::asking::Asking;
use crate::web::api::refused::{Unchanged, Unread};
use crate::web::app::App;
use crate::web::error::Fault;
use crate::web::visit::Visit;

/// A browser that is signed in.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct BrowserSession {
    /// What to call it by; admits nobody.
    pub id: String,
    /// Browser and system in words: `Firefox on Windows`.
    pub browser: String,
    /// What the browser called itself at the sign-in.
    pub user_agent: String,
    /// The address that the sign-in came from; empty where nobody knows it.
    pub address: String,
    /// When the sign-in was (RFC 3339, UTC).
    pub created_at: String,
    /// When it was last used, exact to a minute (RFC 3339, UTC).
    pub last_seen_at: String,
    /// When it ends, used or not (RFC 3339, UTC).
    pub expires_at: String,
    /// Whether this request comes from it.
    pub current: bool,
}

impl Example for BrowserSession {
    fn example() -> Self {
        Self {
            id: "5f0c3b9a7d21e684".to_owned(),
            browser: "Firefox on Windows".to_owned(),
            user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0".to_owned(),
            address: "198.51.100.23".to_owned(),
            created_at: "2026-11-21T09:00:00Z".to_owned(),
            last_seen_at: "2026-11-25T09:00:00Z".to_owned(),
            expires_at: "2026-12-21T09:00:00Z".to_owned(),
            current: true,
        }
    }
}

impl BrowserSession {
    /// As the API and the download of one's data tell of it; `current` is the one that asks.
    pub fn new(session: &Session, current: Option<&Session>) -> Self {
        Self {
            id: session.handle.short(),
            browser: browser(&session.user_agent),
            user_agent: session.user_agent.clone(),
            address: session.address.clone(),
            created_at: session.created_at.to_string(),
            last_seen_at: session.last_seen_at.to_string(),
            expires_at: session.expires_at.to_string(),
            current: current.is_some_and(|current| current.handle == session.handle),
        }
    }
}

/// How many were ended.
#[derive(Clone, Copy, Debug, Object)]
#[oai(example)]
pub struct Ended {
    /// How many sessions there were.
    pub ended: u64,
}

impl Example for Ended {
    fn example() -> Self {
        Self { ended: 3 }
    }
}

/// Which session stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Keep {
    /// The one that asks.
    Current,
}

/// Something was ended.
#[derive(ApiResponse)]
pub enum EndedAnswer {
    /// It has ended, on every instance.
    #[oai(status = 204)]
    One(
        /// Takes the cookie away where the session was the one that asked.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
    /// They have ended, on every instance.
    #[oai(status = 200)]
    Many(
        Json<Ended>,
        /// Takes the cookie away where the session that asked was among them.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

/// The doors about sessions.
pub struct SessionsApi;

#[OpenApi]
impl SessionsApi {
    /// Where am I signed in?
    ///
    /// The newest first. A token needs the scope `account`.
    #[oai(path = "/sessions", method = "get", operation_id = "list_sessions")]
    async fn list(&self, visitor: Asking, app: Data<&Arc<App>>) -> Result<Json<Vec<BrowserSession>>, Unread> {
        let (user, current) = visitor.reader()?;
        let sessions = app.sessions.list_own(&user.id).await.map_err(Fault::from)?;
        Ok(Json(sessions.iter().map(|session| BrowserSession::new(session, current.as_ref())).collect()))
    }

    /// Ends my sessions
    ///
    /// All of them, or with `keep=current` all but the one that asks. Needs a session; tokens stay as they are.
    #[oai(path = "/sessions", method = "delete", operation_id = "end_sessions")]
    async fn end_all(
        &self,
        visitor: Asking,
        app: Data<&Arc<App>>,
        visit: Data<&Arc<Visit>>,
        /// Which one stays.
        keep: Query<Option<Keep>>,
    ) -> Result<EndedAnswer, Unchanged> {
        let (user, session) = visitor.person()?;
        let (ended, cookie) = match keep.0 {
            Some(Keep::Current) => (app.sessions.end_others(&session).await, None),
            None => (app.sessions.end_all(&user.id).await, Some(gone(&app))),
        };
        let ended = ended.map_err(Fault::from)?;
        let which = if keep.0.is_some() { "all others" } else { "all" };
        if ended > 0 {
            app.record(EventKind::SessionRevoked, &user.id, &visit.origin(), which).await;
        }
        Ok(EndedAnswer::Many(Json(Ended { ended }), cookie))
    }

    /// Ends one of my sessions
    ///
    /// Needs a session. Ending the one that asks is logging out.
    #[oai(path = "/sessions/:id", method = "delete", operation_id = "end_session")]
    async fn end(
        &self,
        visitor: Asking,
        app: Data<&Arc<App>>,
        visit: Data<&Arc<Visit>>,
        /// The session's `id` in the list.
        id: Path<String>,
    ) -> Result<EndedAnswer, Unchanged> {
        let (user, session) = visitor.person()?;
        if !app.sessions.end_own(&user.id, &id).await.map_err(Fault::from)? {
            return Err(Fault::NoneOfYours.into());
        }
        app.record(EventKind::SessionRevoked, &user.id, &visit.origin(), &id).await;
        Ok(EndedAnswer::One((session.handle.short() == *id).then(|| gone(&app))))
    }
}

/// The header that takes the session's cookie away.
fn gone(app: &App) -> String {
    String::from_utf8_lossy(app.cookies.end_session().as_bytes()).into_owned()
}
