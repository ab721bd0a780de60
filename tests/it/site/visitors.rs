//! Who knocks on a door: [`Anonymous`], [`SignedIn`], [`TokenHolder`]. Three kinds, the same verbs, so that a test
//! can send each of them through the same door. Nobody follows redirects by themselves.

use std::collections::BTreeMap;
use std::sync::{Mutex, Once};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Url};

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status line's number.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
    /// What was asked for.
    pub url: Url,
}

impl Answer {
    /// The header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap_or("(not ASCII)"))
    }

    /// Every `Set-Cookie`, whole.
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// Where a redirect leads, absolute.
    pub fn location(&self) -> Url {
        assert!(self.headers.contains_key("location"), "no Location in {self:#?}");
        self.url.join(self.header("location")).expect("Location is an address")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:#?}"))
    }

    /// Whether a redirect.
    pub fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status)
    }
}

/// Headers of a browser that goes to a page because somebody typed its address.
pub const TYPED: &[(&str, &str)] = &[
    ("sec-fetch-site", "none"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("accept", "text/html"),
];

/// Headers of a browser that follows a link or sends a form on the same site.
pub const SAME_ORIGIN: &[(&str, &str)] = &[
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("accept", "text/html"),
];

/// Headers of a browser that was sent here by a page of another site.
pub const CROSS_SITE: &[(&str, &str)] = &[
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("accept", "text/html"),
    ("origin", "https://evil.example"),
];

/// Headers of a script's `fetch` on the same site.
pub const SCRIPT: &[(&str, &str)] =
    &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("accept", "*/*")];

/// Somebody who can send requests.
pub trait Visitor {
    /// The client and cookies behind them.
    fn browser(&self) -> &Anonymous;

    /// Adds what shows who they are, beyond cookies.
    fn show(&self, request: RequestBuilder) -> RequestBuilder {
        request
    }

    /// Sends a request to a path of the site, or to an absolute address.
    async fn ask(&self, method: Method, target: &str, headers: &[(&str, &str)]) -> Answer {
        let url = self.browser().base.join(target).expect("a path or an address");
        let request = self.browser().client.request(method, url.clone());
        self.browser().send(self.show(request), url, headers).await
    }

    /// The same with a body of the kind `content_type`.
    async fn ask_with(&self, method: Method, target: &str, headers: &[(&str, &str)], body: (&str, String)) -> Answer {
        let url = self.browser().base.join(target).expect("a path or an address");
        let request = self.browser().client.request(method, url.clone());
        let request = request.header("content-type", body.0).body(body.1);
        self.browser().send(self.show(request), url, headers).await
    }
    /// Sends a form of the site's own page.
    async fn submit(&self, target: &str, fields: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.ask_with(Method::POST, target, SAME_ORIGIN, ("application/x-www-form-urlencoded", form)).await
    }

    /// Sends JSON as a script of the site's own page does.
    async fn send_json(&self, method: Method, target: &str, json: &serde_json::Value) -> Answer {
        self.ask_with(method, target, SCRIPT, ("application/json", json.to_string())).await
    }

    /// GET with nothing that tells a browser.
    async fn get(&self, target: &str) -> Answer {
        self.ask(Method::GET, target, &[]).await
    }

    /// GET as a browser whose person typed the address.
    async fn visit(&self, target: &str) -> Answer {
        self.ask(Method::GET, target, TYPED).await
    }

    /// POST of an empty form on the same site.
    async fn post(&self, target: &str) -> Answer {
        self.ask(Method::POST, target, SAME_ORIGIN).await
    }

    /// Goes to `target` as a browser does and on through all redirects. The last answer.
    async fn follow(&self, target: &str) -> Answer {
        let mut answer = self.visit(target).await;
        for _ in 0..15 {
            if !answer.is_redirect() {
                return answer;
            }
            let next = answer.location();
            answer = self.visit(next.as_str()).await;
        }
        panic!("redirected in circles: {answer:#?}");
    }
}

/// A browser that has brought nothing yet.
pub struct Anonymous {
    client: Client,
    base: Url,
    /// By host, as browsers keep them: cookies know no ports.
    jar: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
}

impl Anonymous {
    /// Somebody before the site at `base`, the address without a path of a door.
    pub fn at(base: &str) -> Self {
        let base = Url::parse(&format!("{}/", base.trim_end_matches('/'))).expect("an address");
        Self { client: client(), base, jar: Mutex::default() }
    }

