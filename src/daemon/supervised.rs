//! What whoever runs the daemon asks of it and is told: reload, status, drain.

use tracing::{error, info, warn};

use super::{DRAIN_WAIT, Daemon, STATUS_EVERY, Told, Unwritten};
use crate::audit::record::{self, Record};
use crate::io::supervisor::Supervisor;
use crate::io::token::chain;
use crate::model::document::{Diagnostic, Severity};
use crate::model::time::Now;
use crate::settings::{Loaded, unknown_queue};
use crate::warden::Input;

impl Daemon {
    /// Reads the configuration again, and takes over what can be without a restart. A bad one is refused,
    /// logged, and the old one stays.
    pub(super) fn reload(&mut self) -> Option<Input> {
        let source = self.parts.source.as_ref()?;
        Supervisor.reloading();
        let has_rules = self.parts.warden.has_rules();
        let read = source.load_with_tests().and_then(|loaded| match loaded.lost_rules() {
            lost if has_rules && !lost.is_empty() => Err(lost),
            _ => Ok(loaded),
        });
        let input = match read.map(|loaded| self.take_over(loaded)) {
            Ok(input) => Some(input),
            Err(mistakes) => {
                for mistake in &mistakes {
                    error!("{mistake}");
                }
                let (count, s) = (mistakes.len(), if mistakes.len() == 1 { "" } else { "s" });
                error!("the new configuration has {count} mistake{s} and is refused; the old one stays");
                None
            }
        };
        let now = self.parts.clock.now().wall;
        if let Err(error) = self.parts.journal.reopen(now) {
            error!("the audit log could not be reopened: {}", chain(&error));
        }
        Supervisor.ready(match input {
            Some(_) => "the configuration was read again",
            None => "the new configuration is refused; the old one stays",
        });
        input
    }

    fn take_over(&mut self, loaded: Loaded) -> Input {
        info!(
            rules = loaded.policy.terms().len(),
            policy = loaded.policy.sha256(),
            "the configuration was read again"
        );
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        for change in self.parts.fixed.changes_to(&loaded.settings.fixed()) {
            warn!("{change}");
        }
        if let (Some(secret_tx), Some(webhook)) = (&self.parts.webhook_secret, &loaded.settings.webhook) {
            secret_tx.send_replace(webhook.secret.clone());
        }
        let audit = &loaded.settings.audit;
        self.parts.journal.resettle(audit.rotate_every, audit.rotate_size);
        self.parts.alert = loaded.settings.alert;
        self.parts.named_queues = loaded.settings.named_queues;
        self.parts.redaction.resettle(loaded.settings.audit.redact);
        let mut settings = loaded.settings.warden;
        settings.enforcement = self.parts.warden.enforcement();
        Input::Reload(Box::new((settings, loaded.policy)))
    }

    /// Says once of each queue that is named and is not on the platform: its rule waits in vain.
    fn warn_of_unknown_queues(&mut self) {
        let known = self.parts.warden.queue_names();
        self.parts.named_queues.retain(|named| match unknown_queue(named, known) {
            Some(diagnostic) => {
                let diagnostic = Diagnostic { severity: Severity::Warning, ..diagnostic };
                warn!("{diagnostic}");
                false
            }
            None => true,
        });
    }

    pub(super) fn tell_status(&mut self, now: Now) {
        self.warn_of_unknown_queues();
        self.status_at = now.mono + STATUS_EVERY;
        self.keep_facts(Vec::new());
        let warden = &self.parts.warden;
        let (used, limit) = warden.budget(now.mono);
        let open = warden.open_count();
        let calls = warden.call_count();
        let state = warden.not_ready().unwrap_or_else(|| "subscribed".into());
        let mut parts = vec![format!("{state}; {calls} calls"), format!("{open} decisions open")];
        parts.push(format!("{used} of {limit} requests a minute"));
        parts.extend(warden.busy_with(now));
        let status = parts.join(", ");
        if self.told == Told::Nothing {
            self.told = Told::Ready;
            Supervisor.ready(&status);
        }
        Supervisor.alive(&status);
    }

    /// Finishes what is under way, closes the sockets, and journals the end.
    pub(super) async fn drain(&mut self) -> Result<(), Unwritten> {
        info!("stopping: what is under way is finished");
        Supervisor.stopping();
        let until = *self.stop_by.get_or_insert(self.parts.clock.now().mono + DRAIN_WAIT);
        self.feed(Input::Drain).await?;
        while !self.parts.warden.is_drained() {
            if self.next_event(Some(until)).await?.is_none() {
                warn!(
                    "some requests were not answered in time; the log has them open, and the next start takes them up"
                );
                break;
            }
        }
        let now = self.parts.clock.now();
        let stopped = record::DaemonStopped { reason: "told to stop".into() };
        self.journal(vec![Record::DaemonStopped(stopped)], now).await.map(drop)
    }
}
