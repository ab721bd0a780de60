//! What has to be done from time to time: forget what has ended, tell the store what it is owed, keep the provider's
//! metadata and our keys at hand.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics;
use crate::server::inside::Inside;
use crate::store::StoreError;
use crate::web::app::App;

/// How often debts to the store are looked at.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// How often what this instance ended lately is looked up, in units of [`SETTLE_EVERY`]; nothing is asked where it ended
/// nothing.
const AGAIN_EVERY: u32 = 5;

/// How often expired rows are forgotten, give or take a fifth: instances that started together need not all do it at the
/// same moment, though it does no harm.
const SWEEP_EVERY: Duration = Duration::from_secs(300);
const SWEEP_SPREAD: Duration = Duration::from_secs(60);

/// How often open sessions are counted, at first until the store answers and then.
const COUNT_FIRST: Duration = Duration::from_secs(1);
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// How often the provider and our keys are looked at, in units of [`SETTLE_EVERY`]: the provider answers from memory while
/// that is fresh; a new key seals only when every instance has had time to look.
const LOOK_EVERY: u32 = 60;

/// How long to wait before the store is tried again, at first and at the most.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MOST: Duration = Duration::from_secs(1);

/// Works until it is dropped.
pub async fn work(inside: Arc<Inside>) {
    // Side by side: a sweep of many rows must not keep a log-out waiting.
    tokio::join!(look_after(&inside), sweep_now_and_then(&inside), count(&inside));
}

async fn look_after(inside: &Inside) {
    let mut ticks = tokio::time::interval(SETTLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for tick in 0_u32.. {
        ticks.tick().await;
        let app = inside.app();
        app.sessions.settle(&app.audit).await;
        if tick % AGAIN_EVERY == 0 {
            end_again(&app).await;
        }
        if tick % LOOK_EVERY == 0 {
            look_ahead(app);
        }
    }
}

/// A database that lost its last changes is told again what was ended.
async fn end_again(app: &App) {
    let told = async {
        app.sessions.end_again(&app.audit).await?;
        app.tokens.revoke_again(&app.audit).await
    };
    if let Err(error) = told.await {
        tracing::debug!(reason = error.reason(), "what was ended lately could not be looked up: {error}");
    }
}

async fn sweep_now_and_then(inside: &Inside) {
    loop {
        let spread = SWEEP_SPREAD.mul_f64(2.0 * inside.app().chance());
        tokio::time::sleep(SWEEP_EVERY - SWEEP_SPREAD + spread).await;
        sweep(&inside.app()).await;
    }
}

/// Counts what the store holds, for the metrics. Whoever reads those does not make it count.
async fn count(inside: &Inside) {
    let mut pause = COUNT_FIRST;
    loop {
        if let Ok(sessions) = inside.app().sessions.count().await {
            metrics::sessions_active(sessions);
            pause = COUNT_EVERY;
        }
        tokio::time::sleep(pause).await;
    }
}

fn look_ahead(app: Arc<App>) {
    tokio::spawn(async move {
        if let Some(login) = &app.login {
            login.warm().await;
            if let Err(error) = login.prepare().await {
                tracing::debug!(reason = error.reason(), "the keys of pending logins stay as they were read: {error}");
            }
        }
    });
}

async fn sweep(app: &App) {
    let swept = async {
        Ok::<_, StoreError>((app.sessions.sweep().await?, app.tokens.sweep().await?, app.audit.sweep().await?))
    };
    // They come back if it failed: one warning is enough.
    let _ = app.devices.sweep().await;
    match swept.await {
        Ok((0, 0, 0)) => {}
        Ok((sessions, tokens, events)) => {
            tracing::info!(sessions, tokens, events, "expired rows were forgotten");
        }
        Err(error) => tracing::warn!(reason = error.reason(), "expired rows could not be forgotten: {error}"),
    }
}

/// Prepares the store for `issuer`'s people, again and again until it is ready. Says each new reason once.
pub async fn prepare(app: Arc<App>, issuer: Option<String>) {
    let mut pause = RETRY_FIRST;
    let mut said = String::new();
    loop {
        match app.store.prepare(issuer.as_deref()).await {
            Ok(()) => break,
            Err(error) => {
                let reason = error.to_string();
                if reason != said {
                    if error.is_temporary() {
                        tracing::warn!("{reason}; trying again until it answers");
                    } else {
                        tracing::error!("{reason}");
                    }
                    said = reason;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MOST);
    }
    if !said.is_empty() {
        tracing::info!("the database is ready");
    }
    settle_in(&app).await;
}

/// What is done once the store is ready: what will fail somebody later is said, and keys are read ahead.
pub async fn settle_in(app: &App) {
    warn(app).await;
    read_keys(app).await;
}

/// Says what of the table of users will fail somebody later.
async fn warn(app: &App) {
    // Where the store cannot be asked, that is said elsewhere.
    for warning in app.store.warnings().await.unwrap_or_default() {
        tracing::warn!("{warning}");
    }
}

/// Reads the keys of pending logins ahead, so that a sign-in can begin while the store is away.
async fn read_keys(app: &App) {
    let Some(login) = &app.login else { return };
    if let Err(error) = login.prepare().await {
        tracing::warn!(reason = error.reason(), "the keys of pending logins are read later: {error}");
    }
}
