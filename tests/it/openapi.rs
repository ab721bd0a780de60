//! The OpenAPI document and the doors it describes say the same: each operation is asked by each kind of visitor, with
//! what the document calls right and with what it does not, and no answer may be one that the document does not know,
//! in its status, its kind, its headers or the form of its body.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::site::instance::Site;
use crate::site::visitors::{Anonymous, Answer, SCRIPT, TokenHolder, Visitor};

/// What is sent in place of a parameter or of a field.
fn strange() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(4_294_967_296_u64),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("0123456789abcdef"),
        json!("..%2f..%2f"),
        json!("é🦊\u{202e}"),
        json!("x".repeat(3000)),
        json!([]),
        json!({}),
        json!([[[]]]),
    ]
}

/// How the visitor shows who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Nobody,
    Person,
    Program,
    Narrow,
    Liar,
}

struct Walk {
    site: Site,
    document: Value,
    /// Statuses seen, by operation.
    seen: BTreeMap<String, BTreeSet<String>>,
    wrong: Vec<String>,
}

impl Walk {
    /// Asks a person's own session or token to be ended, which is the one right question where a path names one.
    async fn ask_about_own(&mut self, operation: &Operation) {
        let ada = self.site.sign_in("ada").await;
        let made = ada.send_json(Method::POST, "/api/tokens", &json!({ "name": "one" })).await;
        assert_eq!(made.status, 201, "{made:#?}");
        let list = operation.path.trim_end_matches("/{id}");
        let own = ada.get(&format!("/api{list}")).await.json()[0]["id"].as_str().expect("an id").to_owned();
        let target = format!("/api{list}/{own}");
        let answer = send(&ada, operation, &target, None).await;
        self.judge(Who::Person, operation, &target, &answer);
    }

    /// Asks with a code that was let in, which is the one right question there.
    async fn ask_with_a_code(&mut self, operation: &Operation) {
        let ada = self.site.sign_in("ada").await;
        let asked = ada.ask_with(Method::POST, "/api/device", SCRIPT, (FORM, String::new())).await.json();
        let user_code = asked["user_code"].as_str().expect("a code");
        ada.submit("/device", &[("code", user_code), ("decide", "approve")]).await;
        let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
        let body = written(FORM, &json!({ "grant_type": grant_type, "device_code": asked["device_code"] }));
        let answer = send(&ada, operation, "/api/device/token", Some((FORM, body))).await;
        self.judge(Who::Person, operation, "/api/device/token", &answer);
    }

    async fn ask(&mut self, who: Who, operation: &Operation, target: &str, body: Option<(&str, String)>) {
        let answer = match who {
            Who::Nobody => send(&self.site.anonymous(), operation, target, body).await,
            Who::Person => send(&self.site.sign_in("ada").await, operation, target, body).await,
            Who::Program => send(&self.site.token_holder("ada").await, operation, target, body).await,
            Who::Narrow => {
                let ada = self.site.sign_in("ada").await;
                let made = ada.send_json(Method::POST, "/api/tokens", &json!({ "name": "narrow" })).await;
                let token = made.json()["token"].as_str().map(str::to_owned);
                let holder = TokenHolder::at(&self.site.url, &token.expect("a token"));
                send(&holder, operation, target, body).await
            }
            Who::Liar => send(&TokenHolder::at(&self.site.url, "dw_pat_wrong"), operation, target, body).await,
        };
        self.judge(who, operation, target, &answer);
        // Nobody may have as many tokens as a long walk makes.
        self.site.database.execute("delete from doorward_tokens").await;
        self.site.database.execute("delete from doorward_devices").await;
    }

    fn judge(&mut self, who: Who, operation: &Operation, target: &str, answer: &Answer) {
        let status = answer.status.to_string();
        self.seen.entry(operation.name.clone()).or_default().insert(status.clone());
        let described = operation.described["responses"].get(&status).cloned();
        let problem = match described {
            None => Some(format!("status {status} is not described")),
            Some(described) => self.unlike(&described, answer).err(),
        };
        if let Some(problem) = problem {
            let target: String = target.chars().take(80).collect();
            self.wrong.push(format!("{} at {target} by {who:?}: {problem}: {}", operation.name, answer.body));
        }
    }

