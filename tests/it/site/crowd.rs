//! A crowd: people who sign in, ask who they are, use tokens, sign out and end each other browser of theirs, at any of the
//! addresses of a site, for as long as a test's story lasts. They write down all they do and hear.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use doorward::clock::{Clock, SystemClock};
use doorward::credential::Plain;
use doorward::random::{self, SeededRandom};
use reqwest::{Client, Method, Url};
use serde_json::json;
use tokio::task::JoinSet;

use crate::site::history::{Credential, Deed, History, Operation, Person, Told, subject};
use crate::site::program::{PATIENCE, PAUSE};
use crate::site::provider::{self, ScriptedProvider};
use crate::site::visitors::{Answer, SAME_ORIGIN, SCRIPT, TYPED, provide_cryptography};

/// With how many browsers a person is signed in at the most.
const BROWSERS: usize = 3;

/// How many credentials that were ended each person keeps, to show them again.
const OLD: usize = 20;

/// People before a site.
pub struct Crowd {
    town: Arc<Town>,
    people: usize,
}

/// What all of them share.
struct Town {
    addresses: Vec<Url>,
    public_url: Url,
    provider: Arc<ScriptedProvider>,
    client: Client,
    history: History,
    credentials: AtomicUsize,
    pause: Duration,
    is_over: AtomicBool,
}

/// Somebody.
struct Somebody {
    number: Person,
    town: Arc<Town>,
    chance: SeededRandom,
    browsers: Vec<Held>,
    token: Option<Held>,
    old: Vec<Held>,
}

/// A credential in somebody's hands.
#[derive(Clone)]
struct Held {
    credential: Credential,
    /// The header that shows it.
    header: (&'static str, String),
    /// The name that the API speaks of it by.
    name: String,
}

impl Crowd {
    /// So many people before the instances, or proxies, at `addresses`, whose site is `public_url` to browsers.
    pub fn new(addresses: &[String], public_url: &str, provider: Arc<ScriptedProvider>, people: usize) -> Self {
        provide_cryptography();
        let parse = |address: &String| Url::parse(address).expect("an address");
        // Connections are kept, as browsers and proxies do.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let town = Town {
            addresses: addresses.iter().map(parse).collect(),
            public_url: Url::parse(public_url).expect("an address"),
            provider,
            client: client.timeout(Duration::from_secs(20)).build().expect("a client"),
            history: History::begin(),
            credentials: AtomicUsize::new(0),
            pause: Duration::from_millis(50),
            is_over: AtomicBool::new(false),
        };
        Self { town: Arc::new(town), people }
    }

    /// How long each of them rests between two requests, half as long again at the most.
    pub fn resting(mut self, pause: Duration) -> Self {
        Arc::get_mut(&mut self.town).expect("nobody lives there yet").pause = pause;
        self
    }

    /// What they have done, to be read while they go on.
    pub fn history(&self) -> History {
        self.town.history.clone()
    }

    /// Lets them live until `story` is over; then each looks whether they still have what they should have.
    pub async fn run(self, story: impl Future<Output = ()>) -> History {
        let mut people = JoinSet::new();
        for number in 0..self.people {
            people.spawn(Somebody::new(number, Arc::clone(&self.town)).live());
        }
        story.await;
        self.town.is_over.store(true, Ordering::Relaxed);
        let people = people.join_all().await;
        self.town.history.close();
        let looking: JoinSet<_> = people.into_iter().map(Somebody::look_at_everything).collect();
        looking.join_all().await;
        self.town.history.clone()
    }
}

impl Town {
    /// Sends a request; `None` where no answer comes.
    async fn ask(&self, address: usize, method: Method, target: &str, headers: &[(&str, &str)]) -> Option<Answer> {
        self.ask_with(address, method, target, headers, None).await
    }

    async fn ask_with(
        &self,
        address: usize,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Option<Answer> {
        let url = self.addresses[address].join(target).expect("a path");
        let host = self.public_url.authority();
        let mut request = self.client.request(method, url.clone()).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Answer { status, headers, body: response.text().await.ok()?, url })
    }

    fn session_cookie(&self) -> String {
        match self.public_url.scheme() {
            "https" => "__Host-doorward".to_owned(),
            _ => format!("doorward_{}", self.public_url.port_or_known_default().expect("a port")),
        }
    }

    fn loses_cookie(&self, answer: &Answer) -> bool {
        let ours = format!("{}=", self.session_cookie());
        let is_gone = |cookie: &&str| cookie.to_ascii_lowercase().contains("max-age=0");
        answer.set_cookies().into_iter().filter(|cookie| cookie.starts_with(&ours)).any(|cookie| is_gone(&cookie))
    }

    fn new_credential(&self) -> Credential {
        self.credentials.fetch_add(1, Ordering::Relaxed)
    }
}

