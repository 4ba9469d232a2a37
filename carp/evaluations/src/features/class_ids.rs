//! Labels, which may be any numbers, as classes 0, 1, ... without gaps.

/// The labels that occur, rising: class c has the c-th of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassIds(Vec<u32>);

impl ClassIds {
    /// Those of all these labels.
    pub fn of(labels: &[&[u32]]) -> ClassIds {
        let mut ids = labels.concat();
        ids.sort_unstable();
        ids.dedup();
        ClassIds(ids)
    }

    /// Number of classes.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The classes of labels.
    ///
    /// # Panics
    /// If a label is not one of those that occur.
    pub fn classes(&self, labels: &[u32]) -> Vec<u32> {
        let class = |label| self.0.binary_search(label).expect("a label that occurs") as u32;
        labels.iter().map(class).collect()
    }

    /// The labels of classes.
    pub fn labels_of(&self, classes: &[u32]) -> Vec<u32> {
        classes.iter().map(|&class| self.label(class)).collect()
    }

    /// The labels, rising.
    pub fn labels(&self) -> &[u32] {
        &self.0
    }

    /// The label of a class.
    pub fn label(&self, class: u32) -> u32 {
        self.0[class as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_gaps_become_classes_and_back() {
        let ids = ClassIds::of(&[&[100, 0, 100], &[4_000_000_000, 50]]);
        assert_eq!(ids.count(), 4);
        assert_eq!(ids.classes(&[50, 0, 4_000_000_000, 100]), [1, 0, 3, 2]);
        assert_eq!([0, 1, 2, 3].map(|class| ids.label(class)), [0, 50, 100, 4_000_000_000]);
    }
}
