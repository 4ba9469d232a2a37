//! Lifetimes: from when to when is a value needed?
//!
//!     first = the node that makes it        last = the last node that reads it
//!
//! Nodes run in the order of the list: node 0, node 1, and so on. A value must be in memory from the
//! node that makes it until the last node that reads it, both included: while a node runs, its
//! inputs and its output exist at the same time. A value that nobody reads lives only while it is
//! made.
//!
//! Because the list is known before the first step, so are the lifetimes, and with them the memory
//! that a step will take, to the byte. No allocator guesses at run time. The next exercise uses them.

/// What a node of the list reads and makes: numbers of values. Every value is made by one node.
pub struct Node {
    pub inputs: Vec<usize>,
    pub output: usize,
}

/// (first, last) of each of `count` values.
pub fn lifetimes(list: &[Node], count: usize) -> Vec<(usize, usize)> {
    let mut lives = vec![(0, 0); count];
    // YOUR CODE BEGINS
    todo!("one walk over the list");
    // YOUR CODE ENDS
    lives
}
