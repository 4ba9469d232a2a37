//! Softmax: from any numbers to probabilities, without overflow
//!
//!     y[c] = exp(x[c]) / sum over a of exp(x[a])
//!
//! All y are positive and their sum is 1; the largest x gets the largest share. But exp(710) is
//! already infinite in f64 (in f32, exp(89) is), and infinity over infinity is NaN. A constant added
//! to all x changes nothing, since exp(x + k) = exp(x) exp(k) and exp(k) cancels. So subtract the
//! largest:
//!
//!     y[c] = exp(x[c] - m) / sum over a of exp(x[a] - m)        m = max over a of x[a]
//!
//! Now the largest exponent is 0: nothing overflows, and the sum is at least 1.

/// The softmax of a row.
pub fn softmax(x: &[f64]) -> Vec<f64> {
    // YOUR CODE BEGINS
    todo!("the maximum, the exponentials, their sum, the quotients")
    // YOUR CODE ENDS
}
