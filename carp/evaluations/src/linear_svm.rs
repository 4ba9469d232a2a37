//! A linear support vector machine with squared hinge loss, by dual coordinate descent with
//! shrinking, as in LIBLINEAR (Hsieh et al., 2008).
//!
//! ```text
//! primal  min_w  |w|^2 / 2 + sum_i C_i max(0, 1 - y_i <w, x_i>)^2       x_i ends with the intercept's 1
//! dual    min_a  |w|^2 / 2 + sum_i (a_i^2 / (4 C_i) - a_i),  a_i >= 0,  w = sum_i a_i y_i x_i
//! step    G = y_i <w, x_i> - 1 + a_i / (2 C_i);  a_i <- max(0, a_i - G / (|x_i|^2 + 1 / (2 C_i)))
//! ```
//!
//! The projected gradient is G, or min(G, 0) where a_i = 0. Training ends with a sweep over all i,
//! in random order, whose projected gradients span at most the tolerance. Shrinking skips those i
//! with a_i = 0 whose G is above the largest projected gradient of the previous sweep; they are
//! checked again before the end.

use carp::error::{Error, Result};
use isa::{Isa, multiversion};
use serde::Serialize;
use tensor::random::Stream;

/// Training settings; the default class weights are the authors' (docs/method.md, section 2).
#[derive(Clone, Debug, Serialize)]
pub struct SvmOptions {
    /// Weight of the loss of positive examples, times C.
    pub positive_weight: f64,
    /// Weight of the loss of negative examples, times C.
    pub negative_weight: f64,
    /// Range of the projected gradients at convergence.
    pub tolerance: f64,
    /// Maximum sweeps.
    pub max_iterations: usize,
    /// Constant appended to every example for the intercept; 0 means no intercept.
    pub intercept_scaling: f64,
}

impl Default for SvmOptions {
    fn default() -> SvmOptions {
        SvmOptions {
            positive_weight: 2.0,
            negative_weight: 1.0,
            tolerance: 1e-4,
            max_iterations: 2000,
            intercept_scaling: 1.0,
        }
    }
}

impl SvmOptions {
    /// Fails unless every setting is in range.
    ///
    /// # Errors
    /// As above.
    pub fn check(&self) -> Result<()> {
        let above_0 = |x: f64| x > 0.0 && x.is_finite();
        let wrong = if !(above_0(self.positive_weight) && above_0(self.negative_weight)) {
            "weights of positive and negative images should be above 0"
        } else if !above_0(self.tolerance) {
            "the tolerance should be above 0"
        } else if self.max_iterations == 0 {
            "0 sweeps: choose at least 1"
        } else if !(self.intercept_scaling >= 0.0 && self.intercept_scaling.is_finite()) {
            "the intercept's constant should be 0 or more"
        } else {
            return Ok(());
        };
        Err(Error::usage(format!("SVM: {wrong}")))
    }
}

/// A trained SVM.
#[derive(Clone, Debug)]
pub struct LinearSvm {
    /// `[D]`.
    pub weights: Vec<f64>,
    /// Added to the product.
    pub intercept: f64,
    /// Sweeps made.
    pub iterations: usize,
    /// Whether the tolerance was reached.
    pub has_converged: bool,
}

impl LinearSvm {
    /// `<w, x> + intercept`: above 0 is positive.
    #[multiversion(Isa::preferred())]
    pub fn decision(&self, x: &[f32]) -> f64 {
        dot(&self.weights, x) + self.intercept
    }
}

