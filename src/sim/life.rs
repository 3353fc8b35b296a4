//! What happens to a call: one [`Beat`] at a time, and orders to its recorders.
//!
//! A beat that does not fit (an answer where nothing rings, since the caller has hung up meanwhile)
//! changes nothing: scripts are written beforehand, and clients and other beats come in between.

use crate::model::time::Wall;
use crate::sim::call::{AfterCall, Call, Leg, Party, Purpose, Way};
use crate::sim::org::{Org, Taping};
use crate::sim::random::Chance;
use crate::sim::recorder::{Recorder, Spool};

/// One thing that happens in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The customer calls and reaches the voice menu.
    CallIn,
    /// An agent dials a customer, on behalf of this queue (its place in the organisation).
    DialOut(usize),
    /// The customer picks up.
    PickUp,
    /// The voice menu is left for the waiting line of this queue.
    Enqueue(usize),
    /// An agent is rung.
    Ring,
    /// The agent did not answer; the call waits again.
    RingOut,
    /// The agent answers.
    Answer,
    /// Participant data of the customer is set.
    Set(String, String),
    /// The agent puts the customer on hold.
    Hold,
    /// And takes them back.
    Unhold,
    /// The agent hands the call to this queue.
    Transfer(usize),
    /// The agent lets a secure flow ask the customer for a card number.
    SecureFlow,
    /// The flow is done: what it learnt is a secure attribute.
    SecureFlowDone,
    /// The agent rings a colleague while the customer is on hold.
    Consult,
    /// The colleague answers.
    ConsultAnswer,
    /// The colleague takes the call, the first agent leaves.
    ConsultTake,
    /// The agent flags the conversation.
    Flag,
    /// And takes the flag back.
    Unflag,
    /// The agent presses pause.
    PressPause,
    /// The agent presses resume.
    PressResume,
    /// The customer hangs up.
    CustomerLeaves,
    /// The agent hangs up.
    AgentLeaves,
    /// The agent's after-call work is done.
    WrapUp,
}

/// An order to the recorders of a call, by the API or by an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A secure pause.
    Pause,
    /// The end of a secure pause.
    Resume,
    /// Begin to record (the gateway's operation).
    Begin,
    /// Record no more (the gateway's operation).
    Cease,
    /// The ad-hoc recorder of a participant, by id.
    Adhoc(String, Spool),
    /// The snippet recorder of a participant, by id.
    Snippet(String, Spool),
}

/// What came of a beat or an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call is not as it was.
    Changed,
    /// Nothing happened.
    Nothing,
}

/// Who can be called upon while a beat is played.
pub struct Cast<'a> {
    /// The organisation.
    pub org: &'a Org,
    /// Chance, for ids.
    pub chance: &'a mut Chance,
    /// An agent who is free, by id.
    pub free_agent: Option<String>,
}

impl Cast<'_> {
    fn party(&mut self, purpose: Purpose, now: Wall) -> Party {
        Party::new(self.chance.uuid(), self.chance.uuid(), purpose, now)
    }

    fn queue_id(&self, place: usize) -> Option<String> {
        self.org.queues.get(place).map(|queue| queue.id.clone())
    }
}

