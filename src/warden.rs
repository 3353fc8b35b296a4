//! The warden: the only place where a decision is made.
//!
//! It has no clock, no socket and no file. Inputs (socket texts, answers, orders, time) go in by
//! [`Warden::handle`]; records, requests and socket orders come out by [`Warden::poll_output`], to be
//! performed strictly in order: a record is durable before the next output. [`Warden::next_wakeup`] says
//! when to call again, and why.
//!
//! - `holding` keeps the log in line with what holds, so that a death loses nothing of it;
//! - `judging` settles what holds on a conversation and works out what it needs;
//! - `deciding` opens a decision and ends it in exactly one way;
//! - `resync` opens and closes gaps, and acts where nothing is seen;
//! - `subscribing` reads what the platform says of channels, topics, queues and users;
//! - `sending` takes the most urgent work that the allowance permits, and reads the answers.

pub mod allowance;
mod answers;
pub mod backoff;
pub mod backtest;
#[cfg(test)]
mod bench;
pub mod book;
pub mod brake;
mod clock;
mod counters;
mod deciding;
pub mod dice;
pub mod directory;
mod explaining;
mod facts;
mod holding;
mod intake;
mod judging;
pub mod latch;
mod noticing;
mod orders;
mod output;
mod overload;
pub mod permission;
pub mod plan;
mod reads;
pub mod rehearsal;
mod resync;
mod sending;
pub mod session;
pub mod sight;
mod subscribing;
mod timers;
pub mod survey;
pub mod trial;
pub mod unseen;
mod view;
pub mod worklist;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub use counters::COUNTERS;
pub use explaining::Explained;
pub use facts::{Keeping, LARGEST_FACTS, Untaken};
pub use holding::Standing;
pub use intake::unheard_since;
pub use orders::{Order, What};
pub use output::{Level, Note, Output, Reply, SocketOrder};
pub use view::{CallView, DecisionView, Ended, LatestDecision, View};

use crate::audit::record::Record;
use crate::model::ids::{ConversationId, DecisionId};
use crate::model::time::{Mono, Now, Wall};
use crate::policy::decide::Policy;
use crate::policy::subject::Facts;
use crate::warden::allowance::{Allowance, Class, Token};
use crate::warden::backoff::Trouble;
use crate::warden::book::Book;
use crate::warden::brake::Brake;
use crate::warden::dice::Dice;
use crate::warden::directory::Directory;
use crate::warden::permission::Permissions;
use crate::warden::plan::Means;
use crate::warden::session::{Session, Shortfall, SlotId, SocketId};
use crate::warden::sight::Sight;
use crate::warden::survey::Survey;
use crate::warden::worklist::Worklist;
use crate::wire::reply::RawAnswer;
use crate::wire::request::Request;

/// What came while the log could not be written is taken in within this, and may make needless what is due.
const CATCHING_UP: Duration = Duration::from_millis(250);

/// One request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// One caller that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What goes in.
#[derive(Debug)]
pub enum Input {
    /// A socket opened.
    SocketOpened(SocketId),
    /// A text came in, at that moment: it may have waited since.
    SocketText(SocketId, String, Now),
    /// A socket is lost, and why.
    SocketLost(SocketId, String),
    /// A request was answered, or failed.
    Answer(RequestId, RawAnswer),
    /// So many events were shed for want of room, the first of them then.
    Shed {
        /// Of which socket.
        socket: SocketId,
        /// How many.
        events: u64,
        /// Since when.
        since: Wall,
    },
    /// A frame was refused before it was read, and why.
    FrameRefused(SocketId, String),
    /// An order by webhook or by hand.
    Order(Ticket, Order),
    /// Facts about a conversation.
    Facts(Ticket, ConversationId, Facts),
    /// There is a new access token.
    TokenRenewed,
    /// For a while nothing was taken in, since the audit log could not be written: what waited comes now.
    Resumed,
    /// A deadline passed.
    Timeout,
    /// A new policy, with the settings as they are.
    Policy(Policy),
    /// New settings and a new policy after a reload: no conversation is judged by the one without the other.
    Reload(Box<(Settings, Policy)>),
    /// Take up nothing new; what is under way is finished.
    Drain,
}

/// Why the warden wants to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wakeup {
    /// An action or its confirmation is due.
    Worklist,
    /// The allowance permits the next request.
    Allowance,
    /// A hold changes by time alone.
    Latch,
    /// A socket or channel is due.
    Session,
    /// The lists are due.
    Directory,
    /// A resync is due.
    Survey,
    /// It has been dark for long.
    Sight,
    /// What was shed is to be journaled, or read.
    Load,
}

