//! One conversation: who is in it, what its recorders do, and the truth of both over time.

use std::collections::{BTreeMap, VecDeque};

use crate::model::time::Wall;
pub use crate::sim::recorder::{By, Recorder, Spool, Tape, Touch};

/// Points of truth kept per call; the oldest go first.
const TRUTHS_KEPT: usize = 512;

/// Who began a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The customer.
    Inbound,
    /// An agent.
    Outbound,
}

impl Way {
    /// The platform's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What a party is there for (GENESYS.md 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The caller.
    Customer,
    /// The voice menu.
    Ivr,
    /// The waiting line of a queue.
    Acd,
    /// An agent.
    Agent,
}

impl Purpose {
    /// The platform's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Ivr => "ivr",
            Self::Acd => "acd",
            Self::Agent => "agent",
        }
    }
}

/// The state of one leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leg {
    /// Being dialled.
    Dialing,
    /// Ringing.
    Alerting,
    /// Talking or waiting.
    Connected {
        /// Since when it is on hold.
        held: Option<Wall>,
    },
    /// Over.
    Over {
        /// When.
        at: Wall,
        /// `disconnectType`.
        cause: &'static str,
    },
}

/// The after-call work of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterCall {
    /// None is due, or not yet.
    NotYet,
    /// It goes on.
    Working {
        /// Since when.
        since: Wall,
    },
    /// It is done.
    Done {
        /// Since when it went on.
        since: Wall,
        /// When it was done.
        at: Wall,
        /// The wrap-up code.
        code: &'static str,
    },
}

/// One participant, with its only leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its id.
    pub id: String,
    /// The id of its leg.
    pub leg_id: String,
    /// What it is there for.
    pub purpose: Purpose,
    /// What it is called.
    pub name: String,
    /// The agent.
    pub user: Option<String>,
    /// The queue it came by.
    pub queue: Option<String>,
    /// When it came in.
    pub started: Wall,
    /// When its leg was connected.
    pub connected: Option<Wall>,
    /// How its leg began: `initialState`.
    pub initial: &'static str,
    /// How its leg stands.
    pub leg: Leg,
    /// The participant data.
    pub attributes: BTreeMap<String, String>,
    /// Whether it has flagged the conversation.
    pub flagged: Option<&'static str>,
    /// The ad-hoc recorder of its leg.
    pub adhoc: Spool,
    /// The snippet recorder of its leg.
    pub snippet: Spool,
    /// The participant that is consulted about.
    pub consults_for: Option<String>,
    /// Its after-call work.
    pub after_call: AfterCall,
}

impl Party {
    /// A party that comes in now and rings.
    pub fn new(id: String, leg_id: String, purpose: Purpose, now: Wall) -> Self {
        Self {
            id,
            leg_id,
            purpose,
            name: String::new(),
            user: None,
            queue: None,
            started: now,
            connected: None,
            initial: "offering",
            leg: Leg::Alerting,
            attributes: BTreeMap::new(),
            flagged: None,
            adhoc: Spool::Still,
            snippet: Spool::Still,
            consults_for: None,
            after_call: AfterCall::NotYet,
        }
    }

    /// Whether its leg is not over.
    pub fn is_here(&self) -> bool {
        match self.leg {
            Leg::Dialing | Leg::Alerting | Leg::Connected { .. } => true,
            Leg::Over { .. } => false,
        }
    }

    /// Whether its leg is connected.
    pub fn is_connected(&self) -> bool {
        matches!(self.leg, Leg::Connected { .. })
    }

    /// Whether its leg is on hold.
    pub fn is_held(&self) -> bool {
        matches!(self.leg, Leg::Connected { held: Some(_) })
    }

    /// Connects its leg.
    pub fn connect(&mut self, now: Wall) {
        self.leg = Leg::Connected { held: None };
        self.connected = self.connected.or(Some(now));
    }

    /// Ends its leg; nothing where it is over already.
    pub fn leave(&mut self, cause: &'static str, now: Wall) {
        if self.is_here() {
            self.leg = Leg::Over { at: now, cause };
            self.adhoc = Spool::Still;
            self.snippet = Spool::Still;
        }
    }
}

/// How a conversation really was, from one point in time to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Since when.
    pub at: Wall,
    /// What was on tape.
    pub tape: Tape,
    /// Whether an ad-hoc or snippet recorder ran beside.
    pub other_recorders: usize,
    /// The queue of the newest agent or waiting line still there, by id.
    pub queue: Option<String>,
    /// Agents whose leg was connected.
    pub agents: usize,
    /// Whether customer or agent was still there.
    pub live: bool,
    /// The merged participant data.
    pub attributes: BTreeMap<String, String>,
    /// Whether a participant had flagged the conversation.
    pub flagged: bool,
}

/// One conversation.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id.
    pub id: String,
    /// Who began it.
    pub way: Way,
    /// When.
    pub started: Wall,
    /// The customer's number.
    pub customer: String,
    /// The number of the centre.
    pub centre: String,
    /// All that were ever in it, in the order they came.
    pub parties: Vec<Party>,
    /// The recorder of the policy.
    pub recorder: Recorder,
    /// What is known and never in an event: card tokens and the like.
    pub secure_attributes: BTreeMap<String, String>,
    /// Whether it is in the division where the client has its role.
    pub division: Division,
    truth: VecDeque<Truth>,
    touches: VecDeque<Touch>,
}

