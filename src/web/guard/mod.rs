//! What stands between the wire and a handler. Each guard is a question with an answer; the order is in [`crate::web`].

pub mod client_address;
pub mod cors;
pub mod csrf;
pub mod forwarded;
pub mod host;
pub mod limits;
pub mod navigation;
pub mod security_headers;
pub mod trace;
pub mod visitor;
