//! A strategy in force.

use super::super::rule::{Ratio, Rule};
use super::super::token_bucket::TokenBucket;
use super::strategy::Strategy;
use super::{NAME, OPERATIONS};
use crate::config::Sampling;
use crate::redact::truncate;
use opentelemetry::trace::TraceId;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The rules of a strategy.
#[derive(Debug)]
pub(super) enum Rules {
    /// One for all traces.
    Single(Rule),
    PerOperation {
        default: Ratio,
        operations: HashMap<Box<str>, Ratio>,
        lower_bound: Option<Arc<LowerBound>>,
    },
}

impl Rules {
    /// The rules of a strategy that follows on `before`: what was spent of the same lower bound stays spent.
    pub(super) fn new(strategy: &Strategy, before: Option<&Self>) -> Self {
        match strategy {
            Strategy::Probabilistic(ratio) => Self::Single(Rule::new(Sampling::Ratio(*ratio))),
            Strategy::RateLimiting(rate) => Self::Single(Rule::new(Sampling::PerSecond(*rate))),
            Strategy::PerOperation { default, lower_bound, operations } => Self::PerOperation {
                default: Ratio::new(*default),
                operations: operations.iter().map(|(name, ratio)| (name.clone(), Ratio::new(*ratio))).collect(),
                lower_bound: (*lower_bound > 0.0).then(|| {
                    let kept =
                        before.and_then(Self::lower_bound).filter(|kept| kept.rate.to_bits() == lower_bound.to_bits());
                    kept.cloned().unwrap_or_else(|| Arc::new(LowerBound::new(*lower_bound)))
                }),
            },
        }
    }

    /// Whether a trace is recorded whose first span has this name.
    pub(super) fn sample(&self, trace: TraceId, name: &str) -> bool {
        match self {
            Self::Single(rule) => rule.samples(trace),
            Self::PerOperation { default, operations, lower_bound } => {
                let name = truncate(name, NAME);
                let is_in_share = operations.get(name).unwrap_or(default).samples(trace);
                // Asked in any case: what the share gives counts for the bound.
                let is_in_bound = lower_bound.as_ref().is_some_and(|bound| bound.take(name));
                is_in_share || is_in_bound
            }
        }
    }

    const fn lower_bound(&self) -> Option<&Arc<LowerBound>> {
        match self {
            Self::PerOperation { lower_bound, .. } => lower_bound.as_ref(),
            Self::Single(_) => None,
        }
    }
}

/// Traces in a second that are recorded of each operation in any case. An operation is known from its first trace on;
/// those beyond [`OPERATIONS`] share one bound.
#[derive(Debug)]
pub(super) struct LowerBound {
    rate: f64,
    operations: RwLock<HashMap<Box<str>, Option<TokenBucket>>>,
    others: Option<TokenBucket>,
}

impl LowerBound {
    fn new(rate: f64) -> Self {
        Self { rate, operations: RwLock::default(), others: TokenBucket::new(rate) }
    }

    fn take(&self, name: &str) -> bool {
        let take = |bucket: &Option<TokenBucket>| bucket.as_ref().is_some_and(TokenBucket::take);
        if let Some(bucket) = self.operations.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return take(bucket);
        }
        let mut operations = self.operations.write().unwrap_or_else(PoisonError::into_inner);
        if operations.len() >= OPERATIONS && !operations.contains_key(name) {
            return take(&self.others);
        }
        take(operations.entry(name.into()).or_insert_with(|| TokenBucket::new(self.rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn per_operation(default: f64, lower_bound: f64, operations: &[(&str, f64)]) -> Strategy {
        let operations = operations.iter().map(|(name, ratio)| ((*name).into(), *ratio)).collect();
        Strategy::PerOperation { default, lower_bound, operations }
    }

    fn of(strategy: &Strategy) -> Rules {
        Rules::new(strategy, None)
    }

    fn sampled(rules: &Rules, name: &str, traces: u128) -> u128 {
        // The ids are spread over the whole range, each in the middle of its part.
        let step = u128::from(u64::MAX) / traces;
        (0..traces).map(|number| u128::from(rules.sample(TraceId::from(number * step + step / 2), name))).sum()
    }

    #[test]
    fn a_single_strategy_holds_for_every_operation() {
        assert_eq!(sampled(&of(&Strategy::Probabilistic(0.25)), "any", 1_000), 250);
        let limited = of(&Strategy::RateLimiting(1e-6));
        assert_eq!(sampled(&limited, "one", 10) + sampled(&limited, "other", 10), 1);
        assert_eq!(sampled(&of(&Strategy::RateLimiting(0.0)), "any", 10), 0);
    }

    #[test]
    fn each_operation_has_its_share_and_the_others_the_default() {
        let rules = of(&per_operation(0.1, 0.0, &[("GET /a", 1.0), ("swap.execute", 0.5), ("noise", 0.0)]));
        for (name, expected) in [("GET /a", 1_000), ("swap.execute", 500), ("noise", 0), ("other", 100)] {
            assert_eq!(sampled(&rules, name, 1_000), expected, "{name}");
        }
    }

    #[test]
    fn each_operation_is_recorded_at_its_lower_bound_at_least() {
        let rules = of(&per_operation(0.0, 1e-6, &[("busy", 0.5)]));
        assert_eq!([sampled(&rules, "rare", 10), sampled(&rules, "other", 10), sampled(&rules, "rare", 10)], [1, 1, 0]);
        // The first of them, which its share gives, is the one of the bound.
        assert_eq!(sampled(&rules, "busy", 1_000), 500);
    }

    #[test]
    fn operations_without_end_share_one_lower_bound() {
        let rules = of(&per_operation(0.0, 1e-6, &[]));
        let recorded: u128 = (0..OPERATIONS * 2).map(|number| sampled(&rules, &number.to_string(), 3)).sum();
        assert_eq!(recorded, u128::try_from(OPERATIONS).unwrap() + 1);
        let long = |end: &str| format!("{}{end}", "x".repeat(NAME));
        let rules = of(&per_operation(0.0, 1e-6, &[]));
        assert_eq!(sampled(&rules, &long("a"), 3) + sampled(&rules, &long("b"), 3), 1);
    }

    #[test]
    fn a_new_strategy_with_the_same_lower_bound_gives_no_second_token() {
        let before = of(&per_operation(0.0, 1e-6, &[]));
        assert_eq!(sampled(&before, "rare", 3), 1);
        let same = Rules::new(&per_operation(0.0, 1e-6, &[("busy", 0.5)]), Some(&before));
        assert_eq!(sampled(&same, "rare", 3), 0);
        let higher = Rules::new(&per_operation(0.0, 2e-6, &[]), Some(&same));
        assert_eq!(sampled(&higher, "rare", 3), 1);
    }
}
