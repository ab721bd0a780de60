//! What a person sees: one typed function per page, a template of the same name in `assets/pages`.
//!
//! A page is a struct; what its template names beyond that is an error, not a blank. Everything that is put into a
//! template is escaped, whoever it came from. Leaves nothing behind and knows no HTTP. The templates lie in the binary;
//! where the owner has others, `own` reads them, and `look` makes sure that every page can be made of them.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use crate::config::pages as config;
use crate::pages::assets::{Asset, Assets};
use crate::pages::docs::Docs;
use crate::pages::initials::initials;
use crate::pages::look::{Flaw, Look};
use crate::pages::own::Own;

pub mod account;
pub mod assets;
pub mod browser;
mod docs;
pub mod initials;
mod look;
pub mod moment;
mod own;
mod prose;
pub mod samples;
mod schema;
mod theme;

pub use self::look::embedded_templates;
pub use self::own::CUSTOM_STYLE;

/// Above this many characters a name is set in small type, so that the card keeps its shape.
const LONG_NAME: usize = 40;

/// Renders pages.
pub struct Pages {
    config: config::Pages,
    base: String,
    shown: Mutex<Shown>,
}

/// How the pages look now.
#[derive(Clone)]
struct Shown {
    /// What the owner's files held when they were read last.
    own: Arc<Own>,
    look: Arc<Look>,
    /// Our templates with the owner's colours and logo, for when one of the owner's fails a page.
    spare: Arc<Look>,
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
    /// Where "Your account" leads.
    pub account_url: &'a str,
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
    /// What to do, in a sentence.
    pub advice: &'a str,
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

/// The way out of a window inside another app, where the provider signs nobody in.
#[derive(Clone, Debug, Serialize)]
pub struct InAppPage<'a> {
    /// What people call the app, where it says: `Instagram`.
    pub app: Option<&'a str>,
    /// The provider: `Google`.
    pub provider_label: &'a str,
    /// What to open in the browser.
    pub address: &'a str,
    /// A link that asks the system for its browser, where there is one.
    pub open_url: Option<&'a str>,
    /// Where the sign-in starts all the same.
    pub stay_url: &'a str,
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
#[error("the page {page} could not be rendered: {source}")]
pub struct PageError {
    /// Which page.
    pub page: Cow<'static, str>,
    /// Why.
    #[source]
    pub source: minijinja::Error,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Pages {
    /// Renders with `config`; `base` is the path of `public_url` (empty or `/auth`) that all our links begin with. Reads
    /// the owner's files; of what is wrong with them the log tells, and ours stand in their place.
    pub fn new(config: &config::Pages, base: &str) -> Self {
        let own = Own::read(config);
        let spare = Arc::new(Look::embedded(&own, config, base));
        let (look, flaws) = Look::build(&own, config, base, &spare);
        tell("ours is used instead", &flaws);
        if let Some(dir) = &config.dir {
            tracing::info!(dir = %dir.display(), files = own.names().join(" "), "the pages are made of the owner's files");
        }
        let shown = Shown { own: Arc::new(own), look, spare };
        Self { config: config.clone(), base: base.to_owned(), shown: Mutex::new(shown) }
    }

    /// The same with links that begin with `base`. What is wrong with the owner's files is said of the first alone.
    pub fn below(&self, base: &str) -> Self {
        let shown = self.lock().clone();
        let spare = Arc::new(Look::embedded(&shown.own, &self.config, base));
        let look = shown.look.below(&shown.own, &self.config, base).map_or_else(|_| Arc::clone(&spare), Arc::new);
        let shown = Shown { own: shown.own, look, spare };
        Self { config: self.config.clone(), base: base.to_owned(), shown: Mutex::new(shown) }
    }

    /// What is wrong with the owner's files that `config` names, a line for each.
    pub fn flaws(config: &config::Pages) -> Vec<String> {
        let own = Own::read(config);
        let spare = Arc::new(Look::embedded(&own, config, ""));
        let (_, flaws) = Look::build(&own, config, "", &spare);
        flaws.iter().map(Flaw::to_string).collect()
    }

    /// Renders with `look` and nothing to fall back on, to see whether every page can be made of it. Reads no file.
    fn trial(look: Arc<Look>) -> Self {
        let shown = Shown { own: Arc::default(), spare: Arc::clone(&look), look };
        Self { config: config::Pages::default(), base: String::new(), shown: Mutex::new(shown) }
    }

    /// The public file that is served under `name`, the owner's before ours; see [`Assets::file`].
    pub fn asset(&self, name: &str) -> Option<Asset> {
        self.shown().look.asset(name).or_else(|| Assets::file(name))
    }

    /// How the pages look; with `reload`, after a look at the owner's files.
    fn shown(&self) -> Shown {
        let mut shown = self.lock();
        if self.config.reload {
            // Compared by what is in them: two saves may bear one time, and a dozen small files are soon read.
            let own = Own::read(&self.config);
            if own != *shown.own {
                *shown = Self::reloaded(own, &self.config, &self.base, &shown);
            }
        }
        shown.clone()
    }

    /// The same by another configuration: whatever does not do in it stays as it was.
    pub fn again(&self, config: &config::Pages) -> Self {
        let before = self.lock().clone();
        let shown = Self::reloaded(Own::read(config), config, &self.base, &before);
        Self { config: config.clone(), base: self.base.clone(), shown: Mutex::new(shown) }
    }

    fn reloaded(own: Own, config: &config::Pages, base: &str, before: &Shown) -> Shown {
        let spare = Arc::new(Look::embedded(&own, config, base));
        let (look, flaws) = Look::build(&own, config, base, &before.look);
        tell("the last good one stays in use", &flaws);
        if flaws.is_empty() && config.dir.is_some() {
            tracing::info!("the pages are made anew of the owner's files");
        }
        Shown { own: Arc::new(own), look, spare }
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        // What is in it is replaced whole, so that a panic leaves nothing half-made.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The way out of another app.
    pub fn in_app(&self, page: &InAppPage<'_>) -> Result<Html, PageError> {
        self.render("in_app.html", page, Value::UNDEFINED)
    }

    /// The API, readable.
    pub fn docs(&self, page: &DocsPage<'_>) -> Result<Html, PageError> {
        self.render("docs.html", page, context! { docs => Value::from(Serde(Docs::of(page))) })
    }

    /// Renders the template `name` with `page` under that name, and what was worked out from it as `more`.
    fn render(&self, name: &'static str, page: &impl Serialize, more: Value) -> Result<Html, PageError> {
        let context = context! { page => Value::from(Serde(page)), more };
        let Shown { look, spare, .. } = self.shown();
        let error = match look.render(name, &context) {
            Ok(html) => return Ok(html),
            Err(error) => error,
        };
        if !Arc::ptr_eq(&look, &spare) {
            // Nobody should meet a dead end because of a template that the samples did not try hard enough.
            tell("this answer is made of ours", &[look::flaw(&error, &self.config)]);
            if let Ok(html) = spare.render(name, &context) {
                return Ok(html);
            }
        }
        Err(PageError { page: name.into(), source: error })
    }
}

/// Says in the log what is wrong with the owner's files, and what happens now.
fn tell(so: &str, flaws: &[Flaw]) {
    for flaw in flaws {
        tracing::error!("{flaw}; {so}");
    }
}
