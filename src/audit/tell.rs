//! Records in plain words, for people who read what became of one conversation.

use crate::audit::record::{DirectiveOrigin, HoldEnd, HoldPhase, OutcomeResult, Record};

/// What a record says; none where it is about no conversation, or says nothing new.
pub fn tell(record: &Record) -> Option<String> {
    Some(match record {
        Record::Decision(one) => {
            let reason = because(&one.reason);
            format!(
                "decided to {} by rule {}{reason}; the recording was {}",
                one.action, one.rule, one.observed
            )
        }
        Record::Attempt(one) => format!("attempt {}: {} {}", one.attempt, one.method, one.path),
        Record::Outcome(one) => {
            let status =
                one.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
            let message = one.message.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
            format!(
                "attempt {}: {}, {status} after {} ms{message}",
                one.attempt,
                result(one.result),
                one.took_ms
            )
        }
        Record::Confirmed(one) => {
            format!("confirmed: the platform itself reported it, {} ms after the first attempt", one.after_ms)
        }
        Record::Superseded(one) => format!("no longer needed: {}", one.why),
        Record::Abandoned(one) => format!("given up: {}", one.why),
        Record::Would(one) => {
            let reason = because(&one.reason);
            format!(
                "would {} by rule {} (observe mode){reason}; the recording was {}",
                one.action, one.rule, one.observed
            )
        }
        Record::Directive(_)
        | Record::DirectiveReleased(_)
        | Record::Facts(_)
        | Record::Hold(_)
        | Record::HoldEnded(_)
        | Record::Contested(_)
        | Record::Residual(_)
        | Record::Alert(_)
        | Record::RuleFailed(_)
        | Record::DaemonStarted(_)
        | Record::DaemonStopped(_)
        | Record::PolicyLoaded(_)
        | Record::GapOpened(_)
        | Record::GapClosed(_)
        | Record::Dropped(_)
        | Record::Carried(_)
        | Record::Retired(_)
        | Record::Checkpoint(_) => return around(record),
    })
}

/// The same of records that are about no decision.
fn around(record: &Record) -> Option<String> {
    Some(match record {
        Record::Directive(one) => {
            let until = one.until.map(|until| format!(", until {until}")).unwrap_or_default();
            let origin = match one.origin {
                DirectiveOrigin::Webhook => "by webhook",
                DirectiveOrigin::Manual => "by hand",
            };
            format!("{} ordered {origin}: {}{}{until}", one.by, one.action, because(&one.reason))
        }
        Record::DirectiveReleased(one) => format!("the order is over: {}", one.why),
        Record::Facts(one) => {
            let facts = one.facts.iter().map(|(key, value)| format!("{key} = {value}"));
            format!("facts came: {}", facts.collect::<Vec<_>>().join(", "))
        }
        Record::Hold(one) => match one.phase {
            HoldPhase::Pending => format!("rule {} matched; it waits for its time (`after`)", one.rule),
            HoldPhase::Held => {
                let claim = one.claim.map(|was| format!("; {was} is what would be given back"));
                format!(
                    "rule {} holds it ({}) since {}{}",
                    one.rule,
                    one.action,
                    one.since,
                    claim.unwrap_or_default()
                )
            }
            HoldPhase::Expired => format!("rule {} has held it as long as it may (`at_most`)", one.rule),
        },
        Record::HoldEnded(one) => {
            let restore = one.restore.map(|action| format!("; what was is given back: {action}"));
            format!("rule {} lets go: {}{}", one.rule, let_go(one.why), restore.unwrap_or_default())
        }
        Record::Contested(one) => {
            format!(
                "somebody else undid rule {} {} times within a minute; tried again in {} ms",
                one.rule, one.times, one.wait_ms
            )
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
        | Record::Checkpoint(_)
        | Record::Decision(_)
        | Record::Attempt(_)
        | Record::Outcome(_)
        | Record::Confirmed(_)
        | Record::Superseded(_)
        | Record::Abandoned(_)
        | Record::Would(_) => return None,
    })
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
