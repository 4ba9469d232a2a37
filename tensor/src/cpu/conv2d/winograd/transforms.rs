//! The small matrices of F(2x2,3x3) and F(4x4,3x3), applied from both sides.
//!
//! With polynomials evaluated at the points 0, 1, -1 and infinity, F(2x2,3x3) has
//!
//! ```text
//!        [1  0 -1  0]         [ 1    0    0 ]
//! B^T =  [0  1  1  0]    G =  [1/2  1/2  1/2]    A^T = [1  1  1  0]
//!        [0 -1  1  0]         [1/2 -1/2  1/2]          [0  1 -1 -1]
//!        [0  1  0 -1]         [ 0    0    1 ]
//! ```
//!
//! and with 0, p, -p, q, -q and infinity F(4x4,3x3) has, with a = p^2, b = q^2,
//!
//! ```text
//!        [ab   0  -a-b   0   1  0]         [1/ab   0     0 ]
//!        [0  -bp   -b    p   1  0]         [ s    ps    as ]            [1  1  1  1  1  0]
//! B^T =  [0   bp   -b   -p   1  0]    G =  [ s   -ps    as ]    A^T =   [0  p -p  q -q  0]
//!        [0  -aq   -a    q   1  0]         [ t    qt    bt ]            [0  a  a  b  b  0]
//!        [0   aq   -a   -q   1  0]         [ t   -qt    bt ]            [0 pa -pa qb -qb 1]
//!        [0   ab    0  -a-b  0  1]         [ 0    0     1  ]
//! ```
//!
//! where s = 1/(2a(a-b)) and t = 1/(2b(b-a)). The points p = 5/8, q = 3/2 lose far fewer digits than 1
//! and 2 (Barabasz et al., *Error Analysis and Improving the Accuracy of Winograd Convolution for Deep
//! Neural Networks*, 2020), and all numbers of A and B are exact in f32.

use std::ops::{Add, Mul, Neg, Sub};

/// `L` channels of a pixel, or of a place in the transform.
#[derive(Clone, Copy)]
pub struct Vector<const L: usize>(pub [f32; L]);

/// The matrices of F(MxM,3x3), whose tiles are TxT, each applied to a column.
pub trait Transforms<const M: usize, const T: usize>: Sync {
    /// `B^T d`: the input.
    fn input<const L: usize>(d: [Vector<L>; T]) -> [Vector<L>; T];
    /// `G g`: a filter.
    fn filter<const L: usize>(g: [Vector<L>; 3]) -> [Vector<L>; T];
    /// `A^T m`: the output.
    fn output<const L: usize>(m: [Vector<L>; T]) -> [Vector<L>; M];
    /// `A dy`: the gradient by the products, from that by the output.
    fn output_backward<const L: usize>(dy: [Vector<L>; M]) -> [Vector<L>; T];
    /// `G^T du`: the gradient by a filter, from that by its transform.
    fn filter_backward<const L: usize>(du: [Vector<L>; T]) -> [Vector<L>; 3];
}

/// F(2x2,3x3).
pub struct F2;

impl Transforms<2, 4> for F2 {
    #[inline(always)]
    fn input<const L: usize>([d0, d1, d2, d3]: [Vector<L>; 4]) -> [Vector<L>; 4] {
        [d0 - d2, d1 + d2, d2 - d1, d1 - d3]
    }

    #[inline(always)]
    fn filter<const L: usize>([g0, g1, g2]: [Vector<L>; 3]) -> [Vector<L>; 4] {
        let outer = g0 + g2;
        [g0, (outer + g1) * 0.5, (outer - g1) * 0.5, g2]
    }

    #[inline(always)]
    fn output<const L: usize>([m0, m1, m2, m3]: [Vector<L>; 4]) -> [Vector<L>; 2] {
        [m0 + m1 + m2, m1 - m2 - m3]
    }

    #[inline(always)]
    fn output_backward<const L: usize>([y0, y1]: [Vector<L>; 2]) -> [Vector<L>; 4] {
        [y0, y0 + y1, y0 - y1, -y1]
    }

    #[inline(always)]
    fn filter_backward<const L: usize>([u0, u1, u2, u3]: [Vector<L>; 4]) -> [Vector<L>; 3] {
        let sum = (u1 + u2) * 0.5;
        [u0 + sum, (u1 - u2) * 0.5, sum + u3]
    }
}

/// F(4x4,3x3).
pub struct F4;

const P: f32 = 5.0 / 8.0;
const Q: f32 = 3.0 / 2.0;
const A: f32 = P * P;
const B: f32 = Q * Q;
/// Of the filter, rounded once.
const SCALE_0: f32 = (1.0 / (A as f64 * B as f64)) as f32;
const SCALE_P: f32 = (0.5 / (A as f64 * (A as f64 - B as f64))) as f32;
const SCALE_Q: f32 = (0.5 / (B as f64 * (B as f64 - A as f64))) as f32;

