//! NumPy's arrays and scalars in pickles, read from the calls that NumPy records.
//!
//! An array is `_reconstruct(ndarray, (0,), b'b')` with the state (version, shape, dtype, is
//! Fortran order, bytes), in protocol 5 `_frombuffer(bytes, dtype, shape, order)`; a scalar is
//! `scalar(dtype, bytes)`; a dtype is `dtype('i8', ...)` with the state (version, byte order, ...).
//! The modules are called `numpy.core` before NumPy 2, `numpy._core` since.

use std::borrow::Cow;

use crate::value::{Item, Node};

/// The most dimensions of an array, as in NumPy 2.
const DIMENSIONS: usize = 64;
/// Bytes of the largest number.
const LARGEST_NUMBER: usize = 8;

/// An array in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<'p> {
    /// Its shape; `[]` for a scalar.
    pub shape: Vec<usize>,
    /// Element type: 'u', 'i', 'f' or 'b' and the size in bytes, such as "i8".
    pub dtype: &'p str,
    /// The elements, little-endian.
    pub bytes: Cow<'p, [u8]>,
}

impl<'p> Item<'p> {
    /// Reads a NumPy array or scalar; `None` if it is something else, incomplete, big-endian or in
    /// Fortran order.
    pub fn array(self) -> Option<Array<'p>> {
        self.array_below(usize::MAX)
    }

    /// The same, `None` for more than `most` bytes: nothing of them is touched.
    fn array_below(self, most: usize) -> Option<Array<'p>> {
        let ((module, name), args) = self.call()?;
        let module = module.strip_prefix("numpy.core.").or(module.strip_prefix("numpy._core."))?;
        let mut args = args.items()?;
        let (shape, dtype, is_fortran, bytes) = match (module, name) {
            ("multiarray", "scalar") => (vec![], args.next()?, false, args.next()?),
            ("multiarray", "_reconstruct") => {
                let [_version, shape, dtype, fortran, bytes] = self.state()?.exactly()?;
                (shape.sizes()?, dtype, *fortran.node() != Node::Bool(false), bytes)
            }
            ("numeric", "_frombuffer") => {
                let (bytes, dtype, shape) = (args.next()?, args.next()?, args.next()?);
                (shape.sizes()?, dtype, args.next()?.text()? != "C", bytes)
            }
            _ => return None,
        };
        // The order of the elements of a single row or column is the same.
        if is_fortran && shape.iter().filter(|&&size| size != 1).count() > 1 {
            return None;
        }
        let (("numpy", "dtype"), dtype_args) = dtype.call()? else { return None };
        let order = dtype.state()?.items()?.nth(1)?.text()?;
        let dtype = dtype_args.items()?.next()?.text()?;
        if !matches!(order, "<" | "|" | "=") || !dtype.starts_with(['u', 'i', 'f', 'b']) {
            return None;
        }
        let element: usize = dtype.get(1..)?.parse().ok()?;
        let elements = shape.iter().try_fold(1usize, |all, &size| all.checked_mul(size))?;
        let expected = elements.checked_mul(element).filter(|&expected| expected <= most)?;
        // Converted last: a list can refer to one array any number of times.
        let bytes = bytes.bytes_of_length(expected)?;
        Some(Array { shape, dtype, bytes })
    }

    /// The integers from 0 in a tuple or list that is a shape or strides; none if it has more items
    /// than any array has dimensions.
    pub fn sizes(self) -> Option<Vec<usize>> {
        let items = self.items().filter(|items| items.len() <= DIMENSIONS)?;
        items.map(|item| usize::try_from(item.int()?).ok()).collect()
    }

    /// The numbers in a list (NumPy scalars included), a tuple or a one-dimensional array.
    pub fn numbers(self) -> Option<Vec<f64>> {
        if let Some(array) = self.array() {
            return if array.shape.len() == 1 { array.numbers() } else { None };
        }
        let number = |item: Item<'p>| match item.float() {
            Some(value) => Some(value),
            None => item.array_below(LARGEST_NUMBER)?.numbers()?.first().copied(),
        };
        self.items()?.map(number).collect()
    }
}

impl Array<'_> {
    /// All elements as f64.
    fn numbers(&self) -> Option<Vec<f64>> {
        let read: fn(&[u8]) -> f64 = match self.dtype {
            "u1" | "b1" => |b| u8::from_le_bytes(b.try_into().expect("1 byte")).into(),
            "i1" => |b| i8::from_le_bytes(b.try_into().expect("1 byte")).into(),
            "u2" => |b| u16::from_le_bytes(b.try_into().expect("2 bytes")).into(),
            "i2" => |b| i16::from_le_bytes(b.try_into().expect("2 bytes")).into(),
            "u4" => |b| u32::from_le_bytes(b.try_into().expect("4 bytes")).into(),
            "i4" => |b| i32::from_le_bytes(b.try_into().expect("4 bytes")).into(),
            "u8" => |b| u64::from_le_bytes(b.try_into().expect("8 bytes")) as f64,
            "i8" => |b| i64::from_le_bytes(b.try_into().expect("8 bytes")) as f64,
            "f4" => |b| f32::from_le_bytes(b.try_into().expect("4 bytes")).into(),
            "f8" => |b| f64::from_le_bytes(b.try_into().expect("8 bytes")),
            _ => return None,
        };
        let element = self.dtype[1..].parse().ok()?;
        Some(self.bytes.chunks_exact(element).map(read).collect())
    }
}
