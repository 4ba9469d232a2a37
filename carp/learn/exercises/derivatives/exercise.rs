//! Derivatives: each op knows its own, and no more
//!
//!     y = f(a, b)        da = dy * df/da        db = dy * df/db
//!
//! Let L be the loss, and write dy for dL/dy. By the chain rule an op needs three things to pass the
//! derivative on: its inputs, its output, and dy. It need not know where its inputs came from, or
//! what became of y. The product of dy and an op's own derivatives is called a vector-Jacobian
//! product.
//!
//! The output often helps: the derivative of exp(a) is exp(a), which is y, already computed.
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

/// The derivatives of the loss with respect to the inputs `x`; `dy` is that with respect to `y`.
pub fn derivatives(op: Op, x: &[f64], y: f64, dy: f64) -> Vec<f64> {
    // YOUR CODE BEGINS
    todo!("a match over the ops: one number for each input")
    // YOUR CODE ENDS
}
