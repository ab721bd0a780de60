//! `doorward login`, `me` and `logout`: a person at a terminal, on any machine, towards somebody's Doorward (RFC 8628).
//!
//! Leaves behind a file in the person's configuration folder, readable by nobody else: a token for each server. These
//! commands read no configuration of a site and no database; they speak HTTP as everybody does.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::form_urlencoded::Serializer;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::keychain::Keychain;
use crate::cli::output::{print, talk};
use crate::cli::table::harmless;
use crate::config::public_url::{NotPublicUrl, PublicUrl};
use crate::login::http::{Http, HttpError};
use crate::model::Scope;
use crate::names::Names;
use crate::web::api::device::GRANT_TYPE;
use crate::web::paths;

/// How many seconds more to leave after a `slow_down` (RFC 8628, section 3.5).
const MORE: u64 = 5;

/// `doorward login`
#[derive(Debug, clap::Args)]
pub struct Login {
    /// The site's Doorward: what browsers type, such as `https://example.com/auth`
    #[arg(long, value_name = "URL", value_parser = server)]
    server: PublicUrl,
    /// What the person at the browser is told of this machine; its own name otherwise
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// What the token may be used for: `me` or `account`
    #[arg(long, default_value = "me", value_parser = ["me", "account"])]
    scope: String,
    /// Prints the token and keeps it nowhere
    #[arg(long)]
    print: bool,
}

/// `doorward me`
#[derive(Debug, clap::Args)]
pub struct Me {
    /// Which server, where this terminal is signed in to several
    #[arg(long, value_name = "URL", value_parser = server)]
    server: Option<PublicUrl>,
}

/// `doorward logout`
#[derive(Debug, clap::Args)]
pub struct Logout {
    /// Which server, where this terminal is signed in to several
    #[arg(long, value_name = "URL", value_parser = server)]
    server: Option<PublicUrl>,
}

fn server(text: &str) -> Result<PublicUrl, String> {
    // Plain http goes to this machine alone: the token would be there for everybody to read.
    PublicUrl::parse(text).map_err(|error| match error {
        NotPublicUrl::PlainHttp => {
            "is plain http to another machine, where anybody on the way could read the token; write https://".to_owned()
        }
        error => format!("{error}; {}", error.remedy()),
    })
}

/// Runs `doorward login`.
pub async fn login(args: Login, context: Context) -> Result<(), Failure> {
    let terminal = Terminal::new(&args.server)?;
    let keychain = if args.print { None } else { Some(Keychain::of(&context.environment)?) };
    let scope = Scope::named(&args.scope).unwrap_or(Scope::Me);
    let machine = args.machine.unwrap_or_else(|| machine(&context));
    let wish = [("client_id", "doorward"), ("scope", scope.as_str()), ("machine", &machine)];
    let (status, asked) = terminal.post(paths::DEVICES, &wish).await.map_err(|error| terminal.away(&error))?;
    if status != StatusCode::OK {
        return Err(terminal.strange(status, &asked));
    }
    let text = |name: &str| asked[name].as_str().map(harmless);
    let (Some(address), Some(user_code), Some(code)) =
        (text("verification_uri"), text("user_code"), asked["device_code"].as_str())
    else {
        return Err(terminal.strange(status, &asked));
    };
    talk(&format!("Open {address} in a browser and type this code:\n\n    {user_code}\n"));
    talk("It is good for ten minutes. Waiting; Ctrl-C gives up.");
    let token = terminal.wait(code, &asked).await?;
    match keychain {
        None => print(&format!("{token}\n")),
        Some(keychain) => {
            let place = keychain.keep(&args.server.to_string(), &token)?;
            talk(&format!("signed in; the token lies in {}, for you alone to read", place.display()));
            talk("`doorward me` shows who you are, `doorward logout` ends it");
            Ok(())
        }
    }
}

/// Runs `doorward me`.
pub async fn me(args: Me, context: Context) -> Result<(), Failure> {
    let (server, token) = Keychain::of(&context.environment)?.the_token(args.server.as_ref())?;
    let terminal = Terminal::new(&server)?;
    let (status, body) =
        terminal.ask(Method::GET, paths::ME, Some(&token), None).await.map_err(|error| terminal.away(&error))?;
    match status {
        StatusCode::OK => print(&format!("{body}\n")),
        StatusCode::UNAUTHORIZED => Err(Failure::not_so(format!(
            "{server} does not take this terminal's token any more: it was revoked, or its time is over"
        ))
        .hint(format!("doorward login --server {server}"))),
        status => Err(terminal.strange(status, &body)),
    }
}

