//! The forms in which the PTX ISA has an opcode: which types, and which other suffixes with them.
//!
//! Checked before an instruction is decoded, so the decoder need not ask which of an opcode's
//! suffixes go together, and what the ISA does not have is refused, not guessed.

use super::builder::Result;
use super::opcode::{Opcode, WIDE};
use crate::types::Ty;

/// The types of each place, and slots for other suffixes: any order, at most one of `a|b` each, and
/// one for sure where the slot begins with `!`.
type Form = (&'static [&'static str], &'static str);

const INTEGERS: &str = "u16 u32 u64 s16 s32 s64";
const SIGNED: &str = "s16 s32 s64";
const FROM_32_BITS: &str = "u32 u64 s32 s64";
const ANY: &str = "b16 b32 b64 u16 u32 u64 s16 s32 s64 f32 f64";
/// What `set` gives where it compares no halves.
const TRUTHS: &str = "u32 s32 f32 f16 bf16";

const ROUNDED: &str = "rn|rz|rm|rp";
const ROUNDED_SATURATED: &str = "rn|rz|rm|rp ftz sat";
const ROUND_STATED: &str = "!rn|rz|rm|rp";
const EITHER_HALF: &str = "!lo|hi";
const EQUALITY: &str = "!eq|ne and|or|xor";
const ORDER: &str = "!eq|ne|lt|le|gt|ge and|or|xor";
const UNSIGNED_ORDER: &str = "!eq|ne|lt|le|gt|ge|lo|ls|hi|hs and|or|xor";
const FLOAT_ORDER: &str = "!eq|ne|lt|le|gt|ge|equ|neu|ltu|leu|gtu|geu|num|nan and|or|xor";
const FLOAT_ORDER_FLUSHED: &str =
    "!eq|ne|lt|le|gt|ge|equ|neu|ltu|leu|gtu|geu|num|nan and|or|xor ftz";

/// Those of sums and products of floats.
const ON_FLOATS: &[Form] = &[
    (&["f32"], ROUNDED_SATURATED),
    (&["f32x2"], "rn|rz|rm|rp ftz"),
    (&["f64"], ROUNDED),
    (&["f16 f16x2"], "rn ftz sat"),
    (&["bf16 bf16x2"], "rn"),
];

/// The forms of an opcode; none if it is checked elsewhere.
fn forms(name: &str) -> impl Iterator<Item = Form> + Clone {
    let on_floats = if matches!(name, "add" | "sub" | "mul") { ON_FLOATS } else { &[] };
    own_forms(name).iter().chain(on_floats).copied()
}