    /// The same who keeps connections and uses them again.
    pub fn keeping_connections(base: &str) -> Self {
        Self { client: client_builder().pool_max_idle_per_host(1).build().expect("a client"), ..Self::at(base) }
    }

    /// The same where the site shows a certificate that only this person has been told to believe, as PEM.
    pub fn believing(base: &str, certificate: &str) -> Self {
        let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
        let client = client_builder().tls_certs_only([certificate]).build().expect("a client");
        Self { client, ..Self::at(base) }
    }

    /// The cookie of this name that the site gave, if it did.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies().remove(name)
    }

    /// All cookies of the site's host.
    pub fn cookies(&self) -> BTreeMap<String, String> {
        let jar = self.jar.lock().expect("no visitor panics with the jar in hand");
        jar.get(host(&self.base)).cloned().unwrap_or_default()
    }

    /// Puts a cookie for the site's host into the browser.
    pub fn plant(&self, name: &str, value: &str) {
        let mut jar = self.jar.lock().expect("no visitor panics with the jar in hand");
        jar.entry(host(&self.base).to_owned()).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// Starts a sign-in at the pretend provider of the demo and chooses the person whose address contains `who` there.
    /// The last page.
    pub async fn follow_as(&self, who: &str) -> Answer {
        let question = self.follow("login").await;
        let mut links = question.body.split("href=\"").filter_map(|rest| rest.split('"').next());
        let link = links.find(|link| link.contains(who)).unwrap_or_else(|| panic!("no {who} in {question:#?}"));
        let choice = question.url.join(&link.replace("&amp;", "&")).expect("a link");
        self.follow(choice.as_str()).await
    }

    /// The same person's browser before another instance of the site: it brings the same cookies.
    pub fn also_at(&self, base: &str) -> Self {
        let other = Self::at(base);
        for (name, value) in self.cookies() {
            other.plant(&name, &value);
        }
        other
    }

    async fn send(&self, request: RequestBuilder, url: Url, headers: &[(&str, &str)]) -> Answer {
        let mut request = request;
        let cookies = self.cookie_header(&url);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            request = request.header(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{url} does not answer: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.expect("a body that ends");
        let answer = Answer { status, headers, body, url };
        self.keep_cookies_of(&answer);
        answer
    }

    fn cookie_header(&self, url: &Url) -> String {
        let jar = self.jar.lock().expect("no visitor panics with the jar in hand");
        let cookies = jar.get(host(url)).into_iter().flatten();
        cookies.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies_of(&self, answer: &Answer) {
        let mut jar = self.jar.lock().expect("no visitor panics with the jar in hand");
        let of_host = jar.entry(host(&answer.url).to_owned()).or_default();
        for cookie in answer.set_cookies() {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').expect("name=value");
            let attributes = attributes.to_ascii_lowercase();
            let is_gone = attributes.split(';').any(|attribute| attribute.trim() == "max-age=0")
                || attributes.contains("expires=thu, 01 jan 1970");
            if is_gone {
                of_host.remove(name);
            } else {
                of_host.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Visitor for Anonymous {
    fn browser(&self) -> &Anonymous {
        self
    }
}

/// A browser with a session.
pub struct SignedIn {
    browser: Anonymous,
}

impl SignedIn {
    /// Takes a browser that has just been signed in, and makes sure that it was.
    pub async fn with(browser: Anonymous) -> Self {
        let me = browser.get("api/me").await;
        assert_eq!(me.status, 200, "the sign-in left no session: {me:#?}");
        Self { browser }
    }
}

impl Visitor for SignedIn {
    fn browser(&self) -> &Anonymous {
        &self.browser
    }
}

/// A program with an API token and no cookies.
pub struct TokenHolder {
    browser: Anonymous,
    token: String,
}

impl TokenHolder {
    /// A program before the site at `base` that presents `token`, whatever it is.
    pub fn at(base: &str, token: &str) -> Self {
        Self { browser: Anonymous::at(base), token: token.to_owned() }
    }
}

impl Visitor for TokenHolder {
    fn browser(&self) -> &Anonymous {
        &self.browser
    }

    fn show(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token)
    }
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// A client that keeps nothing, follows nothing and gives up in time.
pub fn client() -> Client {
    client_builder().build().expect("a client")
}

fn client_builder() -> ClientBuilder {
    provide_cryptography();
    let builder = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    // No connection is kept: a test that ends a server would find it dead.
    builder.pool_max_idle_per_host(0).timeout(Duration::from_secs(30))
}

/// Names the one provider of cryptography, which the crates of the tests need before their first client.
pub fn provide_cryptography() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody else of this process may have named it already; it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
