//! Strides: where an element of a tensor is in memory
//!
//!     stride[last] = 1        stride[d] = stride[d+1] * shape[d+1]
//!     place        = sum over d of index[d] * stride[d]
//!
//! A tensor is a flat list of numbers and a shape. One step along the last axis goes to the next
//! number; one step along an earlier axis jumps over everything behind that axis. A batch of images
//! `[N,H,W,C]` of shape [2,4,4,3] has the strides [48,12,3,1]: channel 2 of pixel (1,0) of image 1
//! is at 1*48 + 1*12 + 0*3 + 2*1 = 62.
//!
//! All kernels of carp compute their addresses this way.

/// The strides of a shape, one per axis.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    // YOUR CODE BEGINS
    todo!("the strides: start at the last axis")
    // YOUR CODE ENDS
}

/// Where an element is.
pub fn place(strides: &[usize], index: &[usize]) -> usize {
    strides.iter().zip(index).map(|(stride, i)| stride * i).sum()
}
