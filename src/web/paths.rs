//! Every address of ours, spelled once.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::public_url::PublicUrl;
use crate::login::return_to::ReturnTo;

/// The card, or the profile.
pub const HOME: &str = "/";
/// Starts a sign-in.
pub const LOGIN: &str = "/login";
/// Where the provider sends browsers back to.
pub const CALLBACK: &str = "/login/callback";
/// Ends a session.
pub const LOGOUT: &str = "/logout";
/// Everything for programs lies below it.
pub const API: &str = "/api";
/// The visitor as JSON.
pub const ME: &str = "/api/me";
/// What a person keeps here.
pub const ACCOUNT: &str = "/account";
/// Where a person ends sessions.
pub const ACCOUNT_SESSIONS: &str = "/account/sessions";
/// Where a person makes and revokes tokens.
pub const ACCOUNT_TOKENS: &str = "/account/tokens";
/// Everything kept about a person, as a file.
pub const DOWNLOAD: &str = "/account/download";
/// Where a person types the code that their terminal shows.
pub const DEVICE: &str = "/device";
/// Where a program asks to be let in.
pub const DEVICES: &str = "/api/device";
/// Where it asks whether it may.
pub const DEVICE_TOKEN: &str = "/api/device/token";
/// Where a person deletes their account.
pub const DELETE: &str = "/account/delete";
/// The browsers they are signed in with.
pub const SESSIONS: &str = "/api/sessions";
/// One of them.
pub const SESSION: &str = "/api/sessions/:id";
/// The credentials of their programs.
pub const TOKENS: &str = "/api/tokens";
/// One of them.
pub const TOKEN: &str = "/api/tokens/:id";
/// The OpenAPI document.
pub const OPENAPI: &str = "/api/openapi.json";
/// The OpenAPI document, readable.
pub const DOCS: &str = "/api/docs";
/// A proxy asks whether a request may pass.
pub const GATE: &str = "/gate";
/// The same, for proxies that were set up for oauth2-proxy; so are the next four.
pub const OAUTH2_AUTH: &str = "/oauth2/auth";
/// Starts a sign-in.
pub const OAUTH2_START: &str = "/oauth2/start";
/// Starts a sign-in.
pub const OAUTH2_SIGN_IN: &str = "/oauth2/sign_in";
/// Ends a session.
pub const OAUTH2_SIGN_OUT: &str = "/oauth2/sign_out";
/// Who is signed in.
pub const OAUTH2_USERINFO: &str = "/oauth2/userinfo";
/// The keys of assertions.
pub const JWKS: &str = "/.well-known/jwks.json";
/// The process is alive.
pub const HEALTHZ: &str = "/healthz";
/// It can do its work.
pub const READYZ: &str = "/readyz";
/// Files embedded in the binary.
pub const ASSET: &str = "/assets/:name";
/// For browsers that ask unasked.
pub const FAVICON: &str = "/favicon.ico";
/// For crawlers.
pub const ROBOTS: &str = "/robots.txt";

/// A door: where it is and how it may be knocked on.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// Its path below that of `public_url`; a part that begins with `:` stands for any other.
    pub path: &'static str,
    /// The methods it takes, as `Allow` lists them (RFC 9110, section 10.2.1).
    pub allow: &'static str,
    /// Whether it shows a page, so that another `Host` is sent to the right one.
    pub is_page: bool,
    /// Whether changes are taken from whoever asks, without proof that a page of ours does: nothing that a browser sends
    /// by itself is looked at there.
    pub takes_strangers: bool,
}

const fn page(path: &'static str, allow: &'static str) -> Door {
    Door { path, allow, is_page: true, takes_strangers: false }
}

const fn data(path: &'static str) -> Door {
    change(path, "GET, HEAD")
}

const fn change(path: &'static str, allow: &'static str) -> Door {
    Door { path, allow, is_page: false, takes_strangers: false }
}

const fn open(path: &'static str, allow: &'static str) -> Door {
    Door { path, allow, is_page: false, takes_strangers: true }
}

/// Every method there is: the door changes nothing, and whoever asks there asks for somebody else's request.
const ANY: &str = "*";

impl Door {
    /// Whether it takes `method`.
    pub fn takes(&self, method: &Method) -> bool {
        self.takes_any() || self.allow.split(", ").any(|allowed| allowed == method.as_str())
    }

    /// Whether it takes every method and changes nothing by any.
    pub fn takes_any(&self) -> bool {
        self.allow == ANY
    }
}

