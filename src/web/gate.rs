//! `/gate`: a proxy asks whether a request may pass to an app behind it.
//!
//! | answer | when |
//! |---|---|
//! | 200 | it may pass; every identity header is there, empty where nothing is known, so that the proxy overwrites what a client made up |
//! | 307 | it may pass by now, and nginx, which was told no a moment ago, hands our answer on: the browser asks once more |
//! | 302 | somebody must sign in first, it is a person's navigation, and the proxy passes our answer on |
//! | 401 | somebody must sign in first, for programs and for nginx, with `Location` to where that happens |
//! | 403 | this person may not, and asking again changes nothing: never a redirect, which would lead in circles |
//! | 400 | the headers contradict each other |
//! | 503 | the store cannot be asked: never 401, which would sign everybody out |

use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use poem::Response;

use crate::assertion::Subject;
use crate::config::gate::RemoteUser;
use crate::credential::Hashed;
use crate::gate::target::Target;
use crate::gate::{Person, Reason, Verdict};
use crate::login::return_to::ReturnTo;
use crate::metrics;
use crate::model::User;
use crate::web::answer;
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::guard::forwarded::{self, Contradiction, Forwarded, IDENTITY};
use crate::web::guard::{navigation, visitor};
use crate::web::visit::Visit;

/// Who asks, by which credential.
pub struct Caller {
    /// Who.
    pub user: User,
    credential: Hashed,
    is_token: bool,
}

/// What the rules say of a request that was not refused.
pub struct Judgement {
    /// Who asks, where somebody is known.
    pub caller: Option<Caller>,
    /// Whether it may pass only once somebody is signed in.
    pub sign_in_first: bool,
}

/// The query of a proxy that was told no a moment ago and now hands on what we say to the browser.
const IS_ANSWER: &str = "answer";

/// May this request pass?
pub async fn gate(headers: &HeaderMap, query: Option<&str>, app: &App, visit: &Visit) -> Result<Response, Error> {
    let asked = forwarded::read(headers, visit.is_behind_proxy).map_err(|why| unread(why, visit))?;
    let judged = judge(headers, app, visit, asked.target.as_ref()).await?;
    if judged.sign_in_first {
        return sign_in_first(app, headers, &asked, visit);
    }
    match &asked.target {
        // Between the two questions somebody was let in, or the database came back: the browser asks once more.
        Some(target) if query == Some(IS_ANSWER) => {
            let location = HeaderValue::try_from(target.url()).map_err(|_| Fault::Ambiguous)?;
            Ok(Response::builder().status(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, location).finish())
        }
        target => pass(app, judged.caller.as_ref(), target.as_ref()).await,
    }
}

/// Holds who asks against the rules for `target`. A request that may not pass is an error.
pub async fn judge(headers: &HeaderMap, app: &App, visit: &Visit, target: Option<&Target>) -> Result<Judgement, Error> {
    let caller = caller(app, headers).await?;
    let person = match &caller {
        None => Person::Nobody,
        Some(caller) if caller.is_token => Person::ByToken(&caller.user),
        Some(caller) => Person::BySession(&caller.user),
    };
    let verdict = app.gate.decide(target, person);
    count(&verdict);
    match verdict {
        Verdict::Pass(_) => Ok(Judgement { caller, sign_in_first: false }),
        Verdict::SignInFirst(_) => Ok(Judgement { caller, sign_in_first: true }),
        Verdict::Deny(reason) => {
            let user = caller.map(|caller| caller.user);
            let host = target.map(|target| target.host.as_str()).unwrap_or_default();
            let user_id = user.as_ref().map(|user| user.id.as_str()).unwrap_or_default();
            tracing::info!(
                request_id = visit.request_id,
                reason = reason.word(),
                user.id = user_id,
                host,
                "the gate stayed shut: {reason}"
            );
            match user {
                Some(user) => {
                    let (email, return_to) = (user.identity.email, return_to(app, target));
                    Err(Fault::NotThroughTheGate { email, return_to }.into())
                }
                None => Err(Fault::Closed.into()),
            }
        }
    }
}

/// A proxy tells what its visitor asks for in a way that cannot be read; the log says why.
pub fn unread(Contradiction(why): Contradiction, visit: &Visit) -> Fault {
    tracing::info!(
        request_id = visit.request_id,
        "the gate stayed shut: {why}; `doorward proxy-config` prints what a proxy has to send"
    );
    Fault::Ambiguous
}

