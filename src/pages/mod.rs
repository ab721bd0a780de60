//! What a person sees: one typed function per page.

use std::borrow::Cow;

/// Renders pages.
pub struct Pages {}

/// A page, ready to be sent as `text/html; charset=utf-8`.
pub type Html = String;

/// The card "Login to continue".
#[derive(Clone, Debug)]
pub struct LoginPage<'a> {
    /// Where the button leads: `/login`, with `rd` where there is one.
    pub login_url: &'a str,
    /// What the button names: `Google`.
    pub provider_label: &'a str,
    /// Whether it is Google's own button, by Google's rules.
    pub is_google: bool,
    /// A sentence above the button, such as "You are signed out."
    pub notice: Option<&'a str>,
}

/// The profile of who is signed in.
#[derive(Clone, Debug)]
pub struct ProfilePage<'a> {
    /// The person's name.
    pub name: &'a str,
    /// Their address.
    pub email: &'a str,
    /// Their picture, when its host is one whose pictures we show.
    pub picture: Option<&'a str>,
    /// Where the log-out form posts to.
    pub logout_url: &'a str,
}

/// "Log out?" with one button.
#[derive(Clone, Debug)]
pub struct LogoutPage<'a> {
    /// Where the form posts to.
    pub logout_url: &'a str,
    /// Where "Stay signed in" leads.
    pub home_url: &'a str,
    /// The account that would be logged out.
    pub email: &'a str,
}

/// For somebody who is known but not let in.
#[derive(Clone, Debug)]
pub struct DeniedPage<'a> {
    /// The account they used.
    pub email: &'a str,
    /// Why, in a sentence.
    pub sentence: &'a str,
    /// Where "Use another account" leads; the provider's chooser is shown there.
    pub other_account_url: &'a str,
    /// The request's id, to tell the operator.
    pub request_id: &'a str,
}

/// Something went wrong: what happened, what to do, one button that does it.
#[derive(Clone, Debug)]
pub struct ErrorPage<'a> {
    /// The title and heading: "Page not found".
    pub heading: &'a str,
    /// What happened, in one sentence.
    pub what: &'a str,
    /// What to do, in one sentence.
    pub advice: &'a str,
    /// The button, as its words and where it leads.
    pub way_on: (&'a str, &'a str),
    /// The request's id, to tell the operator.
    pub request_id: &'a str,
}

/// The way on leads to another site: a link, since a form may not be redirected there.
#[derive(Clone, Debug)]
pub struct ContinuePage<'a> {
    /// The title and heading: "You are signed out".
    pub heading: &'a str,
    /// What happened, in one sentence.
    pub what: &'a str,
    /// The link, as its words and where it leads.
    pub way_on: (&'a str, &'a str),
}

/// The API, readable, rendered from its OpenAPI document.
#[derive(Clone, Debug)]
pub struct DocsPage<'a> {
    /// The document (OpenAPI 3.0).
    pub openapi: &'a serde_json::Value,
    /// Where the document itself lies.
    pub openapi_url: &'a str,
    /// The address the API is reached at: `https://example.com/auth/api`.
    pub server_url: &'a str,
}

/// A page could not be rendered: a defect of a template.
#[derive(Debug, thiserror::Error)]
#[error("the page {page} could not be rendered")]
pub struct PageError {
    /// Which page.
    pub page: Cow<'static, str>,
    /// Why.
    #[source]
    pub source: minijinja::Error,
}

impl Pages {
    /// Renders with `config`; `base` is the path of `public_url` (empty or `/auth`) that all our links begin with.
    pub fn new(config: &crate::config::pages::Pages, base: &str) -> Self {
        let _ = (config, base);
        unimplemented!()
    }

    /// The card "Login to continue".
    pub fn login(&self, page: &LoginPage<'_>) -> Result<Html, PageError> {
        let _ = page;
        unimplemented!()
    }
    // profile, logout, denied, error, cont, docs: likewise, one for each struct
}
