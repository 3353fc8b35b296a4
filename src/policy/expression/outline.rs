//! What a condition says of single terms, in a form that can be compared with what another one says.
//!
//! A condition is taken apart where `&&` joins it. Each part is read as a [`Claim`]: about the value of one
//! term (any part that reads something, by its canonical text) where it can be, else as a text that says
//! the same wherever it stands. An expression is a pure function of its subject, so equal texts are equal.

use std::fmt::Write;

use super::Expression;
use super::schema::Variable;
use super::tree::{Comparison, Does, Each, Kind, Node};
use super::value::{List, Value};

/// Whole numbers up to here are told apart whatever kind of number they are compared with.
const EXACT: i64 = 1 << 53;

/// The terms that a rule can also ask for in keys of its own, as claims name them.
pub const QUEUE_NAME: &str = "Queue.Name";
/// See [`QUEUE_NAME`].
pub const QUEUE_ID: &str = "Queue.Id";
/// See [`QUEUE_NAME`].
pub const FLAGGED: &str = "Flagged";
/// See [`QUEUE_NAME`].
pub const DIRECTION: &str = "Conversation.Direction";
/// See [`QUEUE_NAME`].
pub const MEDIA: &str = "Media";
/// The same as [`MEDIA`].
pub const CONVERSATION_MEDIA: &str = "Conversation.Media";

/// The key in a term that is the element of a map (`Attributes["pci"]`). None where the key has quotes or
/// brackets in it: then it may be part of something longer, or needs more reading than it is worth.
pub fn key<'t>(term: &'t str, of: &str) -> Option<&'t str> {
    let key = term.strip_prefix(of)?.strip_prefix("[\"")?.strip_suffix("\"]")?;
    (!key.contains(['"', '[', '\\'])).then_some(key)
}

/// A value that a rule names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Literal {
    /// A text.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of less than 53 bits.
    Int(i64),
}

/// What one part says. It holds where the part is true, and the part is true (no error, whatever the types)
/// where it holds and the term can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The term is one of these.
    OneOf(String, Vec<Literal>),
    /// The term is none of these.
    NoneOf(String, Vec<Literal>),
    /// The term is a number above this, or this itself where that is allowed too.
    Above(String, i64, Edge),
    /// The term is a number below this, or this itself where that is allowed too.
    Below(String, i64, Edge),
    /// Something else; equal texts say the same.
    Other(String),
    /// Nothing makes it true.
    Never,
}

/// Whether a bound itself is within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// It is.
    Within,
    /// It is not.
    Beyond,
}

impl Expression {
    /// What it says, part by part; it is true where all of these are.
    pub fn outline(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        collect(&self.root, &mut claims);
        claims
    }
}

fn collect(node: &Node, claims: &mut Vec<Claim>) {
    if let Kind::And(parts) = &node.kind {
        parts.iter().for_each(|part| collect(part, claims));
    } else if let Kind::Constant(Value::Bool(true)) = &node.kind {
        // It says nothing.
    } else if let Kind::Constant(_) = &node.kind {
        claims.push(Claim::Never);
    } else {
        claims.push(claim(node).unwrap_or_else(|| Claim::Other(text(node))));
    }
}

pub(super) fn claim(node: &Node) -> Option<Claim> {
    if let Kind::Compare(comparison, parts) = &node.kind {
        compared(*comparison, parts)
    } else if let Kind::In(parts) = &node.kind {
        let [one, of] = &**parts;
        Some(Claim::OneOf(term(one)?, literals(of)?))
    } else if let Kind::Or(parts) = &node.kind {
        either(parts)
    } else if let Kind::Not(part) = &node.kind {
        negated(part)
    } else if let Kind::HasMember(of, name) = &node.kind
        && matches!(of.kind, Kind::Variable(Variable::Attributes))
    {
        // One that is not there reads as "".
        let mut term = String::new();
        write_key(&mut term, of, name);
        Some(Claim::NoneOf(term, vec![Literal::Text(String::new())]))
    } else {
        // A condition that is a value: true alone makes it so.
        term(node).map(|term| Claim::OneOf(term, vec![Literal::Bool(true)]))
    }
}

fn compared(comparison: Comparison, parts: &[Node; 2]) -> Option<Claim> {
    let [one, two] = parts;
    let (term, literal, comparison) = match (literal(one), literal(two)) {
        (None, Some(literal)) => (term(one)?, literal, comparison),
        (Some(literal), None) => (term(two)?, literal, mirrored(comparison)),
        _ => return None,
    };
    match (comparison, literal) {
        (Comparison::Equal, literal) => Some(Claim::OneOf(term, vec![literal])),
        (Comparison::Different, literal) => Some(Claim::NoneOf(term, vec![literal])),
        (Comparison::Greater, Literal::Int(bound)) => Some(Claim::Above(term, bound, Edge::Beyond)),
        (Comparison::GreaterOrEqual, Literal::Int(bound)) => Some(Claim::Above(term, bound, Edge::Within)),
        (Comparison::Less, Literal::Int(bound)) => Some(Claim::Below(term, bound, Edge::Beyond)),
        (Comparison::LessOrEqual, Literal::Int(bound)) => Some(Claim::Below(term, bound, Edge::Within)),
        _ => None,
    }
}

