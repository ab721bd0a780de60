//! Reads the schemas of an OpenAPI 3.0 document: which fields there are, of what type, and what a value looks like.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::pages::prose::{Span, spans};

/// How far into each other objects are followed; a schema may hold itself.
const DEEPEST: usize = 4;

/// One field of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name, with those it lies in: `items[].name`.
    pub name: String,
    /// Its type in words: `string, date-time, or null`.
    pub kind: String,
    /// Whether it is always there.
    pub required: bool,
    /// What it means.
    pub description: Vec<Span>,
}

/// The schemas of a document.
#[derive(Clone, Copy, Debug)]
pub struct Schemas<'a> {
    document: &'a Value,
}

impl<'a> Schemas<'a> {
    /// The schemas of `document`.
    pub fn of(document: &'a Value) -> Self {
        Self { document }
    }

    /// `value` itself, or what its `$ref` names within the document.
    pub fn resolve(&self, value: &'a Value) -> &'a Value {
        let mut value = value;
        // Some references lead to another; those that lead in a circle must end.
        for _ in 0..DEEPEST {
            let Some(pointer) = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) else { break };
            value = self.document.pointer(pointer).unwrap_or(&Value::Null);
        }
        value
    }

    /// All fields of `schema`, those of objects within it after their own.
    pub fn fields(&self, schema: &'a Value) -> Vec<Field> {
        let mut fields = Vec::new();
        self.collect("", schema, 0, &mut fields);
        fields
    }

    fn collect(&self, prefix: &str, schema: &'a Value, depth: usize, fields: &mut Vec<Field>) {
        let schema = self.resolve(schema);
        if depth > DEEPEST {
            return;
        }
        if schema.get("items").is_some() {
            let prefix = if prefix.is_empty() { "[]." } else { prefix };
            return self.collect(prefix, &schema["items"], depth + 1, fields);
        }
        for part in self.parts(schema) {
            let required: Vec<_> = array(&part["required"]).iter().filter_map(Value::as_str).collect();
            for (name, field) in object(&part["properties"]) {
                let full_name = format!("{prefix}{name}");
                fields.push(Field {
                    kind: self.kind(field),
                    required: required.contains(&name.as_str()),
                    description: self.description(field),
                    name: full_name.clone(),
                });
                let list = if self.whole(field).get("items").is_some() { "[]" } else { "" };
                self.collect(&format!("{full_name}{list}."), self.whole(field), depth + 1, fields);
            }
        }
    }

    /// The schemas that an object is put together from: itself, and those under `allOf`.
    fn parts(&self, schema: &'a Value) -> Vec<&'a Value> {
        let mut parts = vec![schema];
        parts.extend(array(&schema["allOf"]).iter().map(|part| self.resolve(part)));
        parts
    }

    /// A field's schema. One that is only referred to and described stands under `allOf`, since nothing may stand beside
    /// a `$ref`.
    fn whole(&self, schema: &'a Value) -> &'a Value {
        let schema = self.resolve(schema);
        match array(&schema["allOf"]) {
            [only] if schema.get("properties").is_none() => self.resolve(only),
            _ => schema,
        }
    }

    fn description(&self, schema: &'a Value) -> Vec<Span> {
        let own = schema["description"].as_str();
        spans(own.or_else(|| self.whole(schema)["description"].as_str()).unwrap_or_default().trim())
    }

    /// The type of `schema` in words.
    pub fn kind(&self, schema: &'a Value) -> String {
        let whole = self.whole(schema);
        let name = whole["type"].as_str().unwrap_or(if whole.get("properties").is_some() { "object" } else { "any" });
        let mut kind = match whole["format"].as_str() {
            Some(format) => format!("{name}, {format}"),
            None if name == "array" => format!("list of {}", self.kind(&whole["items"])),
            None => name.to_owned(),
        };
        let values: Vec<_> = array(&whole["enum"]).iter().map(plain).collect();
        if !values.is_empty() {
            kind = values.join(" | ");
        }
        if schema["nullable"] == true || whole["nullable"] == true {
            kind.push_str(" or null");
        }
        kind
    }

    /// A value that fits `schema`: the example that it gives, else one made of its fields.
    pub fn example(&self, schema: &'a Value) -> Value {
        self.example_at(schema, 0)
    }

    fn example_at(&self, schema: &'a Value, depth: usize) -> Value {
        let whole = self.whole(schema);
        let given = [schema, whole].into_iter().find_map(|schema| schema.get("example").or(schema.get("default")));
        if let Some(given) = given {
            return given.clone();
        }
        if let Some(first) = array(&whole["enum"]).first() {
            return first.clone();
        }
        if depth > DEEPEST {
            return Value::Null;
        }
        match whole["type"].as_str() {
            Some("array") => json!([self.example_at(&whole["items"], depth + 1)]),
            Some("integer" | "number") => json!(0),
            Some("boolean") => json!(true),
            Some("string") => json!(string_example(whole["format"].as_str().unwrap_or_default())),
            _ => Value::Object(self.object_example(whole, depth)),
        }
    }

    fn object_example(&self, schema: &'a Value, depth: usize) -> Map<String, Value> {
        let mut example = Map::new();
        for part in self.parts(schema) {
            for (name, field) in object(&part["properties"]) {
                example.insert(name.clone(), self.example_at(field, depth + 1));
            }
        }
        example
    }
}

fn string_example(format: &str) -> &'static str {
    match format {
        "date-time" => "2026-11-21T09:00:00Z",
        "date" => "2026-11-21",
        "email" => "ada@example.com",
        "uri" | "url" => "https://example.com/",
        _ => "string",
    }
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The elements of an array; none where `value` is something else.
pub fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The members of an object; none where `value` is something else.
pub fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
