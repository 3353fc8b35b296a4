//! The end of the demonstration: what was done, and what was true of every call, second by second.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::lights::Lights;
use crate::command::{Failure, audit};
use crate::http::ask::View;
use crate::sim::account::{Account, Reaction};

/// A wrong state that ends within this is what the way there and back costs: an event, a request, and the
/// simulator's own delay of up to 150 ms until it is applied.
const API_LATENCY: Duration = Duration::from_millis(500);

pub(super) fn print(
    lights: &Lights,
    view: Option<&View>,
    account: &Account,
    log: &Path,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let spans = &account.wrong;
    let wrong: f64 = spans.iter().map(Duration::as_secs_f64).sum();
    let beyond: f64 = spans.iter().map(|span| span.saturating_sub(API_LATENCY).as_secs_f64()).sum();
    let longest = spans.iter().max().copied().unwrap_or_default();
    let verified = audit::check(log)?;
    let open = verified.history.open_decisions().count();
    let events =
        view.and_then(|view| view.counters.get("recwarden_events_total")).copied().unwrap_or_default();
    let mut took = lights.confirmed_ms.clone();
    took.sort_unstable();
    writeln!(out, "\nsummary")?;
    writeln!(out, "  calls                       {}", account.calls)?;
    writeln!(out, "  events                      {events}")?;
    writeln!(out, "  decisions                   {}", lights.decisions)?;
    writeln!(out, "  attempts                    {}", lights.attempts)?;
    writeln!(out, "  confirmed                   {}", took.len())?;
    writeln!(out, "  superseded or abandoned     {}", lights.other_ends)?;
    writeln!(out, "  left open                   {open}")?;
    let (median, high) = (percentile(&took, 50), percentile(&took, 99));
    writeln!(out, "  event to confirmed          median {median} ms, p99 {high} ms")?;
    writeln!(out, "  event to request            {}", Reaction(&account.reactions))?;
    let longest = longest.as_millis();
    writeln!(
        out,
        "  seconds in the wrong state  {wrong:.3} in {} spans, the longest {longest} ms",
        spans.len()
    )?;
    writeln!(out, "  beyond API latency          {beyond:.3}")?;
    let sound = verified.findings.is_empty();
    let chain = if sound { "verified" } else { "BROKEN" };
    writeln!(out, "  audit log                   {} records, chain {chain}", verified.records)?;
    for finding in &verified.findings {
        writeln!(out, "    {finding}")?;
    }
    if open == 0 && beyond == 0.0 && sound {
        Ok(())
    } else {
        Err(Failure::Failed("the demonstration shows something wrong; see the summary".into()))
    }
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(at).copied().unwrap_or_default()
}
