//! Sample data for each page, hard cases among them: for the tests, and for whoever wants to look at the pages.

use serde_json::{Value, json};

use crate::pages::account::{
    AccountPage, AccountUrls, ActivityRow, DeletePage, DevicePage, MadeToken, SessionRow, TokenRow, WaitingDevice,
};
use crate::pages::moment::Moment;
use crate::pages::{
    ContinuePage, DeniedPage, DocsPage, ErrorPage, Html, InAppPage, LoginPage, LogoutPage, PageError, Pages,
    ProfilePage,
};

/// A page with sample data: what it is called, and the page.
pub type Sample = (String, Result<Html, PageError>);

/// A name and what is hard about it.
pub const NAMES: &[(&str, &str)] = &[
    ("plain", "Ada Lovelace"),
    ("emoji", "👩🏽‍🚀 Ada 🇬🇧 Lovelace 🦊"),
    ("emoji-alone", "👨‍👩‍👧‍👦"),
    ("right-to-left", "مريم الأسطرلابي"),
    ("han", "李小龍"),
    ("combining", "E\u{301}milie du Cha\u{302}telet"),
    ("markup", "<script>alert(1)</script>\"'&amp;{{ 7*7 }}"),
    ("override", "Ada \u{202e}ecalevoL"),
    ("long", LONG),
    ("long-word", LONG_WORD),
];

/// 200 characters in words.
pub const LONG: &str = "Wolfeschlegelsteinhausenbergerdorff Adolph Blaine Charles David Earl Frederick Gerald Hubert Irvin \
    John Kenneth Lloyd Martin Nero Oliver Paul Quincy Randolph Sherman Thomas Uncas Victor William Xe";

/// 200 characters without a place to break.
pub const LONG_WORD: &str = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\
    nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";

const PICTURE: &str = "https://lh3.googleusercontent.com/a/ada=s96-c";
const REQUEST_ID: &str = "01JD8Q6T9M4W3ZK7";

/// Every page with every sample, under names that can be file names.
pub fn all(pages: &Pages) -> Vec<Sample> {
    let mut samples = sign_in(pages);
    samples.extend(people(pages));
    samples.extend(accounts(pages));
    samples.extend(trouble(pages));
    let document = openapi();
    let docs =
        DocsPage { openapi: &document, openapi_url: "/api/openapi.json", server_url: "http://localhost:3000/api" };
    samples.push(("docs".to_owned(), pages.docs(&docs)));
    samples
}

fn sign_in(pages: &Pages) -> Vec<Sample> {
    let google =
        LoginPage { login_url: "/login?rd=%2Freports", provider_label: "Google", is_google: true, notice: None };
    let noticed = LoginPage { notice: Some("You are signed out."), ..google.clone() };
    let other = LoginPage { is_google: false, provider_label: "Keycloak", ..google.clone() };
    let long = LoginPage { provider_label: LONG, ..other.clone() };
    let address = "https://login.example.com/login?rd=%2Freports";
    let window = InAppPage {
        app: Some("Instagram"),
        provider_label: "Google",
        address,
        open_url: None,
        stay_url: "/login?rd=%2Freports&in_app=stay",
    };
    let openable = InAppPage {
        app: None,
        open_url: Some("intent://login.example.com/login?rd=%2Freports#Intent;scheme=https;end"),
        ..window.clone()
    };
    let crowded = InAppPage { provider_label: LONG, address: LONG_WORD, ..window.clone() };
    vec![
        ("in-app".to_owned(), pages.in_app(&window)),
        ("in-app-open".to_owned(), pages.in_app(&openable)),
        ("in-app-long".to_owned(), pages.in_app(&crowded)),
        ("login".to_owned(), pages.login(&google)),
        ("login-notice".to_owned(), pages.login(&noticed)),
        ("login-other".to_owned(), pages.login(&other)),
        ("login-other-long".to_owned(), pages.login(&long)),
    ]
}

fn people(pages: &Pages) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (case, name) in NAMES {
        let email = if case.starts_with("long") { LONG_WORD } else { "ada@example.com" };
        let profile = ProfilePage { name, email, picture: None, logout_url: "/logout", account_url: "/account" };
        let pictured = ProfilePage { picture: Some(PICTURE), ..profile.clone() };
        samples.push((format!("profile-{case}"), pages.profile(&profile)));
        samples.push((format!("profile-{case}-picture"), pages.profile(&pictured)));
        // Whatever a name may hold can stand in an address too, as far as the page knows.
        let logout = LogoutPage { logout_url: "/logout", home_url: "/", email: name };
        samples.push((format!("logout-{case}"), pages.logout(&logout)));
        let denied = DeniedPage {
            email: name,
            sentence: "Only accounts of example.com may come in.",
            advice: "Use another account, or ask whoever runs the site.",
            other_account_url: "/login",
            request_id: REQUEST_ID,
        };
        samples.push((format!("denied-{case}"), pages.denied(&denied)));
    }
    // Whose provider says no name is called by their address, once.
    let (name, picture) = ("ada@example.com", None);
    let nameless = ProfilePage { name, email: name, picture, logout_url: "/logout", account_url: "/account" };
    samples.push(("profile-nameless".to_owned(), pages.profile(&nameless)));
    samples
}

