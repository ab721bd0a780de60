//! `/device`: a person types the code that their terminal shows, reads which machine asks, and decides. The code is
//! always typed: a link that held it would let a stranger send people to a page that is one click from letting his
//! program in (RFC 8628, section 5.4).

use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use poem::web::Data;
use poem::{Request, Response, handler};

use crate::devices::Typed;
use crate::model::{Device, EventKind, Scope, Session, User};
use crate::pages::ContinuePage;
use crate::pages::account::{DevicePage, WaitingDevice};
use crate::pages::moment::Moment;
use crate::web::account::{field, signed_in};
use crate::web::answer::{login_card, page};
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::guard::visitor;
use crate::web::paths;
use crate::web::visit::Visit;

/// The page with the field for the code.
#[handler]
pub async fn ask(request: &Request, app: Data<&Arc<App>>) -> Result<Response, Error> {
    let Some((_, session, user)) = visitor::session(&app, request.headers()).await? else {
        return Ok(login_card(&app, &app.paths.login_to(paths::DEVICE))?);
    };
    show(&app, &user, &session, None, None)
}

/// Looks up the code that was typed, or takes the decision about it.
#[handler]
pub async fn decide(
    request: &Request,
    body: Vec<u8>,
    app: Data<&Arc<App>>,
    visit: Data<&Arc<Visit>>,
) -> Result<Response, Error> {
    let (session, user) = signed_in(&app, request).await?;
    let code = field(&body, "code").ok_or(Fault::Ambiguous)?;
    let decision = field(&body, "decide");
    // It ends in a token, so it is held to the same.
    if !app.sessions.is_fresh(&session) {
        return Err(Fault::SignInAgain.into());
    }
    let device = match app.devices.typed(&code, &user.id, &visit.address).await? {
        Typed::Waiting(device) => device,
        Typed::Unknown => {
            let sentence = "No terminal waits under this code. Look at it again; after ten minutes the terminal must \
                            begin anew.";
            return refuse(&app, &user, &session, StatusCode::BAD_REQUEST, sentence);
        }
        Typed::TooMany(wait) => {
            let minutes = minutes(wait);
            let sentence = format!("There were too many wrong codes. Wait {minutes}, then try again.");
            let mut response = refuse(&app, &user, &session, StatusCode::TOO_MANY_REQUESTS, &sentence)?;
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
            return Ok(response);
        }
    };
    let approved = match decision.as_deref() {
        None => return show(&app, &user, &session, Some((&device, &code)), None),
        Some("approve") => true,
        Some("deny") => false,
        Some(_) => return Err(Fault::Ambiguous.into()),
    };
    if approved && app.tokens.is_full(&user.id).await? {
        let sentence = "You have as many tokens as anybody may. Revoke one at your account, then type the code again.";
        return refuse(&app, &user, &session, StatusCode::CONFLICT, sentence);
    }
    if !app.devices.decide(&device, &user.id, approved).await? {
        let sentence = "This was decided already, or the code has become too old meanwhile. Look at the terminal: where \
                        it still waits, begin anew there.";
        return refuse(&app, &user, &session, StatusCode::BAD_REQUEST, sentence);
    }
    let kind = if approved { EventKind::TerminalApproved } else { EventKind::TerminalDenied };
    app.record(kind, &user.id, &visit.origin(), &format!("{} at {}", device.machine, device.address)).await;
    let (heading, what) = if approved {
        (
            "You can go back to your terminal",
            "It is signed in as you within a few seconds. Your account lists its token.",
        )
    } else {
        ("Nobody was let in", "The terminal is told so, and its code is worth nothing any more.")
    };
    let account = app.paths.to(paths::ACCOUNT);
    Ok(page(app.pages.cont(&ContinuePage { heading, what, way_on: ("Go to your account", &account) })?))
}

fn minutes(wait: Duration) -> String {
    match wait.as_secs().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

fn refuse(app: &App, user: &User, session: &Session, status: StatusCode, sentence: &str) -> Result<Response, Error> {
    let mut response = show(app, user, session, None, Some(sentence))?;
    response.set_status(status);
    Ok(response)
}

fn show(
    app: &App,
    user: &User,
    session: &Session,
    waiting: Option<(&Device, &str)>,
    refusal: Option<&str>,
) -> Result<Response, Error> {
    let now = app.clock.now();
    let waiting = waiting.map(|(device, code)| WaitingDevice {
        code: code.to_owned(),
        machine: device.machine.clone(),
        address: device.address.clone(),
        asked: Moment::new(device.created_at, now),
        scope: match device.scope {
            Scope::Me => "who you are",
            Scope::Account => "who you are, where you are signed in, and which tokens you have",
        },
    });
    Ok(page(app.pages.device(&DevicePage {
        email: &user.identity.email,
        waiting,
        refusal,
        is_fresh: app.sessions.is_fresh(session),
        device_url: &app.paths.to(paths::DEVICE),
        fresh_sign_in_url: &app.paths.fresh_sign_in(paths::DEVICE),
        home_url: &app.paths.to(paths::HOME),
    })?))
}
