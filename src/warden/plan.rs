//! What to do about one conversation: its verdict, and the next request that brings it about. Pure
//! functions; the warden carries out what they say, and nothing is left to decide.

use std::collections::BTreeSet;

use crate::model::conversation::{Conversation, Participant};
use crate::model::ids::ParticipantId;
use crate::model::recording::{Action, Observed, RecorderState};
use crate::policy::decide::Policy;
pub use crate::policy::rule::{DEFAULT, DIRECTIVE};
use crate::policy::rule::{Mode, OnRelease, Terms, WHEN_BLIND};
use crate::warden::book::{Call, Claim, Directive};
use crate::warden::latch::Latches;
use crate::wire::request::{Request, SnippetKind, Switch};

/// How starts and stops are sent (`[recording] control`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Control {
    /// `PUT .../recordingstate`: secure pause and resume.
    #[default]
    RecordingState,
    /// `POST .../snippet/record`, type `adhoc`, on each connected agent leg.
    AdHoc,
    /// `POST /api/v2/conversations/{id}/recordings`, for gateways that offer it.
    RecordingsAction,
}

/// How to start where nothing is recorded yet (`[recording] start_from_none`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StartFromNone {
    /// By an ad-hoc recording.
    #[default]
    AdHoc,
    /// By `ACTIVE`, which is not documented to start one (GENESYS.md, trap 1).
    Active,
    /// Not at all.
    Refuse,
}

/// Whether the other recorders are stopped too (`[recording] stop_all`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StopScope {
    /// Only the one that the control governs.
    #[default]
    Governed,
    /// All that have an operation.
    All,
}

/// `[recording]`, as far as it says what to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Means {
    /// How starts and stops are sent.
    pub control: Control,
    /// How to start from nothing.
    pub start_from_none: StartFromNone,
    /// Whether other recorders are stopped too.
    pub stop_scope: StopScope,
}

/// What the policy says of a conversation now, with the rule and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What must be; none: whatever it is may stay.
    pub action: Option<Action>,
    /// The rule, `directive`, or `default`.
    pub rule: String,
    /// Why, in the rule's own words; `released` or `expired` where a hold that ended gives back.
    pub reason: String,
    /// What happens to a change of this verdict's once it lets go.
    pub on_release: OnRelease,
    /// What speaks in it.
    pub source: Source,
}

/// What speaks in a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A rule that holds.
    Rule,
    /// A directive.
    Directive,
    /// `policy.default`.
    Default,
    /// A hold that let go: what it changed is given back.
    GivingBack,
}

/// The verdict of all that is in force.
pub fn verdict(
    policy: &Policy,
    latches: &Latches,
    directive: Option<&Directive>,
    directive_priority: i64,
    claim: Option<&Claim>,
) -> Verdict {
    let rule = latches.in_force(policy).find(|one| one.mode == Mode::Enforce);
    let outranks = |directive: &Directive, rule: &Terms| {
        (directive_priority, directive.action == Action::Stop) >= (rule.priority, rule.action == Action::Stop)
    };
    match (directive, rule) {
        (Some(order), rule) if rule.is_none_or(|rule| outranks(order, rule)) => Verdict {
            action: Some(order.action),
            rule: DIRECTIVE.into(),
            reason: order.reason.clone(),
            on_release: default_release(order.action),
            source: Source::Directive,
        },
        (_, Some(rule)) => Verdict {
            action: Some(rule.action),
            rule: rule.name.clone(),
            reason: rule.reason.clone(),
            on_release: rule.on_release,
            source: Source::Rule,
        },
        (_, None) => unheld(policy, claim),
    }
}

/// What stands in place of a verdict where nothing is seen of the conversation and that asks for a stop
/// (`warden::sight`): a person's order stays, since a person answers for it.
pub fn unseen(verdict: Verdict) -> Verdict {
    if verdict.source == Source::Directive {
        return verdict;
    }
    Verdict {
        action: Some(Action::Stop),
        rule: WHEN_BLIND.into(),
        reason: "blind".into(),
        on_release: OnRelease::Restore,
        source: Source::Rule,
    }
}

/// What happens to a change once the rule (or pseudo rule) that made it lets go.
pub fn release_of(policy: &Policy, rule: &str, action: Action) -> OnRelease {
    match policy.named(rule) {
        Some((_, terms)) => terms.on_release,
        None if rule == DEFAULT => OnRelease::Keep,
        None => default_release(action),
    }
}

/// `restore` for `stop`, `keep` for `start` (PRODUCT.md 2).
pub fn default_release(action: Action) -> OnRelease {
    match action {
        Action::Stop => OnRelease::Restore,
        Action::Start => OnRelease::Keep,
    }
}

