//! The transpose of a matrix: `y[c,r] = x[r,c]`, `dx[r,c] = dy[c,r]`.

use tensor::{Error, Kernel, Result, Shape};

use crate::graph::{Gradients, Graph, Value};

impl Graph {
    /// The transpose of x `[N,C]`: `[C,N]`.
    ///
    /// # Errors
    /// If x is not a matrix.
    pub fn transpose(&mut self, x: Value) -> Result<Value> {
        let shape = self.shape(x);
        let &[rows, columns] = &shape[..] else {
            return Err(Error::shape("transpose", format!("{shape} is not a matrix")));
        };
        let kernel = Kernel::Transpose { rows, columns };
        Ok(self.apply(kernel, &[x], Shape::from([columns, rows])))
    }
}

pub(super) fn vjp(g: &mut Graph, dy: Value) -> Gradients {
    Ok(vec![Some(g.transpose(dy)?)])
}
