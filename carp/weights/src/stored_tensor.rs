//! Tensors as stored in files: views of storages.

use std::collections::HashMap;

use crate::dtype::DType;

/// A run of consecutive numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Element type.
    pub dtype: DType,
    /// Number of elements.
    pub len: usize,
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

/// A named view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// Its path through nested dictionaries, joined by dots.
    pub name: String,
    /// Lengths of the dimensions, in PyTorch's layout.
    pub shape: Vec<usize>,
    /// Elements from one index to the next, per dimension.
    pub strides: Vec<usize>,
    /// First element in the storage.
    pub offset: usize,
    /// Index of its storage.
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
}

/// Fails unless every element is inside the storage and the tensor is no larger than the storage.
pub fn check(tensor: &StoredTensor, stored: usize) -> std::result::Result<(), String> {
    let elements = tensor.shape.iter().try_fold(1usize, |n, &length| n.checked_mul(length));
    let last = tensor
        .shape
        .iter()
        .zip(&tensor.strides)
        .try_fold(tensor.offset, |last, (&length, &stride)| {
            last.checked_add(length.saturating_sub(1).checked_mul(stride)?)
        });
    match (elements, last) {
        (Some(0), _) => Ok(()),
        (Some(elements), Some(last)) if last < stored && elements <= stored => Ok(()),
        _ => Err(format!(
            "{}: shape {:?}, strides {:?} from element {} exceed its {stored} numbers",
            tensor.name, tensor.shape, tensor.strides, tensor.offset
        )),
    }
}

/// Elements in row-major order, from the bytes of the storage.
pub fn gather(tensor: &StoredTensor, dtype: DType, storage: &[u8]) -> Vec<f32> {
    let elements = tensor.shape.iter().product();
    if elements == 0 {
        return vec![];
    }
    let steps = tensor.shape.iter().zip(&tensor.strides);
    let span = 1 + steps.map(|(length, stride)| (length - 1) * stride).sum::<usize>();
    let numbers = dtype.to_f32(&storage[tensor.offset * dtype.size()..][..span * dtype.size()]);
    if tensor.strides == contiguous(&tensor.shape) {
        return numbers;
    }
    let mut gathered = Vec::with_capacity(elements);
    let mut index = vec![0; tensor.shape.len()];
    let mut at = 0;
    for _ in 0..elements {
        gathered.push(numbers[at]);
        for dim in (0..index.len()).rev() {
            index[dim] += 1;
            at += tensor.strides[dim];
            if index[dim] < tensor.shape[dim] {
                break;
            }
            at -= index[dim] * tensor.strides[dim];
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

    fn tensor(shape: &[usize], strides: &[usize], offset: usize) -> StoredTensor {
        StoredTensor {
            name: "t".to_owned(),
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            offset,
            storage: 0,
        }
    }

    #[test]
    fn views_follow_their_strides() {
        let bytes: Vec<u8> = (0..12).collect();
        let numbers: Vec<f32> = (0..12u8).map(f32::from).collect();
        let gather = |tensor: &StoredTensor, bytes: &[u8]| gather(tensor, DType::U8, bytes);
        assert_eq!(contiguous(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(gather(&tensor(&[3, 4], &[4, 1], 0), &bytes), numbers);
        // Transposed, and every second column from the second row on.
        let transposed = gather(&tensor(&[4, 3], &[1, 4], 0), &bytes);
        assert_eq!(transposed[..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
        assert_eq!(gather(&tensor(&[2, 2], &[4, 2], 4), &bytes), [4.0, 6.0, 8.0, 10.0]);
        assert_eq!(gather(&tensor(&[], &[], 7), &bytes), [7.0]);
        assert_eq!(gather(&tensor(&[0, 5], &[5, 1], 0), &bytes), [0.0; 0]);
    }

    #[test]
    fn views_outside_of_their_storage_are_refused() {
        for (good, tensor) in [
            (true, tensor(&[3, 4], &[4, 1], 0)),
            (false, tensor(&[3, 4], &[4, 1], 1)),
            (false, tensor(&[3, 4], &[4, 2], 0)),
            (false, tensor(&[usize::MAX, 2], &[1, 1], 0)),
            (false, tensor(&[2], &[usize::MAX], 0)),
            (false, tensor(&[2], &[1], usize::MAX)),
            // The same numbers repeated: a few bytes posing as gigabytes.
            (false, tensor(&[1000, 1000], &[0, 0], 0)),
            (true, tensor(&[0], &[1], 12)),
        ] {
            assert_eq!(check(&tensor, 12).is_ok(), good, "{tensor:?}");
        }
    }
}
