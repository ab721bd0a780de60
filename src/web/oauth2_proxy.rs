//! `/oauth2/…`: the doors of oauth2-proxy, for proxies that were set up for it. Closed unless `gate.oauth2_proxy` opens them.
//!
//! | door | as there | here |
//! |---|---|---|
//! | `/oauth2/auth` | 202, 401, 403 | the same question as at [`super::gate`], and `allowed_…` on top of the rules |
//! | `/oauth2/start`, `/oauth2/sign_in` | a page, or off to the provider | on to our own `/login` |
//! | `/oauth2/sign_out` | signs out whoever comes | on to our own `/logout`, which asks whoever did not mean it |
//! | `/oauth2/userinfo` | JSON | the same fields |
//!
//! What narrowed access there must not widen it here: a parameter that is not understood, or that names nobody, refuses. And
//! since such a proxy tells nothing for certain but the host, a rule that looks at paths or methods refuses too.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, HOST, LOCATION};
use http::uri::Authority;
use http::{HeaderMap, StatusCode};
use poem::web::Data;
use poem::{Request, Response, handler};
use serde_json::json;
use url::form_urlencoded;

use crate::config::access::{domain, email};
use crate::login::return_to::ReturnTo;
use crate::model::Identity;
use crate::web::answer;
use crate::web::app::App;
use crate::web::error::{Error, Fault};
use crate::web::gate::{self, Judgement};
use crate::web::guard::forwarded;
use crate::web::visit::Visit;

/// Where oauth2-proxy is told what to come back to, beside `rd`.
const REDIRECT: &str = "x-auth-request-redirect";

/// May this request pass? 202 with the identity headers where it may.
pub async fn auth(
    headers: &HeaderMap,
    query: Option<&str>,
    authority: Option<&Authority>,
    app: &App,
    visit: &Visit,
) -> Result<Response, Error> {
    let narrowed = match Narrowed::read(query.unwrap_or_default()) {
        Ok(narrowed) => narrowed,
        Err(parameter) => {
            tracing::warn!(
                request_id = visit.request_id,
                parameter,
                "the gate stayed shut: /oauth2/auth was asked with a parameter that is not understood, or names nobody; \
                 write a rule of [gate] in its place"
            );
            return Err(Fault::Closed.into());
        }
    };
    let host = host(headers, authority);
    let scheme = app.public_url.as_url().scheme();
    let target = forwarded::read_by_host(headers, visit.is_behind_proxy, scheme, host);
    let target = target.map_err(|why| gate::unread(why, visit))?;
    let Judgement { caller, sign_in_first } = gate::judge(headers, app, visit, target.as_ref()).await?;
    // Where everybody passes, a list still wants somebody.
    if sign_in_first || (caller.is_none() && narrowed != Narrowed::default()) {
        return Ok(answer::failure(Fault::NotSignedIn.into(), app, visit));
    }
    if let Some(caller) = &caller {
        let groups: Vec<&str> = app.gate.groups_of(&caller.user).collect();
        if !narrowed.takes(&caller.user.identity, &groups) {
            tracing::info!(
                request_id = visit.request_id,
                user.id = caller.user.id.as_str(),
                "the gate stayed shut: a parameter of /oauth2/auth does not list this person"
            );
            return Err(Fault::NotThroughTheGate { email: caller.user.identity.email.clone(), return_to: None }.into());
        }
    }
    let mut response = gate::pass(app, caller.as_ref(), target.as_ref()).await?;
    response.set_status(StatusCode::ACCEPTED);
    Ok(response)
}

/// On to the sign-in.
#[handler]
pub fn sign_in(request: &Request, app: Data<&Arc<App>>, visit: Data<&Arc<Visit>>) -> Response {
    let return_to = return_to(request, &app, &visit);
    on(&app, &app.paths.login(return_to.as_ref()))
}