fn mirrored(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal | Comparison::Different => comparison,
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
    }
}

/// `a == "x" || a == "y"`: one term, one of these.
fn either(parts: &[Node]) -> Option<Claim> {
    let mut whole: Option<(String, Vec<Literal>)> = None;
    for part in parts {
        let Some(Claim::OneOf(term, values)) = claim(part) else { return None };
        match &mut whole {
            None => whole = Some((term, values)),
            Some((known, all)) if *known == term => all.extend(values),
            Some(_) => return None,
        }
    }
    whole.map(|(term, values)| Claim::OneOf(term, values))
}

/// `!(a == "x")`, `!(a in [...])`, and `!flag` where the flag is always there. A fact that is not there
/// counts as false too, so that `!facts.x` says less than `facts.x == false`.
fn negated(part: &Node) -> Option<Claim> {
    match claim(part)? {
        Claim::OneOf(term, values) if values == [Literal::Bool(true)] && !is_comparison(part) => {
            is_flag(part).then(|| Claim::OneOf(term, vec![Literal::Bool(false)]))
        }
        Claim::OneOf(term, values) => Some(Claim::NoneOf(term, values)),
        Claim::NoneOf(term, values) => Some(Claim::OneOf(term, values)),
        Claim::Above(..) | Claim::Below(..) | Claim::Other(_) | Claim::Never => None,
    }
}

fn is_comparison(node: &Node) -> bool {
    matches!(node.kind, Kind::Compare(..) | Kind::In(_) | Kind::Or(_))
}

/// A part that is true or false and nothing else, and cannot fail.
fn is_flag(node: &Node) -> bool {
    match &node.kind {
        Kind::Variable(_) => true,
        Kind::Field(of, _) => is_flag(of),
        Kind::Constant(_)
        | Kind::Local(_)
        | Kind::Member(..)
        | Kind::HasField(..)
        | Kind::HasMember(..)
        | Kind::Index(_)
        | Kind::Not(_)
        | Kind::Negate(_)
        | Kind::And(_)
        | Kind::Or(_)
        | Kind::Choose(_)
        | Kind::Arithmetic(..)
        | Kind::Compare(..)
        | Kind::In(_)
        | Kind::List(_)
        | Kind::Map(_)
        | Kind::Call(..)
        | Kind::Matches(..)
        | Kind::Each(_) => false,
    }
}

fn literal(node: &Node) -> Option<Literal> {
    if let Kind::Constant(value) = &node.kind { as_literal(value) } else { None }
}

fn as_literal(value: &Value<'_>) -> Option<Literal> {
    if let Value::Text(text) = value {
        Some(Literal::Text(text.to_string()))
    } else if let Value::Bool(value) = value {
        Some(Literal::Bool(*value))
    } else if let Value::Int(value) = value {
        (-EXACT..=EXACT).contains(value).then_some(Literal::Int(*value))
    } else {
        None
    }
}

/// Whether it is the name or the id of the queue.
pub(super) fn is_queue(node: &Node) -> bool {
    term(node).is_some_and(|term| [QUEUE_NAME, QUEUE_ID].contains(&term.as_str()))
}

/// What a constant or a list of constants holds.
pub(super) fn constants(node: &Node) -> Vec<Literal> {
    literal(node).map(|one| vec![one]).or_else(|| literals(node)).unwrap_or_default()
}

fn literals(node: &Node) -> Option<Vec<Literal>> {
    let Kind::Constant(Value::List(List::Built(values))) = &node.kind else { return None };
    values.iter().map(as_literal).collect()
}

/// The canonical text of a part that is no constant.
fn term(node: &Node) -> Option<String> {
    (!matches!(node.kind, Kind::Constant(_))).then(|| text(node))
}

fn text(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node);
    out
}