/// The list of doors.
pub const DOORS: &[Door] = &[
    page(HOME, "GET, HEAD"),
    page(LOGIN, "GET, HEAD"),
    page(CALLBACK, "GET, HEAD"),
    page(LOGOUT, "GET, HEAD, POST"),
    page(ACCOUNT, "GET, HEAD"),
    page(ACCOUNT_SESSIONS, "POST"),
    page(ACCOUNT_TOKENS, "POST"),
    page(DOWNLOAD, "GET, HEAD"),
    page(DELETE, "GET, HEAD, POST"),
    page(DEVICE, "GET, HEAD, POST"),
    data(ME),
    open(DEVICES, "POST"),
    open(DEVICE_TOKEN, "POST"),
    change(SESSIONS, "GET, HEAD, DELETE"),
    change(SESSION, "DELETE"),
    change(TOKENS, "GET, HEAD, POST"),
    change(TOKEN, "DELETE"),
    data(OPENAPI),
    data(DOCS),
    change(GATE, ANY),
    change(OAUTH2_AUTH, ANY),
    data(OAUTH2_START),
    data(OAUTH2_SIGN_IN),
    data(OAUTH2_SIGN_OUT),
    data(OAUTH2_USERINFO),
    data(JWKS),
    data(HEALTHZ),
    data(READYZ),
    data(ASSET),
    data(FAVICON),
    data(ROBOTS),
];

/// Whether the door at `path` is one of oauth2-proxy's.
pub fn is_of_oauth2_proxy(path: &str) -> bool {
    path.starts_with("/oauth2/")
}

/// The door at `path`, which is below the path of `public_url`.
pub fn door(path: &str) -> Option<&'static Door> {
    // Most addresses are spelled out, and comparing them costs less than taking two apart for every door on the way.
    let spelled_out = DOORS.iter().find(|door| door.path == path);
    spelled_out.or_else(|| DOORS.iter().find(|door| is_at(door.path, path)))
}

/// Whether `path` is of the form `door`, part by part.
fn is_at(door: &str, path: &str) -> bool {
    let (mut door, mut path) = (door.split('/'), path.split('/'));
    loop {
        match (door.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == part || (wanted.starts_with(':') && !part.is_empty()) => {}
            _ => return false,
        }
    }
}

/// Whether `path`, which is below the path of `public_url`, lies where programs ask, be there a door or not.
pub fn is_for_programs(path: &str) -> bool {
    path.strip_prefix(API).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The methods that change nothing (RFC 9110, section 9.2.1).
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Characters that stand for themselves in the value of a query parameter.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Our addresses, relative to the host, below the path of `public_url`.
#[derive(Clone, Debug)]
pub struct Paths {
    base: String,
}

impl Paths {
    /// Below the path of `public_url`.
    pub fn new(public_url: &PublicUrl) -> Self {
        Self { base: public_url.path().to_owned() }
    }

    /// The same as absolute addresses, for answers that are shown under another host than ours.
    pub fn absolute(public_url: &PublicUrl) -> Self {
        Self { base: public_url.join("") }
    }

    /// What all our addresses begin with: empty, or `/auth`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The address of `door`.
    pub fn to(&self, door: &str) -> String {
        format!("{}{door}", self.base)
    }

    /// What remains of `path` below ours; `None` where it lies elsewhere.
    pub fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        match path.strip_prefix(&self.base)? {
            "" => Some(HOME),
            rest => rest.starts_with('/').then_some(rest),
        }
    }

    /// Where a sign-in starts that ends at `return_to`.
    pub fn login(&self, return_to: Option<&ReturnTo>) -> String {
        self.returning(LOGIN, return_to)
    }

    /// Where a sign-in starts that ends at `door`.
    pub fn login_to(&self, door: &str) -> String {
        format!("{}?rd={}", self.to(LOGIN), utf8_percent_encode(&self.to(door), PLAIN))
    }

    /// Where a sign-in starts that proves anew who somebody is and ends at `door`.
    pub fn fresh_sign_in(&self, door: &str) -> String {
        with_prompt(self.login_to(door), "login")
    }

    /// The same, ending at `return_to`.
    pub fn fresh_sign_in_for(&self, return_to: Option<&ReturnTo>) -> String {
        with_prompt(self.login(return_to), "login")
    }

    /// Where a sign-in starts with the provider's chooser of accounts.
    pub fn other_account(&self, return_to: Option<&ReturnTo>) -> String {
        with_prompt(self.login(return_to), "select_account")
    }

    /// Where a log-out is sent that ends at `return_to`.
    pub fn logout(&self, return_to: Option<&ReturnTo>) -> String {
        self.returning(LOGOUT, return_to)
    }

    fn returning(&self, door: &str, return_to: Option<&ReturnTo>) -> String {
        match return_to {
            Some(address) => format!("{}?rd={}", self.to(door), utf8_percent_encode(address.as_str(), PLAIN)),
            None => self.to(door),
        }
    }
}

/// `login`, an address where a sign-in starts, for whoever wants to start it in the window of another app all the same.
pub fn stay_in_app(login: &str) -> String {
    with_parameter(login, "in_app=stay")
}

fn with_prompt(login: String, prompt: &str) -> String {
    with_parameter(&login, &format!("prompt={prompt}"))
}

fn with_parameter(address: &str, parameter: &str) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{parameter}")
}