/// The warden's own part of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How starts and stops are sent.
    pub means: Means,
    /// Without the platform's word for so long, the conversation is read.
    pub confirm_within: Duration,
    /// A decision that failed for so long is abandoned.
    pub give_up_after: Duration,
    /// The bounds of the allowance.
    pub allowance: allowance::Settings,
    /// What to subscribe.
    pub directory: directory::Settings,
    /// What texts that wait and conversations in the book may take, in bytes.
    pub memory: u64,
    /// How often everything is compared with the platform.
    pub resync_every: Duration,
    /// What follows where nothing is seen.
    pub sight: sight::Settings,
    /// The priority of directives among rules.
    pub directive_priority: i64,
    /// Changes a minute before enforcing pauses; 0: no bound.
    pub max_changes_per_minute: u32,
    /// Whether verdicts are carried out at all.
    pub enforcement: Enforcement,
}

/// Whether verdicts are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// They are.
    #[default]
    Enforce,
    /// They are journaled as what would have been done (`--dry-run`).
    DryRun,
}

/// What a request under way is for.
#[derive(Clone, Debug)]
enum Purpose {
    /// An attempt of a decision.
    Attempt { conversation: ConversationId, decision: DecisionId, attempt: u32 },
    /// A read for a decision.
    Confirm { conversation: ConversationId, version: u64 },
    /// A read of the resync.
    Survey { conversation: ConversationId, version: u64 },
    /// A read of what an event told that may be older than what was known.
    SecondLook { conversation: ConversationId, version: u64 },
    /// The activity query of the resync.
    Activity,
    /// A request of a slot.
    Slot(SlotId),
    /// A page of the directory.
    Directory,
}

impl Purpose {
    /// Whether it keeps other work for this conversation waiting.
    fn occupies(&self, id: &ConversationId) -> bool {
        match self {
            Self::Attempt { conversation, .. } | Self::Confirm { conversation, .. } => conversation == id,
            Self::Survey { .. }
            | Self::SecondLook { .. }
            | Self::Activity
            | Self::Slot(_)
            | Self::Directory => false,
        }
    }
}

#[derive(Clone, Debug)]
struct UnderWay {
    purpose: Purpose,
    request: Request,
    token: Token,
}

/// Whether new work is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Draining,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Warden {
    settings: Settings,
    policy: Policy,
    dice: Dice,
    book: Book,
    worklist: Worklist,
    allowance: Allowance,
    session: Session,
    directory: Directory,
    survey: Survey,
    sight: Sight,
    /// What came before the start was not heard; none once that is a gap.
    unheard_since: Option<Wall>,
    timers: std::collections::BTreeSet<(Mono, ConversationId)>,
    under_way: BTreeMap<RequestId, UnderWay>,
    next_request: u64,
    /// When each class that was refused may go, as of the last dispatch.
    permitted_at: BTreeMap<Class, Mono>,
    permissions: Permissions,
    /// Why a decision was given up last.
    given_up: Trouble,
    brake: Brake,
    load: overload::Load,
    complaint: overload::Complaint,
    failures: BTreeMap<String, (Mono, u64)>,
    answered: orders::Answered,
    shortfall: Shortfall,
    ended: Ended,
    counters: BTreeMap<&'static str, u64>,
    started: Now,
    /// The clocks at the last input.
    clock: Option<Now>,
    phase: Phase,
    outputs: VecDeque<Output>,
}

