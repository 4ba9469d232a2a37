//! A subset of a data set.

use std::path::Path;
use std::sync::Arc;

use files::{Error, Result};
use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::image::Image;
use crate::progress::Progress;

/// The images of `data` listed in `indices`, in that order.
pub struct Subset {
    /// The whole data set.
    pub data: Arc<dyn Dataset>,
    /// Indices of its images.
    pub indices: Vec<u32>,
    /// Unreadable images that were left out of it.
    left_out: usize,
}

impl Subset {
    /// These images of `data`.
    pub fn new(data: Arc<dyn Dataset>, indices: Vec<u32>) -> Subset {
        Subset { data, indices, left_out: 0 }
    }

    /// At most `most` images of `data`, from everywhere ([`spread`]).
    pub fn spread(data: Arc<dyn Dataset>, most: usize) -> Arc<dyn Dataset> {
        if most >= data.len() {
            return data;
        }
        let indices = spread(data.len(), most).into_iter().map(|index| index as u32).collect();
        Arc::new(Subset::new(data, indices))
    }

    /// The images that can be read; decodes each once, and reports the images done.
    ///
    /// # Errors
    /// An image that cannot be read, if `data` skips none; no image that can.
    pub fn readable(data: Arc<dyn Dataset>, progress: Progress) -> Result<Arc<dyn Dataset>> {
        let counter = progress.counter(data.len(), 1);
        let found = |index| {
            let image = data.readable(index as usize)?;
            counter.add(1);
            Ok(image.map(|_| index))
        };
        let indices: Vec<u32> = (0..data.len() as u32)
            .into_par_iter()
            .filter_map(|index| found(index).transpose())
            .collect::<Result<_>>()?;
        match indices.len() {
            0 => Err(Error::data(data.name(), "no image in it can be read")),
            len if len == data.len() => Ok(data),
            len => {
                let left_out = data.len() - len;
                Ok(Arc::new(Subset { data, indices, left_out }))
            }
        }
    }

    fn place(&self, index: usize) -> usize {
        self.indices[index] as usize
    }
}

impl Dataset for Subset {
    /// Its share of the whole's, so that parts add up.
    fn memory(&self) -> usize {
        self.data.memory() * self.len() / self.data.len().max(1)
    }

    fn name(&self) -> &str {
        self.data.name()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn channels(&self) -> usize {
        self.data.channels()
    }

    fn classes(&self) -> &[String] {
        self.data.classes()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.data.label(self.place(index))
    }

    fn shown(&self, index: usize) -> Option<&[i32]> {
        self.data.shown(self.place(index))
    }

    fn file(&self, index: usize) -> Option<&Path> {
        self.data.file(self.place(index))
    }

    fn image(&self, index: usize) -> Result<Arc<Image>> {
        self.data.image(self.place(index))
    }

    fn readable(&self, index: usize) -> Result<Option<Arc<Image>>> {
        self.data.readable(self.place(index))
    }

    fn is_unreadable(&self, index: usize) -> bool {
        self.data.is_unreadable(self.place(index))
    }

    fn skipped(&self) -> usize {
        self.left_out + (0..self.len()).filter(|&index| self.is_unreadable(index)).count()
    }
}

/// `most` numbers below `len`, or all if there are fewer, in order and from everywhere: neither classes
/// that follow each other, as in folders, nor classes that take turns are missed.
pub fn spread(len: usize, most: usize) -> Vec<usize> {
    // The fractions of multiples of the golden ratio are spread evenly (Weyl), also those of any
    // stretch of them, and of every tenth.
    let golden = (5_f64.sqrt() - 1.0) / 2.0;
    let fraction = |number: usize| (number as f64 * golden).fract();
    let mut numbers: Vec<usize> = (0..len).collect();
    numbers.sort_by(|&a, &b| fraction(a).total_cmp(&fraction(b)));
    numbers.truncate(most);
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn classes_that_take_turns_or_follow_each_other_are_all_there() {
        for (len, most) in [(2000, 1000), (5000, 1000), (10_000, 1000), (1001, 1000)] {
            let rows = spread(len, most);
            assert!(rows.len() == most && rows.is_sorted_by(|a, b| a < b) && rows[most - 1] < len);
            for class in 0..10 {
                let takes_turns = rows.iter().filter(|&row| row % 10 == class).count();
                let follows = rows.iter().filter(|&row| row * 10 / len == class).count();
                assert!((90..=110).contains(&takes_turns), "{takes_turns} of {class}, {len}");
                assert!((90..=110).contains(&follows), "{follows} of {class}, {len}");
            }
        }
        assert_eq!((spread(3, 5), spread(0, 5)), (vec![0, 1, 2], vec![]));
    }
}