/// On to the log-out.
#[handler]
pub fn sign_out(request: &Request, app: Data<&Arc<App>>, visit: Data<&Arc<Visit>>) -> Response {
    let return_to = return_to(request, &app, &visit);
    on(&app, &app.paths.logout(return_to.as_ref()))
}

/// Who is signed in.
#[handler]
pub async fn userinfo(request: &Request, app: Data<&Arc<App>>) -> Result<Response, Error> {
    let caller = gate::caller(&app, request.headers()).await?.ok_or(Fault::NotSignedIn)?;
    let groups: Vec<&str> = app.gate.groups_of(&caller.user).collect();
    let mut info = json!({ "user": caller.user.id.as_str(), "email": caller.user.identity.email });
    if !groups.is_empty() {
        info["groups"] = json!(groups);
    }
    let response = Response::builder().content_type("application/json").header(CACHE_CONTROL, "no-store");
    Ok(response.body(info.to_string()))
}

/// To a page of ours, under our own host: these doors are reached under the apps' hosts too.
fn on(app: &App, path: &str) -> Response {
    let location = format!("{}{path}", app.public_url.origin());
    Response::builder().status(StatusCode::FOUND).header(LOCATION, location).header(CACHE_CONTROL, "no-store").finish()
}

fn host<'a>(headers: &'a HeaderMap, authority: Option<&'a Authority>) -> Option<&'a str> {
    authority.map(Authority::as_str).or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok()))
}

/// Where to come back to: `rd`, else what the proxy tells. A path means the host that was asked.
fn return_to(request: &Request, app: &App, visit: &Visit) -> Option<ReturnTo> {
    let query = request.uri().query().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "rd").map(|(_, rd)| rd.into_owned());
    let told = || request.headers().get(REDIRECT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let address = named.filter(|rd| !rd.is_empty()).or_else(|| told().filter(|_| visit.is_behind_proxy))?;
    let asked = host(request.headers(), request.uri().authority());
    let address = match asked {
        Some(host) if address.starts_with('/') && !address.starts_with("//") => {
            format!("{}://{host}{address}", app.public_url.as_url().scheme())
        }
        _ => address,
    };
    ReturnTo::parse(&address, &app.return_rules)
}

/// What the parameters of `/oauth2/auth` narrow access to; of each list that is there one entry has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowed {
    groups: Option<Vec<String>>,
    emails: Option<Vec<String>>,
    email_domains: Option<Vec<String>>,
}

impl Narrowed {
    /// Reads `query`; each list may be there several times, its entries parted by commas. An error: the name of a parameter
    /// that is not known, is empty, or holds an entry that names nobody.
    pub fn read(query: &str) -> Result<Self, String> {
        let mut narrowed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let (list, read): (_, fn(&str) -> Option<String>) = match name.as_ref() {
                "allowed_groups" => (&mut narrowed.groups, |entry| Some(entry.to_owned())),
                "allowed_emails" => (&mut narrowed.emails, |entry| email(entry).ok()),
                "allowed_email_domains" => (&mut narrowed.email_domains, |entry| domain(entry).ok()),
                _ => return Err(name.chars().filter(|c| !c.is_control()).take(64).collect()),
            };
            for entry in value.split(',').map(str::trim) {
                let entry = read(entry).filter(|entry| !entry.is_empty()).ok_or_else(|| name.to_string())?;
                list.get_or_insert_default().push(entry);
            }
        }
        Ok(narrowed)
    }

    /// Whether every list that is there holds this person.
    pub fn takes(&self, identity: &Identity, groups: &[&str]) -> bool {
        let email = identity.email.to_ascii_lowercase();
        let domain = email.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
        let holds = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|entry| entry == value))
        };
        let in_group =
            self.groups.as_ref().is_none_or(|list| list.iter().any(|entry| groups.contains(&entry.as_str())));
        in_group && holds(&self.emails, &email) && holds(&self.email_domains, domain)
    }
}
