//! The types of what arithmetic makes, also of values whose own type is known only when they are read.

use crate::policy::expression::schema::Type;
use crate::policy::expression::tree::Arithmetic;

/// The types that a part may turn out to have where an operator is to take it.
fn kinds(of: &Type) -> Vec<Type> {
    let numbers = [Type::Int, Type::Uint, Type::Double];
    if *of == Type::Dyn {
        [&numbers[..], &[Type::Text, Type::Timestamp, Type::Duration, Type::list(Type::Dyn)]].concat()
    } else if *of == Type::Json {
        [&numbers[..], &[Type::Text, Type::list(Type::Json)]].concat()
    } else if *of == Type::Number {
        numbers.to_vec()
    } else {
        vec![of.clone()]
    }
}

/// The type of a result; none where the operator never takes the sides.
pub(super) fn result(operator: Arithmetic, one: &Type, two: &Type) -> Option<Type> {
    let (ones, twos) = (kinds(one), kinds(two));
    let outcomes = ones.iter().flat_map(|one| twos.iter().filter_map(|two| outcome(operator, one, two)));
    let of = outcomes.reduce(either)?;
    // A fact may be a number of another kind than what stands beside it, and is calculated with all the same.
    let is_open = ones.len() > 1 || twos.len() > 1;
    Some(if is_open && of.is_number() { Type::Number } else { of })
}

fn either(one: Type, two: Type) -> Type {
    match (&one, &two) {
        _ if one == two => one,
        _ if one.is_number() && two.is_number() => Type::Number,
        _ if one.can_be_json() && two.can_be_json() => Type::Json,
        _ => Type::Dyn,
    }
}

/// The type of a result where the types of both sides are known.
fn outcome(operator: Arithmetic, one: &Type, two: &Type) -> Option<Type> {
    use Arithmetic::{Add, Remainder, Subtract};
    match (one, two) {
        (Type::Int, Type::Int) | (Type::Uint, Type::Uint) => Some(one.clone()),
        (Type::Double, Type::Double) if operator != Remainder => Some(Type::Double),
        (Type::Text, Type::Text) if operator == Add => Some(Type::Text),
        (Type::List(first), Type::List(second)) if operator == Add && first.joins(second) => {
            Some(one.clone().join(two.clone()))
        }
        (Type::Timestamp, Type::Duration) if matches!(operator, Add | Subtract) => Some(Type::Timestamp),
        (Type::Duration, Type::Timestamp) if operator == Add => Some(Type::Timestamp),
        (Type::Timestamp, Type::Timestamp) if operator == Subtract => Some(Type::Duration),
        (Type::Duration, Type::Duration) if matches!(operator, Add | Subtract) => Some(Type::Duration),
        _ => None,
    }
}
