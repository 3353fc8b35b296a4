//! What others do to the warden and its host: orders and facts by webhook, reloads of policy and settings, clocks that are set, disks
//! that fill up, queues that come and go.

use std::time::Duration;

use super::inlet::TIGHT;
use super::{Parcel, Push, Stage};
use crate::model::recording::Action;
use crate::sim::demand::Word;
use crate::sim::disk::Trouble;
use crate::warden::session::Redundancy;
use crate::warden::{Input, Order, Reply, Ticket, Untaken, What};

/// A crash makes the warden blind from a little before until it has read everything again.
const BLIND_BEFORE: Duration = Duration::from_secs(2);
/// See [`BLIND_BEFORE`].
const BLIND_AFTER: Duration = Duration::from_secs(30);
/// Facts that were not taken are pushed again after this.
const PUSHED_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A caller whose letter was not answered sends it again after this.
const LETTER_AGAIN: Duration = Duration::from_millis(300);
/// One whose facts were refused does so after this.
const REFUSED_AGAIN: Duration = Duration::from_secs(3);

/// What others do, each about so often, and what happens to the process and its disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mischief {
    /// The share of turns with a consequence in which the process dies.
    pub crashes: f64,
    /// The share of requests that are long on their way, and of answers.
    pub slow: f64,
    /// Whether it also dies in the calm.
    pub deaths: Deaths,
    /// So long after its death the next one begins: until then no socket is open and nobody is answered.
    pub back_after: Duration,
    /// Orders and facts.
    pub letters_every: Option<Duration>,
    /// Reloads of the policy.
    pub reload_every: Option<Duration>,
    /// The wall clock is set.
    pub jump_every: Option<Duration>,
    /// By at most so much, either way.
    pub jump_by: Duration,
    /// The disk fills up, becomes read-only, or fails to sync, for some seconds.
    pub disk_every: Option<Duration>,
    /// A queue appears, or vanishes.
    pub queue_every: Option<Duration>,
    /// Whether those that went come back.
    pub queues_return: Return,
    /// The same with an agent.
    pub user_every: Option<Duration>,
}

/// Whether queues that went come back once nothing goes wrong any more, so that every call in them is heard again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Return {
    /// They stay away.
    #[default]
    Never,
    /// All do.
    InCalm,
}

/// When the process dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deaths {
    /// While other things go wrong too.
    #[default]
    InRoughOnly,
    /// At any time.
    Throughout,
}

/// One thing that others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    Letter,
    Reload,
    Jump,
    Disk,
    DiskWell,
    Queue,
    User,
}

impl Visit {
    fn every(self, mischief: &Mischief) -> Option<Duration> {
        match self {
            Self::Letter => mischief.letters_every,
            Self::Reload => mischief.reload_every,
            Self::Jump => mischief.jump_every,
            Self::Disk => mischief.disk_every,
            Self::Queue => mischief.queue_every,
            Self::User => mischief.user_every,
            Self::DiskWell => None,
        }
    }
}

impl Stage {
    /// Pushes the facts that are due. Whoever gets no answer, since the process cannot write or died, comes again.
    pub(super) fn push_facts(&mut self) {
        while let Some(push) = self.pushes.pop_front() {
            let stands = self.stalled.is_some() || self.down.is_some();
            let ready = !stands && self.busy_until <= self.now.mono;
            if push.at > self.now.mono || !ready {
                let at = push.at.max(self.busy_until);
                let at = if stands { at.max(self.now.mono + PUSHED_AGAIN_AFTER) } else { at };
                self.pushes.push_front(Push { at, ..push });
                return;
            }
            let life = self.life;
            let mut outputs = Vec::new();
            self.handle(
                Input::Facts(Ticket(u64::MAX), push.conversation.clone(), push.facts.clone()),
                &mut outputs,
            );
            self.perform(outputs);
            if self.life != life {
                self.pushes.push_front(Push { at: self.now.mono + PUSHED_AGAIN_AFTER, ..push });
            }
        }
    }

    pub(super) fn expect_visits(&mut self) {
        for visit in [Visit::Letter, Visit::Reload, Visit::Jump, Visit::Disk, Visit::Queue, Visit::User] {
            self.expect(visit);
        }
    }

    fn expect(&mut self, visit: Visit) {
        if let Some(every) = visit.every(&self.script.mischief) {
            let after = self.chance.span(every / 2, every * 3 / 2);
            self.visits.put(self.now.mono + after, visit);
        }
    }

    /// From now on only callers come, and the process dies only where it always may.
    pub(super) fn calm(&mut self) {
        self.platform.calm();
        if self.script.mischief.queues_return == Return::InCalm {
            (0..self.platform.open_queues()).for_each(|_| self.count("queues that came back for the calm"));
        }
        let mischief = &mut self.script.mischief;
        (mischief.reload_every, mischief.jump_every) = (None, None);
        (mischief.disk_every, mischief.queue_every) = (None, None);
        (mischief.user_every, mischief.slow) = (None, 0.0);
        if mischief.deaths == Deaths::InRoughOnly {
            mischief.crashes = 0.0;
        }
        self.log.disk_mut().trouble = Trouble::None;
    }

