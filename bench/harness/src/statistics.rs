//! Medians, and how sure one may be of them.

/// Resamplings of a bootstrap.
const RESAMPLINGS: usize = 4000;

/// The middle value; the mean of the two middle ones if there is no middle. None without values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 0 => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

/// Smallest and largest value.
pub(crate) fn range(values: &[f64]) -> Option<(f64, f64)> {
    let smallest = values.iter().copied().min_by(f64::total_cmp)?;
    let largest = values.iter().copied().max_by(f64::total_cmp)?;
    Some((smallest, largest))
}

/// The interval that the median lies in with 90 % confidence: the values are drawn again and
/// again, with repetition, and the middle 90 % of the medians of these draws is the answer.
///
/// With three rounds or fewer this is little more than the range, which is honest.
pub(crate) fn interval_90(values: &[f64]) -> Option<(f64, f64)> {
    // Always the same draws: the same rounds give the same interval.
    let mut random = XorShift(0x9e37_79b9_7f4a_7c15);
    let mut draw = vec![0.0; values.len()];
    let mut medians = Vec::with_capacity(RESAMPLINGS);
    for _ in 0..RESAMPLINGS {
        draw.fill_with(|| values[random.below(values.len())]);
        medians.push(median(&draw)?);
    }
    medians.sort_by(f64::total_cmp);
    Some((medians[RESAMPLINGS / 20], medians[RESAMPLINGS - 1 - RESAMPLINGS / 20]))
}

/// Marsaglia's xorshift: random enough to draw rounds.
struct XorShift(u64);

impl XorShift {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // No truncation: the remainder is below `limit`.
        (self.0 % limit as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_few_and_many() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[2.0]), Some(2.0));
        assert_eq!(median(&[3.0, 1.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(range(&[9.0, 1.0, 2.0]), Some((1.0, 9.0)));
    }

    #[test]
    fn the_interval_holds_the_median_and_narrows_with_more_values() {
        let values: Vec<f64> = (0..40).map(|n| f64::from(n * 7 % 40)).collect();
        let (low, high) = interval_90(&values).unwrap();
        assert!(low < 19.5 && 19.5 < high, "{low} {high}");
        let (few_low, few_high) = interval_90(&values[..8]).unwrap();
        assert!(high - low < few_high - few_low);
        assert_eq!(interval_90(&[1.0; 5]), Some((1.0, 1.0)));
        assert_eq!(interval_90(&[]), None);
    }
}