fn unheld(policy: &Policy, claim: Option<&Claim>) -> Verdict {
    let default = Verdict {
        action: policy.default_wish().action(),
        rule: DEFAULT.into(),
        reason: String::new(),
        on_release: OnRelease::Keep,
        source: Source::Default,
    };
    match claim {
        Some(claim) if default.action.is_none() && claim.on_release == OnRelease::Restore => Verdict {
            action: Some(claim.gives_back()),
            rule: claim.rule.clone(),
            reason: claim.ended.as_str().into(),
            on_release: OnRelease::Keep,
            source: Source::GivingBack,
        },
        Some(_) | None => default,
    }
}

/// What a rule in observe mode would have said, where it outranks every enforcing one.
pub fn would_be<'p>(policy: &'p Policy, latches: &Latches) -> Option<&'p Terms> {
    latches.in_force(policy).next().filter(|one| one.mode == Mode::Observe)
}

/// What is observed of the recorder that `control` governs.
pub fn observed(means: &Means, conversation: &Conversation) -> Observed {
    let adhoc = |one: &Participant| one.recorders.adhoc == RecorderState::Active;
    match means.control {
        Control::AdHoc if live(conversation).any(adhoc) => Observed::Active,
        Control::AdHoc => Observed::None,
        Control::RecordingState | Control::RecordingsAction => match conversation.observed() {
            Observed::None if live(conversation).any(adhoc) => Observed::Active,
            seen @ (Observed::Active
            | Observed::Paused
            | Observed::Suspended
            | Observed::None
            | Observed::Unknown) => seen,
        },
    }
}

/// Whether nothing is left to do for `action`.
pub fn is_satisfied(means: &Means, action: Action, conversation: &Conversation) -> bool {
    let unrecorded = |one: &&Participant| one.recorders.adhoc != RecorderState::Active;
    let governed = action.is_satisfied_by(observed(means, conversation));
    match action {
        Action::Start if means.control == Control::AdHoc => {
            governed && connected_agents(conversation).find(unrecorded).is_none()
        }
        Action::Stop if means.stop_scope == StopScope::All => {
            governed && running_snippet(conversation, &BTreeSet::new()).is_none()
        }
        Action::Start | Action::Stop => governed,
    }
}

/// Whether `call` is as `action` wants it: seen so, and nothing that we have ordered since then undoes it.
pub fn is_as_wanted(means: &Means, action: Action, call: &Call) -> bool {
    let undone = || {
        let then = call.unseen.against(action, &call.conversation);
        then.is_some_and(|then| !is_satisfied(means, action, &then))
    };
    call.seen.is_some() && is_satisfied(means, action, &call.conversation) && !undone()
}

/// The recorders that a complete stop must not leave running (PRODUCT.md 2), by name.
pub fn residual(means: &Means, conversation: &Conversation) -> Vec<String> {
    let mut running = BTreeSet::new();
    for one in live(conversation) {
        let recorders = [
            ("adhoc", one.recorders.adhoc, true),
            ("snippet", one.recorders.snippet, true),
            ("agentExperience", one.recorders.agent_experience, true),
            ("customerExperience", one.recorders.customer_experience, means.control == Control::AdHoc),
        ];
        for (name, state, other) in recorders {
            if other && state == RecorderState::Active {
                running.insert(name.to_owned());
            }
        }
        if one.screen_recording_state.eq_ignore_ascii_case("active") {
            running.insert("screen".to_owned());
        }
    }
    running.into_iter().collect()
}

/// The next step towards an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this; the leg is named where the request is for one leg only.
    Send(Request, Option<ParticipantId>),
    /// Nothing can be sent yet: no agent is connected whose leg could be recorded.
    Wait,
    /// Every leg was asked; the platform's word is awaited.
    Asked,
    /// The configuration forbids it; why.
    Refuse(&'static str),
}

/// The request that comes next. `asked` are the legs that have been asked in this decision.
pub fn next_step(
    means: &Means,
    action: Action,
    conversation: &Conversation,
    asked: &BTreeSet<ParticipantId>,
) -> Step {
    match (means.control, action) {
        (Control::RecordingsAction, action) => {
            Step::Send(Request::RecordingsAction { conversation: conversation.id.clone(), action }, None)
        }
        (Control::AdHoc, Action::Start) => start_adhoc(conversation, asked),
        (Control::AdHoc, Action::Stop) => stop_snippets(conversation, asked),
        (Control::RecordingState, Action::Start) => match (conversation.observed(), means.start_from_none) {
            (Observed::None, StartFromNone::AdHoc) => start_adhoc(conversation, asked),
            (Observed::None, StartFromNone::Refuse) => {
                Step::Refuse("nothing is recorded yet, and recording.start_from_none is \"refuse\"")
            }
            (
                Observed::None
                | Observed::Active
                | Observed::Paused
                | Observed::Suspended
                | Observed::Unknown,
                _,
            ) => set_state(conversation, RecorderState::Active),
        },
        (Control::RecordingState, Action::Stop) => match conversation.observed() {
            // A secure pause does nothing to an ad-hoc recording that runs alone.
            Observed::Active if is_adhoc_alone(conversation) => stop_snippets(conversation, asked),
            Observed::Active | Observed::Unknown => set_state(conversation, RecorderState::Paused),
            Observed::Paused | Observed::Suspended | Observed::None => stop_snippets(conversation, asked),
        },
    }
}