    /// Whether the answer is as described: its kind, the headers it must have, the form of its body.
    fn unlike(&self, described: &Value, answer: &Answer) -> Result<(), String> {
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            if header["required"] == json!(true) && answer.header(name).is_empty() {
                return Err(format!("the header {name} is missing"));
            }
        }
        let Some(contents) = described.get("content").and_then(Value::as_object).filter(|kinds| !kinds.is_empty())
        else {
            return if answer.body.is_empty() { Ok(()) } else { Err("there is a body".to_owned()) };
        };
        let bare = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_owned();
        let kind = bare(answer.header("content-type"));
        let content = contents.iter().find(|(described, _)| bare(described) == kind);
        let (_, content) = content.ok_or_else(|| format!("{kind} is not described"))?;
        let body: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        fits(&self.document, &content["schema"], &body, "body")
    }
}

async fn send(visitor: &impl Visitor, operation: &Operation, target: &str, body: Option<(&str, String)>) -> Answer {
    match body {
        Some(body) => visitor.ask_with(operation.method.clone(), target, SCRIPT, body).await,
        None => visitor.ask(operation.method.clone(), target, SCRIPT).await,
    }
}

/// Whether `value` has the form that `schema` describes: types, what must be there, what may be there, words, moments.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return fits(document, &document["components"]["schemas"][name], value, place);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fits(document, part, value, place)?;
    }
    if value.is_null() {
        return if schema["nullable"] == json!(true) { Ok(()) } else { Err(format!("{place} is null")) };
    }
    let is_of_type = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !is_of_type {
        return Err(format!("{place} is {value}"));
    }
    let words = schema["enum"].as_array();
    if words.is_some_and(|words| !words.contains(value)) {
        return Err(format!("{place} is {value}, no word of {words:?}"));
    }
    if schema["format"] == json!("date-time") && !value.as_str().is_some_and(|text| text.ends_with('Z')) {
        return Err(format!("{place} is {value}, no moment"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item, &format!("{place}[]"))?;
    }
    let Some(fields) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Err(format!("{place}.{name} is missing"));
        }
    }
    for (name, field) in fields {
        match schema["properties"].get(name) {
            Some(described) => fits(document, described, field, &format!("{place}.{name}"))?,
            None => return Err(format!("{place}.{name} is not described")),
        }
    }
    Ok(())
}

struct Operation {
    /// `GET /sessions`
    name: String,
    method: Method,
    path: String,
    described: Value,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, described) in methods.as_object().expect("methods") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let name = format!("{method} {path}");
            found.push(Operation { name, method, path: path.clone(), described: described.clone() });
        }
    }
    found
}

/// Everything to ask an operation: targets with bodies.
fn questions(document: &Value, operation: &Operation) -> Vec<(String, Option<(&'static str, String)>)> {
    let door = format!("/api{}", operation.path);
    let plain = door.replace("{id}", "0123456789abcdef");
    let mut questions = vec![(plain.clone(), None)];
    let encoded = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    };
    for parameter in operation.described["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().expect("a name");
        for value in strange() {
            match parameter["in"].as_str() {
                Some("path") if encoded(&value).is_empty() => {}
                Some("path") => questions.push((door.replace("{id}", &encoded(&value)), None)),
                _ => questions.push((format!("{plain}?{name}={}", encoded(&value)), None)),
            }
        }
        questions.push((format!("{plain}?unknown=1"), None));
    }
    let contents = operation.described["requestBody"]["content"].as_object();
    let Some((kind, content)) = contents.and_then(|contents| contents.iter().next()) else { return questions };
    let kind: &'static str = if kind.starts_with("application/json") { "application/json" } else { FORM };
    let name = content["schema"]["$ref"].as_str().and_then(|name| name.rsplit('/').next()).expect("a named schema");
    let right = document["components"]["schemas"][name]["example"].clone();
    let mut bodies = vec![right.clone(), json!({})];
    let fields: Map<String, Value> = right.as_object().expect("an example").clone();
    for field in fields.keys() {
        for value in strange() {
            let mut body = right.clone();
            body[field] = value;
            bodies.push(body);
        }
        let mut body = fields.clone();
        body.remove(field);
        bodies.push(Value::Object(body));
    }
    let mut further = right.clone();
    further["further"] = json!(1);
    bodies.push(further);
    questions.extend(bodies.iter().map(|body| (plain.clone(), Some((kind, written(kind, body))))));
    for other in ["text/plain", "application/json", FORM] {
        questions.push((plain.clone(), Some((other, "{".to_owned()))));
    }
    questions
}

