//! `[metrics]`: where Prometheus may ask.

use crate::config::problem::Wrong;
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
    pub fn read(reader: &mut Reader, server: &Listen) -> Self {
        let listen = match reader.parse("metrics.listen", server::listen) {
            Some(Listen::Unix(path)) => Some(Listen::Unix(reader.resolved("metrics.listen", &path))),
            tcp => tcp,
        };
        if listen.as_ref().is_some_and(|listen| listen.collides_with(server)) {
            let what = "is where server.listen takes connections, and only one of them could";
            reader.refuse("metrics.listen", Wrong::new(what, "choose another port, such as localhost:9464"));
        }
        Self { listen }
    }
}
