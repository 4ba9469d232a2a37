//! Versions of a function run with what they were compiled for, and give the same bits.

use isa::{Isa, multiversion};

/// `sum of f(x) weight`, in 16 chains.
#[multiversion(isa)]
fn weighted<const N: usize, F: Fn(f32) -> f32>(
    isa: Isa,
    f: F,
    [x, weights]: [&[f32; N]; 2],
) -> [f32; 16] {
    let mut sums = [0.0f32; 16];
    for (x, weights) in x.chunks_exact(16).zip(weights.chunks_exact(16)) {
        for ((sum, x), weight) in sums.iter_mut().zip(x).zip(weights) {
            *sum = f(*x).mul_add(*weight, *sum);
        }
    }
    sums
}

#[test]
fn all_give_the_same_bits() {
    let x: [f32; 160] = std::array::from_fn(|i| (i as f32 * 0.37).sin());
    let weights: [f32; 160] = std::array::from_fn(|i| (i as f32 * 0.73).cos());
    // The product of two f32 is exact in f64.
    let mut want = [0.0f32; 16];
    for (i, (x, weight)) in x.iter().zip(weights).enumerate() {
        let sum = f64::from(*x * 3.0) * f64::from(weight) + f64::from(want[i % 16]);
        want[i % 16] = sum as f32;
    }
    for isa in Isa::available() {
        let sums = weighted(isa, |x| x * 3.0, [&x, &weights]);
        assert_eq!(sums.map(f32::to_bits), want.map(f32::to_bits), "{isa:?}");
    }
}

struct Counter {
    isa: Isa,
    count: u32,
}

impl Counter {
    #[multiversion(self.isa)]
    fn add(&mut self, (a, b): (u32, u32)) -> &mut u32 {
        self.count += a * b;
        &mut self.count
    }
}

#[test]
fn methods_and_patterns_are_handed_on() {
    for isa in Isa::available() {
        let mut counter = Counter { isa, count: 1 };
        *counter.add((2, 3)) += 1;
        assert_eq!(counter.count, 8);
    }
}
