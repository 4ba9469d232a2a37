//! The largest elements of each column, in order.
//!
//! `y_1 = max over r of x[r,c]`, `y_2` the maximum of the others, and so on; each gradient goes to the
//! element taken, the first on a tie. The rows of x `[R,C]` are the pixels of one image with C
//! channels, over which max-pooling takes the maximum; the pool's gradient finds it again, and
//! sinks it below all others.

use tensor::geometry::Pool2d;
use tensor::{Error, Kernel, Result};

use crate::graph::{Graph, Value};

impl Graph {
    /// The `count` largest elements of each column of x `[R,C]`, the largest first: `[C]` each.
    ///
    /// # Errors
    /// If x is not a matrix, or has fewer rows.
    pub fn largest(&mut self, x: Value, count: usize) -> Result<Vec<Value>> {
        let shape = self.shape(x);
        let &[rows, columns] = &shape[..] else {
            return Err(Error::shape("largest", format!("{shape} is not a matrix")));
        };
        if count > rows {
            let detail = format!("{count} elements of each column of {shape}");
            return Err(Error::setting("largest", detail));
        }
        // A window is square.
        let side = rows.isqrt() + usize::from(rows.isqrt().pow(2) < rows);
        let mut image = x;
        if side * side > rows {
            let padding = self.fill([side * side - rows, columns], f32::MIN);
            image = self.concat_rows(&[x, padding])?;
        }
        image = self.reshape(image, [1, side, side, columns])?;
        let pool = Pool2d::new("largest", self.shape(image), side, 1, 0)?;
        let mut largest = Vec::new();
        while largest.len() < count {
            let [y, argmax] = self.max_pool(image, pool);
            largest.push(self.reshape(y, [columns])?);
            if largest.len() == count {
                break;
            }
            let depth = self.fill(pool.y_shape(), f32::MIN);
            let sunk =
                self.apply(Kernel::MaxPool2dBackward(pool), &[depth, argmax], self.shape(image));
            self.detached.push(sunk);
            image = self.add(image, sunk)?;
        }
        Ok(largest)
    }
}
