use super::exercise::bias_gradient;
use crate::compare::{central_differences, close, numbers};

pub fn check() -> Result<(), String> {
    for (rows, columns) in [(1, 3), (2, 2), (4, 3)] {
        let dy = numbers(rows * columns, 1);
        // The loss is <dy, x + bias>; x is as well 0.
        let loss =
            |bias: &[f64]| dy.iter().zip(bias.iter().cycle()).map(|(dy, bias)| dy * bias).sum();
        let expected = central_differences(loss, &vec![0.0; columns]);
        let across =
            (0..columns).map(|c| dy.chunks(columns).nth(c).map_or(0.0, |row| row.iter().sum()));
        let mean = expected.iter().map(|sum| sum / rows as f64).collect();
        let mistakes = [
            ("these are sums along rows: sum down the columns", across.collect()),
            ("this is the mean over the rows; each row adds its whole part", mean),
        ];
        let what = format!("dbias of {rows} rows of {columns}, against central differences");
        close(&what, &bias_gradient(columns, &dy), &expected, 1e-6, &mistakes)?;
    }
    Ok(())
}
