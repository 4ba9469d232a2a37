//! Numbers of things in words.

/// `1 step`, `2 steps`.
pub fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_singular() {
        let steps = [0, 1, 2].map(|number| counted(number, "step"));
        assert_eq!(steps, ["0 steps", "1 step", "2 steps"]);
    }
}
