//! What comes in from outside: socket texts, snapshots, a new policy, and what the log says
//! was still in force when the daemon last stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Enforcement, Level, Output, SocketOrder, Warden};
use crate::audit::history::{Came, Heard, History, Open, Tried};
use crate::audit::record::{self, ConfirmedBy, Record};
use crate::model::conversation::Conversation;
use crate::model::ids::ConversationId;
use crate::model::time::{Mono, Now, Wall};
use crate::policy::decide::Policy;
use crate::policy::rule::WHEN_BLIND;
use crate::warden::Settings;
use crate::warden::allowance::TOKEN_AWAY;
use crate::warden::book::{Begun, Directive, Intake, Outlook, Pursuit, Stage};
use crate::warden::latch::Hold;
use crate::warden::orders::Answered;
use crate::warden::session::{Effect, Novelty, SocketId};
use crate::warden::survey::Gap;
use crate::warden::unseen::LATE_AFTER_SENDING;
use crate::wire::frame::{self, Frame};

/// Until when what was sent may come true yet, though nothing is known of its answer; none where it no longer may.
pub(super) fn late_until(tried: &Tried, now: Now) -> Option<Mono> {
    let left = LATE_AFTER_SENDING.checked_sub(now.wall.since(tried.at))?;
    Some(now.mono + left)
}

/// So long before the end of a log nothing may have been heard any more: a socket can be silent until it is probed in
/// vain, and one that is closed by a daemon that stops is so up to some seconds before the last record.
const UNHEARD_AT_MOST: Duration = Duration::from_secs(60);

/// Since when the processes of this log may have heard nothing; none where there is no record of any. Where the log ends
/// later than now, the clock was set back since.
pub fn unheard_since(history: &History, now: Wall) -> Option<Wall> {
    let last = history.last()?;
    let Heard { until, began } = history.heard();
    let since = until.unwrap_or_else(|| (last - UNHEARD_AT_MOST).max(began.unwrap_or_default()));
    Some((since - last.since(now)).min(now))
}

impl Warden {
    pub(super) fn take_text(&mut self, socket: SocketId, text: &str, came: Now, now: Now) {
        self.count("recwarden_frames_total");
        if !self.session.heard(socket, came, now) {
            return;
        }
        let print = self.session.is_doubled(socket).then(|| frame::fingerprint(text)).flatten();
        if print.is_some() && self.session.event(socket, print, now) == Novelty::Repeat {
            return self.count("recwarden_events_repeated_total");
        }
        match frame::read(text) {
            Ok(Frame::Conversation(event)) => {
                self.count("recwarden_events_total");
                if print.is_none() {
                    self.session.event(socket, None, now);
                }
                if !event.decoded.odd.is_empty() {
                    self.count("recwarden_odd_fields_total");
                }
                let id = event.decoded.conversation.id.clone();
                let cause = (event.topic.as_str().to_owned(), event.correlation.clone());
                let begun = event.decoded.conversation.start_time;
                match self.take_snapshot(event.decoded.conversation, cause, now) {
                    Intake::Taken | Intake::Returned => {
                        self.sight.looked(now.mono);
                        self.survey.heard(&id, begun, now);
                    }
                    Intake::Stale => self.survey.heard_late(&id),
                    Intake::NoRoom => {
                        let why = "there is more in the book than limits.memory has room for";
                        self.take_shed(1, came.wall, why, now);
                    }
                }
                self.judge(&id, ConfirmedBy::Event, now);
            }
            Ok(Frame::SocketClosing) => {
                self.note(Level::Info, "the platform will close the socket soon; a successor is brought up");
                self.session.closing(socket, now);
            }
            Ok(Frame::System { topic }) if frame::tells_of_the_list(&topic) => {
                self.note(Level::Info, format!("the platform sent {topic}; the list of topics is read back"));
                self.session.list_changed(socket, now);
            }
            Ok(Frame::System { topic }) if frame::tells_of_no_topics(&topic) => {
                self.note(Level::Warn, format!("the platform sent {topic}; the channel is replaced"));
                self.session.unsubscribed(socket, came, now);
            }
            Ok(Frame::System { topic }) => {
                self.note(Level::Warn, format!("the platform sent {topic}; the channel is replaced"));
                self.session.distrust(socket, now);
            }
            Ok(Frame::Heartbeat | Frame::Pong) => {}
            Ok(Frame::Subscribed { .. } | Frame::Unknown { .. }) => {
                self.count("recwarden_frames_unknown_total")
            }
            Err(error) => {
                self.refuse_frame(&error.to_string(), now.mono);
            }
        }
    }

