//! The scripted provider: an OpenID provider on loopback that is honest until a test tells it to lie.
//!
//! It shares no code with the product. Everything it says can be overridden through its [`Script`]; it counts who asks
//! for what. Tests let somebody sign in either over HTTP at its authorization endpoint or at once by
//! [`ScriptedProvider::approve`].

pub mod authority;
pub mod keys;
pub mod wire;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::config::provider::{Provider as Config, other};
use doorward::config::secret::Secret;
use doorward::login::Answer;
use serde_json::{Map, Value, json};
use url::Url;

use self::authority::Authority;
use self::keys::Key;
use self::wire::{Canned, Request};

/// Our name at the provider, in all tests.
pub const CLIENT_ID: &str = "client/1 of:tests";

/// Our secret at the provider: full of what careless encoding breaks.
pub const CLIENT_SECRET: &str = "a:b%c+d/é=";

/// When it is for the provider: 2027-01-15T08:00:00Z, where a test's `ManualClock` starts too.
pub const NOW: i64 = 1_800_000_000;

/// What the provider is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// The keys.
    Keys,
    /// Where browsers go.
    Authorization,
    /// Where codes are exchanged.
    Token,
    /// Further claims.
    Userinfo,
    /// Anything else: somebody followed what must not be followed.
    Elsewhere,
}

/// Members of a JSON object to set, or with `None` to leave out.
pub type Overrides = BTreeMap<String, Option<Value>>;

/// Makes an ID token out of its claims.
pub type Forge = fn(&Map<String, Value>) -> String;

/// Makes an ID token worse.
pub type Mangle = fn(String) -> String;

/// What the provider says, to be changed at any time.
#[derive(Clone)]
pub struct Script {
    /// The client that it knows.
    pub client_id: String,
    /// That client's secret.
    pub client_secret: String,
    /// Who signs in next: `sub`, `email`, `name` and whatever else the ID token holds.
    pub person: Map<String, Value>,
    /// What time the tokens are made at.
    pub now: i64,
    /// Whether it tells what time it is for it, in the `Date` of its answers.
    pub tells_time: bool,
    /// Changes to the discovery document.
    pub metadata: Overrides,
    /// Changes to the ID token's header.
    pub header: Overrides,
    /// Changes to the ID token's claims.
    pub claims: Overrides,
    /// Changes to the token response.
    pub tokens: Overrides,
    /// Whole answers in place of the honest ones.
    pub canned: HashMap<Door, Canned>,
    /// What userinfo says; `None` is the person.
    pub userinfo: Option<Value>,
    /// The key that signs.
    pub key: Key,
    /// The keys that are published.
    pub published: Vec<Value>,
    /// Changes the finished ID token.
    pub mangle: Option<Mangle>,
    /// Makes the whole ID token from its claims.
    pub forge: Option<Forge>,
    /// Whether answers name their issuer (RFC 9207).
    pub names_itself: bool,
}

impl Default for Script {
    fn default() -> Self {
        let key = Key::numbered(0);
        let published = vec![key.public()];
        Self {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            person: person("1101", "ada@example.com", "Ada Lovelace"),
            now: NOW,
            tells_time: false,
            metadata: Overrides::new(),
            header: Overrides::new(),
            claims: Overrides::new(),
            tokens: Overrides::new(),
            canned: HashMap::new(),
            userinfo: None,
            key,
            published,
            mangle: None,
            forge: None,
            names_itself: false,
        }
    }
}

impl Script {
    /// The next ID tokens hold `value` as `claim`.
    pub fn claim(&mut self, claim: &str, value: impl Into<Value>) {
        self.claims.insert(claim.to_owned(), Some(value.into()));
    }

    /// The next ID tokens do not hold `claim`.
    pub fn without_claim(&mut self, claim: &str) {
        self.claims.insert(claim.to_owned(), None);
    }

    /// The discovery document holds `value` as `member`.
    pub fn announce(&mut self, member: &str, value: impl Into<Value>) {
        self.metadata.insert(member.to_owned(), Some(value.into()));
    }

    /// `door` answers with `canned`, whatever it is asked.
    pub fn answer(&mut self, door: Door, canned: Canned) {
        self.canned.insert(door, canned);
    }
}

/// The claims of somebody whose address is verified.
pub fn person(sub: &str, email: &str, name: &str) -> Map<String, Value> {
    let claims = json!({ "sub": sub, "email": email, "email_verified": true, "name": name });
    claims.as_object().expect("an object").clone()
}

/// A sign-in that was approved and whose code waits.
struct Grant {
    nonce: Option<String>,
    challenge: String,
    redirect_uri: String,
    person: Map<String, Value>,
}

