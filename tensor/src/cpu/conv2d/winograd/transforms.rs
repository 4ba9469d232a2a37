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

use crate::cpu::microkernel::LANES;

/// The matrices of F(MxM,3x3), whose tiles are TxT, each applied to a column.
pub trait Transforms<const M: usize, const T: usize>: Sync {
    /// `B^T d`: the input.
    fn input(d: [f32; T]) -> [f32; T];
    /// `G g`: a filter.
    fn filter(g: [f32; 3]) -> [f32; T];
    /// `A^T m`: the output.
    fn output(m: [f32; T]) -> [f32; M];
    /// `A dy`: the gradient by the products, from that by the output.
    fn output_backward(dy: [f32; M]) -> [f32; T];
    /// `G^T du`: the gradient by a filter, from that by its transform.
    fn filter_backward(du: [f32; T]) -> [f32; 3];
}

/// F(2x2,3x3).
pub struct F2;

impl Transforms<2, 4> for F2 {
    #[inline(always)]
    fn input([d0, d1, d2, d3]: [f32; 4]) -> [f32; 4] {
        [d0 - d2, d1 + d2, d2 - d1, d1 - d3]
    }

    #[inline(always)]
    fn filter([g0, g1, g2]: [f32; 3]) -> [f32; 4] {
        let outer = g0 + g2;
        [g0, (outer + g1) * 0.5, (outer - g1) * 0.5, g2]
    }

    #[inline(always)]
    fn output([m0, m1, m2, m3]: [f32; 4]) -> [f32; 2] {
        [m0 + m1 + m2, m1 - m2 - m3]
    }

    #[inline(always)]
    fn output_backward([y0, y1]: [f32; 2]) -> [f32; 4] {
        [y0, y0 + y1, y0 - y1, -y1]
    }

    #[inline(always)]
    fn filter_backward([u0, u1, u2, u3]: [f32; 4]) -> [f32; 3] {
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
    fn input([d0, d1, d2, d3, d4, d5]: [f32; 6]) -> [f32; 6] {
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

    #[inline(always)]
    fn filter([g0, g1, g2]: [f32; 3]) -> [f32; 6] {
        let (even_p, odd_p) = (g2.mul_add(A, g0) * SCALE_P, g1 * (P * SCALE_P));
        let (even_q, odd_q) = (g2.mul_add(B, g0) * SCALE_Q, g1 * (Q * SCALE_Q));
        [g0 * SCALE_0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, g2]
    }

    #[inline(always)]
    fn output([m0, m1, m2, m3, m4, m5]: [f32; 6]) -> [f32; 4] {
        let (even_p, odd_p) = (m1 + m2, (m1 - m2) * P);
        let (even_q, odd_q) = (m3 + m4, (m3 - m4) * Q);
        [
            m0 + even_p + even_q,
            odd_p + odd_q,
            even_p.mul_add(A, even_q * B),
            odd_p.mul_add(A, odd_q.mul_add(B, m5)),
        ]
    }

    #[inline(always)]
    fn output_backward([y0, y1, y2, y3]: [f32; 4]) -> [f32; 6] {
        let (even_p, odd_p) = (y2.mul_add(A, y0), y3.mul_add(A, y1) * P);
        let (even_q, odd_q) = (y2.mul_add(B, y0), y3.mul_add(B, y1) * Q);
        [y0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, y3]
    }

    #[inline(always)]
    fn filter_backward([u0, u1, u2, u3, u4, u5]: [f32; 6]) -> [f32; 3] {
        let (even_p, odd_p) = ((u1 + u2) * SCALE_P, (u1 - u2) * (P * SCALE_P));
        let (even_q, odd_q) = ((u3 + u4) * SCALE_Q, (u3 - u4) * (Q * SCALE_Q));
        [
            u0.mul_add(SCALE_0, even_p + even_q),
            odd_p + odd_q,
            even_p.mul_add(A, even_q.mul_add(B, u5)),
        ]
    }
}

/// `F x F^T`, where f multiplies a column by F.
#[inline(always)]
fn both_sides<const N: usize, const M: usize>(
    x: [[f32; N]; N],
    f: impl Fn([f32; N]) -> [f32; M] + Copy,
) -> [[f32; M]; M] {
    let mut half = [[0.0; N]; M];
    unrolled::<N>(|column| {
        let mut from = [0.0; N];
        unrolled::<N>(|row| from[row] = x[row][column]);
        let to = f(from);
        unrolled::<M>(|row| half[row][column] = to[row]);
    });
    let mut y = [[0.0; M]; M];
    unrolled::<M>(|row| y[row] = f(half[row]));
    y
}

/// Calls f with 0 .. N-1, N being at most 6, without a loop, which the compiler would keep.
#[inline(always)]
fn unrolled<const N: usize>(mut f: impl FnMut(usize)) {
    const { assert!(N <= 6) };
    if N > 0 {
        f(0);
    }
    if N > 1 {
        f(1);
    }
    if N > 2 {
        f(2);
    }
    if N > 3 {
        f(3);
    }
    if N > 4 {
        f(4);
    }
    if N > 5 {
        f(5);
    }
}

/// [`both_sides`] for the channels of a panel.
pub struct Panel<const T: usize>([[[f32; LANES]; T]; T]);

impl<const T: usize> Panel<T> {
    /// Room for matrices of up to TxT.
    #[inline(always)]
    pub fn new() -> Self {
        Panel([[[0.0; LANES]; T]; T])
    }

    /// `F x F^T`: `load` writes element (i, j) of x for all channels, `store` takes that of the result.
    /// Channels are the innermost loop, which the compiler turns into vectors.
    #[inline(always)]
    pub fn both_sides<const N: usize, const M: usize>(
        &mut self,
        load: impl Fn(usize, usize, &mut [f32; LANES]),
        f: impl Fn([f32; N]) -> [f32; M] + Copy,
        mut store: impl FnMut(usize, usize, &[f32; LANES]),
    ) {
        let Panel(panel) = self;
        for (i, row) in panel.iter_mut().take(N).enumerate() {
            for (j, lanes) in row.iter_mut().take(N).enumerate() {
                load(i, j, lanes);
            }
        }
        #[allow(clippy::needless_range_loop, reason = "a lane of every element")]
        for lane in 0..LANES {
            let mut x = [[0.0; N]; N];
            unrolled::<N>(|i| unrolled::<N>(|j| x[i][j] = panel[i][j][lane]));
            let y = both_sides(x, f);
            unrolled::<M>(|i| unrolled::<M>(|j| panel[i][j][lane] = y[i][j]));
        }
        for (i, row) in panel.iter().take(M).enumerate() {
            for (j, lanes) in row.iter().take(M).enumerate() {
                store(i, j, lanes);
            }
        }
    }
}