fn set_state(conversation: &Conversation, state: RecorderState) -> Step {
    let request = Request::SetRecordingState {
        conversation: conversation.id.clone(),
        media: conversation.media,
        state,
    };
    Step::Send(request, None)
}

fn start_adhoc(conversation: &Conversation, asked: &BTreeSet<ParticipantId>) -> Step {
    let mut legs = connected_agents(conversation)
        .filter(|one| one.recorders.adhoc != RecorderState::Active && !one.id.is_empty())
        .peekable();
    if legs.peek().is_none() {
        return Step::Wait;
    }
    legs.find(|one| !asked.contains(&one.id))
        .map_or(Step::Asked, |leg| snippet(conversation, leg, SnippetKind::Adhoc, Switch::On))
}

/// Whether what is recorded is recorded ad hoc, and by nothing that a secure pause would pause.
fn is_adhoc_alone(conversation: &Conversation) -> bool {
    let pausable = |one: &Participant| one.recorders.customer_experience != RecorderState::None;
    !live(conversation).any(pausable) && running_snippet(conversation, &BTreeSet::new()).is_some()
}

fn stop_snippets(conversation: &Conversation, asked: &BTreeSet<ParticipantId>) -> Step {
    running_snippet(conversation, asked)
        .map_or(Step::Asked, |(leg, kind)| snippet(conversation, leg, kind, Switch::Off))
}

fn running_snippet<'c>(
    conversation: &'c Conversation,
    asked: &BTreeSet<ParticipantId>,
) -> Option<(&'c Participant, SnippetKind)> {
    live(conversation).filter(|one| !asked.contains(&one.id) && !one.id.is_empty()).find_map(|one| {
        match (one.recorders.adhoc, one.recorders.snippet) {
            (RecorderState::Active, _) => Some((one, SnippetKind::Adhoc)),
            (_, RecorderState::Active) => Some((one, SnippetKind::Snippet)),
            (RecorderState::None | RecorderState::Paused, RecorderState::None | RecorderState::Paused) => {
                None
            }
        }
    })
}

fn snippet(conversation: &Conversation, leg: &Participant, kind: SnippetKind, record: Switch) -> Step {
    let request =
        Request::Snippet { conversation: conversation.id.clone(), participant: leg.id.clone(), kind, record };
    Step::Send(request, Some(leg.id.clone()))
}

fn live(conversation: &Conversation) -> impl Iterator<Item = &Participant> {
    conversation.participants.iter().filter(|one| one.is_live())
}

fn connected_agents(conversation: &Conversation) -> impl Iterator<Item = &Participant> {
    conversation.agents().filter(|one| one.is_connected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversation::LegState;
    use crate::model::ids::ConversationId;

    fn agent(adhoc: RecorderState, policy: RecorderState) -> Conversation {
        let mut agent = Participant {
            id: ParticipantId::new("a1"),
            purpose: "agent".into(),
            state: LegState::Connected,
            ..Participant::default()
        };
        (agent.recorders.adhoc, agent.recorders.customer_experience) = (adhoc, policy);
        Conversation {
            id: ConversationId::new("c1"),
            recording_state: Some(RecorderState::Active),
            participants: vec![agent],
            ..Conversation::default()
        }
    }

    fn path_of(step: Step) -> String {
        match step {
            Step::Send(request, _) => request.path(),
            other @ (Step::Wait | Step::Asked | Step::Refuse(_)) => format!("{other:?}"),
        }
    }

    /// Found by the simulation: the pause was sent over and over, and the recording went on.
    #[test]
    fn what_an_ad_hoc_recorder_records_alone_is_stopped_there_and_not_paused() {
        let stop = |conversation: &Conversation| {
            path_of(next_step(&Means::default(), Action::Stop, conversation, &BTreeSet::new()))
        };
        let alone = agent(RecorderState::Active, RecorderState::None);
        assert!(stop(&alone).ends_with("/participants/a1/snippet/record"), "{}", stop(&alone));
        let both = agent(RecorderState::Active, RecorderState::Active);
        assert!(stop(&both).ends_with("/recordingstate"), "{}", stop(&both));
    }
}
