//! Turns an OpenAPI 3.0 document into what the page about the API shows. Everything is worked out here, on the server,
//! so that the page needs no script.

use serde::Serialize;
use serde_json::Value;

use crate::pages::DocsPage;
use crate::pages::prose::{Block, blocks, spans};
use crate::pages::schema::{Field, Schemas, array, object};

const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];

/// What the page shows.
#[derive(Debug, Serialize)]
pub struct Docs {
    title: String,
    version: String,
    intro: Vec<Block>,
    schemes: Vec<Scheme>,
    operations: Vec<Operation>,
}

/// A way to show who one is.
#[derive(Debug, Serialize)]
struct Scheme {
    name: String,
    /// What it looks like in a request: `Cookie: name=…`.
    how: String,
    description: Vec<Block>,
}

#[derive(Debug, Serialize)]
struct Operation {
    anchor: String,
    method: String,
    path: String,
    summary: String,
    description: Vec<Block>,
    /// The schemes of which one is needed; none: anybody may ask.
    schemes: Vec<String>,
    parameters: Vec<Parameter>,
    body: Option<Content>,
    responses: Vec<Answer>,
    curl: String,
}

#[derive(Debug, Serialize)]
struct Parameter {
    place: String,
    field: Field,
}

#[derive(Debug, Serialize)]
struct Content {
    mime: String,
    fields: Vec<Field>,
    example: String,
}

#[derive(Debug, Serialize)]
struct Answer {
    status: String,
    is_fine: bool,
    description: Vec<Block>,
    headers: Vec<Field>,
    contents: Vec<Content>,
}

impl Docs {
    /// What `page`'s document says, operation by operation.
    pub fn of(page: &DocsPage<'_>) -> Self {
        let document = page.openapi;
        let reader =
            Reader { document, schemas: Schemas::of(document), server_url: page.server_url.trim_end_matches('/') };
        let info = &document["info"];
        let mut operations = Vec::new();
        for (path, item) in object(&document["paths"]) {
            for (method, operation) in METHODS.iter().filter_map(|method| Some((*method, item.get(method)?))) {
                operations.push(reader.operation(method, path, operation));
            }
        }
        Self {
            title: text(&info["title"]),
            version: text(&info["version"]),
            intro: blocks(&text(&info["description"])),
            schemes: object(&document["components"]["securitySchemes"])
                .map(|(name, scheme)| self::scheme(name, scheme))
                .collect(),
            operations,
        }
    }
}

struct Reader<'a> {
    document: &'a Value,
    schemas: Schemas<'a>,
    server_url: &'a str,
}

impl<'a> Reader<'a> {
    fn operation(&self, method: &str, path: &str, operation: &'a Value) -> Operation {
        let body = self.schemas.resolve(&operation["requestBody"]);
        let body = object(&body["content"]).map(|(mime, content)| self.content(mime, content)).next();
        let security = operation.get("security").unwrap_or(&self.document["security"]);
        let schemes: Vec<_> = array(security).iter().flat_map(object).map(|(name, _)| name.clone()).collect();
        let url = format!("{}{path}", self.server_url);
        let parameters = array(&operation["parameters"]).iter().map(|parameter| self.parameter(parameter)).collect();
        Operation {
            anchor: anchor(method, path),
            method: method.to_ascii_uppercase(),
            path: path_of(&url).to_owned(),
            summary: text(&operation["summary"]),
            description: blocks(&text(&operation["description"])),
            curl: curl(method, &url, self.bearer(&schemes), body.as_ref()),
            schemes,
            parameters,
            body,
            responses: object(&operation["responses"])
                .map(|(status, response)| self.answer(status, response))
                .collect(),
        }
    }

    fn parameter(&self, parameter: &'a Value) -> Parameter {
        let parameter = self.schemas.resolve(parameter);
        Parameter { place: text(&parameter["in"]), field: self.field(&text(&parameter["name"]), parameter) }
    }

    /// A parameter or a header, which carry a schema.
    fn field(&self, name: &str, value: &'a Value) -> Field {
        Field {
            name: name.to_owned(),
            kind: self.schemas.kind(&value["schema"]),
            required: value["required"] == true,
            description: spans(&text(&value["description"])),
        }
    }

    fn answer(&self, status: &str, response: &'a Value) -> Answer {
        let response = self.schemas.resolve(response);
        Answer {
            status: status.to_owned(),
            is_fine: status.starts_with('2'),
            description: blocks(&text(&response["description"])),
            headers: object(&response["headers"]).map(|(name, header)| self.field(name, header)).collect(),
            contents: object(&response["content"]).map(|(mime, content)| self.content(mime, content)).collect(),
        }
    }

    fn content(&self, mime: &str, content: &'a Value) -> Content {
        let schema = &content["schema"];
        let named = object(&content["examples"]).map(|(_, example)| &example["value"]).next();
        let example = content.get("example").or(named).cloned().unwrap_or_else(|| self.schemas.example(schema));
        let example = serde_json::to_string_pretty(&example).unwrap_or_default();
        // The character set is no news to a reader.
        let mime = mime.split(';').next().unwrap_or(mime).to_owned();
        Content { mime, fields: self.schemas.fields(schema), example }
    }

    /// Whether one of `schemes` is a bearer token.
    fn bearer(&self, schemes: &[String]) -> bool {
        schemes.iter().any(|name| is_bearer(&self.document["components"]["securitySchemes"][name]))
    }
}

fn is_bearer(scheme: &Value) -> bool {
    scheme["scheme"].as_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
}

fn scheme(name: &str, scheme: &Value) -> Scheme {
    let key = text(&scheme["name"]);
    let how = match scheme["in"].as_str() {
        _ if is_bearer(scheme) => "Authorization: Bearer dw_pat_…".to_owned(),
        Some("cookie") => format!("Cookie: {key}=…"),
        Some("query") => format!("?{key}=…"),
        Some(_) => format!("{key}: …"),
        None => text(&scheme["type"]),
    };
    Scheme { name: name.to_owned(), how, description: blocks(&text(&scheme["description"])) }
}

/// A line to type. Whatever comes from the document stands in single quotes, where a shell reads nothing.
fn curl(method: &str, url: &str, has_bearer: bool, body: Option<&Content>) -> String {
    let mut line = "curl".to_owned();
    if method != "get" {
        line.push_str(&format!(" -X {}", method.to_ascii_uppercase()));
    }
    if has_bearer {
        line.push_str(" -H 'Authorization: Bearer dw_pat_…'");
    }
    if let Some(body) = body {
        let example: Value = serde_json::from_str(&body.example).unwrap_or_default();
        line.push_str(&format!(
            " \\\n  -H {} -d {}",
            quoted(&format!("Content-Type: {}", body.mime)),
            quoted(&example.to_string())
        ));
    }
    format!("{line} \\\n  {}", quoted(url))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// `https://host/path` from its path on, braces and all.
fn path_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    url[after_scheme..].find('/').map_or("/", |at| &url[after_scheme + at..])
}

/// A name for the place on the page: `get-api-me`.
fn anchor(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("-")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().trim().to_owned()
}