/// Those that an opcode does not share.
#[rustfmt::skip]
fn own_forms(name: &str) -> &'static [Form] {
    match name {
        "add" => &[
            (&["u16 u32 u64 s16 s64 u16x2 s16x2"], ""),
            (&["s32"], "sat"),
            (&[FROM_32_BITS], "!cc"),
            (&["f32", "f16 bf16"], "rn|rz|rm|rp sat"),
        ],
        "sub" => &[
            (&["u16 u32 u64 s16 s64"], ""),
            (&["s32"], "sat"),
            (&[FROM_32_BITS], "!cc"),
            (&["f32", "f16 bf16"], "rn|rz|rm|rp sat"),
        ],
        "addc" | "subc" => &[(&[FROM_32_BITS], "cc")],
        "mul" => &[
            (&["u16 u32 s16 s32"], "!lo|hi|wide"),
            (&["u64 s64"], EITHER_HALF),
        ],
        "mad" => &[
            (&["u16 u32 s16 s32"], "!lo|hi|wide"),
            (&["u64 s64"], EITHER_HALF),
            (&["s32"], "!hi !sat"),
            (&[FROM_32_BITS], "!lo|hi !cc"),
            (&["f32"], ROUNDED_SATURATED),
            (&["f64"], ROUND_STATED),
        ],
        "madc" => &[(&[FROM_32_BITS], "!lo|hi cc")],
        "fma" => &[
            (&["f32"], "!rn|rz|rm|rp ftz sat"),
            (&["f32x2"], "!rn|rz|rm|rp ftz"),
            (&["f64"], ROUND_STATED),
            (&["f16 f16x2"], "!rn ftz sat|relu"),
            (&["bf16 bf16x2"], "!rn relu"),
            (&["f32", "f16 bf16"], "!rn|rz|rm|rp sat"),
        ],
        "div" => &[
            (&[INTEGERS], ""),
            (&["f32"], "!approx|full|rn|rz|rm|rp ftz"),
            (&["f64"], ROUND_STATED),
        ],
        "rem" | "sad" => &[(&[INTEGERS], "")],
        "min" | "max" => &[
            (&["u16 u32 u64 s16 s64 u16x2"], ""),
            (&["s32 s16x2"], "relu"),
            (&["f64"], ""),
            (&["f32"], "ftz NaN abs"),
            (&["f16 f16x2"], "ftz NaN"),
            (&["bf16 bf16x2"], "NaN"),
            (&["f32 f16 f16x2"], "ftz NaN !xorsign !abs"),
            (&["bf16 bf16x2"], "NaN !xorsign !abs"),
        ],
        "neg" | "abs" => &[
            (&[SIGNED], ""),
            (&["f32 f16 f16x2"], "ftz"),
            (&["f64 bf16 bf16x2"], ""),
        ],
        "rcp" => &[
            (&["f32"], "!approx|rn|rz|rm|rp ftz"),
            (&["f64"], ROUND_STATED),
            (&["f64"], "!approx !ftz"),
        ],
        "sqrt" => &[(&["f32"], "!approx|rn|rz|rm|rp ftz"), (&["f64"], ROUND_STATED)],
        "rsqrt" => &[(&["f32 f64"], "!approx ftz")],
        "ex2" => &[
            (&["f32"], "!approx ftz"),
            (&["f16 f16x2"], "!approx"),
            (&["bf16 bf16x2"], "!approx !ftz"),
        ],
        "lg2" | "sin" | "cos" => &[(&["f32"], "!approx ftz")],
        "tanh" => &[(&["f32 f16 f16x2 bf16 bf16x2"], "!approx")],
        "copysign" => &[(&["f32 f64"], "")],

        "and" | "or" | "xor" | "not" => &[(&["pred b16 b32 b64"], "")],
        "cnot" | "shl" => &[(&["b16 b32 b64"], "")],
        "shr" => &[(&["b16 b32 b64 u16 u32 u64 s16 s32 s64"], "")],
        "popc" | "clz" | "brev" | "bfi" => &[(&["b32 b64"], "")],
        "bfe" => &[(&[FROM_32_BITS], "")],
        "bfind" => &[(&[FROM_32_BITS], "shiftamt")],
        "fns" => &[(&["b32"], "")],
        "mul24" => &[(&["u32 s32"], EITHER_HALF)],
        "mad24" => &[(&["u32 s32"], EITHER_HALF), (&["s32"], "!hi !sat")],
        "lop3" => &[(&["b32"], "or|and")],
        "shf" => &[(&["b32"], "!l|r !clamp|wrap")],
        "prmt" => &[(&["b32"], "f4e|b4e|rc8|ecl|ecr|rc16")],
        "bmsk" => &[(&["b32"], "!clamp|wrap")],
        "szext" => &[(&["u32 s32"], "!clamp|wrap")],
        "dp4a" => &[(&["u32 s32", "u32 s32"], "")],
        "dp2a" => &[(&["u32 s32", "u32 s32"], EITHER_HALF)],

        "setp" => &[
            (&["b16 b32 b64"], EQUALITY),
            (&["u16 u32 u64"], UNSIGNED_ORDER),
            (&[SIGNED], ORDER),
            (&["f64 bf16 bf16x2"], FLOAT_ORDER),
            (&["f32 f16 f16x2"], FLOAT_ORDER_FLUSHED),
        ],
        "set" => &[
            (&[TRUTHS, "b16 b32 b64"], EQUALITY),
            (&[TRUTHS, "u16 u32 u64"], UNSIGNED_ORDER),
            (&[TRUTHS, SIGNED], ORDER),
            (&[TRUTHS, "f32 f64"], FLOAT_ORDER),
            (&["u32 s32 f32 f16", "f32"], FLOAT_ORDER_FLUSHED),
            (&["u16 s16 u32 s32 f16 bf16", "f16 bf16"], FLOAT_ORDER),
            (&["u16 s16 u32 s32 f16", "f16"], FLOAT_ORDER_FLUSHED),
            (&["u32 s32 f16x2", "f16x2"], FLOAT_ORDER_FLUSHED),
            (&["u32 s32 bf16x2", "bf16x2"], FLOAT_ORDER),
        ],
        "selp" => &[(&[ANY], "")],
        "slct" => &[(&[ANY, "s32"], ""), (&[ANY, "f32"], "ftz")],
        "testp" => &[(&["f32 f64"], "!finite|infinite|number|notanumber|normal|subnormal")],

        "shfl" => &[(&["b32"], "!sync !up|down|bfly|idx")],
        "vote" => &[(&["pred"], "!sync !all|any|uni"), (&["b32"], "!sync !ballot")],
        "match" => &[(&["b32 b64"], "!sync !all|any")],
        "redux" => &[
            (&["u32 s32"], "!sync !add|min|max"),
            (&["b32"], "!sync !and|or|xor"),
            (&["f32"], "!sync !min|max abs NaN"),
        ],
        "elect" => &[(&[], "!sync")],
        "activemask" => &[(&["b32"], "")],
        _ => &[],
    }
}