/// Writes a part so that two parts with equal texts do the same. Names of macro variables don't matter.
fn write_node(out: &mut String, node: &Node) {
    match &node.kind {
        Kind::Constant(value) => push(out, format_args!("{value:?}")),
        Kind::Variable(variable) => push(out, format_args!("{variable:?}")),
        Kind::Local(slot) => push(out, format_args!("local{slot}")),
        Kind::Field(of, field) => {
            write_node(out, of);
            push(out, format_args!(".{field:?}"));
        }
        Kind::Member(of, name) => write_key(out, of, name),
        Kind::HasField(of, field) => {
            write_all(out, "has", [&**of]);
            push(out, format_args!(".{field:?}"));
        }
        Kind::HasMember(of, name) => {
            write_all(out, "has", [&**of]);
            push(out, format_args!("[{name:?}]"));
        }
        Kind::Index(parts) => {
            if let Kind::Constant(Value::Text(name)) = &parts[1].kind {
                write_key(out, &parts[0], name);
            } else {
                write_all(out, "index", parts.iter());
            }
        }
        Kind::Not(part) => write_all(out, "!", [&**part]),
        Kind::Negate(part) => write_all(out, "-", [&**part]),
        Kind::And(parts) => write_all(out, "&&", parts),
        Kind::Or(parts) => write_all(out, "||", parts),
        Kind::Choose(parts) => write_all(out, "?", parts.iter()),
        Kind::Arithmetic(operator, parts) => write_all(out, operator.sign(), parts.iter()),
        Kind::Compare(comparison, parts) => write_all(out, comparison.sign(), parts.iter()),
        Kind::In(parts) => write_all(out, "in", parts.iter()),
        Kind::List(parts) => write_all(out, "list", parts),
        Kind::Map(parts) => write_all(out, "map", parts.iter().flatten()),
        Kind::Call(function, parts) => write_all(out, &format!("{function:?}"), parts),
        Kind::Matches(part, pattern) => {
            write_all(out, "matches", [&**part]);
            push(out, format_args!("{:?}", pattern.as_str()));
        }
        Kind::Each(each) => write_each(out, each),
    }
}

/// `map.key` and `map["key"]` are the same.
fn write_key(out: &mut String, of: &Node, name: &str) {
    write_node(out, of);
    push(out, format_args!("[{name:?}]"));
}

fn write_each(out: &mut String, each: &Each) {
    match &each.does {
        Does::Exists(body) => write_all(out, "exists", [&each.over, body]),
        Does::All(body) => write_all(out, "all", [&each.over, body]),
        Does::ExistsOne(body) => write_all(out, "exists_one", [&each.over, body]),
        Does::Filter(body) => write_all(out, "filter", [&each.over, body]),
        Does::Map { keep: None, give } => write_all(out, "map_each", [&each.over, give]),
        Does::Map { keep: Some(keep), give } => write_all(out, "map_each", [&each.over, keep, give]),
    }
}

fn write_all<'n>(out: &mut String, what: &str, parts: impl IntoIterator<Item = &'n Node>) {
    push(out, format_args!("{what}("));
    for part in parts {
        write_node(out, part);
        out.push(',');
    }
    out.push(')');
}

fn push(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing into a text cannot fail.
    out.write_fmt(what).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(source: &str) -> Vec<Claim> {
        Expression::compile(source).unwrap().outline()
    }

    fn texts(words: &[&str]) -> Vec<Literal> {
        words.iter().map(|one| Literal::Text((*one).to_owned())).collect()
    }

    #[test]
    fn each_part_says_something_of_one_term() {
        let pci = || "Attributes[\"pci\"]".to_owned();
        assert_eq!(outline(r#"attributes.pci == "on""#), [Claim::OneOf(pci(), texts(&["on"]))]);
        assert_eq!(outline(r#""on" == attributes["pci"]"#), [Claim::OneOf(pci(), texts(&["on"]))]);
        assert_eq!(outline(r#"!(attributes.pci in ["a", "b"])"#), [Claim::NoneOf(pci(), texts(&["a", "b"]))]);
        assert_eq!(
            outline(r#"flagged && (attributes.pci == "a" || attributes.pci == "b")"#),
            [
                Claim::OneOf("Flagged".into(), vec![Literal::Bool(true)]),
                Claim::OneOf(pci(), texts(&["a", "b"]))
            ]
        );
        assert_eq!(outline("!has(attributes.pci)"), [Claim::OneOf(pci(), texts(&[""]))]);
        assert_eq!(outline("has(attributes.pci)"), [Claim::NoneOf(pci(), texts(&[""]))]);
        assert_eq!(outline("!flagged"), [Claim::OneOf("Flagged".into(), vec![Literal::Bool(false)])]);
        assert_eq!(
            outline("100 <= facts.amount"),
            [Claim::Above("Facts[\"amount\"]".into(), 100, Edge::Within)]
        );
    }

    #[test]
    fn a_fact_that_is_not_false_may_be_missing() {
        assert!(matches!(outline("!facts.vip").as_slice(), [Claim::Other(_)]));
    }

    #[test]
    fn spaces_brackets_and_the_names_of_macro_variables_do_not_matter() {
        let one = outline(r#"agents.exists(a, a.state == "connected" && !a.held)"#);
        let two = outline(r#"(agents.exists(who,who.state=="connected"&&(!who.held)))"#);
        assert_eq!(one, two);
        assert_ne!(one, outline(r#"agents.exists(a, a.state == "connected" && a.held)"#));
    }
}
