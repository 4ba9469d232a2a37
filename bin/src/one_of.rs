//! One of a closed list, by its name, as an argument.

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Parses the name of one of `all`.
pub fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.map(name)).map(move |given| {
        let is_given = |one: &T| name(*one) == given;
        all.into_iter().find(is_given).expect("one of the possible values")
    })
}
