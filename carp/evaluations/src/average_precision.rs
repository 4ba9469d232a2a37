//! Average precision, as the protocols define it.
//!
//! With the images in order of decreasing score, precision P(r) and recall R(r) are taken after
//! each rank r whose score is above the next one's, so that the order of equal scores does not
//! matter; p(t) = max P(r) over R(r) >= t.

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

/// Average precision of `scores`, given which images are `positive`; `None` if none is. Images with
/// equal scores share one rank, the last.
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
    // One per hit: without hits precision only falls, so its maxima are where there are some.
    let mut precision: Vec<f64> = Vec::with_capacity(positives);
    let mut rank = 0;
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        rank += equal.len();
        let hits = precision.len() + equal.iter().filter(|&&i| positive[i]).count();
        precision.resize(hits, hits as f64 / rank as f64);
    }
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
        // Of one collapsed network: as many positives as there are, in whatever order.
        for positive in [[true, false, false, false], [false, false, false, true]] {
            for scores in [[0.5; 4], [0.0, -0.0, 0.0, -0.0]] {
                for interpolation in [Interpolation::AllPoints, Interpolation::ElevenPoints] {
                    assert_eq!(average_precision(&scores, &positive, interpolation), Some(0.25));
                }
            }
        }
        // Ranks 1 and 3, the second shared by a hit and a miss: 1 and 2/3.
        let tied =
            average_precision(&[2.0, 1.0, 1.0], &[true, true, false], Interpolation::AllPoints);
        assert!((tied.unwrap() - 5.0 / 6.0).abs() < 1e-12);
        // Ranks 0 and 3 of 4 positives: (1 + 1) / 2 + (1/3 + 2/4) / 2, over 4.
        let area = trapezoid_average_precision(&[0, 3], 4);
        assert!((area - (1.0 + (1.0 / 3.0 + 0.5) / 2.0) / 4.0).abs() < 1e-12);
    }
}
