//! Sending: the most urgent work that the allowance permits. Control first (stops, then starts), and what
//! housekeeping's share leaves after it: channels, lists, the resync.

use std::time::Duration;

use super::{Forbidden, Output, Purpose, RequestId, UnderWay, Warden};
use crate::audit::record::{self, Record};
use crate::model::ids::ConversationId;
use crate::model::time::{Mono, Now};
use crate::warden::allowance::{Class, Refusal};
use crate::warden::book::{Busy, Stage};
use crate::warden::plan::{self, Step};
use crate::warden::survey::Ask;
use crate::wire::request::Request;

/// Changes are counted over this window for `max_changes_per_minute`.
const BRAKE_WINDOW: Duration = Duration::from_secs(60);

/// How often it is looked again whether a slot is free while all are taken.
const SLOTS_ASKED_EVERY: Duration = Duration::from_secs(1);

impl Warden {
    /// Sends what may go now.
    pub(super) fn dispatch(&mut self, now: Now) {
        self.permitted_at = None;
        while let Some(id) = self.worklist.most_urgent(now.mono) {
            if self.book.get(&id).is_none_or(|call| call.pursuit.is_none() || !call.is_idle()) {
                self.worklist.remove(&id);
                continue;
            }
            if !self.may_take(Class::Control, now.mono) {
                return;
            }
            match self.prepare(&id, now) {
                Some((purpose, request)) => self.send(purpose, request, now.mono),
                None => self.allowance.give_back(Class::Control),
            }
        }
        self.dispatch_housekeeping(now);
    }

    fn dispatch_housekeeping(&mut self, now: Now) {
        loop {
            let wanted = self.session.wants_request(now.mono)
                || self.survey.wants(now.mono)
                || self.directory.next_wakeup().is_some_and(|at| at <= now.mono);
            if !wanted || !self.may_take(Class::Housekeeping, now.mono) {
                return;
            }
            match self.next_errand(now.mono) {
                Some((purpose, request)) => self.send(purpose, request, now.mono),
                None => return self.allowance.give_back(Class::Housekeeping),
            }
        }
    }

    fn next_errand(&mut self, now: Mono) -> Option<(Purpose, Request)> {
        if let Some((slot, request)) = self.session.next_request(now) {
            return Some((Purpose::Slot(slot), request));
        }
        if let Some(request) = self.directory.next_request(now) {
            return Some((Purpose::Directory, request));
        }
        match self.survey.next_ask(&self.book, now)? {
            Ask::Query(request) => Some((Purpose::Activity, request)),
            Ask::Read(conversation) => {
                let version = self.book.get(&conversation).map_or(0, |call| call.version);
                let request = Request::GetConversation { conversation: conversation.clone() };
                Some((Purpose::Survey { conversation, version }, request))
            }
        }
    }

    fn may_take(&mut self, class: Class, now: Mono) -> bool {
        match self.allowance.take(class, now) {
            Ok(()) => true,
            Err(Refusal::Until(at)) => {
                self.permitted_at = Some(at);
                false
            }
            Err(Refusal::InFlight) => {
                // The answer that frees a slot calls sooner; without this the due work would be asked for over
                // and over until then.
                self.permitted_at = Some(now + SLOTS_ASKED_EVERY);
                false
            }
        }
    }

    fn send(&mut self, purpose: Purpose, request: Request, sent: Mono) {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.under_way.insert(id, UnderWay { purpose, request: request.clone(), sent });
        self.count("recwarden_requests_total");
        self.outputs.push_back(Output::Request(id, request));
    }

    /// What to send for a conversation that is due; nothing where it has to wait instead.
    fn prepare(&mut self, id: &ConversationId, now: Now) -> Option<(Purpose, Request)> {
        let give_up_after = self.settings.give_up_after;
        let open = self.book.get(id)?.pursuit.as_ref()?;
        if now.wall.since(open.opened.wall) >= give_up_after {
            let span = humantime::format_duration(give_up_after);
            self.abandon(id, &format!("it did not come true within {span}"));
            return None;
        }
        match open.stage {
            Stage::Due => self.prepare_attempt(id, now),
            Stage::AwaitWord | Stage::ToRead => self.prepare_read(id),
            Stage::InFlight | Stage::Reading => {
                self.worklist.remove(id);
                None
            }
        }
    }

    fn prepare_read(&mut self, id: &ConversationId) -> Option<(Purpose, Request)> {
        let call = self.book.get_mut(id)?;
        call.busy = Busy::Sending;
        call.pursuit.as_mut()?.stage = Stage::Reading;
        let purpose = Purpose::Confirm { conversation: id.clone(), version: call.version };
        self.worklist.remove(id);
        Some((purpose, Request::GetConversation { conversation: id.clone() }))
    }

    pub(super) fn prepare_attempt(&mut self, id: &ConversationId, now: Now) -> Option<(Purpose, Request)> {
        if let Some(at) = self.held_back_until(now.mono) {
            let open = self.book.get(id)?.pursuit.as_ref()?;
            let (action, opened) = (open.action, open.opened.mono);
            self.worklist.put(id, action, opened, at);
            return None;
        }
        let means = self.settings.means;
        let call = self.book.get_mut(id)?;
        let open = call.pursuit.as_mut()?;
        match plan::next_step(&means, open.action, &call.conversation, &open.asked) {
            Step::Send(request, leg) => {
                open.attempts += 1;
                open.first_sent.get_or_insert(now.mono);
                open.asked.extend(leg);
                open.stage = Stage::InFlight;
                call.busy = Busy::Sending;
                let (decision, attempt) = (open.decision.clone(), open.attempts);
                self.worklist.remove(id);
                self.changes.push_back(now.mono);
                self.record(Record::Attempt(record::Attempt {
                    decision: decision.clone(),
                    conversation: id.clone(),
                    attempt,
                    method: request.method().into(),
                    path: request.path(),
                }));
                self.count("recwarden_attempts_total");
                Some((Purpose::Attempt { conversation: id.clone(), decision, attempt }, request))
            }
            Step::Wait | Step::Asked => {
                open.asked.clear();
                open.stage = Stage::AwaitWord;
                let (action, opened) = (open.action, open.opened.mono);
                self.worklist.put(id, action, opened, now.mono + self.settings.confirm_within);
                None
            }
            Step::Refuse(why) => {
                self.abandon(id, why);
                None
            }
        }
    }

    /// Where no attempt may be sent: a missing permission is probed slowly, and the brake holds.
    fn held_back_until(&mut self, now: Mono) -> Option<Mono> {
        if let Some(Forbidden { probe_at, .. }) = &mut self.forbidden {
            if *probe_at > now {
                return Some(*probe_at);
            }
            *probe_at = now + super::answers::PROBE_EVERY;
        }
        while self.changes.front().is_some_and(|at| now.since(*at) >= BRAKE_WINDOW) {
            self.changes.pop_front();
        }
        let bound = self.settings.max_changes_per_minute as usize;
        if bound == 0 || self.changes.len() < bound {
            self.braked = None;
            return None;
        }
        let until = self.changes.front().map_or(now, |at| *at) + BRAKE_WINDOW;
        if self.braked.replace(until).is_none() {
            let message = format!(
                "the policy asks for more than {bound} changes a minute (safety.max_changes_per_minute); \
                 the others wait. Look for a rule that matches too much."
            );
            self.alert("brake", message, None);
        }
        Some(until)
    }
}
