//! Rows of numbers in few letters, in base 16: `7` for all the same, `a+4` for steps of 4 from 10 on,
//! and otherwise each.

/// A row in few letters; steps wrap around at 64 bits.
pub fn short(row: &[u64]) -> String {
    let (first, step) = match *row {
        [] => return String::new(),
        [only] => (only, 0),
        [first, second, ..] => (first, second.wrapping_sub(first)),
    };
    let is_ramp = row.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    match (is_ramp, step) {
        (true, 0) => format!("{first:x}"),
        (true, _) => format!("{first:x}+{step:x}"),
        (false, _) => row.iter().map(|value| format!("{value:x}")).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn rows_are_short() {
        assert_eq!(short(&[16; 32]), "10");
        assert_eq!(short(&[10, 14, 18]), "a+4");
        assert_eq!(short(&[2, 1, 0]), "2+ffffffffffffffff");
        assert_eq!(short(&[1, 2, 4]), "1 2 4");
        assert_eq!((short(&[5]), short(&[])), ("5".to_owned(), String::new()));
    }
}
