//! `[metrics]`: where Prometheus may ask.

use crate::config::reader::Reader;
use crate::config::server::{self, Listen};

/// `[metrics]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Where `/metrics` is answered, by itself; `None`: nowhere.
    pub listen: Option<Listen>,
}

impl Metrics {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let listen = match reader.parse("metrics.listen", server::listen) {
            Some(Listen::Unix(path)) => Some(Listen::Unix(reader.resolved("metrics.listen", &path))),
            tcp => tcp,
        };
        Self { listen }
    }
}
