//! `[limits]`: how often one client may knock.

use crate::config::reader::Reader;

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many sign-ins a client may begin in a minute; as many terminals may ask from there. Zero: any number.
    pub sign_ins_per_minute: u32,
    /// How many bearer tokens that are none a client may present in a minute. Zero: any number.
    pub bad_tokens_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // A whole office behind one address comes to work within some minutes.
        Self { sign_ins_per_minute: 60, bad_tokens_per_minute: 30 }
    }
}

/// More than sixty a second is no brake.
const MOST: usize = 3600;

impl Limits {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let mut limits = Self::default();
        for (key, target) in [
            ("limits.sign_ins_per_minute", &mut limits.sign_ins_per_minute),
            ("limits.bad_tokens_per_minute", &mut limits.bad_tokens_per_minute),
        ] {
            let said = reader.number(key, 0, MOST).and_then(|number| u32::try_from(number).ok());
            *target = said.unwrap_or(*target);
        }
        limits
    }
}
