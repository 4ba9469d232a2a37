//! The program that checks Rust exercises: runs the check whose number it is given. `rustc` compiles
//! it together with the exercises.

mod attempts;
mod compare;
mod golden;

fn main() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload().downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.payload().downcast_ref::<&str>().copied());
        let place = panic.location().map(|place| format!("{}:{}: ", place.file(), place.line()));
        println!("{}{}", place.unwrap_or_default(), text.unwrap_or("panicked"));
    }));
    let number = std::env::args().nth(1).and_then(|text| text.parse::<usize>().ok());
    let check = attempts::CHECKS[number.expect("a number")];
    if let Err(lines) = check() {
        println!("{lines}");
        std::process::exit(1);
    }
}
