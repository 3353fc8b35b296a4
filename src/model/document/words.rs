//! The word that was meant, where another one stands.

use std::collections::BTreeSet;
use std::time::Duration;

use toml_span::Value;

use crate::model::lookalike;

/// Names that are shown where several may be meant.
const SHOWN: usize = 10;

/// What people write who do not know the words yet, and the word for it, wherever that is one of the known.
const SYNONYMS: [(&str, &str); 30] = [
    ("pause", "stop"),
    ("suspend", "stop"),
    ("resume", "start"),
    ("record", "start"),
    ("none", "leave"),
    ("nothing", "leave"),
    ("incoming", "inbound"),
    ("outgoing", "outbound"),
    ("phone", "call"),
    ("voice", "call"),
    ("telephony", "call"),
    ("forever", "end"),
    ("always", "end"),
    ("disabled", "observe"),
    ("dry-run", "observe"),
    ("watch", "observe"),
    ("resume", "restore"),
    ("on", "active"),
    ("recording", "active"),
    ("stopped", "paused"),
    ("off", "none"),
    ("ringing", "alerting"),
    ("talking", "connected"),
    ("left", "gone"),
    ("after", "advance"),
    ("wait", "advance"),
    ("wait", "after"),
    ("if", "when"),
    ("condition", "when"),
    ("timeout", "at_most"),
];

/// What to do about the quotes of a value that should be another one.
pub(super) fn about_quotes(value: &Value<'_>, wanted: &str) -> Option<String> {
    let bare = value.as_bool().is_some() || value.as_integer().is_some() || value.as_float().is_some();
    let held = |text: &str| text.parse::<bool>().is_ok() || text.parse::<f64>().is_ok();
    match (wanted.contains("text"), bare) {
        (true, true) if !wanted.contains("quotes") => Some("write it in quotes".to_owned()),
        (true, false) if value.as_array().is_some() && !wanted.contains("list") => {
            Some("it takes one text, not a list".to_owned())
        }
        (false, false) if value.as_str().is_some_and(held) => Some("write it without quotes".to_owned()),
        (true | false, true | false) => None,
    }
}

/// A span of time as people write it, or why it is none.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    // What reads it takes `M` for a month: fifteen minutes would be more than a year.
    let units = text.split(|c: char| !c.is_ascii_alphabetic());
    if units.into_iter().any(|unit| unit == "M") {
        return Err("'M' could be minutes or months; write m, or months".to_owned());
    }
    humantime::parse_duration(text).map_err(|error| match &error {
        humantime::DurationError::Empty => "there is nothing in it".to_owned(),
        humantime::DurationError::UnknownUnit { unit, .. } if unit.is_empty() => {
            "its unit is missing".to_owned()
        }
        humantime::DurationError::UnknownUnit { unit, .. } => format!("there is no unit '{unit}'"),
        humantime::DurationError::NumberOverflow => "it is too long".to_owned(),
        humantime::DurationError::InvalidCharacter(_) | humantime::DurationError::NumberExpected(_) => {
            error.to_string()
        }
    })
}

/// What to write instead of a key that is not known: the nearest one, or all that there are.
pub(super) fn other_key(key: &str, known: &[&'static str]) -> Option<String> {
    did_you_mean(key, known.iter().copied()).or_else(|| {
        // A secret is asked for only to be refused.
        let mut keys: Vec<&str> = Vec::new();
        for key in known.iter().copied().filter(|key| !key.ends_with("secret")) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        (!keys.is_empty()).then(|| format!("the keys are: {}", keys.join(", ")))
    })
}

/// The help that names the nearest known word, and the character that only looks like one of it.
pub fn did_you_mean<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let near = nearest(word, known)?;
    let but = lookalike::find(word).map(|one| format!(" ({one})")).unwrap_or_default();
    Some(format!("did you mean '{near}'?{but}"))
}

/// The known word nearest to one that is not known, where it is near enough to be meant.
///
/// Near is a slip of the pen, another word for the same, or the beginning of one word alone.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let known: Vec<&str> = known.into_iter().collect();
    let meant = || SYNONYMS.iter().filter(|(other, _)| *other == word).map(|(_, meant)| *meant);
    let same = known.iter().copied().find(|one| meant().any(|meant| meant == *one));
    same.or_else(|| slip(word, &known)).or_else(|| {
        let mut begun = known.into_iter().filter(|one| word.len() > 1 && one.starts_with(word));
        begun.next().filter(|_| begun.next().is_none())
    })
}

fn slip<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let length = word.chars().count();
    // Of a word of two letters one must stay.
    let bound = ((length / 3).max(1) + 1).min(length.saturating_sub(1));
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
    fn a_span_of_time_is_what_its_reader_takes_it_for() {
        assert_eq!(span("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(span("2months").is_ok());
        for (text, why) in [
            ("15M", "'M' could be minutes or months; write m, or months"),
            ("1h 5 M", "'M' could be minutes or months; write m, or months"),
            ("15", "its unit is missing"),
            ("", "there is nothing in it"),
            ("15 minuts", "there is no unit 'minuts'"),
            ("99999999999999999999d", "it is too long"),
        ] {
            assert_eq!(span(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn another_word_for_the_same_is_understood_where_the_word_is_known() {
        assert_eq!(nearest("pause", ["start", "stop"]), Some("stop"));
        assert_eq!(nearest("resume", ["restore", "keep"]), Some("restore"));
        assert_eq!(nearest("resume", ["start", "stop"]), Some("start"));
        assert_eq!(nearest("on", ["active", "none"]), Some("active"));
        assert_eq!(nearest("in", ["inbound", "outbound"]), Some("inbound"));
        assert_eq!(nearest("on", ["none", "one"]), Some("one"));
        assert_eq!(nearest("pause", ["leave"]), None);
        assert_eq!(
            other_key("x", &["name", "client_secret", "when", "name"]).as_deref(),
            Some("the keys are: name, when")
        );
        assert_eq!(other_key("condition", &["name", "when"]).as_deref(), Some("did you mean 'when'?"));
    }

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
