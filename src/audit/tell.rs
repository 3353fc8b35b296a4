//! Records in plain words, for people who read what became of one conversation.

use crate::audit::record::{
    Directive, DirectiveOrigin, Hold, HoldEnd, HoldPhase, Outcome, OutcomeResult, Record,
};

/// What a record says; none where it is about no conversation, or says nothing new.
pub fn tell(record: &Record) -> Option<String> {
    Some(match record {
        Record::Decision(one) => {
            let (by, observed) = (by(&one.rule, "", &one.reason), one.observed);
            format!("decided to {} {by}; the recording was {observed}", one.action)
        }
        Record::Would(one) => {
            let (by, observed) = (by(&one.rule, " (observe mode)", &one.reason), one.observed);
            format!("would {} {by}; the recording was {observed}", one.action)
        }
        Record::Attempt(one) => format!("attempt {}: {} {}", one.attempt, one.method, one.path),
        Record::Outcome(one) => outcome(one),
        Record::Confirmed(one) => {
            format!("confirmed: the platform itself reported it, {} ms after the first attempt", one.after_ms)
        }
        Record::Superseded(one) => format!("no longer needed: {}", one.why),
        Record::Abandoned(one) => format!("given up: {}", one.why),
        Record::Directive(one) => directive(one),
        Record::DirectiveReleased(one) => format!("the order is over: {}", one.why),
        Record::Facts(one) => {
            let facts = one.facts.iter().map(|(key, value)| format!("{key} = {value}"));
            format!("facts came: {}", facts.collect::<Vec<_>>().join(", "))
        }
        Record::Hold(one) => hold(one),
        Record::HoldEnded(one) => {
            let restore = one.restore.map(|action| format!("; what was is given back: {action}"));
            format!("rule {} lets go: {}{}", one.rule, let_go(one.why), restore.unwrap_or_default())
        }
        Record::Contested(one) => {
            let (rule, times, wait) = (&one.rule, one.times, one.wait_ms);
            format!("somebody else undid rule {rule} {times} times within a minute; tried again in {wait} ms")
        }
        Record::Residual(one) => format!("stopped, but still recorded by: {}", one.recorders.join(", ")),
        Record::Alert(one) => format!("alert: {}", one.message),
        Record::RuleFailed(one) => {
            format!("rule {} could not be evaluated and counted as no match: {}", one.rule, one.error)
        }
        Record::DaemonStarted(_)
        | Record::DaemonStopped(_)
        | Record::PolicyLoaded(_)
        | Record::GapOpened(_)
        | Record::GapClosed(_)
        | Record::Dropped(_)
        | Record::Carried(_)
        | Record::Retired(_)
        | Record::Checkpoint(_) => return None,
    })
}

fn by(rule: &str, mode: &str, reason: &str) -> String {
    format!("by rule {rule}{mode}{}", because(reason))
}

fn outcome(one: &Outcome) -> String {
    let status = one.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
    let message = one.message.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    let (attempt, result, took) = (one.attempt, result(one.result), one.took_ms);
    format!("attempt {attempt}: {result}, {status} after {took} ms{message}")
}

fn directive(one: &Directive) -> String {
    let until = one.until.map(|until| format!(", until {until}")).unwrap_or_default();
    let origin = match one.origin {
        DirectiveOrigin::Webhook => "by webhook",
        DirectiveOrigin::Manual => "by hand",
    };
    format!("{} ordered {origin}: {}{}{until}", one.by, one.action, because(&one.reason))
}

fn hold(one: &Hold) -> String {
    let rule = &one.rule;
    match one.phase {
        HoldPhase::Pending => format!("rule {rule} matched; it waits for its time (`after`)"),
        HoldPhase::Held => {
            let claim = one.claim.map(|was| format!("; {was} is what would be given back"));
            format!("rule {rule} holds it ({}) since {}{}", one.action, one.since, claim.unwrap_or_default())
        }
        HoldPhase::Expired => format!("rule {rule} has held it as long as it may (`at_most`)"),
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

fn result(result: OutcomeResult) -> &'static str {
    match result {
        OutcomeResult::Accepted => "accepted",
        OutcomeResult::Limited => "put off by the rate limit",
        OutcomeResult::Retry => "failed for now",
        OutcomeResult::Refused => "refused",
        OutcomeResult::Gone => "no such conversation any more",
        OutcomeResult::Conflict => "the state had changed meanwhile",
    }
}

fn let_go(why: HoldEnd) -> &'static str {
    match why {
        HoldEnd::Unmatched => "it matches no more",
        HoldEnd::Expired => "its time is over (`at_most`)",
        HoldEnd::Released => "released",
        HoldEnd::Replaced => "replaced",
        HoldEnd::Ended => "the conversation ended",
        HoldEnd::Policy => "the policy no longer has it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{Decision, Dropped, HoldEnded};
    use crate::model::recording::{Action, Observed};

    #[test]
    fn a_decision_and_its_reason_read_as_a_sentence() {
        let record = Record::Decision(Decision {
            decision: "d".into(),
            conversation: "c".into(),
            action: Action::Stop,
            rule: "card".into(),
            reason: "PCI DSS 3.3.1".into(),
            observed: Observed::Active,
            topic: String::new(),
            correlation: String::new(),
            policy: String::new(),
            epoch: 1,
        });
        let told = "decided to stop by rule card (PCI DSS 3.3.1); the recording was active";
        assert_eq!(tell(&record).as_deref(), Some(told));
    }

    #[test]
    fn a_hold_that_ended_tells_why_and_what_is_given_back() {
        let (conversation, rule) = ("c".into(), "card".to_owned());
        let record = Record::HoldEnded(HoldEnded {
            conversation,
            rule,
            why: HoldEnd::Unmatched,
            restore: Some(Action::Start),
        });
        assert_eq!(
            tell(&record).as_deref(),
            Some("rule card lets go: it matches no more; what was is given back: start")
        );
    }

    #[test]
    fn what_is_about_no_conversation_is_passed_over() {
        assert_eq!(tell(&Record::Dropped(Dropped { events: 1, why: String::new() })), None);
    }
}