    /// Takes a snapshot in, unless it is older than what is known.
    pub(super) fn take_snapshot(
        &mut self,
        snapshot: Conversation,
        cause: (String, String),
        now: Now,
    ) -> Intake {
        let (id, begun) = (snapshot.id.clone(), snapshot.start_time);
        let intake = self.book.take(snapshot, now);
        match intake {
            Intake::Taken => {}
            Intake::Returned => {
                let message =
                    format!("{id} was taken for ended, and somebody is there again: it is judged as before");
                self.note(Level::Info, message);
            }
            Intake::Stale => {
                self.count("recwarden_snapshots_stale_total");
                return intake;
            }
            Intake::NoRoom => return intake,
        }
        self.survey.seen(&id, begun, now);
        if let Some(call) = self.book.get_mut(&id) {
            call.cause = cause;
            if call.outlook == Outlook::Blind {
                call.outlook = Outlook::Returning;
            }
        }
        self.notice_change(&id, now.mono);
        intake
    }

    pub(super) fn take_policy(&mut self, policy: Policy, now: Now) {
        let changes = policy.changes_from(&self.policy);
        self.policy = policy;
        // Whoever has changed it may have mended what was in the way.
        self.book.iter_mut().for_each(|(_, call)| call.given_up = None);
        self.failures.retain(|rule, _| self.policy.named(rule).is_some());
        self.record(Record::PolicyLoaded(record::PolicyLoaded {
            policy: self.policy.sha256().to_owned(),
            rules: u32::try_from(self.policy.terms().len()).unwrap_or(u32::MAX),
            added: changes.added,
            removed: changes.removed,
            changed: changes.changed,
        }));
        self.judge_all(now);
    }

    pub(super) fn take_reload(&mut self, (settings, policy): (Settings, Policy), now: Now) {
        self.take_settings(settings, now);
        self.take_policy(policy, now);
    }

    /// What is known is judged by them with the policy that follows.
    fn take_settings(&mut self, settings: Settings, now: Now) {
        self.allowance.resettle(settings.allowance);
        self.survey.resettle(settings.resync_every);
        if self.settings.directory != settings.directory {
            self.directory.resettle(settings.directory.clone(), now.mono);
        }
        self.sight.resettle(settings.sight);
        self.book.resettle(settings.memory);
        self.settings = settings;
        self.release_brake(now.mono);
        self.align_outlooks(now);
    }

    pub(super) fn judge_all(&mut self, now: Now) {
        let all: Vec<ConversationId> = self.book.iter().map(|(id, _)| id.clone()).collect();
        for id in all {
            self.judge(&id, ConfirmedBy::Event, now);
        }
    }