const FORM: &str = "application/x-www-form-urlencoded";

fn written(kind: &str, body: &Value) -> String {
    if kind != FORM {
        return body.to_string();
    }
    let pairs = body.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs.map(|(name, value)| (name.clone(), text(value))))
        .finish()
}

#[tokio::test]
async fn no_answer_of_the_api_is_one_that_its_document_does_not_know() {
    let site = Site::start().await;
    let document = site.anonymous().get("/api/openapi.json").await.json();
    let mut walk = Walk { site, document: document.clone(), seen: BTreeMap::new(), wrong: Vec::new() };
    for operation in operations(&document) {
        if operation.path == "/device/token" {
            walk.ask_with_a_code(&operation).await;
        }
        if operation.path.ends_with("/{id}") {
            walk.ask_about_own(&operation).await;
        }
        for (index, (target, body)) in questions(&document, &operation).into_iter().enumerate() {
            // A person tries everything, the others only what is right and the first things that are not.
            let everybody = [Who::Person, Who::Nobody, Who::Program, Who::Narrow, Who::Liar];
            for who in everybody.into_iter().take(if index < 3 { 5 } else { 1 }) {
                walk.ask(who, &operation, &target, body.clone()).await;
            }
        }
    }
    assert!(walk.wrong.is_empty(), "\n{}", walk.wrong.join("\n"));
    for (operation, seen) in &walk.seen {
        assert!(seen.iter().any(|status| status.starts_with('2')), "{operation} was never right: {seen:?}");
    }
}

#[tokio::test]
async fn every_door_for_programs_is_described_and_nothing_else() {
    let site = Site::start().await;
    let document = site.anonymous().get("/api/openapi.json").await.json();
    let described: BTreeSet<String> = operations(&document).into_iter().map(|operation| operation.name).collect();
    let mut built = BTreeSet::new();
    for door in doorward::web::paths::DOORS.iter().filter(|door| door.path.starts_with("/api/")) {
        let path = door.path.trim_start_matches("/api").replace(":id", "{id}");
        if !matches!(path.as_str(), "/openapi.json" | "/docs") {
            built.extend(door.allow.split(", ").filter(|method| *method != "HEAD").map(|it| format!("{it} {path}")));
        }
    }
    assert_eq!(described, built);
}

#[tokio::test]
async fn every_operation_says_what_it_is_for_and_shows_an_example() {
    let site = Site::start().await;
    let document = site.anonymous().get("/api/openapi.json").await.json();
    for operation in operations(&document) {
        assert!(operation.described["summary"].as_str().is_some_and(|text| text.len() > 5), "{}", operation.name);
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let is_word = schema["enum"].is_array();
        assert!(is_word || schema["example"].is_object() || name == "Problem", "{name} has no example");
    }
    let docs = Anonymous::at(&site.url).visit("/api/docs").await;
    for path in ["/sessions", "/tokens/{id}"] {
        assert!(docs.body.contains(path), "{path} is not in the readable page");
    }
}