/// Plays one beat.
pub fn play(call: &mut Call, beat: &Beat, cast: &mut Cast<'_>, now: Wall) -> Effect {
    match beat {
        Beat::CallIn => call_in(call, cast, now),
        Beat::DialOut(queue) => dial_out(call, *queue, cast, now),
        Beat::PickUp => pick_up(call, cast, now),
        Beat::Enqueue(queue) => enqueue(call, *queue, cast, now),
        Beat::Ring => ring(call, cast, now),
        Beat::RingOut => end_ringing(call, now),
        Beat::Answer => answer(call, now),
        Beat::Set(key, value) => set(call, key, value),
        Beat::Hold => with_agent(call, |agent| agent.leg = Leg::Connected { held: Some(now) }),
        Beat::Unhold => with_agent(call, |agent| agent.leg = Leg::Connected { held: None }),
        Beat::Transfer(queue) => transfer(call, *queue, cast, now),
        Beat::SecureFlow => secure_flow(call, cast, now),
        Beat::SecureFlowDone => secure_flow_done(call, cast, now),
        Beat::Consult => consult(call, cast, now),
        Beat::ConsultAnswer => answer(call, now),
        Beat::ConsultTake => consult_take(call, now),
        Beat::Flag => with_agent(call, |agent| agent.flagged = Some("general")),
        Beat::Unflag => with_agent(call, |agent| agent.flagged = None),
        Beat::PressPause => obey(call, &Order::Pause),
        Beat::PressResume => obey(call, &Order::Resume),
        Beat::CustomerLeaves => hang_up(call, Purpose::Customer, now),
        Beat::AgentLeaves => hang_up(call, Purpose::Agent, now),
        Beat::WrapUp => wrap_up(call, now),
    }
}

fn call_in(call: &mut Call, cast: &mut Cast<'_>, now: Wall) -> Effect {
    let mut customer = cast.party(Purpose::Customer, now);
    "Customer".clone_into(&mut customer.name);
    customer.connect(now);
    let mut menu = cast.party(Purpose::Ivr, now);
    "Main menu".clone_into(&mut menu.name);
    menu.connect(now);
    call.parties.extend([customer, menu]);
    Effect::Changed
}

fn dial_out(call: &mut Call, queue: usize, cast: &mut Cast<'_>, now: Wall) -> Effect {
    let mut agent = cast.party(Purpose::Agent, now);
    agent.user = cast.free_agent.clone();
    agent.queue = cast.queue_id(queue);
    agent.connect(now);
    let mut customer = cast.party(Purpose::Customer, now);
    "Customer".clone_into(&mut customer.name);
    customer.initial = "dialing";
    customer.leg = Leg::Dialing;
    call.parties.extend([agent, customer]);
    Effect::Changed
}

fn pick_up(call: &mut Call, cast: &Cast<'_>, now: Wall) -> Effect {
    let Some(customer) = call.newest(Purpose::Customer).filter(|party| party.leg == Leg::Dialing) else {
        return Effect::Nothing;
    };
    customer.connect(now);
    let queue = call.newest(Purpose::Agent).and_then(|agent| agent.queue.clone());
    thread_tape(call, queue.as_deref(), cast);
    Effect::Changed
}

fn enqueue(call: &mut Call, queue: usize, cast: &mut Cast<'_>, now: Wall) -> Effect {
    if !call.is_live() {
        return Effect::Nothing;
    }
    let mut carried = None;
    if let Some(menu) = call.newest(Purpose::Ivr) {
        menu.leave("transfer", now);
    }
    if let Some(customer) = call.newest(Purpose::Customer) {
        customer.queue = cast.queue_id(queue);
        carried = customer.attributes.get("account.tier").cloned();
    }
    let mut line = cast.party(Purpose::Acd, now);
    line.queue = cast.queue_id(queue);
    line.name = cast.org.queues.get(queue).map(|queue| queue.name.to_string()).unwrap_or_default();
    line.connect(now);
    // A copy of what the menu learnt, as captured events have it (GENESYS.md 8).
    line.attributes.extend(carried.map(|tier| ("account.tier".to_owned(), tier)));
    call.parties.push(line);
    Effect::Changed
}

fn ring(call: &mut Call, cast: &mut Cast<'_>, now: Wall) -> Effect {
    let Some(queue) = call.newest(Purpose::Acd).and_then(|line| line.queue.clone()) else {
        return Effect::Nothing;
    };
    let Some(user) = cast.free_agent.clone() else {
        return Effect::Nothing;
    };
    let mut agent = cast.party(Purpose::Agent, now);
    agent.initial = "alerting";
    agent.user = Some(user);
    agent.queue = Some(queue.clone());
    call.parties.push(agent);
    thread_tape(call, Some(&queue), cast);
    Effect::Changed
}

