//! Two rules of one priority of which the one wants what the other forbids.

use std::collections::BTreeSet;

use super::{
    Analysis, Candidate, MOST_COMPARED, MOST_WITNESSES, Ranked, Split, VALUES, matched, note, outlasts,
    warning,
};
use crate::model::document::Diagnostic;
use crate::model::recording::Action;
use crate::policy::rule::{Mode, Until};

/// Rules that contradict one rule, of which each is shown.
const MOST_SHOWN: usize = 5;

impl Analysis<'_> {
    /// A start, and the stops of its priority that hold on a conversation where it does.
    pub(super) fn contradicts(&mut self, rank: usize, silent: &BTreeSet<usize>) -> Option<Diagnostic> {
        let rule = self.ranked[rank].rule;
        let takes_part = |one: &Candidate| one.terms.mode == Mode::Enforce;
        let told = silent.contains(&rank) || self.compared >= MOST_COMPARED;
        if rule.terms.action != Action::Start || !takes_part(rule) || told {
            return None;
        }
        let mut notes = Vec::new();
        let mut names = Vec::new();
        let cost = 1 + self.ranked[rank].scope.size() / VALUES;
        for other in self.by_queue.near(rank, &self.ranked[rank].scope) {
            let stop = self.ranked[other].rule;
            let meets = stop.terms.priority == rule.terms.priority
                && stop.terms.action == Action::Stop
                && takes_part(stop)
                && !silent.contains(&other);
            self.compared += if meets { cost } else { 1 };
            if !meets || self.witnesses >= MOST_WITNESSES || self.compared >= MOST_COMPARED {
                continue;
            }
            if let Some(example) = self.both_hold(rank, other)
                && !self.is_settled(rank, other)
            {
                let example = if example.is_empty() { "any call".to_owned() } else { example };
                notes.push(note(stop, format!("'{}' wants stop; both hold on: {example}", stop.terms.name)));
                names.push(format!("'{}'", stop.terms.name));
                if notes.len() == MOST_SHOWN {
                    break;
                }
            }
        }
        if notes.is_empty() {
            return None;
        }
        let more = if notes.len() == MOST_SHOWN { ", and perhaps others," } else { "" };
        let message = format!(
            "rule '{}' wants start, {}{more} at the same priority {} want{} stop of a conversation that can exist; stop wins there",
            rule.terms.name,
            names.join(", "),
            rule.terms.priority,
            if names.len() == 1 && more.is_empty() { "s" } else { "" },
        );
        Some(warning(rule, message, notes, "say which is meant by different priorities"))
    }

    /// Whether a rule of a higher priority speaks on every conversation on which both hold.
    fn is_settled(&mut self, one: usize, two: usize) -> bool {
        let [Ranked { rule: start, scope }, Ranked { rule: stop, scope: other }] =
            [&self.ranked[one], &self.ranked[two]];
        // One that holds to the end meets the other where its own conditions hold no more.
        if [start, stop].iter().any(|rule| rule.terms.until == Until::End) {
            return false;
        }
        let both = scope.and(other);
        let cost = 1 + both.size() / VALUES;
        for before in self.by_queue.before(one.min(two), &both) {
            let third = &self.ranked[before];
            if third.rule.terms.priority <= start.terms.priority || self.compared >= MOST_COMPARED {
                break;
            }
            self.compared += cost;
            let speaks = [start, stop].iter().all(|rule| {
                outlasts(&third.rule.terms, &rule.terms, Split::Whole) && third.rule.expensive.is_none()
            });
            if speaks && both.is_within(&third.scope) {
                return true;
            }
        }
        false
    }

    /// A conversation on which both were found to hold, in words.
    fn both_hold(&mut self, one: usize, two: usize) -> Option<String> {
        let (one, two) = (&self.ranked[one], &self.ranked[two]);
        if one.scope.excludes(&two.scope) {
            return None;
        }
        self.witnesses += 1;
        let witness = one.scope.and(&two.scope).witness()?;
        let both = [one, two].map(|one| (one.rule.terms.clone(), one.rule.conditions.clone())).to_vec();
        (matched(both, &witness) == 2).then_some(witness.told)
    }
}
