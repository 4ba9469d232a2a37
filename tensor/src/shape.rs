//! The shape of a tensor: up to five sizes, kept inline.

use std::fmt;
use std::ops::Deref;

const MAX_RANK: usize = 5;

/// Sizes from the slowest to the fastest dimension; images are `[N, H, W, C]`. Rank 0 is a scalar.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    rank: u8,
    sizes: [usize; MAX_RANK],
}

impl Shape {
    /// A shape of at most five sizes.
    ///
    /// # Panics
    /// On more than five sizes: no op has that many.
    pub fn new(sizes: &[usize]) -> Shape {
        assert!(sizes.len() <= MAX_RANK, "shape {sizes:?} has over {MAX_RANK} sizes");
        let mut inline = [1; MAX_RANK];
        inline[..sizes.len()].copy_from_slice(sizes);
        Shape { rank: sizes.len() as u8, sizes: inline }
    }

    /// The number of elements: the product of all sizes, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.iter().product()
    }

    /// The last size: the length of a row. 1 for a scalar.
    pub fn columns(&self) -> usize {
        self.last().copied().unwrap_or(1)
    }

    /// The product of all sizes but the last: the number of rows. 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.iter().take(self.len().saturating_sub(1)).product::<usize>()
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.sizes[..self.rank as usize]
    }
}

impl<const R: usize> From<[usize; R]> for Shape {
    fn from(sizes: [usize; R]) -> Shape {
        Shape::new(&sizes)
    }
}

impl From<&[usize]> for Shape {
    fn from(sizes: &[usize]) -> Shape {
        Shape::new(sizes)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self[..])
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_rows_columns_and_elements() {
        let shape = Shape::from([2, 3, 4]);
        assert_eq!((shape.rows(), shape.columns(), shape.elements()), (6, 4, 24));
        let scalar = Shape::new(&[]);
        assert_eq!((scalar.rows(), scalar.columns(), scalar.elements()), (1, 1, 1));
        assert_eq!(shape.to_string(), "[2, 3, 4]");
    }
}
