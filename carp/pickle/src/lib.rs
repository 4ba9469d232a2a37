//! Python's pickle files as plain values, without running anything.
//!
//! A pickle is a program for a small stack machine: it builds numbers, texts, lists, tuples and
//! dictionaries, and may name functions and classes of Python ("globals") to be called. Here a call
//! is only written down, as a [`Node::Object`]: which global, with which arguments. A global that
//! the caller has not allowed, and every opcode that is not known, ends the reading with an error
//! that names it and its offset.
//!
//! Values lie in one table and refer to each other by number, as a pickle's memo wants it: one list
//! may be an element of many, or of itself. Whoever walks the whole of it must mind that.
//!
//! What the values mean is not said here: the crates `weights` and `datasets` know. In reading order:
//! `value`, what comes out; `program`, what goes in; `machine`, which runs it, with `literals`;
//! `numpy`, arrays among the values.

mod literals;
mod machine;
mod numpy;
mod program;
mod read;
mod value;

pub use self::numpy::{Array, GLOBALS as NUMPY_GLOBALS};
pub use self::value::{Item, Node, Pickle};
