//! Batch norm's sums over groups of rows, taken by whoever writes the rows: as soon as a group is
//! complete, and still in the core's cache. So batch norm need not read it from memory for them.
//!
//! A group's sums are the same whoever takes them, and when.

use isa::Isa;

use super::batch_norm::sum_group;
use crate::order::group_rows;

/// Elements that are written before their sums are taken, so that a core's L2 still has them.
pub const AT_ONCE: usize = 64 * 1024;

/// Consecutive rows of a result `[rows, channels]`, and where to write the pairs of sums `[2, channels]`
/// of the groups that lie in them whole; none if nobody wants sums.
pub struct OutputRows<'a> {
    isa: Isa,
    /// The rows.
    pub y: &'a mut [f32],
    sums: &'a mut [f32],
    channels: usize,
    /// Elements of the whole result, and of it before these rows and before the next group to sum.
    all: usize,
    first: usize,
    next: usize,
}

impl<'a> OutputRows<'a> {
    /// All rows of y, with the sums of all groups or an empty slice.
    pub fn all(isa: Isa, y: &'a mut [f32], channels: usize, sums: &'a mut [f32]) -> OutputRows<'a> {
        OutputRows { isa, all: y.len(), y, sums, channels, first: 0, next: 0 }
    }

    /// Somebody wants sums.
    pub fn has_sums(&self) -> bool {
        !self.sums.is_empty()
    }

    /// Elements of a group.
    fn group(&self) -> usize {
        group_rows(self.channels) * self.channels
    }

    /// Elements of the sums of the groups in front of an element of the whole result.
    fn sums_before(&self, element: usize) -> usize {
        element.saturating_sub(self.next) / self.group() * 2 * self.channels
    }

    /// Takes the sums of the groups that are complete once the first `rows` of these rows are written.
    pub fn written(&mut self, rows: usize) {
        let end = self.first + rows * self.channels;
        while !self.sums.is_empty() {
            let group_end = (self.next + self.group()).min(self.all);
            if group_end > end {
                break;
            }
            let sums = self.sums.split_off_mut(..2 * self.channels).expect("a pair for each group");
            let (mean, squares) = sums.split_at_mut(self.channels);
            let group = &self.y[self.next - self.first..group_end - self.first];
            sum_group(self.isa, group, mean, squares);
            self.next = group_end;
        }
    }

    /// Calls `write(number, rows, scratch)` for every part of `rows` rows, on all threads, with
    /// `of_part` elements of scratch memory for each; then takes the sums of groups that several parts
    /// share.
    pub fn in_parts(
        self,
        rows: usize,
        (scratch, of_part): (&mut [f32], usize),
        write: &(impl Fn(usize, OutputRows, &mut [f32]) + Sync),
    ) {
        let part = rows * self.channels;
        let parts = self.y.len().div_ceil(part);
        if parts <= 1 {
            return write(self.first / part, self, scratch);
        }
        let left = parts / 2;
        let middle = self.first + left * part;
        let group = self.group();
        let next = middle.next_multiple_of(group);
        let (before_next, before_middle) = (self.sums_before(next), self.sums_before(middle));
        let all_rows = self.y.len() / self.channels;

        let OutputRows { y, sums, .. } = self;
        let (sums, right_sums) = sums.split_at_mut(before_next.min(sums.len()));
        let (left_sums, shared) = sums.split_at_mut(before_middle.min(sums.len()));
        let (left_y, right_y) = y.split_at_mut(left * part);
        let (left_scratch, right_scratch) = scratch.split_at_mut(left * of_part);
        let left = OutputRows { y: left_y, sums: left_sums, ..self };
        let right = OutputRows { y: right_y, sums: right_sums, first: middle, next, ..self };
        rayon::join(
            || left.in_parts(rows, (left_scratch, of_part), write),
            || right.in_parts(rows, (right_scratch, of_part), write),
        );
        OutputRows { y, sums: shared, next: middle / group * group, ..self }.written(all_rows);
    }
}