/// What a failure is, as a history tells it; `None` where it is none.
fn trouble(answer: Option<&Answer>) -> Option<Told> {
    match answer.map(|answer| answer.status) {
        None => Some(Told::Nothing),
        Some(503) => Some(Told::Unavailable),
        Some(_) => None,
    }
}

/// Who the site takes somebody for, by its own words: `crowd-7` at any of its doors.
fn identity(answer: &Answer) -> Option<Person> {
    let header = answer.header("x-auth-request-user");
    let text = if header.is_empty() { &answer.body } else { header };
    let (_, rest) = text.split_once("crowd-")?;
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

impl Somebody {
    fn new(number: Person, town: Arc<Town>) -> Self {
        let chance = SeededRandom::new(number as u64);
        Self { number, town, chance, browsers: Vec::new(), token: None, old: Vec::new() }
    }

    /// A number below `end`.
    fn any(&self, end: usize) -> usize {
        u32::from_le_bytes(random::bytes(&self.chance)) as usize % end
    }

    fn anywhere(&self) -> usize {
        self.any(self.town.addresses.len())
    }

    fn is_over(&self) -> bool {
        self.town.is_over.load(Ordering::Relaxed)
    }

    /// Goes about until it is over.
    async fn live(mut self) -> Self {
        while !self.is_over() {
            let pause = self.town.pause;
            tokio::time::sleep(pause / 2 + pause * u32::try_from(self.any(1000)).expect("small") / 1000).await;
            let chosen = self.browsers.get(self.any(self.browsers.len().max(1))).cloned();
            let Some(chosen) = chosen else {
                self.sign_in().await;
                continue;
            };
            match self.any(1000) {
                0..15 => self.sign_out(chosen).await,
                15..25 => self.end_another(chosen).await,
                25..50 if self.browsers.len() < BROWSERS => self.sign_in().await,
                50..55 => self.end_token(chosen).await,
                55..150 if self.token.is_some() => {
                    let token = self.token.clone().expect("a token");
                    self.show(&token, self.anywhere()).await;
                }
                150..200 if !self.old.is_empty() => {
                    let old = self.old[self.any(self.old.len())].clone();
                    self.show(&old, self.anywhere()).await;
                }
                _ => {
                    let told = self.show(&chosen, self.anywhere()).await;
                    if matches!(told, Told::Nobody | Told::SentAway) {
                        self.browsers.retain(|browser| browser.credential != chosen.credential);
                    }
                }
            }
        }
        self
    }

    /// Looks at every address whether everything that was not ended works, and what was ended does not.
    async fn look_at_everything(self) {
        let deadline = Instant::now() + PATIENCE;
        let kept = self.browsers.iter().chain(&self.token);
        for held in kept.chain(&self.old) {
            for address in 0..self.town.addresses.len() {
                while matches!(self.show(held, address).await, Told::Unavailable | Told::Nothing)
                    && Instant::now() < deadline
                {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Writes down what came of a request that began at `begun`.
    fn note(
        &self,
        begun: Duration,
        address: usize,
        with: Option<&Held>,
        deed: Deed,
        answer: Option<&Answer>,
        told: impl FnOnce(&Answer) -> Told,
    ) -> Told {
        let told = trouble(answer).unwrap_or_else(|| answer.map_or(Told::Nothing, told));
        let lost_cookie = answer.is_some_and(|answer| self.town.loses_cookie(answer));
        let (ended, person, with) = (self.town.history.now(), self.number, with.map(|held| held.credential));
        self.town.history.note(Operation { begun, ended, address, person, with, deed, told, lost_cookie });
        told
    }

    /// Asks at one of the doors who they are.
    async fn show(&self, held: &Held, address: usize) -> Told {
        let own: &[(&str, &str)] = &[(held.header.0, &held.header.1)];
        let aside = [("x-original-url", "http://app.localhost/"), ("x-original-method", "GET")];
        let is_token = held.header.0 == "authorization";
        let (path, headers) = match self.any(10) {
            0..6 => ("/api/me", [own, SCRIPT].concat()),
            6..9 => ("/gate", [own, &aside].concat()),
            _ if is_token => ("/api/me", own.to_vec()),
            _ => ("/", [own, TYPED].concat()),
        };
        let begun = self.town.history.now();
        let answer = self.town.ask(address, Method::GET, path, &headers).await;
        self.note(begun, address, Some(held), Deed::Show, answer.as_ref(), |answer| match answer.status {
            200 if path == "/" && answer.body.contains("Login to continue") => Told::Nobody,
            200 => Told::Are(identity(answer)),
            401 => Told::Nobody,
            300..=399 => Told::SentAway,
            status => Told::Other(status),
        })
    }

    /// Signs in with a fresh browser, by way of any of the addresses each time.
    async fn sign_in(&mut self) {
        let credential = self.town.new_credential();
        let begun = self.town.history.now();
        let mut address = self.anywhere();
        let mut answer = self.town.ask(address, Method::GET, "/login", TYPED).await;
        if let Some(login) = answer.as_ref().filter(|answer| answer.status == 303) {
            let back = self.agree(login);
            address = self.anywhere();
            let cookies: BTreeMap<_, _> = login.set_cookies().iter().filter_map(|cookie| pair(cookie)).collect();
            let cookies: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let cookies = cookies.join("; ");
            let headers = [TYPED, &[("cookie", cookies.as_str())]].concat();
            answer = self.town.ask(address, Method::GET, &back, &headers).await;
        }
        let cookie = self.town.session_cookie();
        let handle = answer.as_ref().filter(|answer| answer.status == 303).and_then(|answer| {
            let cookies = answer.set_cookies();
            let (_, handle) = cookies.iter().filter_map(|cookie| pair(cookie)).find(|(name, _)| *name == cookie)?;
            Some(handle.to_owned())
        });
        self.note(begun, address, None, Deed::Open(credential), answer.as_ref(), |answer| match &handle {
            Some(_) => Told::Done,
            None => Told::Other(answer.status),
        });
        let Some(handle) = handle else { return };
        let name = Plain::presented(&handle).hashed().short();
        self.browsers.push(Held { credential, header: ("cookie", format!("{cookie}={handle}")), name });
        if self.token.is_none() {
            self.make_token().await;
        }
    }

    /// Agrees at the provider: what the browser is to bring back.
    fn agree(&self, login: &Answer) -> String {
        self.town.provider.script().now = SystemClock.now().unix();
        let who = subject(self.number);
        let who = provider::person(&who, &format!("{who}@example.com"), &format!("{who} of tests"));
        let agreed = self.town.provider.approve_as(&login.location(), who);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("code", &agreed.code.expect("a code")).append_pair("state", &agreed.state.expect("a state"));
        format!("/login/callback?{}", query.finish())
    }

    /// Makes a token, with the session that was opened a moment ago.
    async fn make_token(&mut self) {
        let Some(session) = self.browsers.last().cloned() else { return };
        let credential = self.town.new_credential();
        let (begun, address) = (self.town.history.now(), self.anywhere());
        let headers = [SCRIPT, &[(session.header.0, session.header.1.as_str())]].concat();
        let body = Some(json!({ "name": "of the crowd" }).to_string());
        let answer = self.town.ask_with(address, Method::POST, "/api/tokens", &headers, body).await;
        let told = self.note(begun, address, Some(&session), Deed::Open(credential), answer.as_ref(), |answer| {
            match answer.status {
                201 => Told::Done,
                401 => Told::Nobody,
                status => Told::Other(status),
            }
        });
        if let (Told::Done, Some(answer)) = (told, answer) {
            let made = answer.json();
            let text = |name: &str| made[name].as_str().expect("a token").to_owned();
            let header = ("authorization", format!("Bearer {}", text("token")));
            self.token = Some(Held { credential, header, name: text("id") });
        }
    }

    async fn sign_out(&mut self, held: Held) {
        let address = self.anywhere();
        self.end(&held, &held, address, Method::POST, "/logout", SAME_ORIGIN).await;
    }

    /// Ends a browser of theirs from another one.
    async fn end_another(&mut self, held: Held) {
        let Some(by) = self.browsers.iter().find(|browser| browser.credential != held.credential).cloned() else {
            return;
        };
        let (address, path) = (self.anywhere(), format!("/api/sessions/{}", held.name));
        self.end(&held, &by, address, Method::DELETE, &path, SCRIPT).await;
    }

    async fn end_token(&mut self, by: Held) {
        let Some(token) = self.token.take() else { return };
        let (address, path) = (self.anywhere(), format!("/api/tokens/{}", token.name));
        self.end(&token, &by, address, Method::DELETE, &path, SCRIPT).await;
    }

    /// Ends `held`, which is shown elsewhere at the same moment, and everywhere as soon as it is over.
    async fn end(
        &mut self,
        held: &Held,
        by: &Held,
        address: usize,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) {
        self.browsers.retain(|browser| browser.credential != held.credential);
        let headers = [headers, &[(by.header.0, by.header.1.as_str())]].concat();
        let ending = async {
            let begun = self.town.history.now();
            let answer = self.town.ask(address, method, path, &headers).await;
            self.note(begun, address, Some(by), Deed::End(held.credential), answer.as_ref(), |answer| {
                match answer.status {
                    204 | 303 => Told::Done,
                    401 => Told::Nobody,
                    404 => Told::Missing,
                    status => Told::Other(status),
                }
            })
        };
        tokio::join!(ending, self.show(held, self.anywhere()));
        for address in 0..self.town.addresses.len() {
            self.show(held, address).await;
        }
        self.old.push(held.clone());
        if self.old.len() > OLD {
            self.old.remove(0);
        }
    }
}

/// Name and value of a `Set-Cookie` that gives one.
fn pair(cookie: &str) -> Option<(&str, &str)> {
    let (name, value) = cookie.split(';').next()?.split_once('=')?;
    (!value.is_empty()).then_some((name, value))
}
