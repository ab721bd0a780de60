//! `/account/delete`: a person deletes their account, after a fresh sign-in and a question that says what becomes of what.

use std::sync::Arc;

use poem::web::Data;
use poem::{Request, Response, handler};

use crate::config::users::OnDelete;
use crate::pages::ContinuePage;
use crate::pages::account::DeletePage;
use crate::store::Deleted;
use crate::web::account::signed_in;
use crate::web::answer::{page, with_cookie};
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::paths;
use crate::web::visit::Visit;

/// The question.
#[handler]
pub async fn ask(request: &Request, app: Data<&Arc<App>>) -> Result<Response, Error> {
    let (session, user) = signed_in(&app, request).await?;
    let row = match app.users.on_delete() {
        OnDelete::Anonymise => "Your number stays in this site's own table, without your email, name and picture.",
        OnDelete::Delete => {
            "Your row in this site's own table goes with it, and what the site ties to that row may go too."
        }
        OnDelete::Keep => {
            "Your row in this site's own table, with your email, name and picture, stays with whoever runs it."
        }
    };
    Ok(page(app.pages.delete(&DeletePage {
        email: &user.identity.email,
        row,
        is_fresh: app.sessions.is_fresh(&session),
        fresh_sign_in_url: &app.paths.fresh_sign_in(paths::DELETE),
        delete_url: &app.paths.to(paths::DELETE),
        account_url: &app.paths.to(paths::ACCOUNT),
    })?))
}

/// The deed: all of it, or nothing.
#[handler]
pub async fn delete(request: &Request, app: Data<&Arc<App>>, visit: Data<&Arc<Visit>>) -> Result<Response, Error> {
    let (session, user) = signed_in(&app, request).await?;
    if !app.sessions.is_fresh(&session) {
        return Err(Fault::SignInAgain.into());
    }
    match app.users.delete(&user.id, &visit.origin()).await? {
        Deleted::Done => {}
        Deleted::Unknown => return Err(Fault::NotSignedIn.into()),
        Deleted::Held(why) => {
            tracing::warn!(user.id = %user.id, "an account could not be deleted: {why}");
            return Err(Fault::Held.into());
        }
    }
    let home = app.paths.to(paths::HOME);
    let response = page(app.pages.cont(&ContinuePage {
        heading: "Your account is deleted",
        what: "What was kept about you here is gone, and every browser and program of yours is signed out. Your account \
               at the sign-in provider stays as it is.",
        way_on: ("Go to the start page", &home),
    })?);
    Ok(with_cookie(response, app.cookies.end_session()))
}
