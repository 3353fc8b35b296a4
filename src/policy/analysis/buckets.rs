//! Which rules may have to do with each other, by the queues that they name.

use std::collections::BTreeMap;

use super::Ranked;
use super::scope::{Allowed, Bound, QUEUE, Scope};
use crate::policy::expression::Literal;

/// Ranks by the queues that rules name.
pub(super) struct Buckets {
    exact: BTreeMap<String, Vec<usize>>,
    /// Rules for any queue, and those that name queues by globs.
    open: Vec<usize>,
    all: usize,
}

impl Buckets {
    pub(super) fn of(ranked: &[Ranked<'_>]) -> Self {
        let mut buckets = Self { exact: BTreeMap::new(), open: Vec::new(), all: ranked.len() };
        for (rank, one) in ranked.iter().enumerate() {
            match queues(&one.scope) {
                Some(names) => {
                    for name in names {
                        buckets.exact.entry(name).or_default().push(rank);
                    }
                }
                None => buckets.open.push(rank),
            }
        }
        buckets
    }

    /// Rules before `rank` whose scope may hold all of `scope`.
    pub(super) fn before(&self, rank: usize, scope: &Scope) -> Vec<usize> {
        let mut all = self.of_queues(scope);
        all.extend(&self.open);
        all.retain(|other| *other < rank);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Rules that may hold on a conversation of `scope`.
    pub(super) fn near(&self, rank: usize, scope: &Scope) -> Vec<usize> {
        let mut all = match queues(scope) {
            Some(_) => self.of_queues(scope).into_iter().chain(self.open.iter().copied()).collect(),
            None => (0..self.all).collect::<Vec<_>>(),
        };
        all.retain(|other| *other != rank);
        all.sort_unstable();
        all.dedup();
        all
    }

    fn of_queues(&self, scope: &Scope) -> Vec<usize> {
        let names = scope.bounds().get(QUEUE).into_iter().flatten().flat_map(literals);
        names.filter_map(|name| self.exact.get(name)).flatten().copied().collect()
    }
}

/// The names of the first bound on the queue, where all are exact.
fn queues(scope: &Scope) -> Option<Vec<String>> {
    let bound = scope.bounds().get(QUEUE)?.first()?;
    let Bound::OneOf(allowed) = bound else { return None };
    let names: Vec<String> = literals(bound).map(str::to_owned).collect();
    (names.len() == allowed.len()).then_some(names)
}

fn literals(bound: &Bound) -> impl Iterator<Item = &str> {
    let allowed = if let Bound::OneOf(allowed) = bound { allowed.as_slice() } else { &[] };
    allowed.iter().filter_map(|one| match one {
        Allowed::Literal(Literal::Text(text)) => Some(text.as_str()),
        Allowed::Literal(Literal::Bool(_) | Literal::Int(_)) | Allowed::Glob(..) => None,
    })
}