/// Trains with cost `c` on examples and whether they are positive; `stream` orders the sweeps.
///
/// # Panics
/// If there are no examples, or the lengths differ.
#[multiversion(Isa::preferred())]
pub fn train(
    examples: &[&[f32]],
    is_positive: &[bool],
    c: f64,
    options: &SvmOptions,
    stream: &mut Stream,
) -> LinearSvm {
    assert_eq!(examples.len(), is_positive.len(), "an answer for each example");
    let scaling = options.intercept_scaling;
    let softness = |is_positive: bool| {
        let weight = if is_positive { options.positive_weight } else { options.negative_weight };
        0.5 / (c * weight)
    };
    let squares: Vec<f64> = examples.iter().map(|x| square(x) + scaling * scaling).collect();
    let mut dual = vec![0.0; examples.len()];
    let mut weights = vec![0.0; examples[0].len()];
    // The intercept's component of w; its input is `scaling`.
    let mut last_weight = 0.0;
    let mut order: Vec<u32> = (0..examples.len() as u32).collect();
    let mut active = order.len();
    let mut largest_before = f64::INFINITY;
    let (mut iterations, mut has_converged) = (0, false);
    while iterations < options.max_iterations {
        let (mut largest, mut smallest) = (f64::NEG_INFINITY, f64::INFINITY);
        stream.shuffle(&mut order[..active]);
        let mut place = 0;
        while place < active {
            let i = order[place] as usize;
            let (x, softness) = (examples[i], softness(is_positive[i]));
            let y = if is_positive[i] { 1.0 } else { -1.0 };
            let product = dot(&weights, x) + last_weight * scaling;
            let gradient = y * product - 1.0 + dual[i] * softness;
            if dual[i] == 0.0 && gradient > largest_before {
                active -= 1;
                order.swap(place, active);
                continue;
            }
            let projected = if dual[i] == 0.0 { gradient.min(0.0) } else { gradient };
            largest = largest.max(projected);
            smallest = smallest.min(projected);
            if projected.abs() > 1e-12 {
                let old = dual[i];
                dual[i] = (old - gradient / (squares[i] + softness)).max(0.0);
                let step = (dual[i] - old) * y;
                for (weight, &x) in weights.iter_mut().zip(x) {
                    *weight += step * f64::from(x);
                }
                last_weight += step * scaling;
            }
            place += 1;
        }
        iterations += 1;
        if largest - smallest <= options.tolerance {
            if active == order.len() {
                has_converged = true;
                break;
            }
            // Reactivate the skipped ones.
            active = order.len();
            largest_before = f64::INFINITY;
            continue;
        }
        largest_before = if largest <= 0.0 { f64::INFINITY } else { largest };
    }
    LinearSvm { weights, intercept: last_weight * scaling, iterations, has_converged }
}

#[inline(always)]
fn square(x: &[f32]) -> f64 {
    x.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

/// <w, x> in lanes, in double precision.
#[inline(always)]
fn dot(w: &[f64], x: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0f64; LANES];
    let (rows_w, rows_x) = (w.chunks_exact(LANES), x.chunks_exact(LANES));
    let rest = rows_w.remainder().iter().zip(rows_x.remainder());
    let rest: f64 = rest.map(|(w, &x)| w * f64::from(x)).sum();
    for (w, x) in rows_w.zip(rows_x) {
        for ((lane, w), &x) in lanes.iter_mut().zip(w).zip(x) {
            *lane = w.mul_add(f64::from(x), *lane);
        }
    }
    rest + lanes.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use tensor::random::Purpose;

    use super::*;

    #[test]
    fn the_gradient_vanishes_at_the_end() {
        let mut stream = Stream::new(0, Purpose::Test, 0, 0);
        let examples: Vec<Vec<f32>> =
            (0..120).map(|_| (0..20).map(|_| stream.normal()).collect()).collect();
        let is_positive: Vec<bool> =
            examples.iter().map(|x| x[0] + 0.5 * x[3] + 0.8 * stream.normal() > 0.3).collect();
        let rows: Vec<&[f32]> = examples.iter().map(Vec::as_slice).collect();
        let options = SvmOptions { tolerance: 1e-9, ..SvmOptions::default() };
        let svm = train(&rows, &is_positive, 0.5, &options, &mut stream);
        assert!(svm.has_converged);
        // d primal / dw = w - 2 sum_i C_i y_i x_i max(0, 1 - y_i f_i), with the intercept last.
        let mut gradient: Vec<f64> = svm.weights.clone();
        gradient.push(svm.intercept);
        for (x, &is_positive) in rows.iter().zip(&is_positive) {
            let (y, c) = if is_positive { (1.0, 1.0) } else { (-1.0, 0.5) };
            let loss = (1.0 - y * svm.decision(x)).max(0.0);
            for (gradient, &x) in gradient.iter_mut().zip(x.iter().chain(&[1.0])) {
                *gradient -= 2.0 * c * y * f64::from(x) * loss;
            }
        }
        assert!(gradient.iter().all(|g| g.abs() < 1e-7), "{gradient:?}");
    }

    #[test]
    fn sweeps_end() {
        let options = SvmOptions { tolerance: 0.0, max_iterations: 3, ..SvmOptions::default() };
        let rows: [&[f32]; 2] = [&[1.0], &[-1.0]];
        let mut stream = Stream::new(0, Purpose::Test, 0, 0);
        let svm = train(&rows, &[true, false], 0.5, &options, &mut stream);
        assert!(svm.iterations <= 3);
    }
}
