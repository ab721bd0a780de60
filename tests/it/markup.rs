//! Takes HTML apart, more strictly than browsers do: every tag is closed in order, every attribute is quoted and stands
//! once, every ampersand begins a reference.

/// Elements without an end tag (HTML, 13.1.2).
const VOID: &[&str] = &["meta", "link", "img", "br", "wbr", "input", "hr"];

/// A start tag.
#[derive(Debug)]
pub struct Element {
    pub name: String,
    /// In order, without references.
    pub attributes: Vec<(String, String)>,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// All elements of a page in order, or what is wrong with it.
pub fn elements(html: &str) -> Result<Vec<Element>, String> {
    let mut rest = html.strip_prefix("<!doctype html>").ok_or("no doctype")?;
    let (mut elements, mut open) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at])?;
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('/') {
            let (name, after) = after.split_once('>').ok_or("an end tag has no end")?;
            let expected: String = open.pop().unwrap_or_default();
            if name != expected {
                return Err(format!("</{name}> closes <{expected}>"));
            }
            rest = after;
            continue;
        }
        let (element, is_closed, after) = start_tag(rest)?;
        if !is_closed && !VOID.contains(&element.name.as_str()) {
            open.push(element.name.clone());
        }
        elements.push(element);
        rest = after;
    }
    check_text(rest)?;
    if open.is_empty() { Ok(elements) } else { Err(format!("{open:?} are never closed")) }
}

/// The text of `html` without its tags and references.
pub fn text_of(html: &str) -> String {
    let mut text = String::new();
    for (index, piece) in html.split('<').enumerate() {
        // What follows a `<` is a tag up to the next `>`; before the first there is none.
        let after = if index == 0 { Some(piece) } else { piece.split_once('>').map(|(_, after)| after) };
        text.push_str(&decode(after.unwrap_or_default()));
    }
    text
}

/// `name a="1" b>`: the element, whether it closes itself, and what follows.
fn start_tag(html: &str) -> Result<(Element, bool, &str), String> {
    let end = html.find([' ', '\n', '>', '/']).ok_or("a tag has no end")?;
    let name = html[..end].to_owned();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Err(format!("<{name} is no tag of ours"));
    }
    let mut element = Element { name, attributes: Vec::new() };
    let mut rest = html[end..].trim_start();
    loop {
        if let Some(after) = rest.strip_prefix("/>") {
            return Ok((element, true, after));
        }
        if let Some(after) = rest.strip_prefix('>') {
            return Ok((element, false, after));
        }
        let end = rest.find([' ', '\n', '=', '>', '/']).ok_or("an attribute has no end")?;
        let attribute = rest[..end].to_owned();
        if attribute.is_empty() || attribute.contains(['"', '\'', '<']) || element.attribute(&attribute).is_some() {
            return Err(format!("the attribute {attribute:?} of <{}>", element.name));
        }
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.strip_prefix('"').ok_or_else(|| format!("{attribute} is not in quotes"))?;
            let (raw, after) = after.split_once('"').ok_or_else(|| format!("{attribute} has no end"))?;
            check_text(raw)?;
            value = decode(raw);
            rest = after;
        }
        element.attributes.push((attribute, value));
        rest = rest.trim_start();
    }
}

const REFERENCES: &[(&str, &str)] = &[("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];

fn check_text(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('&') {
        if !REFERENCES.iter().any(|(reference, _)| text[at..].starts_with(reference)) {
            return Err(format!("a bare ampersand: {}", text[at..].chars().take(20).collect::<String>()));
        }
    }
    if text.contains('>') { Err(format!("a bare >: {text}")) } else { Ok(()) }
}

fn decode(text: &str) -> String {
    // `&amp;` last: what it gives must not be read again.
    REFERENCES.iter().fold(text.to_owned(), |text, (reference, plain)| text.replace(reference, plain))
}

#[test]
fn faults_of_markup_are_seen() {
    for fault in ["<p>", "<p></b>", "<p id=x></p>", "<p id=\"a\" id=\"b\"></p>", "a & b", "a > b", "<P></P>", "</p>"] {
        let page = format!("<!doctype html>{fault}");
        assert!(elements(&page).is_err(), "{fault}");
    }
    let fine = "<!doctype html><p id=\"a&quot;b\" hidden>x &amp; y<br><img alt=\"\"></p>";
    assert_eq!(elements(fine).expect("well formed")[0].attribute("id"), Some("a\"b"));
    assert_eq!(text_of("<p>a &amp;lt; b</p>"), "a &lt; b");
}
