//! `/logout`: ends a session.

use std::sync::Arc;

use poem::web::Data;
use poem::{Request, Response, handler};

use crate::login::return_to::ReturnTo;
use crate::model::EventKind;
use crate::pages::{ContinuePage, LogoutPage};
use crate::web::answer::{page, see_other, with_cookie};
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::guard::{navigation, visitor};
use crate::web::paths;
use crate::web::visit::Visit;

/// Ends the session. That the request comes from a page of ours was seen at the front door.
#[handler]
pub async fn log_out(request: &Request, app: Data<&Arc<App>>, visit: Data<&Arc<Visit>>) -> Result<Response, Error> {
    end(request, &app, &visit).await?;
    let return_to = app.return_to(request.uri().query());
    let target = return_to.as_ref().map_or(app.after_logout.as_str(), ReturnTo::as_str);
    let response = if target.starts_with('/') {
        see_other(target)
    } else {
        // A form of ours may not be redirected off the site (`form-action`), a link may lead there.
        page(app.pages.cont(&ContinuePage {
            heading: "You are logged out",
            what: "You are logged out of this site. You may still be signed in at the sign-in provider.",
            way_on: ("Continue", target),
        })?)
    };
    Ok(with_cookie(response, app.cookies.end_session()))
}

/// Logs out whoever deliberately comes here; asks everybody else first, since a link or a picture on another site can
/// lead here too.
#[handler]
pub async fn ask(request: &Request, app: Data<&Arc<App>>, visit: Data<&Arc<Visit>>) -> Result<Response, Error> {
    let return_to = app.return_to(request.uri().query());
    let home = app.paths.to(paths::HOME);
    let signed_out = || Ok(see_other(return_to.as_ref().map_or(home.as_str(), ReturnTo::as_str)));
    if app.cookies.sessions(request.headers()).is_empty() {
        return signed_out();
    }
    if navigation::is_deliberate(request.headers()) {
        end(request, &app, &visit).await?;
        let target = return_to.as_ref().map_or(app.after_logout.as_str(), ReturnTo::as_str);
        return Ok(with_cookie(see_other(target), app.cookies.end_session()));
    }
    let Some((_, _, user)) = visitor::session(&app, request.headers()).await? else { return signed_out() };
    Ok(page(app.pages.logout(&LogoutPage {
        logout_url: &app.paths.logout(return_to.as_ref()),
        home_url: &home,
        email: &user.identity.email,
    })?))
}

/// Ends every session that the request presents. Where the store cannot be told, the cookie goes all the same and the
/// page says so: this is the one case in which a failing store costs somebody their cookie, and they asked for it.
async fn end(request: &Request, app: &App, visit: &Visit) -> Result<(), Error> {
    let mut is_owed = false;
    for session in app.cookies.sessions(request.headers()) {
        match app.sessions.end(&session).await {
            Ok(Some(user)) => {
                app.record(EventKind::Logout, &user, &visit.origin(), &session.hashed().short()).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(
                    reason = error.reason(),
                    session.id = session.hashed().short(),
                    "a sign-out is not in the database yet: {error}; this instance finishes it as soon as the database answers"
                );
                app.sessions.end_later(&session);
                is_owed = true;
            }
        }
    }
    if is_owed {
        return Err(Error { fault: Fault::LogoutOwed, cookies: vec![app.cookies.end_session()] });
    }
    Ok(())
}
