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
use crate::config::access::{SignUp, domain, email};
use crate::config::problem::Wrong;
use crate::model::{Identity, User};

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
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        email: String,
        /// The account's Workspace domain, as Google would sign it (`hd`)
        #[arg(long, value_name = "DOMAIN", value_parser = hosted_domain)]
        hd: Option<String>,
        /// Judges as if the provider did not vouch for the address
        #[arg(long)]
        unverified: bool,
        /// Looks at the rules alone, not into the database
        #[arg(long)]
        offline: bool,
        /// Prints JSON instead of sentences
        #[arg(long)]
        json: bool,
    },
}

fn address(text: &str) -> Result<String, String> {
    email(text).map_err(said)
}

fn hosted_domain(text: &str) -> Result<String, String> {
    domain(text).map_err(said)
}

fn said(Wrong { what, remedy }: Wrong) -> String {
    format!("{what}; {remedy}")
}

/// Runs `doorward access …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let Command::Explain { email, hd, unverified, offline, json } = args.command;
    let access = Access::new(context.config()?.access);
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
