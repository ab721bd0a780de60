//! What is written down while running.

/// Writes lines as `log` says, to standard error.
pub fn init(log: &crate::config::log::Log) {
    let filter = tracing_subscriber::EnvFilter::new(&log.level);
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
