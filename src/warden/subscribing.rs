//! Reading answers about the subscription: channels, lists of topics, and the platform's queues and users.

use std::time::Duration;

use super::{Level, Warden};
use crate::model::time::Now;
use crate::warden::backoff::News;
use crate::warden::directory::Progress;
use crate::warden::permission::PROBE_EVERY;
use crate::warden::reads::{unanswered, wait_after};
use crate::warden::session::{Shortfall, SlotId};
use crate::wire::reply::{self, Fault, RawAnswer, Rejected, Subscriptions};
use crate::wire::request::Request;
use crate::wire::topic::{CHANNELS_PER_CLIENT, TOPICS_PER_CHANNEL};

impl Warden {
    pub(super) fn settle_slot(
        &mut self,
        slot: SlotId,
        request: &Request,
        answer: &RawAnswer,
        fault: Option<Fault>,
        now: Now,
    ) {
        if !self.session.awaits(slot, request) {
            return self.note_late_channel(slot, request, answer, now);
        }
        let body = match (answer, fault) {
            (RawAnswer::Answered { body, .. }, None) => body,
            (_, Some(Fault::Gone { .. })) => return self.session.channel_gone(slot, &mut self.dice, now),
            (_, fault) => {
                let why = fault.map_or_else(|| "no answer".to_owned(), |fault| fault.to_string());
                self.note(Level::Warn, format!("the subscription is not up yet, tried again: {why}"));
                return self.session.failed(slot, &mut self.dice, now);
            }
        };
        if matches!(request, Request::CreateChannel) {
            match reply::channel(body) {
                Ok(channel) => self.session.channel_made(slot, channel, now),
                Err(error) => {
                    self.note(Level::Error, format!("the new channel was not understood: {error}"));
                    self.session.failed(slot, &mut self.dice, now);
                }
            }
        } else if matches!(request, Request::CheckChannel { .. }) {
            self.session.channel_there(slot, now);
        } else if matches!(request, Request::Subscribe { .. }) {
            // Here the platform says why a topic is refused; the list that is read back only lacks it.
            let had = self.session.had(slot);
            if let Some(mut answer) = self.understood(slot, body) {
                answer.rejected.retain(|one| !had.contains(&one.topic));
                self.report_rejected(answer.rejected);
            }
            self.session.subscribed(slot, now);
        } else {
            self.compare_topics(slot, body, now);
            self.session.read_back(slot, now);
        }
    }

    /// Compares the list that was read back with what was asked for, and with what it had before.
    fn compare_topics(&mut self, slot: SlotId, body: &str, now: Now) {
        let had = self.session.had(slot);
        if reply::subscriptions(body, &had).is_ok_and(|answer| !answer.rejected.is_empty()) {
            self.session.lost_topics(slot, now);
        }
        if let Some(answer) = self.understood(slot, body) {
            self.session.has(slot, &answer.accepted, now);
            self.report_rejected(answer.rejected);
        }
    }

    /// The slot waits for something else by now: of what it waited for before, a channel was made all the same.
    fn note_late_channel(&mut self, slot: SlotId, request: &Request, answer: &RawAnswer, now: Now) {
        if let (RawAnswer::Answered { body, .. }, Request::CreateChannel) = (answer, request)
            && let Ok(channel) = reply::channel(body)
        {
            self.session.channel_made(slot, channel, now);
        }
    }

    /// What the platform says of the topics that a slot asked for.
    fn understood(&mut self, slot: SlotId, body: &str) -> Option<Subscriptions> {
        let asked = self.session.asked(slot)?;
        match reply::subscriptions(body, &asked) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.note(Level::Error, format!("the subscription list was not understood: {error}"));
                None
            }
        }
    }

    fn report_rejected(&mut self, rejected: Vec<Rejected>) {
        for rejected in self.session.newly_rejected(rejected) {
            let message = format!("topic {} is refused: {}", rejected.topic, rejected.reason);
            self.note(Level::Error, message);
            self.count("recwarden_topics_rejected_total");
        }
    }

    /// Told at once, and then from time to time.
    fn directory_failed(&mut self, level: Level, why: &str, wait: Duration, now: Now) {
        if self.directory.failed(why, now.mono + wait, now.mono) == News::Yes {
            self.note(level, format!("the list of queues and users could not be read, tried again: {why}"));
        }
    }

    pub(super) fn settle_directory(
        &mut self,
        request: &Request,
        answer: &RawAnswer,
        fault: Option<Fault>,
        now: Now,
    ) {
        let (RawAnswer::Answered { body, .. }, None) = (answer, &fault) else {
            let (why, wait) = (unanswered(fault.as_ref(), request), wait_after(fault.as_ref()));
            return self.directory_failed(Level::Warn, &why, wait, now);
        };
        let progress = if matches!(request, Request::ListUsers { .. }) {
            reply::users(body).map(|page| self.directory.users_page(page.entities, page.pages, now.mono))
        } else {
            reply::queues(body).map(|page| self.directory.queues_page(page.entities, page.pages, now.mono))
        };
        match progress {
            Ok(Progress::More) => {}
            Ok(Progress::Complete) => self.take_directory(now),
            Err(error) => {
                self.directory_failed(Level::Error, &format!("not understood: {error}"), PROBE_EVERY, now);
            }
        }
    }

    fn take_directory(&mut self, now: Now) {
        self.book.name_queues(self.directory.queue_names().clone());
        let topics = self.directory.topics();
        if topics.is_empty() && !self.settings.directory.is_nothing() {
            let message = "nothing is subscribed: [subscribe] names no queue or user that can be seen; correct \
                           it, or grant routing:queue:view (directory:user:view) in their divisions";
            self.note(Level::Error, message);
        }
        let redundancy = self.settings.directory.redundancy;
        let shortfall = self.session.subscribe(&topics, redundancy, now);
        self.report_shortfall(shortfall, topics.len());
    }

    /// The platform gives one client so many channels, and a channel so many topics: what that leaves out is
    /// told once, and again when it changes.
    fn report_shortfall(&mut self, shortfall: Shortfall, topics: usize) {
        if std::mem::replace(&mut self.shortfall, shortfall) == shortfall {
            return;
        }
        let limits = format!(
            "the platform gives one OAuth client {CHANNELS_PER_CLIENT} channels of {TOPICS_PER_CHANNEL} topics, \
             and one stays free for replacements"
        );
        if shortfall.topics > 0 {
            let message = format!(
                "{} of {topics} topics are not subscribed: {limits}. Name fewer queues in [subscribe], or run a \
                 second daemon with a client of its own.",
                shortfall.topics
            );
            self.alert("topics", message, None);
        } else if shortfall.single_packs > 0 {
            let message = format!(
                "{} channels have no second one beside them, as subscribe.redundancy = 2 asks: {limits}. Name \
                 fewer queues in [subscribe], or run a second daemon with a client of its own.",
                shortfall.single_packs
            );
            self.alert("redundancy", message, None);
        }
    }
}