    pub(super) fn perform_session_effects(&mut self, now: Now) {
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Open(socket, channel) => {
                    self.outputs.push_back(Output::Socket(SocketOrder::Open(socket, channel)));
                }
                Effect::Send(socket, text) => {
                    self.outputs.push_back(Output::Socket(SocketOrder::Send(socket, text)));
                }
                Effect::Close(socket) => self.outputs.push_back(Output::Socket(SocketOrder::Close(socket))),
                Effect::Lost(from, why) => {
                    self.count("recwarden_gaps_total");
                    self.note(Level::Warn, format!("events may be missed from {from} on: {why}"));
                    self.open_gap(from, &why, now);
                }
                Effect::Deaf(slot) => {
                    self.count("recwarden_deaf_subscriptions_total");
                    let number = slot.0;
                    let message =
                        format!("channel {number} missed an event that its twin heard; it is replaced");
                    self.note(Level::Warn, message);
                }
                Effect::Grown => {
                    self.note(Level::Info, "topics were added; calls in progress there are read");
                    self.survey.ask_for_round();
                }
                Effect::AllLive => {
                    self.note(Level::Info, "every topic is subscribed; calls in progress are read");
                    // Events that are shed meanwhile are not heard: the end of that ends every gap.
                    if self.sheds() {
                        self.survey.ask_for_round();
                    } else {
                        self.survey.all_heard(now.wall);
                    }
                }
            }
        }
    }

    /// Takes up all that a log says was in force when it ended.
    pub fn recover(&mut self, history: &History, now: Now) {
        // A clock that was set since the beginning is told by the end of the log, below.
        self.clock = Some(now);
        if let Some(since) = unheard_since(history, now.wall) {
            self.unheard_since = Some(since);
            let attempts: Vec<&Tried> = history.attempts().filter(|one| one.at <= now.wall).collect();
            let ago = |one: &&Tried| now.wall.since(one.at);
            // One that ran before the oldest of these, and each that started since then.
            let ran = 1 + history.starts().filter(|at| now.wall.since(*at) < TOKEN_AWAY).count();
            self.allowance.recall(&attempts.iter().map(ago).collect::<Vec<_>>(), ran, now.mono);
            // What was sent back (429) is tried a first time again, and is one change all the same.
            let firsts = attempts.iter().rev().filter(|one| one.attempt.attempt == 1);
            let firsts: BTreeMap<_, _> = firsts.map(|one| (&one.attempt.decision, ago(one))).collect();
            let mut oldest_first: Vec<_> = firsts.into_values().map(std::cmp::Reverse).collect();
            oldest_first.sort_unstable();
            oldest_first.into_iter().for_each(|ago| self.brake.recall(ago.0, now.mono));
        }
        for gap in history.open_gaps() {
            self.survey.recover_gap(Gap { gap: gap.gap, from: gap.from }, now);
        }
        for hold in history.holds() {
            self.recover_hold(hold.clone());
        }
        self.answered = Answered::of(history, now.wall);
        for directive in history.directives() {
            self.recover_directive(directive.clone());
        }
        self.recover_claims(history, now);
        for open in history.open_decisions() {
            let own =
                |one: &&Tried| one.attempt.decision == open.decision.decision && one.came == Came::Unknown;
            let own = history.attempts().filter(own);
            let late: Vec<Mono> = own.filter_map(|one| late_until(one, now)).collect();
            self.recover_decision(open, late, now);
        }
        if let Some(last) = history.last().filter(|last| *last > now.wall) {
            self.was_set_back(last.since(now.wall));
        }
        if self.settings.enforcement == Enforcement::DryRun {
            let open = self.book.iter().filter(|(_, call)| call.pursuit.is_some());
            let open: Vec<ConversationId> = open.map(|(id, _)| id.clone()).collect();
            open.iter().for_each(|id| self.supersede(id, "this is a dry run, which sends nothing"));
        }
    }

    /// Takes a hold up again that the log says was in force.
    fn recover_hold(&mut self, hold: record::Hold) {
        let call = self.book.enter(&hold.conversation);
        if hold.rule == WHEN_BLIND {
            call.outlook = Outlook::Blind;
        } else {
            // Also where the policy has lost the rule: the first look ends it, and the log is told.
            let record::Hold { rule, action, since, phase, .. } = hold;
            call.latches.restore(rule, Hold { since, phase, action });
        }
    }

    /// Takes a directive up again.
    fn recover_directive(&mut self, directive: record::Directive) {
        let call = self.book.enter(&directive.conversation);
        call.directive = Some(Directive {
            id: directive.directive,
            action: directive.action,
            by: directive.by,
            reason: directive.reason,
            origin: directive.origin,
            until: directive.until,
        });
        self.book.weigh(&directive.conversation);
    }

    /// Takes an open decision up again: the conversation is read first, and what is found closes it or
    /// goes on with it. What was sent for it may come true until then, where it still may.
    fn recover_decision(&mut self, open: &Open, late: Vec<Mono>, now: Now) {
        let (decision, opened, attempts) = (open.decision.clone(), open.at, open.attempts);
        let call = self.book.enter(&decision.conversation);
        late.into_iter().for_each(|until| call.unseen.expect_late(decision.action, until));
        call.pursuit = Some(Pursuit {
            decision: decision.decision,
            action: decision.action,
            rule: decision.rule,
            observed: decision.observed,
            journaled: decision.observed,
            opened: Now { mono: now.mono, wall: opened },
            in_line: now.mono,
            attempts,
            reached: open.reached,
            begun: if attempts > 0 { Begun::At(now.mono) } else { Begun::NotYet },
            failed: None,
            silenced: Duration::ZERO,
            asked: std::collections::BTreeSet::new(),
            stage: Stage::ToRead,
            backoff: crate::warden::backoff::Backoff::default(),
        });
        self.worklist.put(&decision.conversation, decision.action, now.mono, now.mono);
    }
}