/// The division of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Division {
    /// Where the client has its role.
    #[default]
    Home,
    /// Where it has none.
    Other,
}

impl Call {
    /// A call that nobody is in yet.
    pub fn new(id: String, way: Way, customer: String, centre: String, started: Wall) -> Self {
        let (parties, recorder, truth) = (Vec::new(), Recorder::Idle, VecDeque::new());
        let secure_attributes = BTreeMap::new();
        let (division, touches) = (Division::Home, VecDeque::new());
        Self {
            id,
            way,
            started,
            customer,
            centre,
            parties,
            recorder,
            secure_attributes,
            division,
            truth,
            touches,
        }
    }

    /// Whether a customer or an agent is still there.
    pub fn is_live(&self) -> bool {
        self.parties
            .iter()
            .any(|party| party.is_here() && matches!(party.purpose, Purpose::Customer | Purpose::Agent))
    }

    /// When the last one left.
    pub fn ended(&self) -> Option<Wall> {
        let left = |party: &Party| match party.leg {
            Leg::Over { at, .. } => Some(at),
            Leg::Dialing | Leg::Alerting | Leg::Connected { .. } => None,
        };
        if self.is_live() { None } else { self.parties.iter().filter_map(left).max() }
    }

    /// What is on tape now. The policy recorder waits for an agent; it is suspended while the agent is
    /// only rung, while the call waits again, and on hold (GENESYS.md 2.3).
    pub fn tape(&self) -> Tape {
        if !self.is_live() {
            return Tape::None;
        }
        match self.recorder {
            Recorder::Idle if self.others_running() > 0 => Tape::Active,
            Recorder::Idle => Tape::None,
            Recorder::SecurePaused => Tape::SecurePaused,
            Recorder::Running if self.is_talking() => Tape::Active,
            Recorder::Running => Tape::Suspended,
        }
    }

    /// Whether an agent and the customer hear each other.
    fn is_talking(&self) -> bool {
        self.connected_agents() > 0 && !self.parties.iter().any(Party::is_held)
    }

    fn connected_agents(&self) -> usize {
        let talks = |party: &&Party| party.purpose == Purpose::Agent && party.is_connected();
        self.parties.iter().filter(talks).count()
    }

    /// The agents who are in it, by id.
    pub fn busy_agents(&self) -> impl Iterator<Item = &str> {
        self.parties
            .iter()
            .filter(|party| party.purpose == Purpose::Agent && party.is_here())
            .filter_map(|party| party.user.as_deref())
    }

    /// Ad-hoc and snippet recorders that run.
    pub fn others_running(&self) -> usize {
        let turning = |spool: Spool| usize::from(spool == Spool::Turning);
        self.parties.iter().map(|party| turning(party.adhoc) + turning(party.snippet)).sum()
    }

    /// The newest party of this purpose that is still there.
    pub fn newest(&mut self, purpose: Purpose) -> Option<&mut Party> {
        self.parties.iter_mut().rev().find(|party| party.purpose == purpose && party.is_here())
    }

    /// The party of this id.
    pub fn party(&mut self, id: &str) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| party.id == id)
    }

    /// The queue it is in: that of the newest agent or waiting line still there.
    pub fn queue(&self) -> Option<&str> {
        self.parties
            .iter()
            .rev()
            .filter(|party| party.is_here() && matches!(party.purpose, Purpose::Agent | Purpose::Acd))
            .find_map(|party| party.queue.as_deref())
    }

    /// Participant data of all, the newest party's last.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        self.parties.iter().flat_map(|party| party.attributes.clone()).collect()
    }

    /// Writes down how it stands now, where that differs from what was written last.
    pub fn note_truth(&mut self, at: Wall) {
        let truth = Truth {
            at,
            tape: self.tape(),
            other_recorders: self.others_running(),
            queue: self.queue().map(str::to_owned),
            agents: self.connected_agents(),
            live: self.is_live(),
            attributes: self.attributes(),
            flagged: self.parties.iter().any(|party| party.flagged.is_some()),
        };
        let same = self.truth.back().is_some_and(|last| Truth { at: last.at, ..truth.clone() } == *last);
        if !same {
            if self.truth.len() == TRUTHS_KEPT {
                self.truth.pop_front();
            }
            self.truth.push_back(truth);
        }
    }

    /// Writes down who made the recorder do what it does now, where it did something else before.
    pub fn note_touch(&mut self, by: By, before: Recorder, at: Wall) {
        if self.recorder == before {
            return;
        }
        if self.touches.len() == TRUTHS_KEPT {
            self.touches.pop_front();
        }
        self.touches.push_back(Touch { at, by, to: self.recorder });
    }

    /// Who changed what its recorder does, oldest first.
    pub fn touches(&self) -> impl Iterator<Item = &Touch> {
        self.touches.iter()
    }

    /// How it really was, oldest first.
    pub fn truth(&self) -> impl Iterator<Item = &Truth> {
        self.truth.iter()
    }
}
