//! Tensors as stored in files: views of storages.

use std::collections::HashMap;

use crate::dtype::DType;

/// A run of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// How many.
    pub bytes: usize,
    /// Their location.
    pub place: Place,
}

/// Location of a storage's bytes in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Starting at this byte.
    Offset(u64),
    /// The zip entry with this name.
    Entry(String),
}

/// A named tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// Its path through nested dictionaries, joined by dots.
    pub name: String,
    /// What its elements are, or how it is stored: "f32", "complex64", "sparse".
    pub type_name: String,
    /// Lengths of the dimensions, in PyTorch's layout; empty if it is not known.
    pub shape: Vec<usize>,
    /// Where its numbers are, or why they cannot be read: a fault only of a tensor that is wanted.
    pub view: Result<View, String>,
}

/// A tensor's numbers in a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Their type.
    pub dtype: DType,
    /// Elements from one index to the next, per dimension; 0 repeats the same ones.
    pub strides: Vec<usize>,
    /// First element in the storage.
    pub offset: usize,
    /// Index of the storage.
    pub storage: usize,
}

/// The contents of a file before its numbers are read.
#[derive(Default)]
pub struct Contents {
    /// In file order.
    pub tensors: Vec<StoredTensor>,
    /// The storages of their numbers.
    pub storages: Vec<Storage>,
    /// The safetensors metadata.
    pub metadata: HashMap<String, String>,
    /// The classes of the objects beside the tensors, sorted.
    pub classes: Vec<String>,
}

/// The most dimensions, PyTorch's own limit.
pub const DIMENSIONS: usize = 64;
/// The most elements of a tensor that repeats its numbers: above any layer of a ResNet-50, but not a
/// few bytes that pose as gigabytes.
const REPEATED: usize = 1 << 22;

/// Fails unless every element is inside a storage of so many bytes.
pub fn check(shape: &[usize], view: &View, bytes: usize) -> Result<(), String> {
    let stored = bytes / view.dtype.size();
    let elements = shape.iter().try_fold(1usize, |n, &length| n.checked_mul(length));
    let steps = shape.iter().zip(&view.strides);
    let last = steps.into_iter().try_fold(view.offset, |last, (&length, &stride)| {
        last.checked_add(length.saturating_sub(1).checked_mul(stride)?)
    });
    match (elements, last) {
        (Some(0), _) => Ok(()),
        (Some(elements), Some(last)) if last < stored && elements <= stored.max(REPEATED) => Ok(()),
        _ => Err(format!(
            "shape {shape:?}, strides {:?} from element {} exceed its {stored} numbers",
            view.strides, view.offset
        )),
    }
}

/// Elements in row-major order, from the bytes of the storage.
pub fn gather(shape: &[usize], view: &View, storage: &[u8]) -> Vec<f32> {
    let View { dtype, strides, offset, .. } = view;
    let elements = shape.iter().product();
    if elements == 0 {
        return vec![];
    }
    let steps = shape.iter().zip(strides);
    let span = 1 + steps.map(|(length, stride)| (length - 1) * stride).sum::<usize>();
    let numbers = dtype.to_f32(&storage[offset * dtype.size()..][..span * dtype.size()]);
    if *strides == contiguous(shape) {
        return numbers;
    }
    let mut gathered = Vec::with_capacity(elements);
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    for _ in 0..elements {
        gathered.push(numbers[at]);
        for dim in (0..index.len()).rev() {
            index[dim] += 1;
            at += strides[dim];
            if index[dim] < shape[dim] {
                break;
            }
            at -= index[dim] * strides[dim];
            index[dim] = 0;
        }
    }
    gathered
}

/// Strides of a row-major tensor.
pub fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim].saturating_mul(shape[dim]);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(dtype: DType, strides: &[usize], offset: usize) -> View {
        View { dtype, strides: strides.to_vec(), offset, storage: 0 }
    }

    #[test]
    fn views_follow_their_strides() {
        let bytes: Vec<u8> = (0..12).collect();
        let numbers: Vec<f32> = (0..12u8).map(f32::from).collect();
        let gather = |shape: &[usize], strides: &[usize], offset| {
            gather(shape, &view(DType::U8, strides, offset), &bytes)
        };
        assert_eq!(contiguous(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(gather(&[3, 4], &[4, 1], 0), numbers);
        // Transposed, and every second column from the second row on.
        let transposed = gather(&[4, 3], &[1, 4], 0);
        assert_eq!(transposed[..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
        assert_eq!(gather(&[2, 2], &[4, 2], 4), [4.0, 6.0, 8.0, 10.0]);
        assert_eq!(gather(&[], &[], 7), [7.0]);
        assert_eq!(gather(&[0, 5], &[5, 1], 0), [0.0; 0]);
        // Expanded: a column repeated, and a single number.
        assert_eq!(gather(&[2, 3], &[4, 0], 1), [1.0, 1.0, 1.0, 5.0, 5.0, 5.0]);
        assert_eq!(gather(&[4], &[0], 3), [3.0; 4]);
    }

    #[test]
    fn views_outside_of_their_storage_are_refused() {
        for (good, shape, strides, offset) in [
            (true, &[3, 4][..], &[4, 1][..], 0),
            (false, &[3, 4], &[4, 1], 1),
            (false, &[3, 4], &[4, 2], 0),
            (false, &[usize::MAX, 2], &[1, 1], 0),
            (false, &[2], &[usize::MAX], 0),
            (false, &[2], &[1], usize::MAX),
            (true, &[0], &[1], 12),
            // Repeated numbers, and a few bytes that pose as gigabytes.
            (true, &[1000, 1000], &[0, 0], 11),
            (false, &[100_000, 100_000], &[0, 0], 0),
        ] {
            for dtype in [DType::U8, DType::F64] {
                let (view, bytes) = (view(dtype, strides, offset), 12 * dtype.size());
                assert_eq!(check(shape, &view, bytes).is_ok(), good, "{shape:?} {view:?}");
            }
        }
    }
}
