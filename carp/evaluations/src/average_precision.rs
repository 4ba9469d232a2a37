//! Average precision, as the protocols define it.
//!
//! With the images in order of decreasing score, precision P(r) and recall R(r) are taken after
//! each rank r; p(t) = max P(r) over R(r) >= t.

use serde::Serialize;

/// How the precision-recall curve becomes one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// The area under p(t) (PASCAL VOC since 2010, and the authors' scripts).
    AllPoints,
    /// The mean of p at 0, 0.1, ..., 1 (the PASCAL VOC 2007 devkit).
    ElevenPoints,
}

/// Average precision of `scores`, given which images are `positive`; `None` if none is. Ties keep
/// their order.
pub fn average_precision(
    scores: &[f64],
    positive: &[bool],
    interpolation: Interpolation,
) -> Option<f64> {
    let positives = positive.iter().filter(|&&positive| positive).count();
    if positives == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    // Between hits precision only falls, so its maxima are at hits.
    let ranks = (1..).zip(&order).filter(|&(_, &i)| positive[i]).map(|(rank, _)| rank);
    let mut precision: Vec<f64> =
        (1..).zip(ranks).map(|(hit, rank): (u32, u32)| f64::from(hit) / f64::from(rank)).collect();
    for hit in (0..positives - 1).rev() {
        precision[hit] = precision[hit].max(precision[hit + 1]);
    }
    Some(match interpolation {
        Interpolation::AllPoints => precision.iter().sum::<f64>() / positives as f64,
        Interpolation::ElevenPoints => {
            // Recall t is reached at hit ceil(t positives), in whole numbers.
            let at = |tenth: usize| precision[(tenth * positives).div_ceil(10).max(1) - 1];
            (0..=10).map(at).sum::<f64>() / 11.0
        }
    })
}

/// Average precision by trapezoids, as the retrieval benchmarks define it: `ranks` of the positives
/// found, from 0, ascending, out of `positives`.
pub fn trapezoid_average_precision(ranks: &[usize], positives: usize) -> f64 {
    let area = |(hit, &rank): (usize, &usize)| {
        let before = if rank == 0 { 1.0 } else { hit as f64 / rank as f64 };
        let after = (hit + 1) as f64 / (rank + 1) as f64;
        (before + after) / 2.0
    };
    ranks.iter().enumerate().map(area).sum::<f64>() / positives as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Hits at ranks 1, 4 and 5: precision 1, 2/4, 3/5; the maxima from there on 1, 3/5, 3/5.
        let scores = [0.9, 0.1, 0.8, 0.3, 0.5, -1.0];
        let positive = [true, true, false, true, false, false];
        let ap = |interpolation| average_precision(&scores, &positive, interpolation).unwrap();
        assert!((ap(Interpolation::AllPoints) - 2.2 / 3.0).abs() < 1e-12);
        // Recall 0, 0.1, 0.2, 0.3 at hit 1; the other seven at hits 2 and 3.
        assert!((ap(Interpolation::ElevenPoints) - (4.0 + 7.0 * 0.6) / 11.0).abs() < 1e-12);
        assert_eq!(average_precision(&[1.0], &[false], Interpolation::AllPoints), None);
        // Ranks 0 and 3 of 4 positives: (1 + 1) / 2 + (1/3 + 2/4) / 2, over 4.
        let area = trapezoid_average_precision(&[0, 3], 4);
        assert!((area - (1.0 + (1.0 / 3.0 + 0.5) / 2.0) / 4.0).abs() < 1e-12);
    }
}
