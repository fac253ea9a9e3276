//! What buckets say about the time between two looks.

use serde::Serialize;

use super::answers::Histogram;

/// Durations that were counted between two looks. They are known by bucket alone, so a percentile is the bound of
/// its bucket: no less than the true one, and less than twice that.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct Spread {
    pub(super) count: u64,
    pub(super) p50: UpTo,
    pub(super) p99: UpTo,
}

/// A duration that is known by its bucket.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UpTo {
    /// So many seconds or less.
    Seconds(f64),
    /// More than so many seconds, which is the last bound.
    Beyond(f64),
}

impl Spread {
    /// What has been added between the first and the second of each pair, all together. Nothing, if that was
    /// nothing or if counts went back. Without a first one there is nothing to compare with.
    pub(super) fn between<'a>(
        pairs: impl IntoIterator<Item = (Option<&'a Histogram>, &'a Histogram)>,
    ) -> Option<Self> {
        let mut bounds: &[f64] = &[];
        let mut counts: Vec<u64> = Vec::new();
        for (before, now) in pairs {
            let Some(more) = before.and_then(|before| added(before, now)) else { continue };
            if counts.is_empty() {
                (bounds, counts) = (&now.bounds_seconds, more);
            } else if bounds == now.bounds_seconds {
                counts.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
            }
        }
        let count = counts.iter().fold(0u64, |sum, more| sum.saturating_add(*more));
        let percentile = |percent: u64| {
            // The rank of the one that so many percent do not exceed, from 1.
            let rank = (u128::from(count) * u128::from(percent)).div_ceil(100);
            let mut below = 0u128;
            let place = counts.iter().position(|more| {
                below += u128::from(*more);
                below >= rank
            })?;
            let last = bounds.last().copied().unwrap_or(0.0);
            Some(bounds.get(place).map_or(UpTo::Beyond(last), |bound| UpTo::Seconds(*bound)))
        };
        if count == 0 {
            return None;
        }
        Some(Self { count, p50: percentile(50)?, p99: percentile(99)? })
    }
}

/// Bucket by bucket; nothing, if one has less than before or the buckets are others.
fn added(before: &Histogram, now: &Histogram) -> Option<Vec<u64>> {
    let is_same = before.bounds_seconds == now.bounds_seconds
        && before.counts.len() == now.counts.len()
        && now.counts.len() == now.bounds_seconds.len() + 1;
    if !is_same {
        return None;
    }
    now.counts.iter().zip(&before.counts).map(|(now, before)| now.checked_sub(*before)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: [u64; 4]) -> Histogram {
        let bounds_seconds = vec![0.001, 0.002, 0.004];
        Histogram { bounds_seconds, counts: counts.to_vec(), sum_seconds: 0.0 }
    }

    fn between(before: [u64; 4], now: [u64; 4]) -> Option<(u64, UpTo, UpTo)> {
        let (before, now) = (histogram(before), histogram(now));
        Spread::between([(Some(&before), &now)]).map(|it| (it.count, it.p50, it.p99))
    }

    #[test]
    fn percentiles_are_of_what_was_added_and_not_of_all() {
        use UpTo::{Beyond, Seconds};
        let slow_before = [0, 0, 1000, 1000];
        let added = |fast: u64, slow: u64, beyond: u64| {
            between(slow_before, [fast, slow, 1000, 1000 + beyond])
        };
        assert_eq!(added(100, 0, 0), Some((100, Seconds(0.001), Seconds(0.001))));
        assert_eq!(added(99, 1, 0), Some((100, Seconds(0.001), Seconds(0.001))));
        assert_eq!(added(98, 2, 0), Some((100, Seconds(0.001), Seconds(0.002))));
        assert_eq!(added(50, 49, 1), Some((100, Seconds(0.001), Seconds(0.002))));
        assert_eq!(added(49, 49, 2), Some((100, Seconds(0.002), Beyond(0.004))));
        assert_eq!(added(0, 0, 1), Some((1, Beyond(0.004), Beyond(0.004))));
    }

    #[test]
    fn nothing_added_and_counts_that_go_back_have_no_percentiles() {
        assert_eq!(between([1, 2, 3, 4], [1, 2, 3, 4]), None);
        assert_eq!(between([1, 2, 3, 4], [9, 9, 9, 3]), None);
        assert_eq!(between([u64::MAX; 4], [0; 4]), None);
        let now = histogram([1, 2, 3, 4]);
        assert_eq!(Spread::between([(None, &now)]), None);
        assert_eq!(Spread::between([]), None);
    }

    #[test]
    fn buckets_that_are_none_are_not_read() {
        let odd = |bounds: &[f64], counts: &[u64]| Histogram {
            bounds_seconds: bounds.to_vec(),
            counts: counts.to_vec(),
            sum_seconds: 0.0,
        };
        let good = histogram([0; 4]);
        for odd in [odd(&[], &[]), odd(&[0.001], &[1, 1]), odd(&[0.001, 0.002, 0.004], &[1, 1, 1])]
        {
            assert_eq!(Spread::between([(Some(&good), &odd)]), None, "{odd:?}");
            assert_eq!(Spread::between([(Some(&odd), &odd)]), None, "{odd:?}");
        }
    }

    #[test]
    fn all_workers_count_together_but_for_those_that_cannot() {
        let (none, fast, slow) =
            (histogram([0; 4]), histogram([60, 0, 0, 0]), histogram([0, 0, 40, 0]));
        let pairs =
            [(Some(&none), &fast), (Some(&none), &slow), (None, &slow), (Some(&slow), &fast)];
        let spread = Spread::between(pairs).map(|it| (it.count, it.p50, it.p99));
        assert_eq!(spread, Some((100, UpTo::Seconds(0.001), UpTo::Seconds(0.004))));
    }
}
