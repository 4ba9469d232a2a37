//! Compares numbers with those that were expected, and says which mistake explains the difference.
//!
//! Also compiled into the checks of Rust exercises, so it uses nothing but the standard library.

/// A mistake that is often made: what was done, and the numbers that it gives.
pub type Mistake<'a> = (&'a str, Vec<f64>);

/// Compares element by element, within `tolerance` of the larger of 1 and the expected number.
///
/// # Errors
/// Where they first differ, and the mistake that explains all of it, if one does: one of `mistakes`
/// or of the usual ones.
pub fn close(
    what: &str,
    found: &[f64],
    expected: &[f64],
    tolerance: f64,
    mistakes: &[Mistake<'_>],
) -> Result<(), String> {
    let (many, wanted) = (found.len(), expected.len());
    if many != wanted {
        return Err(format!("{what}: got {many} numbers, expected {wanted}"));
    }
    let wrong: Vec<usize> =
        (0..many).filter(|&i| !is_close(found[i], expected[i], tolerance)).collect();
    let Some(&first) = wrong.first() else { return Ok(()) };
    let place = if many == 1 { String::new() } else { format!(", element {first}") };
    let (one, other) = show_both(found[first], expected[first]);
    let mut line = format!("{what}{place}: got {one}, expected {other}");
    if many > 1 {
        line += &format!(" ({} of {many} differ)", wrong.len());
    }
    let agrees = |values: &[f64]| all_close(found, values, tolerance);
    let known =
        mistakes.iter().find(|(_, values)| agrees(values)).map(|&(what, _)| what.to_owned());
    match known.or_else(|| usual(found, expected, tolerance)) {
        Some(mistake) => Err(format!("{line}\n{mistake}")),
        None => Err(line),
    }
}

/// The mistakes that are made everywhere.
fn usual(found: &[f64], expected: &[f64], tolerance: f64) -> Option<String> {
    let agrees = |values: Vec<f64>| all_close(found, &values, tolerance);
    if found.iter().any(|x| x.is_nan()) {
        return Some(
            "NaN comes from 0/0, from infinity less infinity, or from ln of a negative number"
                .into(),
        );
    }
    if found.iter().any(|x| x.is_infinite()) {
        return Some(
            "infinity comes from a division by 0, from ln 0, or from exp of a large number".into(),
        );
    }
    if found.iter().all(|&x| x == 0.0) {
        return Some(match found.len() {
            1 => "nothing was added to it, or it was multiplied by 0".into(),
            _ => "all are 0".into(),
        });
    }
    let factor = found[0] / expected[0];
    if agrees(expected.iter().map(|x| -x).collect()) {
        return Some("only the sign is wrong".into());
    }
    if found.len() > 1 && agrees(expected.iter().map(|x| factor * x).collect()) {
        return Some(format!(
            "all are {} times what they should be: a factor is missing",
            show(factor)
        ));
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    all_close(&sorted(found), &sorted(expected), tolerance)
        .then(|| "the numbers are right, their order is not: look at the indices".to_owned())
}

fn is_close(found: f64, expected: f64, tolerance: f64) -> bool {
    // Mistakes may give numbers that are not finite.
    found == expected
        || found.is_nan() && expected.is_nan()
        || found.is_finite()
            && expected.is_finite()
            && (found - expected).abs() <= tolerance * expected.abs().max(1.0)
}

fn all_close(found: &[f64], expected: &[f64], tolerance: f64) -> bool {
    found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(&found, &expected)| is_close(found, expected, tolerance))
}

/// A number in few digits.
pub fn show(x: f64) -> String {
    show_digits(x, 5)
}

fn show_digits(x: f64, digits: usize) -> String {
    if x != 0.0 && x.is_finite() && !(1e-3..1e6).contains(&x.abs()) {
        return format!("{x:.*e}", digits - 1);
    }
    let text = format!("{x:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Two numbers in so many digits that they differ.
fn show_both(one: f64, other: f64) -> (String, String) {
    let both = |digits| (show_digits(one, digits), show_digits(other, digits));
    (5..17).map(both).find(|(one, other)| one != other).unwrap_or_else(|| both(17))
}

/// Numbers in few digits, such as `[1, 2.5]`.
pub fn show_all(values: &[f64]) -> String {
    format!("[{}]", values.iter().map(|&x| show(x)).collect::<Vec<_>>().join(", "))
}

/// Numbers between -1 and 1 that look random, the same in each run.
pub fn numbers(count: usize, seed: u64) -> Vec<f64> {
    // SplitMix64.
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    (0..count).map(|_| (next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0).collect()
}

/// The derivative of `f` by each number of `x`, by central differences.
pub fn central_differences(f: impl Fn(&[f64]) -> f64, x: &[f64]) -> Vec<f64> {
    let step = 1e-5;
    let at = |i: usize, by: f64| {
        let mut x = x.to_vec();
        x[i] += by;
        f(&x)
    };
    (0..x.len()).map(|i| (at(i, step) - at(i, -step)) / (2.0 * step)).collect()
}
