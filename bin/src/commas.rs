//! Lists as arguments.

/// A list as it is given on the command line, for the help.
pub fn with_commas(list: &[impl ToString]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
