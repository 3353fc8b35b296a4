//! An explanation, as JSON or for people.

use std::io::{self, Write};

use serde_json::Value;

use super::events::Told;
use super::{Failure, Format, Options};
use crate::model::recording::Observed;
use crate::model::time::Wall;
use crate::policy::explain::{Carried, Explanation, Fit, Standing};
use crate::warden::Explained;

/// Earlier than this (the year 2000) no call was: time was counted from nothing, since the events had none.
const UNTIMED: Wall = Wall::from_micros(946_684_800_000_000);

/// A live conversation, as the daemon sees it.
pub(super) fn live(explained: &Explained, options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    written(explained, options, out)
}

/// One that captured events tell of.
pub(super) fn events(told: &Told, options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    written(&told.explained, options, out)?;
    if let Some(ended) = told.ended.filter(|_| options.format == Format::Text) {
        let when = moment(" by", ended);
        writeln!(out, "it had ended{when}: rules are judged while a customer or an agent is there")?;
    }
    Ok(())
}

fn written(explained: &Explained, options: &Options, out: &mut dyn Write) -> Result<(), Failure> {
    let wanted = |one: &&Explanation| options.rule.as_ref().is_none_or(|rule| *rule == one.rule);
    match options.format {
        Format::Json => {
            let mut explained = explained.clone();
            explained.rules.retain(|one| wanted(&one));
            let mut line = serde_json::to_value(&explained).map_err(|error| Failure::failed(&error))?;
            leave_out_untimed(&mut line);
            writeln!(out, "{line}")?;
        }
        Format::Text => {
            head(explained, out)?;
            if explained.rules.is_empty() {
                writeln!(out, "the policy has no rules")?;
            }
            explained.rules.iter().filter(wanted).try_for_each(|one| rule(one, out))?;
        }
    }
    Ok(())
}

/// Takes out the moments that the events did not tell. Facts are others' and stay as they are.
fn leave_out_untimed(value: &mut Value) {
    const MOMENTS: [&str; 4] = ["at", "seen", "since", "until"];
    if let Some(fields) = value.as_object_mut() {
        let told = |value: &Value| value.as_str().and_then(Wall::parse).is_none_or(|at| at >= UNTIMED);
        fields.retain(|key, value| !MOMENTS.contains(&key.as_str()) || told(value));
        fields.iter_mut().filter(|(key, _)| *key != "facts").for_each(|(_, value)| leave_out_untimed(value));
    }
    value.as_array_mut().into_iter().flatten().for_each(leave_out_untimed);
}

fn head(one: &Explained, out: &mut dyn Write) -> io::Result<()> {
    let queue =
        if one.queue.is_empty() { "in no queue".to_owned() } else { format!("in queue {}", one.queue) };
    let direction = if one.direction.is_empty() { String::new() } else { format!("{} ", one.direction) };
    match one.seen {
        Some(_) => writeln!(
            out,
            "{}: {direction}{}, {queue}; recording: {}{}",
            one.conversation,
            one.media,
            recording(one.observed),
            moment("; at", one.at)
        )?,
        None => writeln!(out, "{}: not seen yet{}", one.conversation, moment("; at", one.at))?,
    }
    if let Some(said) = &one.verdict {
        let reason = if said.reason.is_empty() { String::new() } else { format!(" ({})", said.reason) };
        writeln!(out, "wanted: {}, by {}{reason}", said.wish, said.rule)?;
    }
    if let Some(order) = &one.directive {
        let until =
            order.until.map_or_else(|| "until it is released".to_owned(), |until| format!("until {until}"));
        let reason = if order.reason.is_empty() { String::new() } else { format!(" ({})", order.reason) };
        writeln!(out, "order: {} by {}{reason}, {until}", order.action, order.by)?;
    }
    if let Some(claim) = &one.claim {
        writeln!(
            out,
            "changed by recwarden: it was {}, rule {} made it {}",
            claim.before, claim.rule, claim.action
        )?;
    }
    if let Some(open) = &one.decision {
        let (action, rule, since, attempts) = (open.action, &open.rule, open.since, open.attempts);
        writeln!(
            out,
            "open decision: {action} by {rule} since {since}, {attempts} attempts ({})",
            open.decision
        )?;
    }
    for (key, value) in &one.facts {
        writeln!(out, "fact: {key} = {value}")?;
    }
    Ok(())
}

/// The moment with a word before it; nothing where the events did not say when they came.
fn moment(word: &str, at: Wall) -> String {
    if at < UNTIMED { String::new() } else { format!("{word} {at}") }
}

fn recording(observed: Observed) -> &'static str {
    match observed {
        Observed::Active => "active",
        Observed::Paused => "paused (a secure pause)",
        Observed::Suspended => "suspended by the platform itself",
        Observed::None => "none",
        Observed::Unknown => "not known",
    }
}

fn rule(one: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let mode = match one.mode {
        Carried::Enforce => "",
        Carried::Observe => ", observe mode",
    };
    let reason = if one.reason.is_empty() { String::new() } else { format!(" ({})", one.reason) };
    let name = format!("{}: {}, priority {}{mode}{reason}", one.rule, one.action, one.priority);
    match &one.fit {
        Fit::Matched => writeln!(out, "  matches  {name}")?,
        Fit::Differs { first } => {
            writeln!(out, "  differs  {name}")?;
            miss(first, out)?;
        }
        Fit::Failed { first } => {
            writeln!(out, "  failed   {name} (counts as no match)")?;
            miss(first, out)?;
        }
    }
    if let Some(hold) = &one.hold {
        match hold {
            Standing::Held { since, .. } if *since < UNTIMED => writeln!(out, "           in force")?,
            Standing::Waiting { since, .. } if *since < UNTIMED => {
                writeln!(out, "           waits for `after`")?
            }
            Standing::Expired { since } if *since < UNTIMED => {
                writeln!(out, "           expired (`at_most`)")?
            }
            Standing::Held { .. } | Standing::Waiting { .. } | Standing::Expired { .. } => {
                writeln!(out, "           {hold}")?;
            }
        }
    }
    Ok(())
}

fn miss(first: &crate::policy::explain::Miss, out: &mut dyn Write) -> io::Result<()> {
    match &first.part {
        Some(part) => writeln!(out, "           {}: {part}", first.key)?,
        None => writeln!(out, "           {}", first.key)?,
    }
    writeln!(out, "             saw:    {}", first.saw)?;
    writeln!(out, "             needed: {}", first.needed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_that_nobody_told_are_left_out() {
        let mut line = json!({"at": "1970-01-01T00:00:00.000000Z", "facts": {"at": "1970-01-01T00:00:00Z"},
            "rules": [{"hold": {"phase": "held", "since": "1970-01-01T00:00:07.000000Z"}}], "seen": "2026-01-05T09:00:00.000000Z"});
        leave_out_untimed(&mut line);
        assert_eq!(
            line,
            json!({"facts": {"at": "1970-01-01T00:00:00Z"}, "rules": [{"hold": {"phase": "held"}}], "seen": "2026-01-05T09:00:00.000000Z"})
        );
    }
}
