//! Named tensors that are read part by part, so that no second copy of all of them exists.

use std::io;

/// Elements of a part, about.
const PART: usize = 1 << 14;

/// Tensors in PyTorch's layout.
pub trait TensorSource {
    /// Names and shapes.
    fn tensors(&self) -> Vec<(String, Vec<usize>)>;

    /// Passes the numbers of tensor `index` of that list to `take`, in order, in parts of
    /// [`part_len`] elements and a shorter last one.
    ///
    /// # Errors
    /// I/O errors, and those of `take`.
    fn read(
        &mut self,
        index: usize,
        take: &mut dyn FnMut(&[f32]) -> io::Result<()>,
    ) -> io::Result<()>;
}

/// Elements of a part of a tensor: whole rows, a row being all elements with the same first index.
pub fn part_len(shape: &[usize]) -> usize {
    let row: usize = shape.iter().skip(1).product::<usize>().max(1);
    row * (PART / row).max(1)
}

/// Tensors that are in memory as a whole.
impl TensorSource for Vec<(String, Vec<usize>, Vec<f32>)> {
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect()
    }

    fn read(
        &mut self,
        index: usize,
        take: &mut dyn FnMut(&[f32]) -> io::Result<()>,
    ) -> io::Result<()> {
        let (_, shape, data) = &self[index];
        data.chunks(part_len(shape)).try_for_each(take)
    }
}
