//! The lines of a replay, as JSON or for people.

use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::{Format, Options};
use crate::model::ids::ConversationId;
use crate::model::time::Wall;
use crate::warden::backtest::{Mark, RuleLine, Summary, Told};

/// How lines are written.
pub(super) struct Style {
    pub(super) format: Format,
    pub(super) names: Arc<[String]>,
}

#[derive(Serialize)]
struct Line<'l> {
    at: Wall,
    /// Only where there are several files.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'l str>,
    line: u64,
    conversation: &'l ConversationId,
    verdict: &'static str,
    rule: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Against<'l>>,
}

#[derive(Serialize)]
struct Against<'l> {
    verdict: &'static str,
    rule: &'l str,
}

impl Style {
    pub(super) fn told(&self, told: &Told, out: &mut dyn Write) -> io::Result<()> {
        let line = match told {
            Told::Change { at, mark, conversation, now, was } => Line {
                was: Some(was.as_str()),
                ..self.line(*at, *mark, conversation, now.wish.as_str(), &now.rule)
            },
            Told::Parting { at, mark, conversation, now, against } => Line {
                against: Some(Against { verdict: against.wish.as_str(), rule: &against.rule }),
                ..self.line(*at, *mark, conversation, now.wish.as_str(), &now.rule)
            },
        };
        match self.format {
            Format::Json => {
                serde_json::to_writer(&mut *out, &line)?;
                writeln!(out)
            }
            Format::Text => text(&line, out),
        }
    }

    fn line<'l>(
        &'l self,
        at: Wall,
        Mark { file, line }: Mark,
        conversation: &'l ConversationId,
        verdict: &'static str,
        rule: &'l str,
    ) -> Line<'l> {
        let file = self.names.get(file).filter(|_| self.names.len() > 1).map(String::as_str);
        Line { at, file, line, conversation, verdict, rule, was: None, against: None }
    }

    pub(super) fn summary(
        &self,
        summary: &Summary,
        options: &Options,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => writeln!(out, "{}", json!({ "summary": summary })),
            Format::Text => for_people(summary, options, out),
        }
    }
}

fn text(line: &Line<'_>, out: &mut dyn Write) -> io::Result<()> {
    let file = line.file.map(|file| format!("{file}:")).unwrap_or_default();
    write!(out, "{}  {file}{}  {}  ", line.at, line.line, line.conversation)?;
    match (&line.against, line.was) {
        (Some(against), _) => writeln!(
            out,
            "{} by {}, the other policy: {} by {}",
            line.verdict, line.rule, against.verdict, against.rule
        ),
        (None, was) => writeln!(out, "{} by {} (was {})", line.verdict, line.rule, was.unwrap_or("leave")),
    }
}

fn for_people(summary: &Summary, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let Summary { events, conversations, .. } = summary;
    write!(out, "{events} events of {conversations} conversations")?;
    if let (Some(from), Some(to)) = (summary.from, summary.to) {
        write!(out, ", {from} to {to}")?;
    }
    writeln!(out)?;
    for (count, what) in [
        (summary.unreadable, "entries could not be read"),
        (summary.stale, "events were older than what was known, or came after the end"),
        (summary.odd, "events had a field that was passed over"),
        (summary.forgotten, "conversations were not seen any more and were dropped"),
    ] {
        if count > 0 {
            writeln!(out, "{count} {what}")?;
        }
    }
    writeln!(out, "\n{}", options.config.display())?;
    rules(&summary.rules, out)?;
    let (Some(other), Some(lines)) = (&options.against, &summary.against) else { return Ok(()) };
    writeln!(out, "\n{}", other.display())?;
    rules(lines, out)?;
    if let Some(changed) = &summary.changed_share {
        let (count, percent) = (changed.conversations, changed.share * 100.0);
        writeln!(out, "\n{count} of {conversations} conversations change ({percent:.2} %)")?;
    }
    let all = summary.difference.as_deref().unwrap_or_default();
    if !all.is_empty() {
        let head = ["seconds of recording", "queue", "added", "removed"];
        writeln!(out, "{:<40} {:<24} {:>12} {:>12}", head[0], head[1], head[2], head[3])?;
    }
    for one in all {
        let (rule, queue) = (&one.rule, one.queue.as_deref().unwrap_or("(none)"));
        writeln!(out, "  {rule:<38} {queue:<24} {:>12.3} {:>12.3}", one.added_seconds, one.removed_seconds)?;
    }
    Ok(())
}

fn rules(lines: &[RuleLine], out: &mut dyn Write) -> io::Result<()> {
    if lines.is_empty() {
        return writeln!(out, "  no rules");
    }
    let [rule, conversations, stopped, decisions, would, failed] =
        ["rule", "conversations", "seconds stopped", "decisions", "would", "failures"];
    writeln!(out, "  {rule:<38} {conversations:>13} {stopped:>15} {decisions:>9} {would:>6} {failed:>9}")?;
    for one in lines {
        let (rule, seconds) = (&one.rule, one.stopped_seconds);
        writeln!(
            out,
            "  {rule:<38} {:>13} {seconds:>15.3} {:>9} {:>6} {:>9}",
            one.conversations, one.decisions, one.would, one.failures
        )?;
    }
    for one in lines {
        let Some(error) = &one.first_error else { continue };
        writeln!(
            out,
            "  rule '{}' failed {} times, on {} conversations, and counted as not matching; the first time: {error}",
            one.rule, one.failures, one.failed_conversations
        )?;
    }
    Ok(())
}
