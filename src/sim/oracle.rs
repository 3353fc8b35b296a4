//! What the sample policy means, written anew from its words: told from the truth of a call and not from the
//! policy engine, so that a mistake there shows.

use crate::model::time::Wall;
use crate::sim::call::{Tape, Truth};
use crate::sim::org::Org;

/// The queues in which cards are read out, as the sample policy means it.
pub const CARD_QUEUES: &[&str] = &["Payments", "Card Services", "Card Disputes", "Collections"];

/// The sample policy: two rules of the README's cookbook.
pub const SAMPLE_POLICY: &str = r#"
[[rule]]
name = "pause-while-card-is-read"
queue = ["Payments", "Card *", "Collections"]
attribute = { "pci" = "on" }
action = "stop"
priority = 100
at_most = "15m"
reason = "PCI DSS 3.3.1"

[[rule]]
name = "consent-refused"
attribute = { "consent" = "refused" }
action = "stop"
priority = 200
until = "end"
reason = "two-party consent"
"#;

/// The spans in which a call was on tape though the sample policy forbids it, or paused though it does not.
pub fn wrong_spans(truths: &[Truth], org: &Org, until: Wall) -> Vec<(Wall, Wall)> {
    let mut spans = Vec::new();
    let mut since: Option<Wall> = None;
    let mut judge = Judge::default();
    for truth in truths {
        match (since, judge.is_wrong(truth, org)) {
            (None, true) => since = Some(truth.at),
            (Some(begin), false) => {
                spans.push((begin, truth.at));
                since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    spans.extend(since.map(|begin| (begin, until)));
    spans
}

/// Judges the truths of one call, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    consent: Consent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Consent {
    Refused,
    #[default]
    NotRefused,
}

impl Judge {
    /// Whether the call is in a state that the sample policy forbids.
    pub fn is_wrong(&mut self, truth: &Truth, org: &Org) -> bool {
        if truth.attributes.get("consent").is_some_and(|value| value == "refused") {
            self.consent = Consent::Refused;
        }
        let refused = self.consent == Consent::Refused;
        let queue = truth.queue.as_deref().and_then(|id| org.queue(id));
        let card = truth.attributes.get("pci").is_some_and(|value| value == "on")
            && queue.is_some_and(|queue| CARD_QUEUES.contains(&&*queue.name));
        truth.live
            && match truth.tape {
                Tape::Active => card || refused,
                Tape::SecurePaused => !card && !refused,
                Tape::None | Tape::Suspended => false,
            }
    }
}
