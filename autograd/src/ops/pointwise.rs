//! Elementwise ops.
//!
//! - add: `y = a + b`; `da = db = dy`. mul: `y = a b`; `da = dy b`, `db = dy a`
//! - scale: `y = alpha x` with a constant alpha, or with a scalar of the graph, which is a constant
//!   for the gradient; `dx = alpha dy`
//! - add_bias: `y[r,c] = x[r,c] + bias[c]`; `dx = dy`, `dbias[c] = sum over r of dy[r,c]`
//! - unary: `y = f(x)`; `dx = dy f'(x)`, with the functions and derivatives of [`Unary`]
//! - clamp: `y = min(max(x, low), high)`; `dx = dy where low <= x <= high`, as in PyTorch

use tensor::kernel::Unary;
use tensor::{Error, Kernel, Result, Shape};

use crate::graph::{Gradients, Graph, Node, Value};

impl Graph {
    /// A constant tensor.
    pub fn fill(&mut self, shape: impl Into<Shape>, value: f32) -> Value {
        self.apply(Kernel::Fill(value), &[], shape.into())
    }

    /// x with another shape of the same number of elements.
    ///
    /// # Errors
    /// If the numbers of elements differ.
    pub fn reshape(&mut self, x: Value, shape: impl Into<Shape>) -> Result<Value> {
        let (from, to) = (self.shape(x), shape.into());
        if from.elements() != to.elements() {
            let detail = format!("{from} and {to} have different numbers of elements");
            return Err(Error::shape("reshape", detail));
        }
        Ok(self.apply(Kernel::Copy, &[x], to))
    }

    /// a + b, of one shape.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        self.same_shape("add", a, b)?;
        Ok(self.apply(Kernel::Add, &[a, b], self.shape(a)))
    }

    /// a times b, element by element, of one shape.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.same_shape("mul", a, b)?;
        Ok(self.apply(Kernel::Mul, &[a, b], self.shape(a)))
    }

    /// alpha x.
    pub fn scale(&mut self, x: Value, alpha: f32) -> Value {
        self.apply(Kernel::Scale(alpha), &[x], self.shape(x))
    }

    /// s x, with a scalar s of one element. Used for gradients; it has none by s.
    ///
    /// # Errors
    /// If `s` has more than one element.
    pub fn scale_by(&mut self, s: Value, x: Value) -> Result<Value> {
        if self.shape(s).elements() != 1 {
            let detail =
                format!("factor {} of {} is not a single number", self.shape(s), self.shape(x));
            return Err(Error::shape("scale_by", detail));
        }
        Ok(self.apply(Kernel::ScaleBy, &[s, x], self.shape(x)))
    }

    /// Adds `bias` `[C]` to every row of x `[.., C]`.
    ///
    /// # Errors
    /// If the last size of x is not the length of the bias.
    pub fn add_bias(&mut self, x: Value, bias: Value) -> Result<Value> {
        let (sx, sb) = (self.shape(x), self.shape(bias));
        if sb.len() != 1 || sx.columns() != sb[0] {
            return Err(Error::shape("add_bias", format!("bias {sb} for rows of {sx}")));
        }
        Ok(self.apply(Kernel::AddBias, &[x, bias], sx))
    }

    /// a / b, element by element, of one shape: the kernel of the logarithm's gradient. It has no
    /// gradient of its own.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn divide(&mut self, a: Value, b: Value) -> Result<Value> {
        self.same_shape("divide", a, b)?;
        Ok(self.apply(Kernel::UnaryBackward(Unary::Ln), &[b, a], self.shape(a)))
    }

    /// f(x), elementwise.
    pub fn unary(&mut self, function: Unary, x: Value) -> Value {
        self.apply(Kernel::Unary(function), &[x], self.shape(x))
    }

    /// max(x, 0), elementwise.
    pub fn relu(&mut self, x: Value) -> Value {
        self.unary(Unary::Relu, x)
    }

    /// x Phi(x), elementwise, exact.
    pub fn gelu(&mut self, x: Value) -> Value {
        self.unary(Unary::Gelu, x)
    }

    /// x s(x) with the sigmoid s, elementwise.
    pub fn silu(&mut self, x: Value) -> Value {
        self.unary(Unary::Silu, x)
    }

    /// The root of every element.
    pub fn sqrt(&mut self, x: Value) -> Value {
        self.unary(Unary::Sqrt, x)
    }

    /// The natural logarithm of every element.
    pub fn ln(&mut self, x: Value) -> Value {
        self.unary(Unary::Ln, x)
    }

    /// x with every element clamped to [low, high].
    pub fn clamp(&mut self, x: Value, low: f32, high: f32) -> Value {
        self.apply(Kernel::Clamp { low, high }, &[x], self.shape(x))
    }
}

/// dx by one kernel, from dy and the forward kernel's input or output.
pub(super) fn by_kernel(g: &mut Graph, backward: Kernel, saved: Value, dy: Value) -> Gradients {
    Ok(vec![Some(g.apply(backward, &[saved, dy], g.shape(dy)))])
}

pub(super) fn reshape_vjp(g: &mut Graph, node: &Node, dy: Value) -> Gradients {
    let shape = g.shape(node.inputs[0]);
    Ok(vec![Some(g.reshape(dy, shape)?)])
}

pub(super) fn mul_vjp(g: &mut Graph, node: &Node, dy: Value, wanted: &[bool]) -> Gradients {
    let (a, b) = (node.inputs[0], node.inputs[1]);
    let da = wanted[0].then(|| g.mul(dy, b)).transpose()?;
    let db = wanted[1].then(|| g.mul(dy, a)).transpose()?;
    Ok(vec![da, db])
}

pub(super) fn add_bias_vjp(g: &mut Graph, dy: Value, wanted: &[bool]) -> Gradients {
    let dbias = wanted[1].then(|| g.sum_rows(dy));
    Ok(vec![Some(dy), dbias])
}

/// `dx = dy gelu'(x + bias)`, `dbias` its sum over the rows.
pub(super) fn bias_gelu_vjp(g: &mut Graph, node: &Node, dy: Value, wanted: &[bool]) -> Gradients {
    let inputs = [node.inputs[0], node.inputs[1], dy];
    let dx = g.apply(Kernel::BiasGeluBackward, &inputs, g.shape(dy));
    add_bias_vjp(g, dx, wanted)
}