struct State {
    issuer: String,
    script: Mutex<Script>,
    grants: Mutex<HashMap<String, Grant>>,
    hits: Mutex<HashMap<Door, usize>>,
    /// What the last token request authenticated with: `basic` or `post`.
    authenticated_by: Mutex<Option<&'static str>>,
    /// The `traceparent` of the last request to each door.
    traces: Mutex<HashMap<Door, Option<String>>>,
}

/// A provider that listens until it is dropped.
pub struct ScriptedProvider {
    state: Arc<State>,
    listener: wire::Listener,
}

impl ScriptedProvider {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address")).await
    }

    /// Starts one at `address`, where an earlier one may have been.
    pub async fn start_at(address: SocketAddr) -> Self {
        let socket = wire::bind(address).await;
        let issuer = format!("http://{}", socket.local_addr().expect("an address"));
        let state = State::new(issuer);
        let answering = Arc::clone(&state);
        let listener = wire::listen(socket, move |request| answering.answer(&request));
        Self { state, listener }
    }

    /// Starts one that is `https://HOST:PORT`, on a free port of `address`; `authority` vouches for it.
    pub async fn start_tls(address: IpAddr, host: &str, authority: &Authority) -> Self {
        let socket = wire::bind(SocketAddr::new(address, 0)).await;
        let issuer = format!("https://{host}:{}", socket.local_addr().expect("an address").port());
        let state = State::new(issuer);
        let answering = Arc::clone(&state);
        let tls = authority.acceptor(host);
        let listener = wire::listen_tls(socket, tls, move |request| answering.answer(&request));
        Self { state, listener }
    }

    /// The issuer, without a slash at the end.
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// It in the words of a configuration.
    pub fn config(&self) -> Config {
        Config {
            label: "Test".to_owned(),
            issuer: self.issuer().to_owned(),
            client_id: self.script().client_id.clone(),
            client_secret: Secret::new(CLIENT_SECRET),
            ..other("test")
        }
    }

    /// What it says, to be changed.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.state.script.lock().expect("no test panicked here")
    }

    /// How often `door` was asked.
    pub fn hits(&self, door: Door) -> usize {
        self.state.hits.lock().expect("no test panicked here").get(&door).copied().unwrap_or_default()
    }

    /// The `traceparent` of the last request to `door`.
    pub fn trace(&self, door: Door) -> Option<String> {
        self.state.traces.lock().expect("no test panicked here").get(&door).cloned().flatten()
    }

    /// How the last token request authenticated.
    pub fn authenticated_by(&self) -> Option<&'static str> {
        *self.state.authenticated_by.lock().expect("no test panicked here")
    }

    /// The person of the script agrees to the request in `url`, which came from the product. What their browser brings
    /// back.
    pub fn approve(&self, url: &Url) -> Answer {
        let person = self.script().person.clone();
        self.approve_as(url, person)
    }

    /// The same for a person of one's own choice, while others come and go.
    pub fn approve_as(&self, url: &Url, person: Map<String, Value>) -> Answer {
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let code = self.state.grant(&query, person).expect("an authorization request that is complete");
        let iss = self.script().names_itself.then(|| self.issuer().to_owned());
        Answer { code: Some(code), state: query.get("state").cloned(), iss, error: None }
    }
}

impl State {
    fn new(issuer: String) -> Arc<Self> {
        Arc::new(Self {
            issuer,
            script: Mutex::default(),
            grants: Mutex::default(),
            hits: Mutex::default(),
            authenticated_by: Mutex::default(),
            traces: Mutex::default(),
        })
    }

    fn script(&self) -> Script {
        self.script.lock().expect("no test panicked here").clone()
    }

