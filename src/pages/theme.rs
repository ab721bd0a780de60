//! The style sheet that the owner's accent makes: the variables that `app.css` takes its colours from. Generated, since
//! the policy of the pages allows no style within them.

use crate::config::accent::{Accent, Tones};

/// The name it is served under, but for the hash.
pub const NAME: &str = "theme.css";

/// The style sheet for `accent`.
pub fn style(accent: &Accent) -> String {
    format!(
        ":root{{{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        variables(&accent.light),
        variables(&accent.dark)
    )
}

fn variables(Tones { accent, hover, on_accent, text }: &Tones) -> String {
    format!(
        "--color-accent:{accent};--color-accent-hover:{hover};--color-on-accent:{on_accent};--color-accent-text:{text}"
    )
}