/// How suffixes fit a form.
enum Fit {
    Yes,
    /// A suffix of this slot is missing.
    Lacks(&'static str),
    No,
}

/// Refuses an opcode in a form that the ISA does not have.
pub fn check(op: &Opcode<'_>) -> Result<()> {
    let forms = forms(op.name);
    let mut lacks = None;
    for form in forms.clone() {
        match fit(form, op.suffixes()) {
            Fit::Yes => return Ok(()),
            Fit::Lacks(slot) => lacks = lacks.or(Some(slot)),
            Fit::No => {}
        }
    }
    if forms.clone().next().is_none() {
        return Ok(());
    }
    if op.suffixes().contains(&"b128") {
        return Err(format!("{}: {WIDE}", op.text));
    }
    if let Some(slot) = lacks {
        let choices: Vec<String> = slot.split('|').map(|suffix| format!(".{suffix}")).collect();
        let choices = match choices.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => choices.concat(),
        };
        return Err(format!("{} wants {choices}", op.text));
    }
    let known = |suffix: &str| {
        forms.clone().any(|(types, slots)| {
            types.iter().any(|place| place.split(' ').any(|ty| ty == suffix))
                || slots.split([' ', '|', '!']).any(|slot| slot == suffix)
        })
    };
    match op.suffixes().iter().find(|suffix| !known(suffix)) {
        Some(suffix) => Err(format!(".{suffix} of {} is not known", op.text)),
        None => Err(format!("{} is not known", op.text)),
    }
}

fn fit((places, slots): Form, suffixes: &[&str]) -> Fit {
    let is_type = |suffix: &&&str| Ty::from_name(suffix).is_some() || **suffix == "f32x2";
    let types = suffixes.iter().filter(is_type);
    let others = suffixes.iter().filter(|suffix| !is_type(suffix));
    if types.clone().count() != places.len()
        || !places.iter().zip(types).all(|(place, ty)| place.split(' ').any(|known| known == *ty))
    {
        return Fit::No;
    }
    let mut unplaced = others.clone().count();
    let mut lacks = None;
    for slot in slots.split(' ').filter(|slot| !slot.is_empty()) {
        let choices = slot.trim_start_matches('!');
        let here = |suffix: &&&str| choices.split('|').any(|choice| choice == **suffix);
        match others.clone().filter(here).count() {
            0 if slot.starts_with('!') => lacks = lacks.or(Some(choices)),
            0 => {}
            1 => unplaced -= 1,
            _ => return Fit::No,
        }
    }
    match lacks {
        _ if unplaced > 0 => Fit::No,
        Some(choices) => Fit::Lacks(choices),
        None => Fit::Yes,
    }
}
