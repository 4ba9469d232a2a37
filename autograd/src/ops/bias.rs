//! `y[r,c] = x[r,c] + bias[c]`; `dx = dy`, `dbias[c] = sum over r of dy[r,c]`.

use tensor::{Backend, Error, Result};

use crate::graph::{Graph, Io, Node, Op, Value};

struct AddBias;

impl Op for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.add_bias(io.inputs[0], io.inputs[1], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        _node: &Node,
        grads: &[Option<Value>],
        wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let dbias = grads[0].filter(|_| wanted[1]).map(|dy| graph.sum_rows(dy));
        Ok(vec![grads[0], dbias])
    }
}

impl Graph {
    /// Adds `bias` `[C]` to every row of x `[.., C]`.
    ///
    /// # Errors
    /// If the last size of x is not the length of the bias.
    pub fn add_bias(&mut self, x: Value, bias: Value) -> Result<Value> {
        let (sx, sb) = (self.shape(x), self.shape(bias));
        if sb.len() != 1 || sx.columns() != sb[0] {
            return Err(Error::shape("add_bias", format!("bias {sb} for rows of {sx}")));
        }
        let [y] = self.push(AddBias, &[x, bias], [sx]);
        Ok(y)
    }
}
