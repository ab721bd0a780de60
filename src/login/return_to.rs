//! Where the browser may be sent back to.

/// An address that is safe to send the browser to. Cannot be built unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// The address for a `Location` header or a link: a path of this site, or an absolute address in an allowed origin.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
