//! What a rule can name: variables, the fields of their objects, and the type of each.

use std::fmt;

use crate::model::conversation::Media;

/// The type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only when it is read.
    Dyn,
    /// A fact or a part of one, known only when it is read. It is JSON, and so no time and no object of the
    /// schema.
    Json,
    /// A number whose kind is known only when it is read: what arithmetic makes of a fact.
    Number,
    /// What an empty list or map written in a rule holds: it goes with every type. No part has this type by
    /// itself, since nothing can be taken out.
    Nothing,
    /// `null` itself.
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    /// A point in time; one that the platform left out reads as `null`.
    Timestamp,
    Duration,
    Object(Shape),
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
}

/// The objects of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Conversation,
    Participant,
    Queue,
    Recorders,
}

impl Type {
    pub(super) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Box::new(key), Box::new(value))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double | Self::Number)
    }

    /// Whether a value of JSON can be one of it.
    pub(super) fn can_be_json(&self) -> bool {
        match self {
            Self::List(of) => of.can_be_json(),
            Self::Map(key, value) => key.can_equal(&Self::Text) && value.can_be_json(),
            Self::Dyn
            | Self::Json
            | Self::Nothing
            | Self::Null
            | Self::Bool
            | Self::Int
            | Self::Uint
            | Self::Double
            | Self::Number
            | Self::Text => true,
            Self::Timestamp | Self::Duration | Self::Object(_) => false,
        }
    }

    /// Whether values of both types can be equal at all.
    pub(super) fn can_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Nothing, _) | (_, Self::Dyn | Self::Nothing) => true,
            (Self::Json, other) | (other, Self::Json) => other.can_be_json(),
            (Self::Null, Self::Timestamp | Self::Null) | (Self::Timestamp, Self::Null) => true,
            (Self::List(one), Self::List(two)) => one.can_equal(two),
            (Self::Map(key, value), Self::Map(key2, value2)) => {
                key.can_equal(key2) && value.can_equal(value2)
            }
            _ => self == other || (self.is_number() && other.is_number()),
        }
    }

    /// Whether something that is one or the other still has a type that is known before it is read.
    pub(super) fn joins(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Json | Self::Nothing, _) | (_, Self::Dyn | Self::Json | Self::Nothing) => true,
            (Self::Number, other) | (other, Self::Number) => other.is_number(),
            (Self::Null, Self::Timestamp) | (Self::Timestamp, Self::Null) => true,
            (Self::List(one), Self::List(two)) => one.joins(two),
            (Self::Map(key, value), Self::Map(key2, value2)) => key.joins(key2) && value.joins(value2),
            _ => self == other,
        }
    }

    /// The type of something that is one or the other.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Nothing, known) | (known, Self::Nothing) => known,
            (Self::Dyn, _) | (_, Self::Dyn) => Self::Dyn,
            (Self::Json, other) | (other, Self::Json) if other.can_be_json() => Self::Json,
            (Self::Number, other) | (other, Self::Number) if other.is_number() => Self::Number,
            (Self::Timestamp, Self::Null) | (Self::Null, Self::Timestamp) => Self::Timestamp,
            (Self::List(one), Self::List(two)) => Self::list(one.join(*two)),
            (Self::Map(key, value), Self::Map(key2, value2)) => {
                Self::map(key.join(*key2), value.join(*value2))
            }
            _ => Self::Dyn,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn | Self::Nothing => f.write_str("any value"),
            Self::Json => f.write_str("a fact"),
            Self::Number => f.write_str("a number"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("a bool"),
            Self::Int => f.write_str("an int"),
            Self::Uint => f.write_str("a uint"),
            Self::Double => f.write_str("a double"),
            Self::Text => f.write_str("a string"),
            Self::Timestamp => f.write_str("a timestamp"),
            Self::Duration => f.write_str("a duration"),
            Self::Object(shape) => f.write_str(shape.name()),
            Self::List(of) if **of == Self::Object(Shape::Participant) => {
                f.write_str("a list of participants")
            }
            Self::List(of) if **of == Self::Object(Shape::Queue) => f.write_str("a list of queues"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(..) => f.write_str("a map"),
        }
    }
}

impl Shape {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Conversation => "the conversation",
            Self::Participant => "a participant",
            Self::Queue => "a queue",
            Self::Recorders => "the state of the recorders",
        }
    }

    /// The fields, each under its name.
    pub(super) fn fields(self) -> &'static [(&'static str, Field)] {
        match self {
            Self::Conversation => &CONVERSATION,
            Self::Participant => &PARTICIPANT,
            Self::Queue => &QUEUE,
            Self::Recorders => &RECORDERS,
        }
    }

    pub(super) fn field(self, name: &str) -> Option<Field> {
        self.fields().iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }
}

/// A variable of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Conversation,
    Participants,
    Customer,
    Agent,
    Agents,
    Queue,
    Queues,
    Attributes,
    Facts,
    Flagged,
    Media,
    Topic,
}

/// The variables, each under its name.
pub(super) const VARIABLES: [(&str, Variable); 12] = [
    ("conversation", Variable::Conversation),
    ("participants", Variable::Participants),
    ("customer", Variable::Customer),
    ("agent", Variable::Agent),
    ("agents", Variable::Agents),
    ("queue", Variable::Queue),
    ("queues", Variable::Queues),
    ("attributes", Variable::Attributes),
    ("facts", Variable::Facts),
    ("flagged", Variable::Flagged),
    ("media", Variable::Media),
    ("topic", Variable::Topic),
];

