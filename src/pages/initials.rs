//! What stands where there is no picture: one or two letters of a name, for names of the whole world.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The initials of `name`: of its first and its last word, one where there is one word; where the name holds no letter
/// or digit (emoji alone), of `email`; `?` where that has none either.
///
/// Scripts whose letters join (Arabic and its kin) give one letter: two would be drawn as a word.
pub fn initials(name: &str, email: &str) -> String {
    let of_words: Vec<_> = name.split_whitespace().filter_map(first_letter).collect();
    match of_words.as_slice() {
        [] => first_letter(email).unwrap_or_else(|| "?".to_owned()),
        [only] => only.clone(),
        [first, .., last] if joins(first) || joins(last) => first.clone(),
        [first, .., last] => format!("{first}{last}"),
    }
}

/// The first letter or digit of `word` as a capital, with the marks that belong to it.
fn first_letter(word: &str) -> Option<String> {
    // Composed first, so that a decomposed É is one letter and not an E with a mark that a capital might lose.
    let composed: Vec<char> = word.nfc().collect();
    let start = composed.iter().position(|c| c.is_alphanumeric() && !is_combining_mark(*c))?;
    let marks = composed[start + 1..].iter().take_while(|c| is_combining_mark(**c));
    // ß becomes SS: the first of a capital's characters is enough of it.
    let capital = composed[start].to_uppercase().next().unwrap_or(composed[start]);
    // Zalgo: a letter may carry any number of marks, and three are as many as a language needs.
    Some(std::iter::once(capital).chain(marks.take(3).copied()).collect())
}

/// Whether the letters of this script are written joined: Arabic, Syriac, N'Ko, Mandaic, Mongolian.
fn joins(letter: &str) -> bool {
    letter.chars().next().is_some_and(|c| {
        matches!(u32::from(c), 0x0600..=0x077F | 0x07C0..=0x07FF | 0x0840..=0x08FF | 0x1800..=0x18AF | 0xFB50..=0xFDFF | 0xFE70..=0xFEFF)
    })
}
