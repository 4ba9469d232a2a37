//! The transpose, against the CPU.

mod common;

use common::{Case, uniform};
use tensor::Kernel;

/// One number, a row, a column, whole tiles, and parts of tiles on both sides.
#[test]
fn matrices_of_all_sides() {
    for (rows, columns) in [(1, 1), (1, 70), (65, 1), (64, 32), (33, 31), (5, 100), (100, 40)] {
        let mut case = Case::shifted(format!("{rows}x{columns}"), rows % 2);
        let x = case.input(&uniform(1, rows * columns));
        let y = case.exact("y", rows * columns);
        case.call(Kernel::Transpose { rows, columns }, &[x], &[y]);
        case.run();
    }
}
