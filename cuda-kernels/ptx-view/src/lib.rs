//! A recorded warp as a page that needs no other file: its lanes, registers and memory, step by step.

mod data;
mod rows;

use ptx_emulator::{Fault, Recording};

pub use crate::data::Source;
use crate::data::data;

const SKELETON: &str = include_str!("../assets/view.html");
/// What the skeleton has room for.
const PARTS: [(&str, &str); 8] = [
    ("/*view.css*/", include_str!("../assets/view.css")),
    ("/*values.js*/", include_str!("../assets/values.js")),
    ("/*recording.js*/", include_str!("../assets/recording.js")),
    ("/*controls.js*/", include_str!("../assets/controls.js")),
    ("/*code.js*/", include_str!("../assets/code.js")),
    ("/*registers.js*/", include_str!("../assets/registers.js")),
    ("/*memory.js*/", include_str!("../assets/memory.js")),
    ("/*view.js*/", include_str!("../assets/view.js")),
];
const DATA: &str = "/*data*/";

/// The page of a warp. `ptx` is the module's text; `finding` is what stopped the launch, whichever warp
/// it was. The data are in the page as JSON, in the element with the id `data`.
pub fn page(
    recording: &Recording,
    ptx: &str,
    sources: &[Source],
    finding: Option<&Fault>,
) -> String {
    let json = data(recording, ptx, sources, finding).to_string();
    // Nothing in the data may end its element.
    let json = json.replace('<', "\\u003c");
    let page =
        PARTS.iter().fold(SKELETON.to_owned(), |page, (name, part)| page.replace(name, part));
    page.replace(DATA, &json)
}
