//! Spellings that are understood beside those of the help: lists with spaces (`-k 10 20` for
//! `-k 10,20`), and `--checkpoint FILE` where the help shows CHECKPOINT.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::{Arg, Command};

/// The arguments as the help spells them; the first is the program's name.
pub fn as_in_help(command: &Command, given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let (mut command, mut given) = (command, given.into_iter().peekable());
    let mut spelled: Vec<OsString> = given.next().into_iter().collect();
    while let Some(argument) = given.next() {
        let text = argument.to_string_lossy().into_owned();
        if text == "--" {
            spelled.push(argument);
            spelled.extend(given);
            break;
        }
        if let Some(inner) = command.find_subcommand(&text) {
            command = inner;
        }
        let has_checkpoint = command.get_positionals().any(|arg| arg.get_id() == "checkpoint");
        if has_checkpoint && text == "--checkpoint" {
            continue;
        }
        match argument.as_bytes().strip_prefix(b"--checkpoint=") {
            Some(file) if has_checkpoint => spelled.push(OsStr::from_bytes(file).to_owned()),
            _ => spelled.push(argument),
        }
        let Some((list, mut values)) = list(command, &text) else { continue };
        let has_value = !values.is_empty();
        while let Some(value) = given.next_if(|next| fits(list, &next.to_string_lossy())) {
            values.extend(parts(&value.to_string_lossy()).map(str::to_owned));
        }
        match (has_value, values.join(",")) {
            (true, joined) => {
                let (option, _) = text.split_once('=').expect("where the value was");
                *spelled.last_mut().expect("the option") = format!("{option}={joined}").into();
            }
            (false, joined) if !joined.is_empty() => spelled.push(joined.into()),
            _ => {}
        }
    }
    spelled
}

/// The option that an argument names, if the help shows commas in its value, and the value after
/// `=`.
fn list<'a>(command: &'a Command, argument: &str) -> Option<(&'a Arg, Vec<String>)> {
    let (option, value) = match argument.split_once('=') {
        Some((option, value)) => (option, parts(value).map(str::to_owned).collect()),
        None => (argument, vec![]),
    };
    let has_commas = |arg: &&Arg| {
        arg.get_value_names().is_some_and(|names| names.iter().any(|name| name.contains(',')))
    };
    let is_named = |arg: &&Arg| {
        let short = arg.get_short().map(|letter| format!("-{letter}"));
        let mut long = arg.get_long().into_iter().chain(arg.get_all_aliases().unwrap_or_default());
        short.as_deref() == Some(option) || long.any(|name| option == format!("--{name}"))
    };
    let found = command.get_arguments().filter(has_commas).find(is_named)?;
    Some((found, value))
}

/// True if an argument continues a list: with names of the list's, or with numbers.
fn fits(list: &Arg, argument: &str) -> bool {
    let names = list.get_possible_values();
    parts(argument).count() > 0
        && parts(argument).all(|part| match names.is_empty() {
            true => part.parse::<f64>().is_ok(),
            false => names.iter().any(|name| name.matches(part, false)),
        })
}

/// The parts between commas, with or without spaces.
fn parts(argument: &str) -> impl Iterator<Item = &str> {
    argument.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::arg;

    use super::*;

    #[test]
    fn lists_take_commas_and_spaces_and_the_checkpoint_has_two_spellings() {
        let numbers = Arg::new("k").short('k').long("k").value_name("K,...");
        let names = Arg::new("only")
            .long("only")
            .alias("solely")
            .value_name("NAME,...")
            .value_parser(["a", "b"]);
        let eval = Command::new("eval").args([numbers, names, arg!([checkpoint])]);
        let command = Command::new("carp").subcommand(eval.arg(arg!(--seed <N>)));
        let spelled = |words: &str| {
            let words = words.split(' ').map(OsString::from);
            let spelled = as_in_help(&command, words);
            spelled.join(" ".as_ref()).into_string().unwrap()
        };
        for (given, wanted) in [
            ("carp eval -k 10 20 run", "carp eval -k 10,20 run"),
            ("carp eval -k 10,20 0.5 --seed 1 2", "carp eval -k 10,20,0.5 --seed 1 2"),
            ("carp eval --k=10 20 -k 3", "carp eval --k=10,20 -k 3"),
            ("carp eval run -k 10", "carp eval run -k 10"),
            ("carp eval -k run 10", "carp eval -k run 10"),
            ("carp eval --only a b run --only b", "carp eval --only a,b run --only b"),
            ("carp eval --solely a b run", "carp eval --solely a,b run"),
            ("carp eval -k 10, 20 ,30 run", "carp eval -k 10,20,30 run"),
            ("carp eval --checkpoint run -k 5", "carp eval run -k 5"),
            ("carp eval --checkpoint=run -- --checkpoint", "carp eval run -- --checkpoint"),
            ("carp --checkpoint x", "carp --checkpoint x"),
        ] {
            assert_eq!(spelled(given), wanted);
        }
    }
}