    fn answer(&self, request: &Request) -> Canned {
        let door = match request.path.as_str() {
            "/.well-known/openid-configuration" => Door::Discovery,
            "/keys" => Door::Keys,
            "/authorize" => Door::Authorization,
            "/token" => Door::Token,
            "/userinfo" => Door::Userinfo,
            _ => Door::Elsewhere,
        };
        *self.hits.lock().expect("no test panicked here").entry(door).or_default() += 1;
        let trace = request.header("traceparent").map(str::to_owned);
        self.traces.lock().expect("no test panicked here").insert(door, trace);
        let script = self.script();
        if let Some(canned) = script.canned.get(&door) {
            return canned.clone();
        }
        let answer = self.honest(door, request, &script);
        if !script.tells_time {
            return answer;
        }
        let now = chrono::DateTime::from_timestamp(script.now, 0).expect("a time");
        answer.with_header("date", &now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }

    fn honest(&self, door: Door, request: &Request, script: &Script) -> Canned {
        match door {
            Door::Discovery => Canned::json(self.metadata(script)),
            Door::Keys => Canned::json(json!({ "keys": script.published })),
            Door::Authorization => self.authorize(request, script),
            Door::Token => self.exchange(request, script),
            Door::Userinfo => self.userinfo(request, script),
            Door::Elsewhere => Canned::status(404),
        }
    }

    fn metadata(&self, script: &Script) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let metadata = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        });
        overridden(metadata, &script.metadata)
    }

    /// Everybody who comes is the person of the script and agrees.
    fn authorize(&self, request: &Request, script: &Script) -> Canned {
        let Some(code) = self.grant(&request.query, script.person.clone()) else { return Canned::status(400) };
        let mut back = Url::parse(&request.query["redirect_uri"]).expect("a redirect URI");
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &request.query["state"]);
        if script.names_itself {
            back.query_pairs_mut().append_pair("iss", &self.issuer);
        }
        Canned::status(303).with_header("location", back.as_str())
    }

    /// A code for the request in `query`, where it is one that we insist on.
    fn grant(&self, query: &HashMap<String, String>, person: Map<String, Value>) -> Option<String> {
        let is = |name: &str, value: &str| query.get(name).is_some_and(|given| given == value);
        let is_ours = is("client_id", &self.script().client_id)
            && is("response_type", "code")
            && is("code_challenge_method", "S256");
        if !is_ours || !query.contains_key("state") {
            return None;
        }
        let grant = Grant {
            nonce: query.get("nonce").cloned(),
            challenge: query.get("code_challenge")?.clone(),
            redirect_uri: query.get("redirect_uri")?.clone(),
            person,
        };
        let mut grants = self.grants.lock().expect("no test panicked here");
        let code = format!("code-{}-{}", grants.len(), query["state"]);
        grants.insert(code.clone(), grant);
        Some(code)
    }

    fn exchange(&self, request: &Request, script: &Script) -> Canned {
        let refuse = |error: &str| Canned::json(json!({ "error": error })).with_status(400);
        let Some(authenticated_by) = request.authenticated_by(&script.client_id, &script.client_secret) else {
            return refuse("invalid_client").with_status(401);
        };
        *self.authenticated_by.lock().expect("no test panicked here") = Some(authenticated_by);
        let field = |name: &str| request.form.get(name).map(String::as_str).unwrap_or_default();
        if field("grant_type") != "authorization_code" {
            return refuse("unsupported_grant_type");
        }
        // A code is gone with the first question about it.
        let grant = self.grants.lock().expect("no test panicked here").remove(field("code"));
        let Some(grant) = grant else { return refuse("invalid_grant") };
        let challenge = ring::digest::digest(&ring::digest::SHA256, field("code_verifier").as_bytes());
        if URL_SAFE_NO_PAD.encode(challenge) != grant.challenge || field("redirect_uri") != grant.redirect_uri {
            return refuse("invalid_grant");
        }
        let access_token = format!("access-token-of-{}", grant.person["sub"]);
        let tokens = json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": self.id_token(&grant, &access_token, script),
        });
        Canned::json(overridden(tokens, &script.tokens))
    }

    fn id_token(&self, grant: &Grant, access_token: &str, script: &Script) -> String {
        let hash = ring::digest::digest(&ring::digest::SHA256, access_token.as_bytes());
        let mut claims = json!({
            "iss": self.issuer,
            "aud": script.client_id,
            "iat": script.now,
            "auth_time": script.now,
            "exp": script.now + 3600,
            "nonce": grant.nonce,
            "at_hash": URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]),
        });
        claims.as_object_mut().expect("an object").extend(grant.person.clone());
        let claims = overridden(claims, &script.claims);
        if let Some(forge) = script.forge {
            return forge(claims.as_object().expect("an object"));
        }
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": script.key.id() });
        let token = script.key.sign(&overridden(header, &script.header), &claims);
        script.mangle.map_or(token.clone(), |mangle| mangle(token))
    }

    fn userinfo(&self, request: &Request, script: &Script) -> Canned {
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if !bearer.is_some_and(|token| token.starts_with("access-token-of-")) {
            return Canned::status(401);
        }
        let person = || Value::Object(script.person.clone());
        Canned::json(script.userinfo.clone().unwrap_or_else(person))
    }
}

fn overridden(mut object: Value, overrides: &Overrides) -> Value {
    let members = object.as_object_mut().expect("an object");
    for (name, value) in overrides {
        match value {
            Some(value) => members.insert(name.clone(), value.clone()),
            None => members.remove(name),
        };
    }
    object
}
