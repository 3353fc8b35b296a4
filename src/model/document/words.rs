//! The word that was meant, where another one stands.

use std::collections::BTreeSet;

use crate::model::lookalike;

/// Names that are shown where several may be meant.
const SHOWN: usize = 10;

/// The help that names the nearest known word, and the character that only looks like one of it.
pub(super) fn did_you_mean<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let near = nearest(word, known)?;
    let but = lookalike::find(word).map(|one| format!(" ({one})")).unwrap_or_default();
    Some(format!("did you mean '{near}'?{but}"))
}

/// The known word nearest to one that is not known, where it is near enough to be meant.
///
/// Near is a slip of the pen, or the beginning of one word alone.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let known: Vec<&str> = known.into_iter().collect();
    slip(word, &known).or_else(|| {
        let mut begun = known.into_iter().filter(|one| word.len() > 1 && one.starts_with(word));
        begun.next().filter(|_| begun.next().is_none())
    })
}

fn slip<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let bound = (word.chars().count() / 3).max(1) + 1;
    known
        .iter()
        .copied()
        .map(|one| (strsim::damerau_levenshtein(&word.to_lowercase(), &one.to_lowercase()), one))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, one)| one)
}

/// What to write instead of a name that is not there: the nearest one, those with the word in them, or some of
/// all there are.
pub fn instead<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let small = word.trim().to_lowercase();
    let holds = |one: &&str| !small.is_empty() && one.to_lowercase().contains(&small);
    let alike: Vec<&str> = known.iter().copied().filter(holds).collect();
    did_you_mean(word, known.iter().copied()).or_else(|| match (&alike[..], known.is_empty()) {
        (_, true) => None,
        ([], false) => Some(format!("there are: {}", some(known))),
        ([one], false) => Some(format!("did you mean '{one}'?")),
        (_, false) => Some(format!("did you mean one of these: {}?", some(alike))),
    })
}

fn some<'w>(names: impl IntoIterator<Item = &'w str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_finds_those_that_have_it() {
        let rules = ["pause-while-card-is-read", "card-refused", "flagged"];
        assert_eq!(instead("flaged", rules).as_deref(), Some("did you mean 'flagged'?"));
        assert_eq!(instead("pause", rules).as_deref(), Some("did you mean 'pause-while-card-is-read'?"));
        let both = "did you mean one of these: card-refused, pause-while-card-is-read?";
        assert_eq!(instead("Card", rules).as_deref(), Some(both));
        let all = "there are: card-refused, flagged, pause-while-card-is-read";
        assert_eq!(instead("gdpr-objection", rules).as_deref(), Some(all));
        assert_eq!(instead("", rules).as_deref(), Some(all));
        assert_eq!(instead("a", []), None);
        let many: Vec<String> = (0..20).map(|at| format!("rule-{at:02}")).collect();
        let told = instead("rule", many.iter().map(String::as_str)).expect("some");
        assert!(told.ends_with("rule-09, ...?") && !told.contains("rule-10"), "{told}");
    }
}
