//! `doorward access explain`: which rule decides about somebody, and why. Reads the configuration, and where the
//! database can be asked, what it knows of people with this address.

use clap::Subcommand;
use serde_json::json;

use crate::access::{Access, Decision};
use crate::cli::context::Context;
use crate::cli::database;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::cli::table::harmless;
use crate::clock::Timestamp;
use crate::config::access::{SignUp, domain, email};
use crate::config::problem::Wrong;
use crate::config::{Config, gate};
use crate::gate::target::Target;
use crate::gate::{Gate, Person, Verdict};
use crate::model::{Identity, User, UserId};

/// `doorward access …`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tells which rule decides about an account, and why
    Explain {
        /// The account's address, taken as verified
        #[arg(long, value_name = "ADDRESS", value_parser = address, required_unless_present = "url")]
        email: Option<String>,
        /// The account's Workspace domain, as Google would sign it (`hd`)
        #[arg(long, value_name = "DOMAIN", value_parser = hosted_domain)]
        hd: Option<String>,
        /// Judges as if the provider did not vouch for the address
        #[arg(long)]
        unverified: bool,
        /// Looks at the rules alone, not into the database
        #[arg(long)]
        offline: bool,
        /// Tells which rule of the gate decides about this address of an app behind it, whole, as browsers have it
        #[arg(long, value_name = "URL", value_parser = target)]
        url: Option<Target>,
        /// The method of the request to that address
        #[arg(long, default_value = "GET", requires = "url", value_parser = method)]
        method: String,
        /// As if an API token stood for the account
        #[arg(long, requires_all = ["url", "email"])]
        token: bool,
        /// The account's id in the table of users, which groups may name
        #[arg(long, requires_all = ["url", "email"], default_value = "", hide_default_value = true)]
        id: String,
        /// Prints JSON instead of sentences
        #[arg(long)]
        json: bool,
    },
}

/// An address, as an option of the command line.
pub fn address(text: &str) -> Result<String, String> {
    email(text).map_err(said)
}

/// A domain, likewise.
pub fn hosted_domain(text: &str) -> Result<String, String> {
    domain(text).map_err(said)
}

fn method(text: &str) -> Result<String, String> {
    gate::method(text).map_err(said)
}

fn said(Wrong { what, remedy }: Wrong) -> String {
    format!("{what}; {remedy}")
}

/// Runs `doorward access …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let Command::Explain { email, hd, unverified, offline, url, method, token, id, json } = args.command;
    let config = context.config()?;
    if let Some(target) = url {
        let target = Target { method: Some(method), ..target };
        let user = email.map(|email| user(id, somebody(email, hd, !unverified)));
        return explain_gate(&config, &target, user.as_ref(), token, json);
    }
    let access = Access::new(config.access);
    let email = email.unwrap_or_default();
    let identity = somebody(email, hd, !unverified);
    let (is_allowed, rule) = match access.decide(&identity) {
        Decision::Allow(rule) => (true, rule),
        Decision::Deny(rule) => (false, rule),
    };
    let words = access.explain(&identity);
    let known = if offline { None } else { known(&context, &identity.email).await };
    if json {
        let decision = if is_allowed { "allow" } else { "deny" };
        let people = known.as_ref().map(|known| {
            let person =
                |user: &User| json!({"id": user.id.as_str(), "blocked_at": user.blocked_at.map(|at| at.to_string())});
            known.iter().map(person).collect::<Vec<_>>()
        });
        let sign_up = if access.sign_up() == SignUp::Open { "open" } else { "existing" };
        let answer = json!({
            "email": identity.email,
            "hosted_domain": identity.hosted_domain,
            "decision": decision,
            "rule": rule,
            "words": words,
            "sign_up": sign_up,
            "users": people,
        });
        return print(&format!("{answer}\n"));
    }
    let verdict = if is_allowed { "may come in" } else { "may not come in" };
    let mut text = format!("{verdict} ({rule}): {words}\n");
    if is_allowed && access.sign_up() == SignUp::Existing {
        text.push_str(
            "access.sign_up lets in only people who have a row in the table of users: found by the id, which no \
             address tells\n",
        );
    }
    for user in known.iter().flatten() {
        text.push_str(&standing(user));
    }
    print(&text)
}

/// Which rule of the gate decides about `target`, and what a proxy is answered.
fn explain_gate(
    config: &Config,
    target: &Target,
    user: Option<&User>,
    is_token: bool,
    as_json: bool,
) -> Result<(), Failure> {
    let gate = Gate::new(&config.gate, &config.groups);
    let access = Access::new(config.access.clone());
    let denied = user.and_then(|user| match access.decide(&user.identity) {
        Decision::Deny(rule) => Some((rule, access.explain(&user.identity))),
        Decision::Allow(_) => None,
    });
    // Whoever may not come in at all is nobody to the gate.
    let person = match user.filter(|_| denied.is_none()) {
        None => Person::Nobody,
        Some(user) if is_token => Person::ByToken(user),
        Some(user) => Person::BySession(user),
    };
    let verdict = gate.decide(Some(target), person);
    let (decision, sentence, reason) = match &verdict {
        Verdict::Pass(reason) => ("pass", "may pass", reason),
        Verdict::SignInFirst(reason) => ("sign_in_first", "must sign in first", reason),
        Verdict::Deny(reason) => ("deny", "may not pass", reason),
    };
    let groups: Vec<&str> = user.map(|user| gate.groups_of(user).collect()).unwrap_or_default();
    if as_json {
        let answer = json!({
            "url": target.url(),
            "method": target.method,
            "decision": decision,
            "reason": reason.word(),
            "words": reason.to_string(),
            "groups": groups,
            "access": denied.as_ref().map(|(rule, _)| rule),
        });
        return print(&format!("{answer}\n"));
    }
    let mut text = format!("{sentence} ({}): {reason}\n", reason.word());
    if let Some((rule, words)) = denied {
        text.push_str(&format!("this account may not even come in ({rule}): {words}\n"));
    }
    if !groups.is_empty() {
        text.push_str(&format!("groups: {}\n", groups.join(",")));
    }
    print(&text)
}

fn target(text: &str) -> Result<Target, String> {
    let wrong = || "not a whole address; write https://app.example.com/admin/".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (authority, address) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = if address.is_empty() { "/" } else { address };
    Target::new(scheme, authority, address, None).map_err(|_| wrong())
}

fn user(id: String, identity: Identity) -> User {
    let never = Timestamp::from_unix(0);
    User { id: UserId::new(id), identity, created_at: never, last_login_at: never, blocked_at: None }
}

fn somebody(email: String, hosted_domain: Option<String>, email_verified: bool) -> Identity {
    Identity {
        provider: String::new(),
        issuer: String::new(),
        subject: String::new(),
        email,
        email_verified,
        name: None,
        picture: None,
        hosted_domain,
    }
}

/// Who has this address; `None` where the database cannot tell, which is said.
async fn known(context: &Context, email: &str) -> Option<Vec<User>> {
    let found = async {
        let opened = database::open(context).await?;
        let found = opened.users.meant_by(email).await;
        opened.close().await;
        Ok::<_, Failure>(found?)
    };
    match found.await {
        Ok(found) => Some(found),
        Err(failure) => {
            talk(&format!("whether somebody with this address is blocked is not known: {}", failure.message));
            None
        }
    }
}

fn standing(user: &User) -> String {
    let id = harmless(user.id.as_str());
    match user.blocked_at {
        Some(since) => format!("but user {id}, who has this address, is blocked since {since} and stays out\n"),
        None => format!("user {id} has this address and is not blocked\n"),
    }
}