fn accounts(pages: &Pages) -> Vec<Sample> {
    let urls = AccountUrls {
        home: "/",
        sessions: "/account/sessions",
        tokens: "/account/tokens",
        fresh_sign_in: "/login?rd=%2Faccount&prompt=login",
        download: "/account/download",
        delete: "/account/delete",
    };
    let (email, one) = ("ada@example.com", [session(0)]);
    let sole = AccountPage {
        email,
        notice: None,
        refusal: None,
        sessions: &one,
        tokens: &[],
        activity: &[],
        made: None,
        is_fresh: false,
        urls,
    };
    let many: Vec<_> = (0..NAMES.len()).map(session).collect();
    let tokens: Vec<_> = NAMES.iter().enumerate().map(|(number, (_, name))| token(number, name)).collect();
    let lately = ["You signed in", "A token was made", "A session was ended"].map(|words| ActivityRow {
        words,
        address: if words.starts_with("You") {
            "2001:db8:85a3:8d3:1319:8a2e:370:7348".to_owned()
        } else {
            String::new()
        },
        at: moment("5 minutes ago"),
    });
    let full = AccountPage {
        email: LONG_WORD,
        sessions: &many,
        tokens: &tokens,
        activity: &lately,
        is_fresh: true,
        notice: Some("The session has ended."),
        ..sole.clone()
    };
    let value = "dw_pat_ThisIsOnlyAnExampleAndAdmitsNobodyAnywhere00003x7Qd";
    let made = MadeToken { name: LONG, value, me_url: "https://example.com/auth/api/me" };
    let fresh = AccountPage { is_fresh: true, ..sole.clone() };
    let refused = AccountPage { refusal: Some("A token lives for 1 to 366 days."), ..fresh.clone() };
    let new = AccountPage { made: Some(made), tokens: &tokens[..1], ..fresh.clone() };
    let delete = DeletePage {
        email,
        row: "Your number stays in this site's own table, without your email, name and picture.",
        is_fresh: true,
        fresh_sign_in_url: "/login?rd=%2Faccount%2Fdelete&prompt=login",
        delete_url: "/account/delete",
        account_url: "/account",
    };
    let typing = DevicePage {
        email,
        waiting: None,
        refusal: None,
        is_fresh: true,
        device_url: "/device",
        fresh_sign_in_url: "/login?rd=%2Fdevice&prompt=login",
        home_url: "/",
    };
    let mistyped =
        DevicePage { refusal: Some("No terminal waits under this code. Look at it again."), ..typing.clone() };
    let left_open = DevicePage { is_fresh: false, ..typing.clone() };
    let terminal = WaitingDevice {
        code: "BCDF-GHJK".to_owned(),
        machine: "build-server-7.example.com".to_owned(),
        address: "2001:db8:85a3:8d3:1319:8a2e:370:7348".to_owned(),
        asked: moment("just now"),
        scope: "who you are, and where else you are signed in",
    };
    let waiting = DevicePage { waiting: Some(terminal), ..typing.clone() };
    let stale = DeletePage { email: LONG_WORD, is_fresh: false, ..delete.clone() };
    vec![
        ("account".to_owned(), pages.account(&sole)),
        ("account-fresh".to_owned(), pages.account(&fresh)),
        ("account-many".to_owned(), pages.account(&full)),
        ("account-made".to_owned(), pages.account(&new)),
        ("account-refused".to_owned(), pages.account(&refused)),
        ("device".to_owned(), pages.device(&typing)),
        ("device-refused".to_owned(), pages.device(&mistyped)),
        ("device-stale".to_owned(), pages.device(&left_open)),
        ("device-waiting".to_owned(), pages.device(&waiting)),
        ("delete".to_owned(), pages.delete(&delete)),
        ("delete-stale".to_owned(), pages.delete(&stale)),
    ]
}

fn moment(words: &str) -> Moment {
    Moment { words: words.to_owned(), datetime: "2026-11-21T09:00:00Z".to_owned() }
}

fn session(number: usize) -> SessionRow {
    let browsers = ["Firefox on Windows", "Safari on iPhone", "Unknown browser", "Samsung Internet on Android"];
    let addresses = ["198.51.100.23", "2001:db8:85a3:8d3:1319:8a2e:370:7348", ""];
    SessionRow {
        id: format!("{number:016x}"),
        browser: browsers[number % browsers.len()].to_owned(),
        address: addresses[number % addresses.len()].to_owned(),
        signed_in: moment("4 days ago"),
        last_seen: moment("just now"),
        is_current: number == 0,
    }
}

