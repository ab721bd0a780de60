//! Whether the provider answers, agrees about the time, and takes us for a client of its own.

use std::sync::Arc;

use tokio::time::timeout;

use crate::cli::check::{self, Finding, PATIENCE};
use crate::cli::failure::Failure;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::config::provider::Provider;
use crate::login::{Login, LoginError, Looked, clocks_differ};
use crate::names::Names;
use crate::random::OsRandom;
use crate::store;
use crate::web::paths::CALLBACK;

/// By how many seconds clocks may differ without a word.
const SKEW: u64 = 30;

/// What the provider said.
pub enum Seen {
    /// It was asked.
    Answered(Looked),
    /// It could not be asked, or not by this configuration.
    Silent(Failure),
}

/// Asks the provider of `config`. `None`: there is none.
pub async fn ask(config: &Config) -> Option<Seen> {
    let provider = config.provider.as_ref()?;
    let (clock, names) = (Arc::new(SystemClock), Names::from_system());
    // Signing in needs a store; looking does not touch it.
    let store = store::open(&config.database, names.clone(), clock.clone());
    let login = match Login::new(config, provider, store, clock, Arc::new(OsRandom), names) {
        Ok(login) => login,
        Err(error) => return Some(Seen::Silent(Failure::configuration(error.to_string()))),
    };
    let issuer = &provider.issuer;
    let way_out = "Doorward starts without it and asks again at every sign-in; look at the issuer's spelling, at this \
                   machine's way to the internet and at its firewall";
    Some(match timeout(PATIENCE, login.look_at_provider()).await {
        Ok(Ok(looked)) => Seen::Answered(looked),
        Ok(Err(error)) => {
            let message = format!("{error}; nobody can sign in until {issuer} answers");
            Seen::Silent(Failure::unavailable(message).hint(way_out))
        }
        Err(_) => {
            let message = format!("{issuer} gave no answer within {} seconds", PATIENCE.as_secs());
            Seen::Silent(Failure::unavailable(message).hint(way_out))
        }
    })
}

/// Whether its metadata and keys could be read.
pub fn answers(seen: &check::Seen) -> Vec<Finding> {
    let issuer = issuer(seen);
    vec![match &seen.provider {
        None => Finding::skipped("no provider is configured"),
        Some(Seen::Silent(failure)) => failure.clone().into(),
        Some(Seen::Answered(Looked { keys: 0, .. })) => {
            Finding::wrong(format!("{issuer} publishes no key that can be read, so that no ID token can be checked"))
                .hint("it must publish keys of the kinds in providers.….algorithms at its jwks_uri")
        }
        Some(Seen::Answered(looked)) => {
            let keys = if looked.keys == 1 { "one key".to_owned() } else { format!("{} keys", looked.keys) };
            Finding::fine(format!("{issuer}: metadata and {keys}"))
        }
    }]
}

/// Whether our clocks agree, by the `Date` of its answer (RFC 9110, section 6.6.1).
pub fn clock(seen: &check::Seen) -> Vec<Finding> {
    match &seen.provider {
        Some(Seen::Answered(Looked { ahead: Some(ahead), .. })) if ahead.unsigned_abs() > SKEW => {
            vec![Finding::warning(clocks_differ(*ahead))]
        }
        Some(Seen::Answered(Looked { ahead: Some(ahead), .. })) => {
            vec![Finding::fine(format!("this machine's clock and the provider's are {ahead} seconds apart"))]
        }
        Some(Seen::Answered(_)) => vec![Finding::skipped("the provider does not say what time it is")],
        _ => vec![Finding::skipped("the provider was not asked")],
    }
}

/// Whether it takes our id and secret, by a code that is none: who asks is looked at before the code is (RFC 6749, section
/// 5.2: `invalid_client` before `invalid_grant`).
pub fn client(seen: &check::Seen) -> Vec<Finding> {
    let (issuer, config) = (issuer(seen), seen.config());
    let refused = |error: &LoginError| {
        let failure = Failure::not_so(format!("{issuer} does not accept this site: {error}"));
        let name = config.provider.as_ref().map_or("", |provider: &Provider| provider.name.as_str());
        match error.advice(name, &config.public_url.join(CALLBACK)) {
            Some(advice) => failure.hint(advice),
            None => failure,
        }
    };
    vec![match &seen.provider {
        Some(Seen::Answered(Looked { client: Ok(()), .. })) => {
            Finding::fine(format!("provider: {issuer} answers, knows this client and its secret"))
        }
        Some(Seen::Answered(Looked { client: Err(error @ LoginError::CodeRefused(_)), .. })) => refused(error).into(),
        Some(Seen::Answered(Looked { client: Err(error), .. })) => {
            Failure::unavailable(format!("{error}; nobody can sign in until {issuer} answers")).into()
        }
        // Said here for whoever looks no further than a start does.
        Some(Seen::Silent(failure)) if seen.instance.is_none() => failure.clone().into(),
        _ => Finding::skipped("the provider was not asked"),
    }]
}

fn issuer(seen: &check::Seen) -> &str {
    seen.config().provider.as_ref().map_or("", |provider| provider.issuer.as_str())
}
