//! What a person sees: one typed function per page, a template of the same name in `assets/pages`.
//!
//! A page is a struct; what its template names beyond that is an error, not a blank. Everything that is put into a
//! template is escaped, whoever it came from. Leaves nothing behind, knows no HTTP and reads no file: the templates lie
//! in the binary.

use std::borrow::Cow;
use std::fmt;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior, Value, context};
use rust_embed::RustEmbed;
use serde::Serialize;

use crate::pages::assets::Assets;
use crate::pages::docs::Docs;
use crate::pages::initials::initials;

pub mod assets;
mod docs;
pub mod initials;
mod prose;
pub mod samples;
mod schema;

/// Above this many characters a name is set in small type, so that the card keeps its shape.
const LONG_NAME: usize = 40;

#[derive(RustEmbed)]
#[folder = "assets/pages"]
struct Templates;

/// Renders pages.
pub struct Pages {
    templates: Environment<'static>,
    site: Value,
}

/// A page, ready to be sent as `text/html; charset=utf-8`.
pub type Html = String;

/// The card "Login to continue".
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
pub struct LogoutPage<'a> {
    /// Where the form posts to.
    pub logout_url: &'a str,
    /// Where "Stay signed in" leads.
    pub home_url: &'a str,
    /// The account that would be logged out.
    pub email: &'a str,
}

/// For somebody who is known but not let in.
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
pub struct ContinuePage<'a> {
    /// The title and heading: "You are signed out".
    pub heading: &'a str,
    /// What happened, in one sentence.
    pub what: &'a str,
    /// The link, as its words and where it leads.
    pub way_on: (&'a str, &'a str),
}

/// The API, readable, rendered from its OpenAPI document.
#[derive(Clone, Debug, Serialize)]
pub struct DocsPage<'a> {
    /// The document (OpenAPI 3.0).
    #[serde(skip)]
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

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("site", &self.site).finish_non_exhaustive()
    }
}

impl Pages {
    /// Renders with `config`; `base` is the path of `public_url` (empty or `/auth`) that all our links begin with.
    pub fn new(config: &crate::config::pages::Pages, base: &str) -> Self {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_formatter(escape);
        // The name decides elsewhere whether a template is escaped; here there is nothing to forget.
        templates.set_auto_escape_callback(|_| AutoEscape::Html);
        for name in Templates::iter() {
            let file = Templates::get(&name).expect("a name that the binary lists itself");
            let source = String::from_utf8(file.data.into_owned()).expect("templates are UTF-8");
            templates.add_template_owned(name, source).expect("templates were parsed by the tests");
        }
        let asset = |name: &str| format!("{base}{}", Assets::path(name).expect("an embedded file"));
        let site = context! {
            title => &config.title,
            home => format!("{base}/"),
            style => asset("app.css"),
            logo => asset("logo.svg"),
            icon => asset("favicon.svg"),
        };
        Self { templates, site }
    }

    /// The card "Login to continue".
    pub fn login(&self, page: &LoginPage<'_>) -> Result<Html, PageError> {
        self.render("login.html", page, Value::UNDEFINED)
    }

    /// Who is signed in, with the button that ends it.
    pub fn profile(&self, page: &ProfilePage<'_>) -> Result<Html, PageError> {
        // Whoever called has looked at the picture's host; that it is fetched at all, and not run, is decided here.
        let picture = page.picture.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        let name_is_long = page.name.chars().count() > LONG_NAME;
        let initials = initials(page.name, page.email);
        self.render("profile.html", page, context! { picture, name_is_long, initials })
    }

    /// The question before a log-out that another site may have asked for.
    pub fn logout(&self, page: &LogoutPage<'_>) -> Result<Html, PageError> {
        self.render("logout.html", page, Value::UNDEFINED)
    }

    /// Known, but not let in.
    pub fn denied(&self, page: &DeniedPage<'_>) -> Result<Html, PageError> {
        self.render("denied.html", page, Value::UNDEFINED)
    }

    /// Something went wrong, and here is the way on.
    pub fn error(&self, page: &ErrorPage<'_>) -> Result<Html, PageError> {
        self.render("error.html", page, Value::UNDEFINED)
    }

    /// The way on leads to another site.
    pub fn cont(&self, page: &ContinuePage<'_>) -> Result<Html, PageError> {
        self.render("continue.html", page, Value::UNDEFINED)
    }

    /// The API, readable.
    pub fn docs(&self, page: &DocsPage<'_>) -> Result<Html, PageError> {
        self.render("docs.html", page, context! { docs => Value::from(Serde(Docs::of(page))) })
    }

    /// Renders the template `name` with `page` under that name, and what was worked out from it as `more`.
    fn render(&self, name: &'static str, page: &impl Serialize, more: Value) -> Result<Html, PageError> {
        let error = |source| PageError { page: name.into(), source };
        let template = self.templates.get_template(name).map_err(error)?;
        template.render(context! { site => &self.site, page => Value::from(Serde(page)), more }).map_err(error)
    }
}

/// Escapes what HTML 5.2 names for text and for quoted attributes. The engine's own escaping turns `/` into `&#x2f;`
/// besides, which makes every address in a page's source unreadable and protects nothing in quotes.
fn escape(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    let Some(text) = value.as_str().filter(|_| !value.is_safe()) else {
        return minijinja::escape_formatter(out, state, value);
    };
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        out.write_str(&rest[..at])?;
        out.write_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        })?;
        rest = &rest[at + 1..];
    }
    Ok(out.write_str(rest)?)
}
