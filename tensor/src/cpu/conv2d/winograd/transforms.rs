//! The small matrices of F(2x2,3x3), applied from both sides.
//!
//! ```text
//!        [1  0 -1  0]         [ 1    0    0 ]
//! B^T =  [0  1  1  0]    G =  [1/2  1/2  1/2]    A^T = [1  1  1  0]
//!        [0 -1  1  0]         [1/2 -1/2  1/2]          [0  1 -1 -1]
//!        [0  1  0 -1]         [ 0    0    1 ]
//! ```

use std::ops::{Add, Mul, Neg, Sub};

/// `L` channels of a pixel, or of a place in the transform.
#[derive(Clone, Copy)]
pub struct Vector<const L: usize>(pub [f32; L]);

/// `N` x `N` of them, row by row.
pub type Square<const L: usize, const N: usize> = [[Vector<L>; N]; N];

/// `B^T d B`: a tile of the input.
#[inline(always)]
pub fn input<const L: usize>(d: Square<L, 4>) -> Square<L, 4> {
    both_sides(d, |[d0, d1, d2, d3]| [d0 - d2, d1 + d2, d2 - d1, d1 - d3])
}

/// `G g G^T`: a filter.
#[inline(always)]
pub fn filter<const L: usize>(g: Square<L, 3>) -> Square<L, 4> {
    both_sides(g, |[g0, g1, g2]| {
        let outer = g0 + g2;
        [g0, (outer + g1) * 0.5, (outer - g1) * 0.5, g2]
    })
}

/// `A^T m A`: a tile of the output.
#[inline(always)]
pub fn output<const L: usize>(m: Square<L, 4>) -> Square<L, 2> {
    both_sides(m, |[m0, m1, m2, m3]| [m0 + m1 + m2, m1 - m2 - m3])
}

/// `A dy A^T`: the gradient by the products, from a tile of the gradient by the output.
#[inline(always)]
pub fn output_backward<const L: usize>(dy: Square<L, 2>) -> Square<L, 4> {
    both_sides(dy, |[y0, y1]| [y0, y0 + y1, y0 - y1, -y1])
}

/// `G^T du G`: the gradient by a filter, from that by its transform.
#[inline(always)]
pub fn filter_backward<const L: usize>(du: Square<L, 4>) -> Square<L, 3> {
    both_sides(du, |[u0, u1, u2, u3]| {
        let sum = (u1 + u2) * 0.5;
        [u0 + sum, (u1 - u2) * 0.5, sum + u3]
    })
}

/// `F x F^T`, where f multiplies a column by F.
#[inline(always)]
fn both_sides<const L: usize, const N: usize, const M: usize>(
    x: Square<L, N>,
    f: impl Fn([Vector<L>; N]) -> [Vector<L>; M],
) -> Square<L, M> {
    let zero = Vector([0.0; L]);
    let mut half = [[zero; N]; M];
    for column in 0..N {
        let mut from = [zero; N];
        for row in 0..N {
            from[row] = x[row][column];
        }
        let to = f(from);
        for row in 0..M {
            half[row][column] = to[row];
        }
    }
    let mut whole = [[zero; M]; M];
    for row in 0..M {
        whole[row] = f(half[row]);
    }
    whole
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