fn token(number: usize, name: &str) -> TokenRow {
    TokenRow {
        id: format!("{number:016x}"),
        name: name.to_owned(),
        scope: if number.is_multiple_of(2) {
            "Shows who you are and opens apps as you"
        } else {
            "Opens apps as you, and lists your sessions and tokens"
        },
        last_four: format!("{number:04}"),
        created: moment("12 days ago"),
        expires: moment("in 78 days"),
        is_expired: number == 3,
        last_used: number.is_multiple_of(2).then(|| moment("3 hours ago")),
    }
}

fn trouble(pages: &Pages) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (case, text) in NAMES {
        let error =
            ErrorPage { heading: text, what: text, advice: text, way_on: (text, "/login"), request_id: REQUEST_ID };
        samples.push((format!("error-{case}"), pages.error(&error)));
        let cont = ContinuePage { heading: text, what: text, way_on: (text, "https://app.example.com/?a=1&b=2") };
        samples.push((format!("continue-{case}"), pages.cont(&cont)));
    }
    let missing = ErrorPage {
        heading: "Page not found",
        what: "There is nothing at this address.",
        advice: "Perhaps it moved, or a letter was lost on the way.",
        way_on: ("Go to the start page", "/"),
        request_id: REQUEST_ID,
    };
    samples.push(("error-not-found".to_owned(), pages.error(&missing)));
    let left = ContinuePage {
        heading: "You are signed out",
        what: "Your session on this site has ended. Your Google account itself stays signed in.",
        way_on: ("Go on to app.example.com", "https://app.example.com/"),
    };
    samples.push(("continue".to_owned(), pages.cont(&left)));
    samples
}

/// A small document of the kind that poem-openapi writes, with references, a nullable field, lists and parameters.
pub fn openapi() -> Value {
    json!({
        "openapi": "3.0.0",
        "info": {
            "title": "Doorward API",
            "version": "0.1.0",
            "description": "Tells programs who is asking.\n\n- by the visitor's cookie\n- by an API token, as `Bearer`"
        },
        "paths": {
            "/me": { "get": {
                "summary": "Who is asking",
                "description": "The visitor, by cookie or by bearer token.\n\nAn outage is `503`, <b>never</b> `401`.",
                "security": [{ "Session": [] }, { "Token": [] }],
                "responses": {
                    "200": { "description": "The visitor.", "content": { "application/json; charset=utf-8":
                        { "schema": { "$ref": "#/components/schemas/Me" } } } },
                    "401": { "description": "Nobody is signed in.",
                        "headers": { "WWW-Authenticate": { "required": true, "schema": { "type": "string" } } },
                        "content": { "application/problem+json":
                        { "schema": { "$ref": "#/components/schemas/Problem" } } } },
                    "503": { "description": "The store cannot be asked." }
                }
            } },
            "/tokens": { "post": {
                "summary": "Creates a token",
                "security": [{ "Session": [] }],
                "requestBody": { "content": { "application/json; charset=utf-8": { "schema": {
                    "type": "object", "required": ["name"], "properties": {
                        "name": { "type": "string", "description": "What you call it.", "example": "Ada's laptop" },
                        "days": { "type": "integer", "format": "uint32", "default": 90 }
                    } } } } },
                "responses": { "201": { "description": "The token, shown once." } }
            } },
            "/tokens/{id}": { "delete": {
                "summary": "Ends a token",
                "security": [{ "Session": [] }],
                "parameters": [{ "name": "id", "in": "path", "required": true, "description": "Which one.",
                    "schema": { "type": "string" } }],
                "responses": { "204": { "description": "It has ended." } }
            } }
        },
        "components": {
            "schemas": {
                "Me": { "type": "object", "required": ["id", "via"], "properties": {
                    "id": { "type": "string", "description": "The provider's `sub`.", "example": "1101" },
                    "picture": { "type": "string", "nullable": true },
                    "created_at": { "type": "string", "format": "date-time" },
                    "via": { "allOf": [{ "$ref": "#/components/schemas/Via" }], "description": "How we know." },
                    "sessions": { "type": "array", "items": { "$ref": "#/components/schemas/Session" } }
                } },
                "Session": { "type": "object", "required": ["address"], "properties": {
                    "address": { "type": "string" }, "parent": { "$ref": "#/components/schemas/Session" }
                } },
                "Via": { "type": "string", "enum": ["session", "token"] },
                "Problem": { "type": "object", "required": ["status"], "properties": {
                    "status": { "type": "integer", "example": 401 }, "login_url": { "type": "string", "format": "uri" }
                } }
            },
            "securitySchemes": {
                "Session": { "type": "apiKey", "in": "cookie", "name": "__Host-doorward", "description": "A browser's." },
                "Token": { "type": "http", "scheme": "bearer", "description": "A program's." }
            }
        }
    })
}