/// Lets the policy recorder begin, where calls of this queue are recorded.
fn thread_tape(call: &mut Call, queue: Option<&str>, cast: &Cast<'_>) {
    let queue = queue.and_then(|id| cast.org.queue(id));
    if call.recorder == Recorder::Idle && queue.is_some_and(|queue| queue.taping == Taping::Recorded) {
        call.recorder = Recorder::Running;
    }
}

fn end_ringing(call: &mut Call, now: Wall) -> Effect {
    let Some(agent) = call.newest(Purpose::Agent).filter(|agent| agent.leg == Leg::Alerting) else {
        return Effect::Nothing;
    };
    agent.leave("system", now);
    Effect::Changed
}

fn answer(call: &mut Call, now: Wall) -> Effect {
    let Some(agent) = call.newest(Purpose::Agent).filter(|agent| agent.leg == Leg::Alerting) else {
        return Effect::Nothing;
    };
    agent.connect(now);
    if let Some(line) = call.newest(Purpose::Acd) {
        line.leave("transfer", now);
    }
    Effect::Changed
}

fn set(call: &mut Call, key: &str, value: &str) -> Effect {
    let Some(customer) = call.parties.iter_mut().find(|party| party.purpose == Purpose::Customer) else {
        return Effect::Nothing;
    };
    let before = customer.attributes.insert(key.to_owned(), value.to_owned());
    if before.as_deref() == Some(value) { Effect::Nothing } else { Effect::Changed }
}

fn with_agent(call: &mut Call, change: impl FnOnce(&mut Party)) -> Effect {
    let Some(agent) = call.newest(Purpose::Agent).filter(|agent| agent.is_connected()) else {
        return Effect::Nothing;
    };
    let before = agent.clone();
    change(agent);
    if before == *agent { Effect::Nothing } else { Effect::Changed }
}

fn transfer(call: &mut Call, queue: usize, cast: &mut Cast<'_>, now: Wall) -> Effect {
    let Some(agent) = call.newest(Purpose::Agent).filter(|agent| agent.is_connected()) else {
        return Effect::Nothing;
    };
    agent.leave("transfer", now);
    agent.after_call = AfterCall::Working { since: now };
    enqueue(call, queue, cast, now)
}

fn secure_flow(call: &mut Call, cast: &mut Cast<'_>, now: Wall) -> Effect {
    let held = with_agent(call, |agent| agent.leg = Leg::Connected { held: Some(now) });
    if held == Effect::Changed {
        let mut flow = cast.party(Purpose::Ivr, now);
        "Secure payment flow".clone_into(&mut flow.name);
        flow.connect(now);
        call.parties.push(flow);
    }
    held
}

fn secure_flow_done(call: &mut Call, cast: &mut Cast<'_>, now: Wall) -> Effect {
    let Some(flow) = call.newest(Purpose::Ivr) else {
        return Effect::Nothing;
    };
    flow.leave("transfer", now);
    call.secure_attributes.insert("card.token".to_owned(), format!("tok_{}", cast.chance.word(16)));
    with_agent(call, |agent| agent.leg = Leg::Connected { held: None });
    Effect::Changed
}

fn consult(call: &mut Call, cast: &mut Cast<'_>, now: Wall) -> Effect {
    let Some(first) = call.newest(Purpose::Agent).filter(|agent| agent.is_connected()) else {
        return Effect::Nothing;
    };
    let Some(user) = cast.free_agent.clone() else {
        return Effect::Nothing;
    };
    let (first_id, queue) = (first.id.clone(), first.queue.clone());
    let mut colleague = cast.party(Purpose::Agent, now);
    colleague.initial = "alerting";
    colleague.user = Some(user);
    colleague.queue = queue;
    if let Some(customer) = call.newest(Purpose::Customer) {
        customer.leg = Leg::Connected { held: Some(now) };
        colleague.consults_for = Some(customer.id.clone());
    }
    if let Some(first) = call.party(&first_id) {
        first.consults_for.clone_from(&colleague.consults_for);
    }
    call.parties.push(colleague);
    Effect::Changed
}

