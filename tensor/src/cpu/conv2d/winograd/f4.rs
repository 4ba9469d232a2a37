//! The matrices of F(4x4,3x3), from polynomials evaluated at 0, p, -p, q, -q and infinity; with a = p^2,
//! b = q^2,
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

use isa::Vector;

use super::transforms::{Matrix, Transforms};

/// F(4x4,3x3).
pub struct F4;

impl Transforms<4, 6> for F4 {
    type Input = Input;
    type Filter = Filter;
    type Output = Output;
    type OutputBackward = OutputBackward;
    type FilterBackward = FilterBackward;
}

/// `B^T`
pub struct Input;
/// `G`
pub struct Filter;
/// `A^T`
pub struct Output;
/// `A`
pub struct OutputBackward;
/// `G^T`
pub struct FilterBackward;

const P: f32 = 5.0 / 8.0;
const Q: f32 = 3.0 / 2.0;
const A: f32 = P * P;
const B: f32 = Q * Q;
/// Of the filter, rounded once.
const SCALE_0: f32 = (1.0 / (A as f64 * B as f64)) as f32;
const SCALE_P: f32 = (0.5 / (A as f64 * (A as f64 - B as f64))) as f32;
const SCALE_Q: f32 = (0.5 / (B as f64 * (B as f64 - A as f64))) as f32;

impl Matrix<6, 6> for Input {
    #[inline(always)]
    fn times<V: Vector>([d0, d1, d2, d3, d4, d5]: [V; 6]) -> [V; 6] {
        let (even_p, odd_p) = (d2.mul_add(-B, d4), d1.mul_add(-B, d3) * P);
        let (even_q, odd_q) = (d2.mul_add(-A, d4), d1.mul_add(-A, d3) * Q);
        [
            d0.mul_add(A * B, d2.mul_add(-A - B, d4)),
            even_p + odd_p,
            even_p - odd_p,
            even_q + odd_q,
            even_q - odd_q,
            d1.mul_add(A * B, d3.mul_add(-A - B, d5)),
        ]
    }
}

impl Matrix<3, 6> for Filter {
    #[inline(always)]
    fn times<V: Vector>([g0, g1, g2]: [V; 3]) -> [V; 6] {
        let (even_p, odd_p) = (g2.mul_add(A, g0) * SCALE_P, g1 * (P * SCALE_P));
        let (even_q, odd_q) = (g2.mul_add(B, g0) * SCALE_Q, g1 * (Q * SCALE_Q));
        [g0 * SCALE_0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, g2]
    }
}

impl Matrix<6, 4> for Output {
    #[inline(always)]
    fn times<V: Vector>([m0, m1, m2, m3, m4, m5]: [V; 6]) -> [V; 4] {
        let (even_p, odd_p) = (m1 + m2, (m1 - m2) * P);
        let (even_q, odd_q) = (m3 + m4, (m3 - m4) * Q);
        [
            m0 + even_p + even_q,
            odd_p + odd_q,
            even_p.mul_add(A, even_q * B),
            odd_p.mul_add(A, odd_q.mul_add(B, m5)),
        ]
    }
}

impl Matrix<4, 6> for OutputBackward {
    #[inline(always)]
    fn times<V: Vector>([y0, y1, y2, y3]: [V; 4]) -> [V; 6] {
        let (even_p, odd_p) = (y2.mul_add(A, y0), y3.mul_add(A, y1) * P);
        let (even_q, odd_q) = (y2.mul_add(B, y0), y3.mul_add(B, y1) * Q);
        [y0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, y3]
    }
}

impl Matrix<6, 3> for FilterBackward {
    #[inline(always)]
    fn times<V: Vector>([u0, u1, u2, u3, u4, u5]: [V; 6]) -> [V; 3] {
        let (even_p, odd_p) = ((u1 + u2) * SCALE_P, (u1 - u2) * (P * SCALE_P));
        let (even_q, odd_q) = ((u3 + u4) * SCALE_Q, (u3 - u4) * (Q * SCALE_Q));
        [
            u0.mul_add(SCALE_0, even_p + even_q),
            odd_p + odd_q,
            even_p.mul_add(A, even_q.mul_add(B, u5)),
        ]
    }
}
