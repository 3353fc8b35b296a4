//! The schema read from the conversation, in place.

use super::Subject;
use super::schema::{Field, Shape, Type, Variable};
use super::value::{List, Map, Object, Value};
use crate::model::conversation::{Conversation, Direction, Participant, QueueRef};
use crate::model::recording::{Observed, Recorders};
use crate::model::time::Wall;

/// What a variable holds.
pub(super) fn variable(subject: Subject<'_>, variable: Variable) -> Value<'_> {
    let conversation = subject.conversation;
    match variable {
        Variable::Conversation => Value::Object(Object::Conversation(conversation)),
        Variable::Participants => Value::List(List::Participants(&conversation.participants)),
        Variable::Customer => Value::Object(Object::Participant(conversation.customer())),
        Variable::Agent => Value::Object(Object::Participant(conversation.agent())),
        Variable::Agents => Value::List(List::Agents(conversation)),
        Variable::Queue => Value::Object(Object::Queue(conversation.queue())),
        Variable::Queues => Value::List(List::Queues(conversation)),
        Variable::Attributes => Value::Map(Map::Merged(conversation)),
        Variable::Facts => Value::Map(Map::Facts(subject.facts)),
        Variable::Flagged => Value::Bool(conversation.is_flagged()),
        Variable::Media => Value::text(conversation.media.as_str()),
        Variable::Topic => Value::text(subject.topic),
    }
}

/// How many participants are looked through to read it.
pub(super) fn weight(subject: Subject<'_>, variable: Variable) -> usize {
    match variable {
        Variable::Customer | Variable::Agent | Variable::Queue | Variable::Flagged => {
            subject.conversation.participants.len()
        }
        Variable::Conversation
        | Variable::Participants
        | Variable::Agents
        | Variable::Queues
        | Variable::Attributes
        | Variable::Facts
        | Variable::Media
        | Variable::Topic => 0,
    }
}

impl<'a> Object<'a> {
    pub(super) fn shape(&self) -> Shape {
        match self {
            Self::Conversation(_) => Shape::Conversation,
            Self::Participant(_) => Shape::Participant,
            Self::Queue(_) => Shape::Queue,
            Self::Recorders(_) => Shape::Recorders,
        }
    }

    /// What a field holds; its empty value where there is no such object.
    pub(super) fn field(&self, field: Field) -> Value<'a> {
        match self {
            Self::Conversation(conversation) => of_conversation(conversation, field),
            Self::Participant(Some(one)) => of_participant(one, field),
            Self::Queue(Some(queue)) => of_queue(queue, field),
            Self::Recorders(recorders) => of_recorders(*recorders, field),
            Self::Participant(None) | Self::Queue(None) => empty(&field.of_type()),
        }
    }
}

fn of_conversation(conversation: &Conversation, field: Field) -> Value<'_> {
    if field == Field::Id {
        Value::text(conversation.id.as_str())
    } else if field == Field::Media {
        Value::text(conversation.media.as_str())
    } else if field == Field::Address {
        Value::text(&conversation.address)
    } else if field == Field::Direction {
        direction(conversation.direction())
    } else if field == Field::ExternalTag {
        Value::text(conversation.external_tag.as_deref().unwrap_or_default())
    } else if field == Field::Divisions {
        Value::List(List::Texts(&conversation.divisions))
    } else if field == Field::StartTime {
        time(conversation.start_time)
    } else if field == Field::EndTime {
        time(conversation.end_time)
    } else if field == Field::RecordingState {
        Value::text(recording_state(conversation))
    } else if field == Field::SecurePause {
        let by_legs = conversation.recording_state.is_none() && conversation.observed() == Observed::Paused;
        Value::Bool(conversation.secure_pause || by_legs)
    } else {
        empty(&field.of_type())
    }
}

/// Its own word; where a trimmed frame left it out, that of its live legs.
fn recording_state(conversation: &Conversation) -> &'static str {
    match conversation.recording_state {
        Some(state) => state.as_str(),
        None => match conversation.observed() {
            Observed::Active => "active",
            Observed::Paused | Observed::Suspended => "paused",
            Observed::None | Observed::Unknown => "none",
        },
    }
}

fn of_queue(queue: &QueueRef, field: Field) -> Value<'_> {
    Value::text(if field == Field::Id { queue.id.as_str() } else { &queue.name })
}

