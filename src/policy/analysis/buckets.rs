//! Which rules may have to do with each other, by the queues that they name.

use std::collections::BTreeMap;

use super::Ranked;
use super::choice::Choice;
use super::scope::{Bound, QUEUE, Scope};
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
        Self::sorted(rank, self.of_queues(scope).chain(&self.open))
    }

    /// Rules that may hold on a conversation of `scope`.
    pub(super) fn near(&self, rank: usize, scope: &Scope) -> Vec<usize> {
        match queues(scope) {
            Some(_) => {
                let mut all = Self::sorted(self.all, self.of_queues(scope).chain(&self.open));
                all.retain(|other| *other != rank);
                all
            }
            None => (0..self.all).filter(|other| *other != rank).collect(),
        }
    }

    /// Each rank below `end` once. Rules that name the same many queues are found once for each of these, and
    /// then marking them is cheaper than sorting.
    fn sorted<'r>(end: usize, ranks: impl Iterator<Item = &'r usize>) -> Vec<usize> {
        let mut all: Vec<usize> = ranks.copied().filter(|rank| *rank < end).collect();
        if all.len() < end {
            all.sort_unstable();
            all.dedup();
            return all;
        }
        let mut found = vec![false; end];
        all.iter().for_each(|rank| found[*rank] = true);
        (0..end).filter(|rank| found[*rank]).collect()
    }

    fn of_queues(&self, scope: &Scope) -> impl Iterator<Item = &usize> {
        let names = scope.bounds().get(QUEUE).into_iter().flatten().flat_map(literals);
        names.filter_map(|name| self.exact.get(name)).flatten()
    }
}

/// The names of the first bound on the queue, where all are exact.
fn queues(scope: &Scope) -> Option<Vec<String>> {
    let bound = scope.bounds().get(QUEUE)?.first()?;
    let Bound::OneOf(choice) = bound else { return None };
    let names: Vec<String> = literals(bound).map(str::to_owned).collect();
    (names.len() == choice.len()).then_some(names)
}

fn literals(bound: &Bound) -> impl Iterator<Item = &str> {
    let choice = if let Bound::OneOf(choice) = bound { Some(choice) } else { None };
    choice.into_iter().flat_map(Choice::literals).filter_map(|one| match one {
        Literal::Text(text) => Some(text.as_str()),
        Literal::Bool(_) | Literal::Int(_) => None,
    })
}
