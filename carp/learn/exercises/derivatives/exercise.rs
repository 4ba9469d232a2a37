//! Derivatives: each op knows its own, and no more
//!
//!     y = f(a, b)        da = dy * (derivative of f by a)        db = dy * (derivative of f by b)
//!
//! Let L be the loss, and write dy for the derivative of L by y. The chain rule says that an op
//! needs three things to hand it on: its inputs, its output, and dy. It need not know where its
//! inputs came from, nor what became of y. This product with dy is called a vector-Jacobian product.
//!
//! The output helps: the derivative of exp(a) is exp(a), which is y, already computed.
//! In carp these rules are in autograd/src/ops, one file per family.

/// An op on numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// a + b
    Add,
    /// a * b
    Mul,
    /// exp(a)
    Exp,
    /// ln(a)
    Ln,
    /// max(a, 0)
    Relu,
}

/// y of the inputs `x`.
pub fn value(op: Op, x: &[f64]) -> f64 {
    match op {
        Op::Add => x[0] + x[1],
        Op::Mul => x[0] * x[1],
        Op::Exp => x[0].exp(),
        Op::Ln => x[0].ln(),
        Op::Relu => x[0].max(0.0),
    }
}

/// The loss's derivatives by the inputs `x`, given that by the output `y`.
pub fn derivatives(op: Op, x: &[f64], y: f64, dy: f64) -> Vec<f64> {
    // YOUR CODE BEGINS
    todo!("a match over the ops: one number for each input")
    // YOUR CODE ENDS
}
