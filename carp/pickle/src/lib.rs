//! Python's pickle files as plain values, without running anything.
//!
//! A pickle is a program for a small stack machine: it builds numbers, strings, lists, tuples and
//! dictionaries, and may name Python functions and classes ("globals") to call. Here a call is only
//! recorded, as a [`Node::Object`]: what is called, with which arguments. The few calls whose results
//! are known are read from that record: a closed list of containers, bytes, and NumPy's arrays. All
//! other objects are opaque: they have a name ([`Item::class`]) and are read past, since a file holds
//! much beside what is wanted.
//!
//! Values are stored in one table and refer to each other by number, as a pickle's memo requires: a
//! list may be an element of several others, or of itself. Code that walks the table must allow for
//! that.
//!
//! The crates `weights` and `datasets` interpret the values. In reading order: `value`, what comes
//! out; `program`, what goes in; `machine`, which runs it, with `literals`; `numpy`, arrays among
//! the values.

mod literals;
mod machine;
mod numpy;
mod program;
mod read;
mod value;

pub use self::numpy::Array;
pub use self::value::{Global, Item, Node, Object, Pickle};
