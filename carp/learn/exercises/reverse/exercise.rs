//! Reverse mode: the list is walked from its end
//!
//!     d[last] = 1        for each node, from last to first, and each of its inputs x:
//!                        d[x] += d[node] * dnode/dx
//!
//! A computation is a list of nodes; a node's inputs come before it. Start with dL/dL = 1 at the
//! loss. When the walk reaches a node, everything that reads it has been visited, so its d is
//! complete and can be passed on. One walk gives the derivatives with respect to *all* inputs, for
//! about twice the cost of computing the loss: that is why networks can be trained at all.
//!
//! A value that is read twice gets two contributions, and they add up.
//! carp's walk is autograd/src/backward.rs: it appends the gradient's kernels to the same list.

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// A number from outside.
    Input,
    /// a + b
    Add,
    /// a * b
    Mul,
    /// exp(a)
    Exp,
}

/// An entry of the list; `inputs` are the numbers of earlier ones.
#[derive(Clone, Debug)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<usize>,
}

/// The derivatives of the loss with respect to one op's inputs; `dy` is that with respect to `y`.
fn derivatives(op: Op, x: &[f64], y: f64, dy: f64) -> Vec<f64> {
    match op {
        Op::Input => vec![],
        Op::Add => vec![dy, dy],
        Op::Mul => vec![dy * x[1], dy * x[0]],
        Op::Exp => vec![dy * y],
    }
}

/// The derivative of the last node with respect to every node; `values` are what they computed.
pub fn gradients(list: &[Node], values: &[f64]) -> Vec<f64> {
    let mut d = vec![0.0; list.len()];
    // YOUR CODE BEGINS
    todo!("the walk");
    // YOUR CODE ENDS
    d
}