/// Runs `doorward logout`.
pub async fn logout(args: Logout, context: Context) -> Result<(), Failure> {
    let keychain = Keychain::of(&context.environment)?;
    let (server, token) = keychain.the_token(args.server.as_ref())?;
    let terminal = Terminal::new(&server)?;
    let own = format!("{}/current", paths::TOKENS);
    // Forgotten here first, it could not be revoked there any more.
    let (status, body) =
        terminal.ask(Method::DELETE, &own, Some(&token), None).await.map_err(|error| terminal.away(&error))?;
    // A token that admits nobody any more is what was wanted.
    if !matches!(status, StatusCode::NO_CONTENT | StatusCode::UNAUTHORIZED) {
        return Err(terminal.strange(status, &body));
    }
    keychain.forget(&server.to_string())?;
    talk(&format!("this terminal is signed out of {server}"));
    Ok(())
}

/// A server, and how to ask it.
struct Terminal {
    server: PublicUrl,
    http: Http,
}

impl Terminal {
    fn new(server: &PublicUrl) -> Result<Self, Failure> {
        let http = Http::new("site", Names::from_system(), None).map_err(|error| Failure::not_so(error.to_string()))?;
        Ok(Self { server: server.clone(), http })
    }

    /// Asks whether we may come in until somebody has decided. The token.
    async fn wait(&self, code: &str, asked: &Value) -> Result<String, Failure> {
        let seconds = |name: &str, otherwise: u64| asked[name].as_u64().unwrap_or(otherwise);
        let deadline = Instant::now() + Duration::from_secs(seconds("expires_in", 600).min(3600));
        let mut pause = seconds("interval", 5).clamp(1, 60);
        let too_late =
            || Failure::not_so("nobody typed the code in time").hint("begin again: the code is worth nothing now");
        let form = [("client_id", "doorward"), ("grant_type", GRANT_TYPE), ("device_code", code)];
        while Instant::now() < deadline {
            sleep(Duration::from_secs(pause)).await;
            let (status, body) = match self.post(paths::DEVICE_TOKEN, &form).await {
                Ok(answer) => answer,
                // A server that restarts or a line that drops: the code is still good.
                Err(HttpError::Connection(_) | HttpError::TimedOut | HttpError::Status(_)) => continue,
                Err(error) => return Err(self.away(&error)),
            };
            if let (StatusCode::OK, Some(token)) = (status, body["access_token"].as_str()) {
                return Ok(token.to_owned());
            }
            match body["error"].as_str() {
                Some("authorization_pending") => {}
                Some("slow_down") => pause += MORE,
                Some("access_denied") => {
                    let failure =
                        Failure::not_so("the person at the browser said no, or has as many tokens as anybody may");
                    return Err(
                        failure.hint("if that was you and you want in: begin again; `/account` lists the tokens")
                    );
                }
                Some("expired_token") => return Err(too_late()),
                _ => return Err(self.strange(status, &body)),
            }
        }
        Err(too_late())
    }

    async fn post(&self, door: &str, fields: &[(&str, &str)]) -> Result<(StatusCode, Value), HttpError> {
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.ask(Method::POST, door, None, Some(form)).await
    }

    /// The status, and the body as JSON; null where it is none.
    async fn ask(
        &self,
        method: Method,
        door: &str,
        token: Option<&str>,
        form: Option<String>,
    ) -> Result<(StatusCode, Value), HttpError> {
        let mut request = Request::builder().method(method).uri(self.server.join(door));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if form.is_some() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let request = request.body(form.unwrap_or_default().into_bytes());
        let request = request.map_err(|error| HttpError::Malformed(error.to_string()))?;
        let answer = self.http.send(request).await?;
        Ok((answer.status(), serde_json::from_slice(answer.body()).unwrap_or_default()))
    }

    fn away(&self, error: &HttpError) -> Failure {
        let failure = Failure::unavailable(format!("{} cannot be asked: {error}", self.server));
        failure.hint("check the address with a browser on this machine; whoever runs the site asks `doorward doctor`")
    }

    /// An answer that no Doorward gives, or that needs its operator.
    fn strange(&self, status: StatusCode, body: &Value) -> Failure {
        let told = ["detail", "error_description"].into_iter().find_map(|name| body[name].as_str());
        let told = told.map(|told| format!(": {}", harmless(told))).unwrap_or_default();
        let failure = Failure::not_so(format!("{} answered {}{told}", self.server, status.as_u16()));
        if status == StatusCode::NOT_FOUND {
            return failure.hint("is this the whole address of the site's Doorward, with its path, such as /auth?");
        }
        if told.is_empty() {
            return failure
                .hint("that is no answer of Doorward's: a proxy before it gave it, or another program is there");
        }
        failure
    }
}

/// What this machine is called, for the person who is to recognise it.
fn machine(context: &Context) -> String {
    let said = |name: &str| context.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    kernel().or_else(|| said("HOSTNAME")).or_else(|| said("COMPUTERNAME")).unwrap_or_default()
}
