//! What the small matrices of F(MxM,3x3) are, and how they are applied.

use isa::Vector;

/// A matrix as what it does to a column: M numbers from N.
pub trait Matrix<const N: usize, const M: usize> {
    /// The product with the column x, for each lane.
    fn times<V: Vector>(x: [V; N]) -> [V; M];
}

/// The matrices of F(MxM,3x3), whose tiles are TxT.
pub trait Transforms<const M: usize, const T: usize>: Sync {
    /// `B^T`: of the input.
    type Input: Matrix<T, T>;
    /// `G`: of a filter.
    type Filter: Matrix<3, T>;
    /// `A^T`: of the output.
    type Output: Matrix<T, M>;
    /// `A`: from the gradient by the output to that by the products.
    type OutputBackward: Matrix<M, T>;
    /// `G^T`: from the gradient by a filter's transform to that by the filter.
    type FilterBackward: Matrix<T, 3>;
}

/// A matrix F applied from both sides, by way of `(F x)^T`, which has room here.
pub struct BothSides<V, const N: usize, const M: usize>([[V; M]; N]);

impl<V: Vector, const N: usize, const M: usize> BothSides<V, N, M> {
    #[inline(always)]
    pub fn new() -> Self {
        BothSides([[V::zero(); M]; N])
    }

    /// `F x F^T`: `load` gives element (i, j) of x, `store` takes that of the result.
    #[inline(always)]
    pub fn times<F: Matrix<N, M>>(
        &mut self,
        load: impl Fn(usize, usize) -> V,
        mut store: impl FnMut(usize, usize, V),
    ) {
        let BothSides(columns) = self;
        for (j, y) in columns.iter_mut().enumerate() {
            let mut column = [V::zero(); N];
            for (i, x) in column.iter_mut().enumerate() {
                *x = load(i, j);
            }
            *y = F::times(column);
        }
        for i in 0..M {
            let mut row = [V::zero(); N];
            for (x, column) in row.iter_mut().zip(&*columns) {
                *x = column[i];
            }
            for (j, y) in F::times(row).into_iter().enumerate() {
                store(i, j, y);
            }
        }
    }
}