fn consult_take(call: &mut Call, now: Wall) -> Effect {
    let mut agents: Vec<&mut Party> = call
        .parties
        .iter_mut()
        .filter(|party| party.purpose == Purpose::Agent && party.is_connected())
        .collect();
    if agents.len() < 2 {
        return Effect::Nothing;
    }
    if let Some(first) = agents.first_mut() {
        first.leave("transfer.consult", now);
        first.after_call = AfterCall::Working { since: now };
    }
    if let Some(customer) = call.newest(Purpose::Customer) {
        customer.leg = Leg::Connected { held: None };
    }
    Effect::Changed
}

fn hang_up(call: &mut Call, who: Purpose, now: Wall) -> Effect {
    if !call.is_live() {
        return Effect::Nothing;
    }
    for party in &mut call.parties {
        let talked = party.purpose == Purpose::Agent && party.is_connected();
        party.leave(if party.purpose == who { "client" } else { "peer" }, now);
        if talked {
            party.after_call = AfterCall::Working { since: now };
        }
    }
    Effect::Changed
}

fn wrap_up(call: &mut Call, now: Wall) -> Effect {
    let mut effect = Effect::Nothing;
    for party in &mut call.parties {
        if let AfterCall::Working { since } = party.after_call {
            party.after_call = AfterCall::Done { since, at: now, code: "Resolved" };
            effect = Effect::Changed;
        }
    }
    effect
}

/// Carries out an order to the recorders. A pause of what is not recorded, or a resumption of what was
/// not paused, changes nothing (GENESYS.md 2.3: nothing says that `ACTIVE` starts a recording).
pub fn obey(call: &mut Call, order: &Order) -> Effect {
    if !call.is_live() {
        return Effect::Nothing;
    }
    let next = match (order, call.recorder) {
        (Order::Pause, Recorder::Running) => Recorder::SecurePaused,
        (Order::Resume, Recorder::SecurePaused) | (Order::Begin, Recorder::Idle | Recorder::SecurePaused) => {
            Recorder::Running
        }
        (Order::Cease, Recorder::Running | Recorder::SecurePaused) => Recorder::Idle,
        (Order::Adhoc(party, spool), _) => return turn(call, party, |party| &mut party.adhoc, *spool),
        (Order::Snippet(party, spool), _) => return turn(call, party, |party| &mut party.snippet, *spool),
        (Order::Pause | Order::Resume | Order::Begin | Order::Cease, same) => same,
    };
    if next == call.recorder {
        return Effect::Nothing;
    }
    call.recorder = next;
    Effect::Changed
}

fn turn(call: &mut Call, party: &str, recorder: fn(&mut Party) -> &mut Spool, to: Spool) -> Effect {
    let Some(spool) = call.party(party).filter(|party| party.is_connected()).map(recorder) else {
        return Effect::Nothing;
    };
    if *spool == to {
        return Effect::Nothing;
    }
    *spool = to;
    Effect::Changed
}

