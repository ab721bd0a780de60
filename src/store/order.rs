//! Answers in the order of the questions.

use crate::credential::Hashed;
use crate::model::{Session, User};

/// Puts `found` in the order of `handles`, one answer for each. Whoever is asked for twice is copied; everybody else,
/// and that is nearly always everybody, is handed on as they are.
pub fn in_order_of(handles: &[Hashed], found: Vec<(Session, User)>) -> Vec<Option<(Session, User)>> {
    let mut places: Vec<(Hashed, usize)> = handles.iter().copied().zip(0..).collect();
    places.sort_unstable();
    let mut answers: Vec<Option<(Session, User)>> = std::iter::repeat_with(|| None).take(handles.len()).collect();
    for known in found {
        let first = places.partition_point(|(handle, _)| *handle < known.0.handle);
        let same = places[first..].iter().take_while(|(handle, _)| *handle == known.0.handle);
        let mut same = same.map(|(_, place)| *place);
        let Some(place) = same.next() else { continue };
        same.for_each(|twin| answers[twin] = Some(known.clone()));
        answers[place] = Some(known);
    }
    answers
}
