//! The matrices of F(2x2,3x3), from polynomials evaluated at the points 0, 1, -1 and infinity:
//!
//! ```text
//!        [1  0 -1  0]         [ 1    0    0 ]
//! B^T =  [0  1  1  0]    G =  [1/2  1/2  1/2]    A^T = [1  1  1  0]
//!        [0 -1  1  0]         [1/2 -1/2  1/2]          [0  1 -1 -1]
//!        [0  1  0 -1]         [ 0    0    1 ]
//! ```

use isa::Vector;

use super::transforms::{Matrix, Transforms};

/// F(2x2,3x3).
pub struct F2;

impl Transforms<2, 4> for F2 {
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

impl Matrix<4, 4> for Input {
    #[inline(always)]
    fn times<V: Vector>([d0, d1, d2, d3]: [V; 4]) -> [V; 4] {
        [d0 - d2, d1 + d2, d2 - d1, d1 - d3]
    }
}

impl Matrix<3, 4> for Filter {
    #[inline(always)]
    fn times<V: Vector>([g0, g1, g2]: [V; 3]) -> [V; 4] {
        let outer = g0 + g2;
        [g0, (outer + g1) * 0.5, (outer - g1) * 0.5, g2]
    }
}

impl Matrix<4, 2> for Output {
    #[inline(always)]
    fn times<V: Vector>([m0, m1, m2, m3]: [V; 4]) -> [V; 2] {
        [m0 + m1 + m2, m1 - m2 - m3]
    }
}

impl Matrix<2, 4> for OutputBackward {
    #[inline(always)]
    fn times<V: Vector>([y0, y1]: [V; 2]) -> [V; 4] {
        [y0, y0 + y1, y0 - y1, -y1]
    }
}

impl Matrix<4, 3> for FilterBackward {
    #[inline(always)]
    fn times<V: Vector>([u0, u1, u2, u3]: [V; 4]) -> [V; 3] {
        let sum = (u1 + u2) * 0.5;
        [u0 + sum, (u1 - u2) * 0.5, sum + u3]
    }
}
