//! Buckets of exponential histograms. By OTLP the bucket of an index ends at `base` to the power of the next one, with
//! `base = 2^(2^-scale)`.

use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use std::collections::BTreeMap;

/// The most buckets of one sign: the default of the specification.
const MOST: i64 = 160;
/// With this difference in scale there are two buckets: a larger one changes nothing.
const COARSEST: u32 = 31;

/// Buckets out of counts by index.
pub(super) fn dense(counts: impl Iterator<Item = (i32, u64)>) -> Buckets {
    let mut buckets = Buckets::default();
    for (index, count) in counts {
        if buckets.bucket_counts.is_empty() {
            buckets.offset = index;
        }
        let gap = i64::from(index) - i64::from(buckets.offset);
        // In ascending order, so that none stands before the offset.
        let at = usize::try_from(gap).unwrap_or(0);
        if buckets.bucket_counts.len() <= at {
            buckets.bucket_counts.resize(at + 1, 0);
        }
        if let Some(bucket) = buckets.bucket_counts.get_mut(at) {
            *bucket = bucket.wrapping_add(count);
        }
    }
    buckets
}

/// Adds an older point to a point of the same series: with the wider buckets of the two, and wider ones where there would
/// be too many.
pub(super) fn add(point: &mut ExponentialHistogramDataPoint, older: &ExponentialHistogramDataPoint) {
    let mut scale = point.scale.min(older.scale);
    let coarser = |from: &ExponentialHistogramDataPoint, scale: i32| from.scale.abs_diff(scale).min(COARSEST);
    loop {
        let fits = |of: fn(&ExponentialHistogramDataPoint) -> Option<&Buckets>| {
            let ranges = [&*point, older].into_iter().filter_map(|from| range(of(from)?, coarser(from, scale)));
            let (first, last) =
                ranges.fold((i64::MAX, i64::MIN), |(first, last), (low, high)| (first.min(low), last.max(high)));
            first > last || last - first < MOST
        };
        if fits(|point| point.positive.as_ref()) && fits(|point| point.negative.as_ref()) {
            break;
        }
        scale -= 1;
    }
    let (by, older_by) = (coarser(point, scale), coarser(older, scale));
    point.positive = sum(point.positive.as_ref(), by, older.positive.as_ref(), older_by);
    point.negative = sum(point.negative.as_ref(), by, older.negative.as_ref(), older_by);
    point.scale = scale;
    point.zero_count = point.zero_count.wrapping_add(older.zero_count);
    point.zero_threshold = point.zero_threshold.max(older.zero_threshold);
    point.count = point.count.wrapping_add(older.count);
}

/// The first and the last index that has a count, in buckets that are wider by this many scales.
fn range(buckets: &Buckets, by: u32) -> Option<(i64, i64)> {
    let mut indexes = counted(buckets).map(|(index, _)| i64::from(index >> by));
    let first = indexes.next()?;
    Some((first, indexes.last().unwrap_or(first)))
}

fn sum(buckets: Option<&Buckets>, by: u32, older: Option<&Buckets>, older_by: u32) -> Option<Buckets> {
    if buckets.is_none() && older.is_none() {
        return None;
    }
    let mut counts = BTreeMap::new();
    for (buckets, by) in [(buckets, by), (older, older_by)] {
        for (index, count) in buckets.into_iter().flat_map(counted) {
            let sum: &mut u64 = counts.entry(index >> by).or_default();
            *sum = sum.wrapping_add(count);
        }
    }
    Some(dense(counts.into_iter()))
}

/// The counts that are not zero, by their index.
fn counted(buckets: &Buckets) -> impl Iterator<Item = (i32, u64)> {
    let indexes = buckets.offset..i32::MAX;
    indexes.zip(buckets.bucket_counts.iter().copied()).filter(|(_, count)| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The index of a value by the definition: `base^index < value <= base^(index + 1)`.
    fn index(value: f64, scale: i32) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "an index")]
        let index = (value.log2() * f64::from(scale).exp2()).ceil() as i32 - 1;
        index
    }

    fn point(values: &[f64], scale: i32) -> ExponentialHistogramDataPoint {
        let mut counts = BTreeMap::new();
        for value in values.iter().filter(|value| **value > 0.0) {
            *counts.entry(index(*value, scale)).or_insert(0_u64) += 1;
        }
        let zero_count = u64::try_from(values.iter().filter(|value| **value == 0.0).count()).unwrap();
        ExponentialHistogramDataPoint {
            scale,
            count: u64::try_from(values.len()).unwrap(),
            zero_count,
            positive: Some(dense(counts.into_iter())),
            ..ExponentialHistogramDataPoint::default()
        }
    }

    proptest! {
        #[test]
        fn a_sum_has_every_value_in_its_bucket_and_few_buckets(
            // Within a few powers of two, so that the points themselves have few buckets.
            values in prop::collection::vec((-8_i32..8, 1.01_f64..1.99), 0..20),
            older in prop::collection::vec((-8_i32..8, 1.01_f64..1.99), 0..20),
            away in -300_i32..300,
            scales in (-3_i32..=3, -3_i32..=3),
            zeros in 0_usize..3,
        ) {
            let value = |away: i32| move |(power, fraction): &(i32, f64)| f64::from(power + away).exp2() * fraction;
            let mut values: Vec<_> = values.iter().map(value(0)).collect();
            values.resize(values.len() + zeros, 0.0);
            let older: Vec<_> = older.iter().map(value(away)).collect();
            let mut sum = point(&values, scales.0);
            add(&mut sum, &point(&older, scales.1));
            let all: Vec<_> = values.iter().chain(&older).copied().collect();
            prop_assert!(sum.scale <= scales.0.min(scales.1));
            prop_assert!(sum.positive.as_ref().unwrap().bucket_counts.len() <= 160);
            prop_assert_eq!(sum.clone(), point(&all, sum.scale));
        }
    }

    #[test]
    fn the_finest_buckets_of_values_that_are_far_apart_become_wide() {
        let mut sum = point(&[1.5], 20);
        add(&mut sum, &point(&[1.5e-9, 1.5e9], 6));
        assert!(sum.positive.as_ref().unwrap().bucket_counts.len() <= 160, "{sum:?}");
        assert_eq!(sum, point(&[1.5e-9, 1.5, 1.5e9], sum.scale));
        assert!(sum.scale >= 1, "{}: 62 powers of two in 160 buckets", sum.scale);
    }
}
