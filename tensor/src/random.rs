//! Random numbers as a pure function of (seed, purpose, epoch, index).
//!
//! A stream is a ChaCha8 generator whose 256-bit key *is* those four numbers. No generator is kept
//! across samples, so the order of work, the number of threads, and kill and resume change nothing.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use crate::math;

/// The purpose of a stream; streams of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights; the index is the parameter's place in the model.
    Weights = 1,
    /// Order of the samples in an epoch.
    Order = 2,
    /// Views of a sample; the index is the sample.
    Views = 3,
    /// Random partition of the prototypes; the index is the micro-batch.
    Partition = 4,
    /// Images of the procedural data set; the index is the image.
    Shapes = 5,
    /// Sampling and starts in evaluations.
    Evaluation = 6,
    /// Test inputs.
    Test = 7,
    /// Initial queues and words of a method; the index is the tensor's place among them.
    State = 8,
    /// What a method samples during a run: centroids, negatives, positions.
    Sample = 9,
}

/// A stream of random numbers.
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream for the four numbers.
    pub fn new(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> Stream {
        let mut key = [0; 32];
        for (bytes, number) in key.chunks_exact_mut(8).zip([seed, purpose as u64, epoch, index]) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// Uniform over all u32.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in [0, 1), a multiple of 2^-24.
    pub fn uniform(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// Uniform in [low, high).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// Uniform in 0..n, unbiased.
    ///
    /// # Panics
    /// If n is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "below(0)");
        // Lemire's multiply-shift: the low half identifies the few draws that would bias the
        // result.
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.0.next_u32()) * u64::from(n);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// Standard normal, by Box and Muller's transform of two uniforms.
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * math::ln(1.0 - self.uniform())).sqrt();
        radius * math::cos(std::f32::consts::TAU * self.uniform())
    }

    /// Shuffles `items` (Fisher and Yates).
    pub fn shuffle(&mut self, items: &mut [u32]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ChaCha8, key and nonce of zeros: TC1 of draft-strombergson-chacha-test-vectors-01. The
    /// generator outputs the keystream as little-endian words, block by block.
    #[test]
    fn the_generator_is_chacha8() {
        let mut stream = Stream(ChaCha8Rng::from_seed([0; 32]));
        let blocks = [
            [0x3e00ef2fu32, 0x895f40d6, 0x7f5bb8e8, 0x1f09a5a1],
            [0x2c840ec3, 0xce9a7f3b, 0x181be188, 0xef711a1e],
            [0x984ce172, 0xb9216f41, 0x9f445367, 0x456d5619],
            [0x314a42a3, 0xda86b001, 0x387bfdb8, 0x0e0cfe42],
            [0xd2aefa0d, 0xeaa5c151, 0xbf0adb6c, 0x01f2a5ad],
            [0xc0fd5812, 0x59f9a2aa, 0xdcf20f8f, 0xd566a26b],
            [0x5032ec38, 0xbbc5da98, 0xee0c6f56, 0x8b872a65],
            [0xa08abf25, 0x1deb21bb, 0x4b56e5d8, 0x821e68aa],
        ];
        for word in blocks.into_iter().flatten() {
            assert_eq!(stream.next_u32(), word.swap_bytes());
        }
    }

    /// Weights, orders, views and images of all existing runs depend on these.
    #[test]
    fn draws_stay_the_same() {
        let mut stream = Stream::new(1, Purpose::Views, 2, 3);
        let words: [u32; 4] = std::array::from_fn(|_| stream.next_u32());
        assert_eq!(words, [3_444_441_023, 1_653_324_736, 1_819_758_844, 2_154_016_172]);
        let floats = [stream.uniform(), stream.normal()].map(f32::to_bits);
        assert_eq!((floats, stream.below(1000)), ([1_048_744_456, 3_204_767_350], 445));
        // Beyond the blocks that the generator computes at a time.
        let late = (0..10_000).map(|_| stream.next_u32()).fold(0, u32::wrapping_add);
        assert_eq!(late, 2_526_543_952);
        let mut order: Vec<u32> = (0..8).collect();
        stream.shuffle(&mut order);
        assert_eq!(order, [6, 0, 1, 5, 3, 4, 2, 7]);
    }

    #[test]
    fn streams_are_repeatable_and_differ_in_each_number() {
        let first =
            |seed, purpose, epoch, index| Stream::new(seed, purpose, epoch, index).next_u32();
        let base = first(1, Purpose::Views, 2, 3);
        assert_eq!(base, first(1, Purpose::Views, 2, 3));
        for other in [
            first(0, Purpose::Views, 2, 3),
            first(1, Purpose::Order, 2, 3),
            first(1, Purpose::Views, 0, 3),
            first(1, Purpose::Views, 2, 0),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn draws_have_their_moments() {
        let mut stream = Stream::new(0, Purpose::Test, 0, 0);
        let n = 100_000;
        let (mut uniform, mut normal, mut square) = (0.0f64, 0.0f64, 0.0f64);
        let mut counts = [0u32; 7];
        for _ in 0..n {
            uniform += f64::from(stream.uniform());
            let z = f64::from(stream.normal());
            normal += z;
            square += z * z;
            counts[stream.below(7) as usize] += 1;
        }
        let n = f64::from(n);
        assert!((uniform / n - 0.5).abs() < 0.005);
        assert!((normal / n).abs() < 0.02 && (square / n - 1.0).abs() < 0.03);
        assert!(counts.iter().all(|&c| (f64::from(c) / n - 1.0 / 7.0).abs() < 0.006));
    }

    #[test]
    fn shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new(3, Purpose::Partition, 0, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
