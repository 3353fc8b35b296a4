//! The word that was meant, where another one stands.

use crate::model::lookalike;
/// The help that names the nearest known word, and the character that only looks like one of it.
pub(super) fn did_you_mean<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let near = nearest(word, known)?;
    let but = lookalike::find(word).map(|one| format!(" ({one})")).unwrap_or_default();
    Some(format!("did you mean '{near}'?{but}"))
}

/// The known word nearest to one that is not known, where it is near enough to be meant.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let bound = (word.chars().count() / 3).max(1) + 1;
    known
        .into_iter()
        .map(|one| (strsim::damerau_levenshtein(&word.to_lowercase(), &one.to_lowercase()), one))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, one)| one)
}
