//! How the pages look: the templates in use, the files beside them, and what every page is told of the site. A look is
//! made whole or not at all: of the owner's templates only those are taken with which every sample can be rendered.
//! Leaves nothing behind and reads no file.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, Error, Output, State, UndefinedBehavior, Value, context};
use rust_embed::RustEmbed;

use crate::config::pages as config;
use crate::pages::assets::{Asset, Assets, OwnFile};
use crate::pages::own::Own;
use crate::pages::{Html, Pages, samples, theme};

#[derive(RustEmbed)]
#[folder = "assets/pages"]
struct Templates;

/// A way for pages to look.
pub struct Look {
    sources: BTreeMap<String, String>,
    templates: Environment<'static>,
    site: Value,
    files: Vec<OwnFile>,
}

/// What is wrong with one of the owner's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// What is so, without a subject.
    pub what: String,
    /// The template that the file is, if it is one.
    pub template: Option<String>,
}

/// `pages/login.html:3: undefined value`
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl Flaw {
    /// `what` is so with the whole of `file`.
    pub fn of_file(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, what: what.into(), template: None }
    }
}

/// The templates that lie in the binary: their names, and what is in them.
pub fn embedded_templates() -> impl Iterator<Item = (Cow<'static, str>, String)> {
    Templates::iter().map(|name| {
        let file = Templates::get(&name).expect("a name that the binary lists itself");
        (name, String::from_utf8(file.data.into_owned()).expect("templates are UTF-8"))
    })
}

impl Look {
    /// Our templates, with the owner's style, logo and colours.
    pub fn embedded(own: &Own, config: &config::Pages, base: &str) -> Self {
        let sources = embedded_templates().map(|(name, source)| (name.into_owned(), source)).collect();
        Self::of(sources, own, config, base).expect("templates were parsed by the tests")
    }

    /// The owner's templates where there are any that do. What breaks is as it was in `before`; where nothing helps,
    /// all is. Also what is wrong.
    pub fn build(own: &Own, config: &config::Pages, base: &str, before: &Arc<Self>) -> (Arc<Self>, Vec<Flaw>) {
        let mut flaws = own.flaws.clone();
        let embedded: BTreeMap<_, _> = embedded_templates().map(|(name, source)| (name.into_owned(), source)).collect();
        let mut sources = embedded.clone();
        sources.extend(own.templates.clone());
        let unread: Vec<_> = own.flaws.iter().filter_map(|flaw| flaw.template.clone()).collect();
        unread.iter().for_each(|name| restore(&mut sources, name, &before.sources));
        if own.templates.is_empty() && unread.is_empty() {
            return (Arc::new(Self::embedded(own, config, base)), flaws);
        }
        // First what was good before, then ours: each template can fail twice.
        let mut restored = BTreeSet::new();
        for _ in 0..=2 * sources.len() {
            let error = match Self::tried(sources.clone(), own, config, base) {
                Ok(look) => return (look, flaws),
                Err(error) => error,
            };
            let flaw = flaw(&error, config);
            let name = flaw.template.clone().filter(|name| own.templates.contains_key(name));
            if !name.as_ref().is_some_and(|name| restored.contains(name)) {
                flaws.push(flaw);
            }
            match name {
                Some(name) if restored.insert(name.clone()) => restore(&mut sources, &name, &before.sources),
                Some(name) if sources.get(&name) != embedded.get(&name) => restore(&mut sources, &name, &embedded),
                _ => break,
            }
        }
        (Arc::clone(before), flaws)
    }

    /// A look with which every sample was rendered.
    fn tried(
        sources: BTreeMap<String, String>,
        own: &Own,
        config: &config::Pages,
        base: &str,
    ) -> Result<Arc<Self>, Error> {
        let look = Arc::new(Self::of(sources, own, config, base)?);
        for (_, rendered) in samples::all(&Pages::trial(Arc::clone(&look))) {
            rendered.map_err(|error| error.source)?;
        }
        Ok(look)
    }

    fn of(sources: BTreeMap<String, String>, own: &Own, config: &config::Pages, base: &str) -> Result<Self, Error> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_formatter(escape);
        // The name decides elsewhere whether a template is escaped; here there is nothing to forget.
        templates.set_auto_escape_callback(|_| AutoEscape::Html);
        templates.add_filter("pieces", pieces);
        for (name, source) in &sources {
            templates.add_template_owned(name.clone(), source.clone())?;
        }
        let theme = config.accent.as_ref().map(|accent| OwnFile::new(theme::NAME, theme::style(accent).into_bytes()));
        let asset = |name: &str| format!("{base}{}", Assets::path(name).expect("an embedded file"));
        let ours = |file: &OwnFile| format!("{base}{}", file.path());
        // The owner's comes last: what it says stands over the rest.
        let styles: Vec<_> = [&theme, &own.style].into_iter().flatten().map(ours).collect();
        let site = context! {
            title => &config.title,
            home => format!("{base}/"),
            styles => [vec![asset("app.css")], styles].concat(),
            logo => own.logo.as_ref().map_or_else(|| asset("logo.svg"), ours),
            logo_is_own => own.logo.is_some(),
            icon => own.logo.as_ref().map_or_else(|| asset("favicon.svg"), ours),
            icon_type => own.logo.as_ref().map_or("image/svg+xml", OwnFile::mime),
        };
        let files = [theme, own.style.clone(), own.logo.clone()].into_iter().flatten().collect();
        Ok(Self { sources, templates, site, files })
    }

    /// The same templates with links that begin with `base`.
    pub fn below(&self, own: &Own, config: &config::Pages, base: &str) -> Result<Self, Error> {
        Self::of(self.sources.clone(), own, config, base)
    }

    /// Renders the template `name`.
    pub fn render(&self, name: &str, context: &Value) -> Result<Html, Error> {
        self.templates.get_template(name)?.render(context! { site => &self.site, ..context.clone() })
    }

    /// The owner's file that is served under `name`.
    pub fn asset(&self, name: &str) -> Option<Asset> {
        self.files.iter().find_map(|file| file.file(name))
    }
}

/// `text` after each `_`, `.` and `/`, where a name or an address may go on in the next line: `last_`, `login_`, `at`.
fn pieces(text: String) -> Vec<String> {
    text.split_inclusive(['_', '.', '/']).map(str::to_owned).collect()
}

fn restore(sources: &mut BTreeMap<String, String>, name: &str, good: &BTreeMap<String, String>) {
    match good.get(name) {
        Some(source) => drop(sources.insert(name.to_owned(), source.clone())),
        None => drop(sources.remove(name)),
    }
}

/// What `error` says, with the file that it arose in.
pub fn flaw(error: &Error, config: &config::Pages) -> Flaw {
    // A template that another one includes fails within that one; the innermost is the one to mend.
    let mut innermost = error;
    while let Some(source) = innermost.source().and_then(|source| source.downcast_ref::<Error>()) {
        innermost = source;
    }
    let named = if innermost.name().is_some() { innermost } else { error };
    let file = config.dir.clone().unwrap_or_default().join(named.name().unwrap_or_default());
    let what = match innermost.detail() {
        Some(detail) => format!("{}: {detail}", innermost.kind()),
        None => innermost.kind().to_string(),
    };
    Flaw { file, line: named.line(), what, template: named.name().map(str::to_owned) }
}

/// Escapes what HTML 5.2 names for text and for quoted attributes. The engine's own escaping turns `/` into `&#x2f;`
/// besides, which makes every address in a page's source unreadable and protects nothing in quotes.
fn escape(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
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
