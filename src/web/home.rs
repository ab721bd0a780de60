//! `/`: the card for who is not signed in, the profile for who is.

use std::sync::Arc;

use poem::web::Data;
use poem::{Request, Response, handler};

use crate::pages::ProfilePage;
use crate::web::answer::{login_card, page};
use crate::web::app::App;
use crate::web::error::Error;
use crate::web::guard::visitor;
use crate::web::paths;

/// The start page.
#[handler]
pub async fn home(request: &Request, app: Data<&Arc<App>>) -> Result<Response, Error> {
    let Some((_, _, user)) = visitor::session(&app, request.headers()).await? else {
        return Ok(login_card(&app, &app.paths.login(None))?);
    };
    Ok(page(app.pages.profile(&ProfilePage {
        name: user.identity.name.as_deref().unwrap_or(&user.identity.email),
        email: &user.identity.email,
        picture: user.identity.picture.as_deref(),
        logout_url: &app.paths.to(paths::LOGOUT),
        account_url: &app.paths.to(paths::ACCOUNT),
    })?))
}
