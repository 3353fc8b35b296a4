//! The compiled expression: every name resolved, every part with its place in the text.

use std::ops::Range;

use regex::Regex;

use super::schema::{Field, Variable};
use super::value::Value;

/// One part.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

impl Node {
    /// The parts that it is made of.
    pub(super) fn parts(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Constant(_) | Kind::Variable(_) | Kind::Local(_) => Vec::new(),
            Kind::Field(of, _)
            | Kind::Member(of, _)
            | Kind::HasField(of, _)
            | Kind::HasMember(of, _)
            | Kind::Not(of)
            | Kind::Negate(of)
            | Kind::Matches(of, _) => vec![of],
            Kind::Index(parts) | Kind::Arithmetic(_, parts) | Kind::Compare(_, parts) | Kind::In(parts) => {
                parts.iter().collect()
            }
            Kind::And(parts) | Kind::Or(parts) | Kind::List(parts) | Kind::Call(_, parts) => {
                parts.iter().collect()
            }
            Kind::Choose(parts) => parts.iter().collect(),
            Kind::Map(parts) => parts.iter().flatten().collect(),
            Kind::Each(each) => match &each.does {
                Does::Exists(body) | Does::All(body) | Does::ExistsOne(body) | Does::Filter(body) => {
                    vec![&each.over, body]
                }
                Does::Map { keep, give } => {
                    [Some(&each.over), keep.as_ref(), Some(give)].into_iter().flatten().collect()
                }
            },
        }
    }
}

/// What a part does.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Constant(Value<'static>),
    Variable(Variable),
    /// The variable of the macro at that depth.
    Local(usize),
    Field(Box<Node>, Field),
    /// `map.key`.
    Member(Box<Node>, Box<str>),
    HasField(Box<Node>, Field),
    HasMember(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Choose(Box<[Node; 3]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    Compare(Comparison, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    List(Vec<Node>),
    Map(Vec<[Node; 2]>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Regex),
    Each(Box<Each>),
}

/// `+ - * / %`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// `== != < <= > >=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Different,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Different => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A function of the library; `matches` has a kind of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
    Matches,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Timestamp,
    Duration,
    Dyn,
    Get(TimePart),
}

/// What can be asked of a time or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimePart {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// A macro over a list, or over the keys of a map.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub(super) over: Node,
    pub(super) does: Does,
}

/// What a macro does with each element.
#[derive(Clone, Debug)]
pub(super) enum Does {
    Exists(Node),
    All(Node),
    ExistsOne(Node),
    Filter(Node),
    Map { keep: Option<Node>, give: Node },
}
