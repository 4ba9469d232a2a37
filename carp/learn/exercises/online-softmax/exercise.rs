//! Streaming softmax: maximum and sum in one pass
//!
//!     max' = max(max, largest of the chunk)
//!     sum' = sum * exp(max - max') + sum over the chunk of exp(x - max')
//!
//! A softmax needs the maximum before the sum, so the row is read twice. If it is too long for fast
//! memory, the second trip is expensive. But a sum taken with the wrong maximum is wrong only by a
//! factor: when a larger maximum turns up, multiply by exp(max - max') and go on. So a row can be
//! read in chunks, each once, and in the end
//!
//!     ln of the sum of exp(x) = max + ln(sum)
//!
//! FlashAttention rests on this.

/// What is known of the numbers so far: sum is the sum of exp(x - max).
#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub max: f64,
    pub sum: f64,
}

impl Running {
    /// Of no numbers.
    pub fn new() -> Running {
        Running { max: f64::NEG_INFINITY, sum: 0.0 }
    }

    /// Takes in a chunk, which is not empty.
    pub fn absorb(&mut self, chunk: &[f64]) {
        // YOUR CODE BEGINS
        todo!("the new maximum, the old sum rescaled, the chunk's exponentials");
        // YOUR CODE ENDS
    }

    /// ln of the sum of exp(x).
    pub fn log_sum_exp(&self) -> f64 {
        self.max + self.sum.ln()
    }
}
