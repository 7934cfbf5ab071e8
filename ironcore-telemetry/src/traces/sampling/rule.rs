//! One way to decide.

use super::token_bucket::TokenBucket;
use crate::config::Sampling;
use opentelemetry::trace::TraceId;

/// How traces are decided that start at the same place.
#[derive(Debug)]
pub(super) enum Rule {
    Always,
    Never,
    Ratio(Ratio),
    PerSecond(TokenBucket),
}

impl Rule {
    pub(super) fn new(sampling: Sampling) -> Self {
        match sampling {
            Sampling::Always => Self::Always,
            Sampling::Never => Self::Never,
            Sampling::Ratio(ratio) => Self::Ratio(Ratio::new(ratio)),
            Sampling::PerSecond(rate) => TokenBucket::new(rate).map_or(Self::Never, Self::PerSecond),
        }
    }

    /// Whether this trace is recorded.
    #[inline]
    pub(super) fn samples(&self, trace: TraceId) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Ratio(ratio) => ratio.samples(trace),
            Self::PerSecond(bucket) => bucket.take(),
        }
    }
}

/// A share of the traces, decided by their ids as the SDKs of Rust, Go and Python do it: 63 bits of the lower half of an id
/// are a fraction of one, and those below the ratio are recorded. A trace that is recorded at a ratio is so at every
/// higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    below: u64,
}

impl Ratio {
    /// The ratio is from 0.0 to 1.0; another one counts as the nearer of both.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^63; `NaN` becomes 0")]
    pub(super) fn new(ratio: f64) -> Self {
        const ALL: f64 = 9_223_372_036_854_775_808.0;
        Self { below: (ratio.clamp(0.0, 1.0) * ALL) as u64 }
    }

    #[inline]
    pub(super) fn samples(self, trace: TraceId) -> bool {
        let lower_half = u128::from_be_bytes(trace.to_bytes()) & u128::from(u64::MAX);
        lower_half >> 1 < u128::from(self.below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::SpanKind;
    use opentelemetry_sdk::trace::{Sampler as SdkSampler, SamplingDecision, ShouldSample as _};
    use rand::rngs::SmallRng;
    use rand::{Rng as _, SeedableRng as _};

    #[test]
    fn a_ratio_decides_as_the_sampler_of_the_sdk_for_the_same_id() {
        let mut random = SmallRng::seed_from_u64(7);
        let ratios = [0.0, f64::MIN_POSITIVE, 1e-9, 0.001, 0.1, 1.0 / 3.0, 0.5, 0.999_999, 1.0 - f64::EPSILON, 1.0];
        for ratio in ratios {
            let sdk = SdkSampler::TraceIdRatioBased(ratio);
            // At the bound, too.
            let bound = u128::from(Ratio::new(ratio).below) << 1;
            let at_bound = [bound.saturating_sub(1), bound, bound + 1, 0, u128::MAX, u128::from(u64::MAX), 1 << 64];
            let ids = (0..2_000).map(|_| random.random::<u128>()).chain(at_bound);
            for trace in ids.map(TraceId::from) {
                let decision = sdk.should_sample(None, trace, "", &SpanKind::Internal, &[], &[]).decision;
                let expected = decision == SamplingDecision::RecordAndSample;
                assert_eq!(Ratio::new(ratio).samples(trace), expected, "{ratio} of {trace}");
            }
        }
    }

    #[test]
    fn a_ratio_is_the_share_of_the_traces_that_are_recorded() {
        const TRACES: u32 = 100_000;
        let mut random = SmallRng::seed_from_u64(13);
        for ratio in [0.001, 0.01, 0.25, 0.5, 0.9] {
            let rule = Rule::new(Sampling::Ratio(ratio));
            let recorded = (0..TRACES).filter(|_| rule.samples(TraceId::from(random.random::<u128>()))).count();
            let expected = f64::from(TRACES) * ratio;
            // Five standard deviations of the binomial distribution.
            let bound = 5.0 * (expected * (1.0 - ratio)).sqrt();
            let off = (f64::from(u32::try_from(recorded).unwrap()) - expected).abs();
            assert!(off < bound, "{recorded} of {TRACES} at {ratio}");
        }
    }

    #[test]
    fn what_is_no_ratio_counts_as_the_nearer_bound() {
        for (ratio, below) in
            [(-1.0, 0), (f64::NAN, 0), (f64::NEG_INFINITY, 0), (2.0, 1 << 63), (f64::INFINITY, 1 << 63)]
        {
            assert_eq!(Ratio::new(ratio).below, below, "{ratio}");
        }
    }
}