impl Warden {
    /// A warden that knows nothing yet: what happened until it hears every topic is the first gap.
    pub fn new(settings: Settings, policy: Policy, seed: u64, now: Now) -> Self {
        Self {
            allowance: Allowance::new(settings.allowance),
            directory: Directory::new(settings.directory.clone(), now.mono),
            book: Book::within(settings.memory),
            survey: Survey::new(settings.resync_every),
            sight: Sight::new(settings.sight, now.mono),
            brake: Brake::new(settings.max_changes_per_minute),
            load: overload::Load::default(),
            complaint: overload::Complaint::default(),
            unheard_since: Some(now.wall),
            settings,
            policy,
            dice: Dice::new(seed),
            worklist: Worklist::default(),
            session: Session::default(),
            timers: std::collections::BTreeSet::new(),
            under_way: BTreeMap::new(),
            next_request: 0,
            permitted_at: BTreeMap::new(),
            permissions: Permissions::default(),
            given_up: Trouble::default(),
            failures: BTreeMap::new(),
            answered: orders::Answered::default(),
            shortfall: Shortfall::default(),
            ended: Ended::default(),
            counters: BTreeMap::new(),
            started: now,
            clock: Some(now),
            phase: Phase::Running,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input in. Drain [`Warden::poll_output`] before the next.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.mind_the_clock(now);
        self.open_first_gap(now);
        match input {
            Input::SocketOpened(socket) => self.session.opened(socket, now),
            Input::SocketText(socket, text, came) => self.take_text(socket, &text, came, now),
            Input::SocketLost(socket, why) => self.session.lost(socket, &why, &mut self.dice, now),
            Input::Shed { socket, events, since } => {
                if self.session.heard(socket, now, now) {
                    let why = "more texts wait than limits.memory has room for";
                    self.take_shed(events, since, why, now);
                }
            }
            Input::FrameRefused(_, why) => self.refuse_frame(&why, now.mono),
            Input::Answer(id, answer) => self.take_answer(id, &answer, now),
            Input::Order(ticket, order) => self.take_order(ticket, order, now),
            Input::Facts(ticket, id, facts) => self.take_facts(ticket, &id, facts, now),
            Input::Policy(policy) => self.take_policy(policy, now),
            Input::Reload(reload) => self.take_reload(*reload, now),
            Input::Drain => {
                self.phase = Phase::Draining;
                self.session.close();
            }
            Input::TokenRenewed => self.session.token_renewed(now),
            // What is due was decided before, and what waited may speak against it.
            Input::Resumed => self.allowance.silence(CATCHING_UP, now.mono),
            Input::Timeout => {}
        }
        self.replace_deaf_subscription(now);
        self.session.tick(&mut self.dice, now);
        self.fire_timers(now);
        self.perform_session_effects(now);
        self.watch_sight(now);
        self.watch_load(now);
        self.go_on_with_resync(now);
        if self.phase == Phase::Running {
            self.dispatch(now);
        }
    }

    /// The next output, in order; none once all are taken.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call again at the latest, and why.
    pub fn next_wakeup(&self, now: Now) -> Option<(Mono, Wakeup)> {
        if self.phase == Phase::Draining {
            return None;
        }
        let refused = |class| self.permitted_at.get(&class).copied();
        let permitted = |class| refused(class).unwrap_or_default();
        // Until a round may begin it is not worth a call.
        let begins = |_: &Mono| self.may_survey() || self.survey.progress().is_some();
        let surveyed = self.survey.next_wakeup().filter(begins);
        let housekeeping = permitted(Class::Housekeeping);
        [
            (self.worklist.next_due(), Wakeup::Worklist),
            (refused(Class::Control).filter(|_| self.worklist.has_ready()), Wakeup::Allowance),
            (
                refused(Class::Housekeeping).filter(|_| self.session.wants_request(now.mono)),
                Wakeup::Allowance,
            ),
            (refused(Class::Resync).filter(|_| self.survey.wants(now.mono)), Wakeup::Allowance),
            (self.survey.event_overdue_at(), Wakeup::Survey),
            (self.sight.next_wakeup(), Wakeup::Sight),
            (self.load_due_at(), Wakeup::Load),
            (self.timers.first().map(|(at, _)| *at), Wakeup::Latch),
            (
                self.session.next_wakeup().map(|at| if at <= now.mono { at.max(housekeeping) } else { at }),
                Wakeup::Session,
            ),
            (self.directory.next_wakeup().map(|at| at.max(housekeeping)), Wakeup::Directory),
            (surveyed.map(|at| at.max(permitted(Class::Resync))), Wakeup::Survey),
        ]
        .into_iter()
        .filter_map(|(at, why)| at.map(|at| (at, why)))
        .min_by_key(|(at, _)| *at)
    }

    /// Whether a drain is complete: nothing is under way.
    pub fn is_drained(&self) -> bool {
        self.phase == Phase::Draining && self.under_way.is_empty()
    }

    fn record(&mut self, record: Record) {
        self.note_journaled(&record);
        self.outputs.push_back(Output::Record(record));
    }

    fn note(&mut self, level: Level, message: impl Into<String>) {
        self.outputs.push_back(Output::Note(Note { level, message: message.into() }));
    }
}
