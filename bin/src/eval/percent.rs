//! Fractions as users read them.

/// A fraction in per cent, or a dash.
pub fn percent(fraction: Option<f64>) -> String {
    fraction.map_or("-".to_owned(), |fraction| format!("{:.2}", 100.0 * fraction))
}
