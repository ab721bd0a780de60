//! Sample data for each page, hard cases among them: for the tests, and for whoever wants to look at the pages.

use serde_json::{Value, json};

use crate::pages::{
    ContinuePage, DeniedPage, DocsPage, ErrorPage, Html, LoginPage, LogoutPage, PageError, Pages, ProfilePage,
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
    vec![
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
        let profile = ProfilePage { name, email, picture: None, logout_url: "/logout" };
        let pictured = ProfilePage { picture: Some(PICTURE), ..profile.clone() };
        samples.push((format!("profile-{case}"), pages.profile(&profile)));
        samples.push((format!("profile-{case}-picture"), pages.profile(&pictured)));
        // Whatever a name may hold can stand in an address too, as far as the page knows.
        let logout = LogoutPage { logout_url: "/logout", home_url: "/", email: name };
        samples.push((format!("logout-{case}"), pages.logout(&logout)));
        let denied = DeniedPage {
            email: name,
            sentence: "Only accounts of example.com may come in.",
            other_account_url: "/login",
            request_id: REQUEST_ID,
        };
        samples.push((format!("denied-{case}"), pages.denied(&denied)));
    }
    samples
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