fn count(verdict: &Verdict) {
    let (result, reason) = match verdict {
        Verdict::Pass(reason) => ("allow", reason),
        Verdict::SignInFirst(reason) => ("login", reason),
        Verdict::Deny(reason) => ("deny", reason),
    };
    match reason {
        Reason::Rule(number) => metrics::decision(result, &number.to_string()),
        other => metrics::decision(result, other.word()),
    }
}

/// By a token of ours where one is presented, else by the cookie. Whatever else stands in `Authorization` is the app's.
pub async fn caller(app: &App, headers: &HeaderMap) -> Result<Option<Caller>, Error> {
    let mut ours = headers.get_all(AUTHORIZATION).iter().filter_map(|value| visitor::token_of_ours(value.as_bytes()));
    match (ours.next(), ours.next()) {
        (Some(_), Some(_)) => Err(Fault::Ambiguous.into()),
        (Some(token), None) => match app.tokens.find(&token).await? {
            Some((token, user)) => Ok(Some(Caller { user, credential: token.hash, is_token: true })),
            None => Err(Fault::BadToken.into()),
        },
        (None, _) => {
            let found = visitor::session(app, headers).await?;
            Ok(found.map(|(_, session, user)| Caller { user, credential: session.handle, is_token: false }))
        }
    }
}

/// The answer to a request that may pass: 200 with every identity header.
pub async fn pass(app: &App, caller: Option<&Caller>, target: Option<&Target>) -> Result<Response, Error> {
    let mut response = Response::builder().status(StatusCode::OK).finish();
    let Some(caller) = caller else {
        for name in IDENTITY {
            response.headers_mut().insert(name, HeaderValue::from_static(""));
        }
        return Ok(response);
    };
    let user = &caller.user;
    let groups: Vec<&str> = app.gate.groups_of(user).collect();
    let assertion = match target {
        Some(target) => {
            let short = caller.credential.short();
            let session = (!caller.is_token).then_some(short.as_str());
            let subject = Subject { credential: caller.credential, session, user, groups: &groups };
            app.assertions.sign(subject, &target.origin()).await?.to_string()
        }
        None => String::new(),
    };
    let groups = groups.join(",");
    let identity = &user.identity;
    let name = match app.remote_user {
        RemoteUser::Email => identity.email.as_str(),
        RemoteUser::Id => user.id.as_str(),
    };
    let full_name = identity.name.as_deref().unwrap_or_default();
    // No provider of ours is asked for a preferred name: it stays empty, so that nobody can make one up.
    // Once for these and for what every answer gets.
    response.headers_mut().reserve(3 * IDENTITY.len());
    let values =
        [name, &identity.email, full_name, &groups, user.id.as_str(), &identity.email, "", &groups, &assertion];
    for (name, value) in IDENTITY.into_iter().zip(values) {
        response.headers_mut().insert(name, one_line(value));
    }
    Ok(response)
}

/// `text` as the value of a header, in UTF-8, without what could end a line or a string.
fn one_line(text: &str) -> HeaderValue {
    // Nearly always there is none, and an assertion is long.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    }
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    HeaderValue::from_bytes(clean.trim().as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What is asked for, as an address to come back to after a sign-in.
fn return_to(app: &App, target: Option<&Target>) -> Option<ReturnTo> {
    target.and_then(|target| ReturnTo::parse(&target.url(), &app.return_rules))
}

fn sign_in_first(app: &App, headers: &HeaderMap, asked: &Forwarded, visit: &Visit) -> Result<Response, Error> {
    let return_to = return_to(app, asked.target.as_ref());
    if let (Some(target), None) = (&asked.target, &return_to) {
        tracing::warn!(
            request_id = visit.request_id,
            origin = target.origin(),
            "whoever signs in for this app cannot be sent back to it: add its origin to apps.origins, or a rule with its \
             host to gate.rules"
        );
    }
    // Where the app is reached under another host, the path alone leads nowhere.
    let location = format!("{}{}", app.public_url.origin(), app.paths.login(return_to.as_ref()));
    let location = HeaderValue::try_from(location).map_err(|_| Fault::Ambiguous)?;
    let method = asked.target.as_ref().and_then(|target| target.method.as_deref());
    let is_reading = method.is_none_or(|method| matches!(method, "GET" | "HEAD"));
    let is_person = navigation::is_navigation(headers) && navigation::wants_html(headers) && is_reading;
    if asked.is_passed_on && is_person {
        return Ok(Response::builder().status(StatusCode::FOUND).header(LOCATION, location).finish());
    }
    let mut response = answer::failure(Fault::NotSignedIn.into(), app, visit);
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
