//! Words that the platform does not document for the field that they are compared with.
//!
//! They are no mistakes, since these lists are open, but most are slips of the pen: a rule with one of them
//! matches nothing, and nobody sees it.

use super::schema::{Field, Shape};
use super::suggest::did_you_mean;
use super::tree::{Comparison, Kind, Node};
use super::value::{List, Value};
use super::{Expression, Mistake};

impl Expression {
    /// Each of these words, in the order of the source.
    pub fn strange_words(&self) -> Vec<Mistake> {
        let mut found = Vec::new();
        look(&self.root, &mut found);
        found
    }
}

fn look(node: &Node, found: &mut Vec<Mistake>) {
    if let Kind::Compare(Comparison::Equal | Comparison::Different, parts) = &node.kind {
        let [one, two] = &**parts;
        compared(one, two, found);
        compared(two, one, found);
    } else if let Kind::In(parts) = &node.kind {
        let [one, of] = &**parts;
        compared(one, of, found);
    }
    node.parts().into_iter().for_each(|part| look(part, found));
}

fn compared(field: &Node, with: &Node, found: &mut Vec<Mistake>) {
    let (Kind::Field(_, field), Kind::Constant(written)) = (&field.kind, &with.kind) else { return };
    let Some(documented) = field.documented() else { return };
    let words: Vec<&str> = if let Value::List(List::Built(list)) = written {
        list.iter().filter_map(text).collect()
    } else {
        text(written).into_iter().collect()
    };
    for word in words.into_iter().filter(|word| !word.is_empty() && !documented.holds(word)) {
        let near = did_you_mean(word, documented.words.iter().copied());
        let help = match (near, documented.known) {
            (Some(near), _) => near,
            (None, Known::All) => format!("the words are {}", documented.words.join(", ")),
            (None, Known::Some) => continue,
        };
        let name = field.name();
        let message = format!("\"{word}\" is no word that the platform documents for `{name}`");
        found.push(Mistake::new(with.span.clone(), message).help(help));
    }
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    if let Value::Text(text) = value { Some(text.as_ref()) } else { None }
}

/// Words that the platform documents for a field.
#[derive(Clone, Copy, Debug)]
struct Documented {
    words: &'static [&'static str],
    known: Known,
    case: Case,
}

/// Whether a list of words is one of all that are in use today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    All,
    Some,
}

/// How a word of the platform is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// It comes in small letters, or is brought into them.
    Matters,
    /// It is left as it is written, and both ways occur.
    AsWritten,
}

impl Documented {
    fn holds(&self, word: &str) -> bool {
        self.words.iter().any(|known| match self.case {
            Case::Matters => *known == word,
            Case::AsWritten => known.eq_ignore_ascii_case(word),
        })
    }
}

const STATE: [&str; 13] = [
    "alerting",
    "dialing",
    "contacting",
    "offering",
    "connected",
    "disconnected",
    "terminated",
    "scheduled",
    "parked",
    "uploading",
    "converting",
    "transmitting",
    "none",
];
const PURPOSE: [&str; 18] = [
    "agent",
    "user",
    "customer",
    "external",
    "acd",
    "ivr",
    "botflow",
    "campaign",
    "dialer",
    "fax",
    "group",
    "inbound",
    "manual",
    "outbound",
    "station",
    "voicemail",
    "api",
    "workflow",
];
const DISCONNECT_TYPE: [&str; 21] = [
    "endpoint",
    "endpoint.dnd",
    "client",
    "system",
    "transfer",
    "timeout",
    "transfer.conference",
    "transfer.consult",
    "transfer.forward",
    "transfer.noanswer",
    "transfer.notavailable",
    "transfer.dnd",
    "transport.failure",
    "error",
    "peer",
    "other",
    "spam",
    "uncallable",
    "inactivity",
    "session.expired",
    "takeover",
];
const SCREEN: [&str; 6] = ["requested", "active", "paused", "stopped", "error", "timeout"];

impl Field {
    /// The words that the platform documents for it, where it may come to send others (GENESYS.md 8, appendices A
    /// and B).
    fn documented(self) -> Option<Documented> {
        let of = |words, known, case| Some(Documented { words, known, case });
        if self == Self::State {
            of(&STATE, Known::All, Case::Matters)
        } else if self == Self::Purpose {
            of(&PURPOSE, Known::Some, Case::Matters)
        } else if self == Self::DisconnectType {
            of(&DISCONNECT_TYPE, Known::All, Case::AsWritten)
        } else if self == Self::ScreenRecordingState {
            of(&SCREEN, Known::All, Case::AsWritten)
        } else {
            None
        }
    }

    /// Its name in rules.
    fn name(self) -> &'static str {
        let shapes = [Shape::Conversation, Shape::Participant, Shape::Queue, Shape::Recorders];
        let mut all = shapes.iter().flat_map(|shape| shape.fields());
        all.find(|(_, field)| *field == self).map_or("", |(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        let all = Expression::compile(source).expect("an expression").strange_words();
        let told = |one: Mistake| {
            format!("{}: {} ({})", &source[one.span], one.message, one.help.unwrap_or_default())
        };
        all.into_iter().map(told).collect()
    }

    #[test]
    fn a_slip_in_a_word_of_the_platform_is_told() {
        for (source, told) in [
            (
                "agents.exists(a, a.state == 'conected')",
                "'conected': \"conected\" is no word that the platform documents for `state` (did you mean `connected`?)",
            ),
            (
                "'agnet' != agent.purpose",
                "'agnet': \"agnet\" is no word that the platform documents for `purpose` (did you mean `agent`?)",
            ),
            (
                "!(agent.disconnectType in ['transfer', 'trasnfer', ''])",
                "['transfer', 'trasnfer', '']: \"trasnfer\" is no word that the platform documents for `disconnectType` (did you mean `transfer`?)",
            ),
            (
                "agent.screenRecordingState == 'paussed'",
                "'paussed': \"paussed\" is no word that the platform documents for `screenRecordingState` (did you mean `paused`?)",
            ),
            (
                "agent.screenRecordingState == 'on'",
                "'on': \"on\" is no word that the platform documents for `screenRecordingState` (the words are requested, active, paused, stopped, error, timeout)",
            ),
            (
                "agent.state == 'CONNECTED'",
                "'CONNECTED': \"CONNECTED\" is no word that the platform documents for `state` (did you mean `connected`?)",
            ),
        ] {
            assert_eq!(found(source), [told], "{source}");
        }
    }

    #[test]
    fn what_the_platform_says_and_what_it_may_say_passes() {
        for source in [
            "agent.state == 'connected' || agent.state == 'parked' || agent.state == ''",
            // Its list is open, and nothing near it is known.
            "participants.exists(p, p.purpose == 'supervisor' || p.purpose == 'botflow')",
            // The platform writes it in both ways.
            "agent.disconnectType == 'ERROR' || agent.disconnectType == 'transfer.noanswer'",
            "agent.name == 'conected'",
        ] {
            assert_eq!(found(source), Vec::<String>::new(), "{source}");
        }
    }
}
