//! The matrix product of the crate `matrixmultiply`, which ours is measured against.

use tensor::cpu::gemm::Strides;

/// C = A B on this thread, with A `[m,k]`, B `[k,n]` and C `[m,n]` row-major. Allocates.
///
/// # Panics
/// If a matrix is empty or reaches outside its slice.
pub fn sgemm(
    (m, k, n): (usize, usize, usize),
    (a, a_strides): (&[f32], Strides),
    (b, b_strides): (&[f32], Strides),
    c: &mut [f32],
) {
    assert!(a.len() >= reach(a_strides, m, k), "A of {} elements is not {m}x{k}", a.len());
    assert!(b.len() >= reach(b_strides, k, n), "B of {} elements is not {k}x{n}", b.len());
    assert!(c.len() >= m * n, "C of {} elements is not {m}x{n}", c.len());
    // SAFETY: the asserts above keep every element of the three matrices inside its slice, and C
    // is borrowed exclusively.
    unsafe {
        ::matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr(),
            a_strides.row as isize,
            a_strides.column as isize,
            b.as_ptr(),
            b_strides.row as isize,
            b_strides.column as isize,
            0.0,
            c.as_mut_ptr(),
            n as isize,
            1,
        );
    }
}

/// One more than the largest index in a matrix that is not empty.
fn reach(strides: Strides, rows: usize, columns: usize) -> usize {
    (rows - 1) * strides.row + (columns - 1) * strides.column + 1
}