    pub(super) fn visit(&mut self, visit: Visit) {
        if visit != Visit::DiskWell && visit.every(&self.script.mischief).is_none() {
            return;
        }
        match visit {
            Visit::Letter => self.write_letter(),
            Visit::Reload => self.reload(),
            Visit::Jump => {
                self.count("fault: clock set");
                let by = self.chance.span(Duration::ZERO, self.script.mischief.jump_by);
                let by = i64::try_from(by.as_micros()).unwrap_or_default();
                let before =
                    std::mem::replace(&mut self.skew, if self.chance.strikes(0.5) { by } else { -by });
                if self.down.is_some() && self.skew > before {
                    // Nothing tells the next process that what the log has is not as old as it seems.
                    self.sent.clear();
                }
                self.tell(|| format!("# the clock is set by {by} us either way"));
            }
            Visit::Disk => {
                let troubles = [Trouble::Full, Trouble::ReadOnly, Trouble::SyncFails];
                let trouble = self.chance.pick(&troubles).copied().unwrap_or_default();
                self.count(match trouble {
                    Trouble::Full => "fault: disk full",
                    Trouble::ReadOnly => "fault: disk read-only",
                    Trouble::SyncFails | Trouble::None | Trouble::Dies(_) | Trouble::Dead => {
                        "fault: disk does not sync"
                    }
                });
                self.tell(|| format!("# the disk: {trouble:?}"));
                self.log.disk_mut().trouble = trouble;
                let lasts = self.chance.span(Duration::from_millis(200), Duration::from_secs(6));
                self.visits.put(self.now.mono + lasts, Visit::DiskWell);
            }
            Visit::DiskWell => self.log.disk_mut().trouble = Trouble::None,
            Visit::Queue => {
                self.count("fault: queue came or went");
                self.platform.turn_queue(self.now);
            }
            Visit::User => {
                self.count("fault: user came or went");
                self.platform.turn_user(self.now);
            }
        }
        self.expect(visit);
    }

    /// A caller asks for something that concerns a call in progress.
    fn write_letter(&mut self) {
        let live = self.platform.live();
        let Some(conversation) = self.chance.pick(&live).cloned() else { return };
        let word = match self.chance.below(10) {
            0..=3 => Word::Fact("fraud".to_owned(), self.chance.strikes(0.6)),
            4..=7 => {
                let action = if self.chance.strikes(0.6) { Action::Stop } else { Action::Start };
                let lasts = self.chance.span(Duration::from_secs(1), Duration::from_secs(12));
                Word::Order(action, self.chance.strikes(0.6).then_some(lasts))
            }
            _ => Word::Release,
        };
        self.post(Parcel::Letter(conversation, word), Duration::ZERO);
    }

    /// What a letter says, as the warden is asked it.
    pub(super) fn open_letter(&mut self, conversation: String, word: Word) -> Input {
        let id = crate::model::ids::ConversationId::new(conversation.clone());
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.callers.insert(ticket, (conversation, word.clone()));
        let what = match word {
            Word::Fact(name, value) => {
                return Input::Facts(ticket, id, [(name, serde_json::Value::Bool(value))].into());
            }
            Word::Order(action, lasts) => What::Set(action, lasts),
            Word::Release => What::Release,
        };
        let origin = crate::audit::record::DirectiveOrigin::Webhook;
        let (by, reason) = ("crm".to_owned(), "a caller's wish".to_owned());
        Input::Order(ticket, Order { conversation: id, what, by, reason, origin, webhook_id: None })
    }

    pub(super) fn take_reply(&mut self, ticket: Ticket, reply: &Reply) {
        self.tell(|| format!("< {}", reply.message));
        if let Some((conversation, word)) = self.callers.remove(&ticket) {
            self.count(if matches!(word, Word::Fact(..)) { "facts answered" } else { "directives answered" });
            self.heed(conversation, word);
        }
    }

    /// Facts were not taken: there may be room for them later, and their sender comes again.
    pub(super) fn take_refusal(&mut self, ticket: Ticket, why: Untaken) {
        self.tell(|| format!("< refused: {why:?}"));
        self.count("facts refused for want of room");
        let Some((conversation, word)) = self.callers.remove(&ticket) else { return };
        if why != Untaken::NoRoom || self.script.settings.memory >= TIGHT {
            self.finding(format!("facts of {conversation} were refused, though there is room: {why:?}"));
        }
        self.post(Parcel::Letter(conversation, word), REFUSED_AGAIN);
    }

    /// From now on it counts.
    fn heed(&mut self, conversation: String, word: Word) {
        let at = self.now.wall;
        self.words.entry(conversation).or_default().push((at, word));
    }

    /// Who got no answer from the process that died asks again.
    pub(super) fn repeat_letters(&mut self) {
        for (conversation, word) in std::mem::take(&mut self.callers).into_values() {
            self.post(Parcel::Letter(conversation, word), LETTER_AGAIN);
        }
    }

    fn reload(&mut self) {
        let chosen = self.chance.below(self.policies.len());
        let Some(policy) = self.policies.get(chosen).cloned() else { return };
        if self.stalled.is_some() || self.down.is_some() {
            return;
        }
        self.policy = chosen;
        self.count("fault: policy reloaded");
        if let Some(charter) = self.script.charters.get(self.policy).cloned() {
            self.charters.push((self.now.wall, charter));
        }
        let mut outputs = Vec::new();
        // One of the settings lets go whoever waits for the brake.
        let unbraked = self.script.settings.max_changes_per_minute == 0;
        let input = if unbraked && self.chance.strikes(0.5) {
            self.count("fault: settings reloaded");
            let redundancy = &mut self.script.settings.directory.redundancy;
            *redundancy = match *redundancy {
                Redundancy::Single => Redundancy::Double,
                Redundancy::Double => Redundancy::Single,
            };
            Input::Reload(Box::new((self.script.settings.clone(), policy)))
        } else {
            Input::Policy(policy)
        };
        self.handle(input, &mut outputs);
        self.perform(outputs);
    }

    pub(super) fn blind_around_now(&mut self) {
        let now = self.now.wall;
        self.blind.push((now - BLIND_BEFORE, now + self.script.mischief.back_after + BLIND_AFTER));
    }
}