/// Whether this is a call that an agent makes; its first beat dials.
pub fn way_of(first: Option<&Beat>) -> Way {
    if matches!(first, Some(Beat::DialOut(_))) { Way::Outbound } else { Way::Inbound }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::recorder::Tape;

    fn played(beats: &[Beat]) -> Call {
        let (org, mut chance, now) = (Org::new(5), Chance::new(1), Wall::default());
        let way = way_of(beats.first());
        let mut call = Call::new("c".into(), way, "tel:+15550100001".into(), "tel:+15550100000".into(), now);
        for (place, beat) in beats.iter().enumerate() {
            let free_agent = Some(org.users[place % 5].id.clone());
            play(&mut call, beat, &mut Cast { org: &org, chance: &mut chance, free_agent }, now);
            call.note_truth(now);
        }
        call
    }

    const ANSWERED: [Beat; 4] = [Beat::CallIn, Beat::Enqueue(0), Beat::Ring, Beat::Answer];

    fn after(more: &[Beat]) -> Call {
        played(&[&ANSWERED[..], more].concat())
    }

    #[test]
    fn a_recording_begins_suspended_while_it_rings_and_runs_once_answered() {
        assert_eq!(played(&ANSWERED[..2]).tape(), Tape::None);
        assert_eq!(played(&ANSWERED[..3]).tape(), Tape::Suspended);
        assert_eq!(played(&ANSWERED).tape(), Tape::Active);
    }

    #[test]
    fn a_hold_suspends_and_gives_back() {
        assert_eq!(after(&[Beat::Hold]).tape(), Tape::Suspended);
        assert_eq!(after(&[Beat::Hold, Beat::Unhold]).tape(), Tape::Active);
    }

    #[test]
    fn a_secure_pause_outlives_hold_and_transfer() {
        let beats = [Beat::PressPause, Beat::Hold, Beat::Unhold, Beat::Transfer(1), Beat::Ring, Beat::Answer];
        assert_eq!(after(&beats).tape(), Tape::SecurePaused);
        assert_eq!(after(&[&beats[..], &[Beat::PressResume]].concat()).tape(), Tape::Active);
    }

    #[test]
    fn a_silent_queue_is_not_recorded_and_a_pause_of_it_changes_nothing() {
        let mut call = played(&[Beat::CallIn, Beat::Enqueue(6), Beat::Ring, Beat::Answer]);
        assert_eq!(call.tape(), Tape::None);
        assert_eq!(obey(&mut call, &Order::Pause), Effect::Nothing);
        assert_eq!(obey(&mut call, &Order::Resume), Effect::Nothing);
        let agent = call.newest(Purpose::Agent).expect("an agent").id.clone();
        assert_eq!(obey(&mut call, &Order::Adhoc(agent, Spool::Turning)), Effect::Changed);
        assert_eq!(call.tape(), Tape::Active);
    }

    #[test]
    fn a_secure_flow_suspends_and_leaves_a_secure_attribute() {
        assert_eq!(after(&[Beat::SecureFlow]).tape(), Tape::Suspended);
        let call = after(&[Beat::SecureFlow, Beat::SecureFlowDone]);
        assert_eq!(call.tape(), Tape::Active);
        assert!(call.secure_attributes["card.token"].starts_with("tok_"));
        assert!(!call.attributes().contains_key("card.token"));
    }

    #[test]
    fn nothing_is_on_tape_once_the_caller_has_gone() {
        let call = after(&[Beat::CustomerLeaves]);
        assert_eq!(call.tape(), Tape::None);
        assert!(!call.is_live() && call.ended().is_some());
        assert_eq!(after(&[Beat::CustomerLeaves, Beat::WrapUp]).parties.len(), 4);
    }

    #[test]
    fn a_call_out_is_recorded_as_its_queue_is() {
        assert_eq!(played(&[Beat::DialOut(0), Beat::PickUp]).tape(), Tape::Active);
        assert_eq!(played(&[Beat::DialOut(6), Beat::PickUp]).tape(), Tape::None);
    }

    #[test]
    fn a_consultation_holds_the_customer_and_ends_with_the_colleague() {
        assert_eq!(after(&[Beat::Consult, Beat::ConsultAnswer]).tape(), Tape::Suspended);
        let call = after(&[Beat::Consult, Beat::ConsultAnswer, Beat::ConsultTake]);
        assert_eq!(call.tape(), Tape::Active);
        assert_eq!(call.parties.iter().filter(|party| party.is_connected()).count(), 2);
    }

    #[test]
    fn the_truth_holds_each_change_once() {
        let tapes: Vec<Tape> = after(&[Beat::Unhold, Beat::Hold]).truth().map(|truth| truth.tape).collect();
        assert_eq!(tapes, [Tape::None, Tape::None, Tape::Suspended, Tape::Active, Tape::Suspended]);
    }
}