fn of_recorders(recorders: Recorders, field: Field) -> Value<'static> {
    let state = if field == Field::AdhocState {
        recorders.adhoc
    } else if field == Field::CustomerExperienceState {
        recorders.customer_experience
    } else if field == Field::AgentExperienceState {
        recorders.agent_experience
    } else {
        recorders.snippet
    };
    Value::text(state.as_str())
}

fn of_participant(one: &Participant, field: Field) -> Value<'_> {
    match field {
        Field::Id => Value::text(one.id.as_str()),
        Field::Purpose => Value::text(&one.purpose),
        Field::Name => Value::text(&one.name),
        Field::UserId => Value::text(one.user.as_str()),
        Field::Queue => Value::Object(Object::Queue(Some(&one.queue))),
        Field::QueueId => Value::text(one.queue.id.as_str()),
        Field::QueueName => Value::text(&one.queue.name),
        Field::Team => Value::text(&one.team),
        Field::Media => Value::text(one.media.as_str()),
        Field::State => Value::text(one.state.as_str()),
        Field::Direction => direction(one.direction),
        Field::Address => Value::text(&one.address),
        Field::Ani => Value::text(&one.ani),
        Field::Dnis => Value::text(&one.dnis),
        Field::Provider => Value::text(&one.provider),
        Field::Held => Value::Bool(one.held),
        Field::Muted => Value::Bool(one.muted),
        Field::Confined => Value::Bool(one.confined),
        Field::Recording => Value::Bool(one.recording),
        Field::RecordingState => Value::text(one.recording_state.as_str()),
        Field::SecurePause => Value::Bool(one.secure_pause),
        Field::RecordersState => Value::Object(Object::Recorders(one.recorders)),
        Field::ScreenRecordingState => Value::text(&one.screen_recording_state),
        Field::Attributes => Value::Map(Map::Attributes(&one.attributes)),
        Field::FlaggedReason => Value::text(&one.flagged_reason),
        Field::WrapupCode => Value::text(&one.wrapup_code),
        Field::DisconnectType => Value::text(&one.disconnect_type),
        Field::MediaRoles => Value::List(List::Texts(&one.media_roles)),
        Field::Skills => Value::List(List::Texts(&one.skills)),
        Field::Language => Value::text(&one.language),
        Field::Priority => Value::Int(one.priority),
        Field::StartTime => time(one.start_time),
        Field::ConnectedTime => time(one.connected_time),
        Field::EndTime => time(one.end_time),
        Field::Divisions
        | Field::ExternalTag
        | Field::AdhocState
        | Field::CustomerExperienceState
        | Field::AgentExperienceState
        | Field::SnippetState => empty(&field.of_type()),
    }
}

fn direction(direction: Option<Direction>) -> Value<'static> {
    Value::text(direction.map_or("", Direction::as_str))
}

fn time(at: Option<Wall>) -> Value<'static> {
    at.map_or(Value::Null, |at| Value::Timestamp(i128::from(at.as_micros()) * 1000))
}

/// What something that is not there reads as.
pub(super) fn empty(of: &Type) -> Value<'static> {
    match of {
        Type::Dyn
        | Type::Json
        | Type::Number
        | Type::Nothing
        | Type::Null
        | Type::Timestamp
        | Type::Duration => Value::Null,
        Type::Bool => Value::Bool(false),
        Type::Int => Value::Int(0),
        Type::Uint => Value::Uint(0),
        Type::Double => Value::Double(0.0),
        Type::Text => Value::text(""),
        Type::List(_) => Value::List(List::EMPTY),
        Type::Map(..) => Value::Map(Map::EMPTY),
        Type::Object(Shape::Queue) => Value::Object(Object::Queue(None)),
        Type::Object(Shape::Participant | Shape::Conversation) => Value::Object(Object::Participant(None)),
        Type::Object(Shape::Recorders) => Value::Object(Object::Recorders(Recorders::default())),
    }
}

/// Whether a value is other than the empty one of its type: what `has()` asks.
pub(super) fn is_there(value: &Value<'_>) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Int(value) => *value != 0,
        Value::Uint(value) => *value != 0,
        Value::Double(value) => *value != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::Timestamp(_) | Value::Duration(_) => true,
        Value::List(list) => list.len() > 0,
        Value::Map(map) => map.len() > 0,
        Value::Object(Object::Conversation(_)) => true,
        Value::Object(Object::Participant(one)) => one.is_some(),
        Value::Object(Object::Queue(queue)) => queue.is_some_and(|queue| !queue.id.is_empty()),
        Value::Object(Object::Recorders(recorders)) => *recorders != Recorders::default(),
    }
}
