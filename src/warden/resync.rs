//! Gaps opened and closed, rounds of the resync begun, and what follows from being blind.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Level, Warden};
use crate::audit::record::{self, HoldPhase, Record};
use crate::model::conversation::Conversation;
use crate::model::ids::ConversationId;
use crate::model::recording::Action;
use crate::model::time::{Now, Wall};
use crate::policy::rule::WHEN_BLIND;
use crate::warden::book::{Busy, Call, Outlook};
use crate::warden::plan;
use crate::warden::sight::{Change, Subscription, WhenBlind};
use crate::warden::survey::Gap;
use crate::wire::reply::RawAnswer;

impl Warden {
    /// The span before the start is the first gap.
    pub(super) fn open_first_gap(&mut self, now: Now) {
        if let Some(from) = self.unheard_since.take() {
            self.open_gap(from, "start", now);
        }
    }

    pub(super) fn open_gap(&mut self, from: Wall, why: &str, now: Now) {
        if let Some(gap) = self.survey.open_gap(from, &self.book, now) {
            self.record(Record::GapOpened(record::GapOpened {
                gap: gap.gap,
                topics: "conversations".into(),
                from: gap.from,
                why: why.to_owned(),
            }));
        } else {
            self.note(Level::Warn, "very many gaps are open; what is missed now is counted to the newest");
        }
    }

    /// Closes what can be closed, and begins the next round where one is due.
    pub(super) fn go_on_with_resync(&mut self, now: Now) {
        self.survey.finish(now.mono);
        for (Gap { gap, from }, conversations) in self.survey.closed_gaps() {
            self.note(Level::Info, format!("gap {gap} is closed: {conversations} conversations were judged"));
            let to = now.wall;
            self.record(Record::GapClosed(record::GapClosed { gap, from, to, conversations }));
        }
        if let Some(line) = self.survey.tell_progress(now.mono) {
            self.note(Level::Info, line);
        }
        if let Some(line) = self.survey.tell_overdue(now) {
            self.note(Level::Warn, line);
        }
        if self.sight.polls() {
            self.survey.poll(now.mono);
        }
        if self.may_survey() {
            self.survey.begin(&self.directory.subscribed_queues(), &self.book, now.mono);
        }
    }

    /// Whether a round may begin: while the subscription comes up within its time, its own round follows.
    pub(super) fn may_survey(&self) -> bool {
        self.session.is_live() || self.sight.polls()
    }

    /// Looks whether anything is seen, and acts where that has changed.
    pub(super) fn watch_sight(&mut self, now: Now) {
        let unwanted = self.settings.directory.is_nothing();
        let up = unwanted || self.session.is_live();
        let subscription = if up { Subscription::Up } else { Subscription::Down };
        let span = |span: std::time::Duration| {
            humantime::format_duration(std::time::Duration::from_secs(span.as_secs())).to_string()
        };
        match self.sight.tick(subscription, now.mono) {
            None => {}
            Some(Change::Polls(lasted)) => {
                let message = format!(
                    "no working subscription for {}: events are missed, so live conversations are read in turn. \
                     See the log for why sockets fail, and /readyz for when they are back.",
                    span(lasted)
                );
                self.alert("blind", message, None);
            }
            Some(Change::GoesBlind(lasted)) => {
                let then = match self.sight.when_blind() {
                    WhenBlind::Leave => "recordings are left as they are (safety.when_blind = \"leave\")",
                    WhenBlind::Stop => {
                        "every live conversation is stopped as soon as a call gets through \
                         (safety.when_blind = \"stop\")"
                    }
                };
                let message = format!(
                    "nothing is seen of the platform for {}: neither events nor reads get through; {then}. \
                     Check the network and the platform's status.",
                    span(lasted)
                );
                self.alert("blind", message, None);
                self.align_outlooks(now);
            }
            Some(Change::PollsAgain) => {
                self.tell_sight("reads get through again: live conversations are read in turn".into());
            }
            Some(Change::Clears(lasted)) => {
                let message = format!("every topic is heard again after {}", span(lasted));
                self.tell_sight(message);
            }
        }
    }

    fn tell_sight(&mut self, message: String) {
        self.alert_at(Level::Info, "sight", message, None);
    }

    /// Holds every live conversation where all is blind and that asks for a stop; lets go of all where the
    /// settings no longer do.
    pub(super) fn align_outlooks(&mut self, now: Now) {
        let (from, to) = match (self.sight.stops(), self.sight.when_blind()) {
            (true, _) => (Outlook::Clear, Outlook::Blind),
            (false, WhenBlind::Leave) => (Outlook::Blind, Outlook::Returning),
            (false, WhenBlind::Stop) => return,
        };
        let concerned = |(id, call): (&ConversationId, &Call)| {
            (call.outlook == from && call.seen.is_some()).then(|| id.clone())
        };
        let ids: Vec<ConversationId> = self.book.iter().filter_map(concerned).collect();
        for id in ids {
            let Some(call) = self.book.get_mut(&id) else { continue };
            call.outlook = to;
            call.cause = (String::new(), String::new());
            if to == Outlook::Blind {
                self.record(Record::Hold(record::Hold {
                    conversation: id.clone(),
                    rule: WHEN_BLIND.into(),
                    action: Action::Stop,
                    since: now.wall,
                    phase: HoldPhase::Held,
                    claim: None,
                }));
            }
            self.judge(&id, record::ConfirmedBy::Read, now);
        }
    }

    /// Takes the body in, and notes where it tells a change that no event has told.
    pub(super) fn take_body_of_survey(
        &mut self,
        id: &ConversationId,
        version: u64,
        answer: &RawAnswer,
        now: Now,
    ) -> Result<(), String> {
        let looks = |warden: &Self| {
            let call = warden.book.get(id).filter(|call| call.seen.is_some() && call.busy == Busy::Idle)?;
            let means = &warden.settings.means;
            let told = (plan::observed(means, &call.conversation), call.conversation.is_flagged());
            Some((call.version, told, particulars(&call.conversation)))
        };
        let before = looks(self);
        self.take_body(id, version, answer, now)?;
        let Some((version_now, told_now, particulars_now)) = looks(self) else { return Ok(()) };
        let read_before =
            self.book.get_mut(id).and_then(|call| call.read_particulars.replace(particulars_now));
        let Some((told_version, told, particulars)) = before else { return Ok(()) };
        // Events of some families leave out what a read tells, so particulars count only where they differ
        // from the last read too.
        let news = particulars != particulars_now && read_before.is_some_and(|read| read != particulars_now);
        if told_version == version && version_now != version && (told != told_now || news) {
            self.survey.changed_in_silence(id, now.mono);
        }
        Ok(())
    }

    /// Where a change came without its event, the subscription is deaf though its socket lives: it is replaced,
    /// and what it may have missed is a gap.
    pub(super) fn replace_deaf_subscription(&mut self, now: Now) {
        if !self.survey.subscription_is_deaf(now.mono) {
            return;
        }
        self.open_gap(now.wall - self.settings.resync_every, "a change came without its event", now);
        self.note(Level::Warn, "a conversation changed without an event: the channels are replaced");
        self.count("recwarden_deaf_subscriptions_total");
        self.session.renew(now);
    }
}

/// What rules can ask for beside the state and the flag, as a digest: participant data and the queue.
fn particulars(conversation: &Conversation) -> u64 {
    let mut digest = DefaultHasher::new();
    for key in conversation.attribute_keys() {
        (key, conversation.attribute(key)).hash(&mut digest);
    }
    conversation.queue().map(|queue| queue.id.as_str()).hash(&mut digest);
    digest.finish()
}
