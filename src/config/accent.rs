//! `[pages] accent`: one colour, from which every other use of it is worked out, so that whatever the owner picks can be
//! read in light and in dark. Pure arithmetic after WCAG 2.2; leaves nothing behind.

use std::fmt;

use crate::config::problem::{Wrong, quoted};

/// What WCAG asks between a control and its surroundings (1.4.11).
const CONTROL: f64 = 3.0;

/// What WCAG asks of text (1.4.3), with a little over: browsers round when they mix.
const TEXT: f64 = 4.6;

/// Fewer steps are seen as jumps, more are not seen.
const STEPS: u32 = 128;

const BLACK: Colour = Colour([0, 0, 0]);
const WHITE: Colour = Colour([255, 255, 255]);
/// The ground of the page in light, darker than the card: what stands out from it stands out from the card too.
const LIGHT_GROUND: Colour = Colour([0xf3, 0xf4, 0xf6]);
/// The card in dark, lighter than the page around it.
const DARK_CARD: Colour = Colour([0x10, 0x18, 0x28]);

/// A colour of a screen (sRGB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// The owner's colour, and what is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    /// In light, where it is as the owner wrote it.
    pub light: Tones,
    /// In dark, where it is lightened as far as it must be.
    pub dark: Tones,
}

/// One colour in all its uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tones {
    /// Grounds of buttons, and the ring around what has the focus.
    pub accent: Colour,
    /// The ground of a button that is pointed at.
    pub hover: Colour,
    /// Words on such a ground: black or white.
    pub on_accent: Colour,
    /// Words of this colour on the card.
    pub text: Colour,
}

impl Accent {
    /// Takes `#rrggbb`. Refused where no control of that colour could be made out on a light page.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let colour = Colour::parse(text).ok_or_else(|| {
            Wrong::new(format!("{} is not a colour", quoted(text)), "write it as \"#rrggbb\", such as \"#3451b2\"")
        })?;
        if contrast(colour, LIGHT_GROUND) < CONTROL {
            let reached = contrast(colour, LIGHT_GROUND);
            let darker = towards(colour, BLACK, |shade| contrast(shade, LIGHT_GROUND) >= CONTROL);
            return Err(Wrong::new(
                format!(
                    "{colour} is too pale: a button needs a contrast of 3:1 on a light page and has {reached:.1}:1"
                ),
                format!("take a darker one, such as \"{darker}\""),
            ));
        }
        let text = towards(colour, BLACK, |shade| contrast(shade, tint(shade, WHITE)) >= TEXT);
        let bright = towards(colour, WHITE, |shade| contrast(shade, tint(shade, DARK_CARD)) >= TEXT);
        Ok(Self { light: Tones::of(colour, text), dark: Tones::of(bright, bright) })
    }
}

impl Tones {
    fn of(accent: Colour, text: Colour) -> Self {
        let on_accent = if contrast(accent, WHITE) >= contrast(accent, BLACK) { WHITE } else { BLACK };
        // Away from the words, so that they are read the better; black cannot become darker.
        let away = if on_accent == WHITE && luminance(accent) > 0.02 { BLACK } else { WHITE };
        Self { accent, hover: mix(accent, away, 0.16), on_accent, text }
    }
}

impl Colour {
    /// `#rrggbb`, in capitals or not.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = value.to_be_bytes();
        Some(Self([red, green, blue]))
    }
}

/// `#rrggbb`
impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// The contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio").
pub fn contrast(one: Colour, other: Colour) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG 2.2, "relative luminance".
fn luminance(Colour([red, green, blue]): Colour) -> f64 {
    let linear = |channel: u8| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

/// The faint ground that the initials stand on: some of the accent over the card.
fn tint(accent: Colour, card: Colour) -> Colour {
    mix(card, accent, 0.15)
}

/// The first shade on the way from `colour` to `end` that is `enough`.
fn towards(colour: Colour, end: Colour, enough: impl Fn(Colour) -> bool) -> Colour {
    let shades = (0..=STEPS).map(|step| mix(colour, end, f64::from(step) / f64::from(STEPS)));
    shades.into_iter().find(|shade| enough(*shade)).unwrap_or(end)
}

fn mix(Colour(from): Colour, Colour(to): Colour, share: f64) -> Colour {
    let channel = |index: usize| {
        let mixed = f64::from(from[index]) * (1.0 - share) + f64::from(to[index]) * share;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two channels")]
        let channel = mixed.round() as u8;
        channel
    };
    Colour([channel(0), channel(1), channel(2)])
}