impl Transforms<4, 6> for F4 {
    #[inline(always)]
    fn input<const L: usize>([d0, d1, d2, d3, d4, d5]: [Vector<L>; 6]) -> [Vector<L>; 6] {
        let (even_p, odd_p) = (d2.times_plus(-B, d4), d1.times_plus(-B, d3) * P);
        let (even_q, odd_q) = (d2.times_plus(-A, d4), d1.times_plus(-A, d3) * Q);
        [
            d0.times_plus(A * B, d2.times_plus(-A - B, d4)),
            even_p + odd_p,
            even_p - odd_p,
            even_q + odd_q,
            even_q - odd_q,
            d1.times_plus(A * B, d3.times_plus(-A - B, d5)),
        ]
    }

    #[inline(always)]
    fn filter<const L: usize>([g0, g1, g2]: [Vector<L>; 3]) -> [Vector<L>; 6] {
        let (even_p, odd_p) = (g2.times_plus(A, g0) * SCALE_P, g1 * (P * SCALE_P));
        let (even_q, odd_q) = (g2.times_plus(B, g0) * SCALE_Q, g1 * (Q * SCALE_Q));
        [g0 * SCALE_0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, g2]
    }

    #[inline(always)]
    fn output<const L: usize>([m0, m1, m2, m3, m4, m5]: [Vector<L>; 6]) -> [Vector<L>; 4] {
        let (even_p, odd_p) = (m1 + m2, (m1 - m2) * P);
        let (even_q, odd_q) = (m3 + m4, (m3 - m4) * Q);
        [
            m0 + even_p + even_q,
            odd_p + odd_q,
            even_p.times_plus(A, even_q * B),
            odd_p.times_plus(A, odd_q.times_plus(B, m5)),
        ]
    }

    #[inline(always)]
    fn output_backward<const L: usize>([y0, y1, y2, y3]: [Vector<L>; 4]) -> [Vector<L>; 6] {
        let (even_p, odd_p) = (y2.times_plus(A, y0), y3.times_plus(A, y1) * P);
        let (even_q, odd_q) = (y2.times_plus(B, y0), y3.times_plus(B, y1) * Q);
        [y0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, y3]
    }

    #[inline(always)]
    fn filter_backward<const L: usize>([u0, u1, u2, u3, u4, u5]: [Vector<L>; 6]) -> [Vector<L>; 3] {
        let (even_p, odd_p) = ((u1 + u2) * SCALE_P, (u1 - u2) * (P * SCALE_P));
        let (even_q, odd_q) = ((u3 + u4) * SCALE_Q, (u3 - u4) * (Q * SCALE_Q));
        [
            u0.times_plus(SCALE_0, even_p + even_q),
            odd_p + odd_q,
            even_p.times_plus(A, even_q.times_plus(B, u5)),
        ]
    }
}

/// `F x F^T`, where f multiplies a column by F: element (i, j) of x from `load`, of the result to
/// `store`.
#[inline(always)]
pub fn both_sides<const L: usize, const N: usize, const M: usize>(
    load: impl Fn(usize, usize) -> Vector<L>,
    f: impl Fn([Vector<L>; N]) -> [Vector<L>; M],
    mut store: impl FnMut(usize, usize, Vector<L>),
) {
    let zero = Vector([0.0; L]);
    let mut half = [[zero; N]; M];
    for column in 0..N {
        let mut from = [zero; N];
        for (row, from) in from.iter_mut().enumerate() {
            *from = load(row, column);
        }
        for (half, to) in half.iter_mut().zip(f(from)) {
            half[column] = to;
        }
    }
    for (row, half) in half.into_iter().enumerate() {
        for (column, to) in f(half).into_iter().enumerate() {
            store(row, column, to);
        }
    }
}

impl<const L: usize> Vector<L> {
    /// The first numbers of x.
    #[inline(always)]
    pub fn load(x: &[f32]) -> Vector<L> {
        Vector(*x.first_chunk().expect("as many channels"))
    }

    /// Writes them to the start of y.
    #[inline(always)]
    pub fn store(self, y: &mut [f32]) {
        *y.first_chunk_mut().expect("as many channels") = self.0;
    }

    /// `self * factor + other`, rounded once.
    #[inline(always)]
    fn times_plus(self, factor: f32, other: Vector<L>) -> Vector<L> {
        self.with(other, |a, b| a.mul_add(factor, b))
    }

    #[inline(always)]
    fn with(mut self, other: Vector<L>, f: impl Fn(f32, f32) -> f32) -> Vector<L> {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = f(*a, b);
        }
        self
    }
}

impl<const L: usize> Add for Vector<L> {
    type Output = Vector<L>;

    #[inline(always)]
    fn add(self, other: Vector<L>) -> Vector<L> {
        self.with(other, |a, b| a + b)
    }
}

impl<const L: usize> Sub for Vector<L> {
    type Output = Vector<L>;

    #[inline(always)]
    fn sub(self, other: Vector<L>) -> Vector<L> {
        self.with(other, |a, b| a - b)
    }
}

impl<const L: usize> Neg for Vector<L> {
    type Output = Vector<L>;

    #[inline(always)]
    fn neg(self) -> Vector<L> {
        self * -1.0
    }
}

impl<const L: usize> Mul<f32> for Vector<L> {
    type Output = Vector<L>;

    #[inline(always)]
    fn mul(self, factor: f32) -> Vector<L> {
        self.with(Vector([factor; L]), |a, b| a * b)
    }
}
