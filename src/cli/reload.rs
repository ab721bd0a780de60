//! The configuration is read again while we run: files, environment, secrets, certificate, templates. What is bad about it
//! is said as `doorward config check` says it, and then everything stays as it was.

use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, standing};
use crate::metrics;
use crate::names::Names;
use crate::server::{Running, tls};

/// Reads again what `config` was made of, and lets `running` go on with it; `config` is then what is in force. Requests
/// that are under way end as they began, and no connection is dropped.
pub fn reload(context: &Context, config: &mut Config, running: &mut Running) {
    match try_reload(context, config, running) {
        Ok((taken_over, kept)) => {
            *config = taken_over;
            metrics::reloaded(SystemClock.now().unix());
            if kept.is_empty() {
                tracing::info!("the configuration was read again and is in force");
            } else {
                let kept = kept.join(", ");
                tracing::warn!(
                    kept,
                    "the configuration was read again and is in force, but for what is read at the start alone: restart \
                     Doorward for {kept}"
                );
            }
        }
        Err(failure) => refuse(&failure),
    }
}

fn try_reload(
    context: &Context,
    config: &Config,
    running: &mut Running,
) -> Result<(Config, Vec<&'static str>), Failure> {
    let mut loaded = context.load_for_serving()?;
    let kept = standing::keep(config, &mut loaded.config);
    let wrong = |error: &dyn std::fmt::Display| Failure::configuration(error.to_string());
    let certificate = tls::certificate(&loaded.config, &SystemClock).map_err(|error| wrong(&error))?;
    let app = running.app().again(&loaded.config, Names::from_system()).map_err(|error| wrong(&error))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    running.change(Arc::new(app), certificate.as_ref());
    Ok((loaded.config, kept))
}

/// A line of the log for each line of what is wrong.
fn refuse(failure: &Failure) {
    metrics::not_reloaded();
    tracing::error!("the configuration was read again and is not taken over; the one before stays in force");
    let hint = failure.hint.iter().map(|hint| format!("hint: {hint}"));
    for line in failure.message.lines().map(str::to_owned).chain(hint) {
        tracing::error!("{}", line.trim_start());
    }
}