impl Variable {
    pub(super) fn named(name: &str) -> Option<Self> {
        VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, variable)| *variable)
    }

    pub(super) fn of_type(self) -> Type {
        match self {
            Self::Conversation => Type::Object(Shape::Conversation),
            Self::Participants | Self::Agents => Type::list(Type::Object(Shape::Participant)),
            Self::Customer | Self::Agent => Type::Object(Shape::Participant),
            Self::Queue => Type::Object(Shape::Queue),
            Self::Queues => Type::list(Type::Object(Shape::Queue)),
            Self::Attributes => Type::map(Type::Text, Type::Text),
            Self::Facts => Type::map(Type::Text, Type::Json),
            Self::Flagged => Type::Bool,
            Self::Media | Self::Topic => Type::Text,
        }
    }
}

macro_rules! fields {
    ($($name:literal $field:ident;)*) => {
        [$(($name, Field::$field)),*]
    };
}

/// A field of any object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Name,
    Media,
    Direction,
    Address,
    Attributes,
    RecordingState,
    SecurePause,
    Divisions,
    ExternalTag,
    StartTime,
    ConnectedTime,
    EndTime,
    Purpose,
    UserId,
    Queue,
    QueueId,
    QueueName,
    Team,
    State,
    Ani,
    Dnis,
    Provider,
    Held,
    Muted,
    Confined,
    Recording,
    RecordersState,
    ScreenRecordingState,
    FlaggedReason,
    WrapupCode,
    DisconnectType,
    MediaRoles,
    Skills,
    Language,
    Priority,
    AdhocState,
    CustomerExperienceState,
    AgentExperienceState,
    SnippetState,
}

const CONVERSATION: [(&str, Field); 10] = fields! {
    "id" Id; "recordingState" RecordingState; "securePause" SecurePause; "divisions" Divisions;
    "externalTag" ExternalTag; "startTime" StartTime; "endTime" EndTime; "address" Address; "media" Media;
    "direction" Direction;
};

const PARTICIPANT: [(&str, Field); 34] = fields! {
    "id" Id; "purpose" Purpose; "name" Name; "userId" UserId; "queue" Queue; "queueId" QueueId;
    "queueName" QueueName; "team" Team; "media" Media; "state" State; "direction" Direction;
    "address" Address; "ani" Ani; "dnis" Dnis; "provider" Provider; "held" Held; "muted" Muted;
    "confined" Confined; "recording" Recording; "recordingState" RecordingState; "securePause" SecurePause;
    "recordersState" RecordersState; "screenRecordingState" ScreenRecordingState; "attributes" Attributes;
    "flaggedReason" FlaggedReason; "wrapupCode" WrapupCode; "disconnectType" DisconnectType;
    "mediaRoles" MediaRoles; "skills" Skills; "language" Language; "priority" Priority;
    "startTime" StartTime; "connectedTime" ConnectedTime; "endTime" EndTime;
};

const QUEUE: [(&str, Field); 2] = fields! { "id" Id; "name" Name; };

const RECORDERS: [(&str, Field); 4] = fields! {
    "adhocState" AdhocState; "customerExperienceState" CustomerExperienceState;
    "agentExperienceState" AgentExperienceState; "snippetState" SnippetState;
};

impl Field {
    pub(super) fn of_type(self) -> Type {
        match self {
            Self::SecurePause | Self::Held | Self::Muted | Self::Confined | Self::Recording => Type::Bool,
            Self::StartTime | Self::ConnectedTime | Self::EndTime => Type::Timestamp,
            Self::Divisions | Self::MediaRoles | Self::Skills => Type::list(Type::Text),
            Self::Attributes => Type::map(Type::Text, Type::Text),
            Self::Queue => Type::Object(Shape::Queue),
            Self::RecordersState => Type::Object(Shape::Recorders),
            Self::Priority => Type::Int,
            Self::Id
            | Self::Name
            | Self::Media
            | Self::Direction
            | Self::Address
            | Self::RecordingState
            | Self::ExternalTag
            | Self::Purpose
            | Self::UserId
            | Self::QueueId
            | Self::QueueName
            | Self::Team
            | Self::State
            | Self::Ani
            | Self::Dnis
            | Self::Provider
            | Self::ScreenRecordingState
            | Self::FlaggedReason
            | Self::WrapupCode
            | Self::DisconnectType
            | Self::Language
            | Self::AdhocState
            | Self::CustomerExperienceState
            | Self::AgentExperienceState
            | Self::SnippetState => Type::Text,
        }
    }

    /// Every word that it can hold, where the list is closed; `strange` has the others.
    pub(super) fn words(self) -> Option<Vec<&'static str>> {
        const RECORDER: [&str; 3] = ["active", "paused", "none"];
        const RECORDERS: [Field; 5] = [
            Field::RecordingState,
            Field::AdhocState,
            Field::CustomerExperienceState,
            Field::AgentExperienceState,
            Field::SnippetState,
        ];
        if self == Self::Media {
            Some(Media::ALL.map(Media::as_str).to_vec())
        } else if self == Self::Direction {
            Some(vec!["inbound", "outbound"])
        } else {
            RECORDERS.contains(&self).then(|| RECORDER.to_vec())
        }
    }
}
