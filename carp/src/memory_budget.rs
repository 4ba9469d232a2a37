//! The most memory that a step may take.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Units, from the largest.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

/// Bytes of the step's arena, or no bound: see [`autograd::Graph::recompute`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemoryBudget(pub Option<usize>);

impl FromStr for MemoryBudget {
    type Err = String;

    /// `none`, or a number with its unit, such as `512MiB`.
    fn from_str(text: &str) -> Result<MemoryBudget, String> {
        if text == "none" {
            return Ok(MemoryBudget(None));
        }
        let parsed = UNITS.iter().find_map(|(unit, size)| {
            let number = text.strip_suffix(unit)?.trim_end().parse::<f64>().ok()?;
            let is_sensible = number.is_finite() && number >= 0.0;
            is_sensible.then_some(MemoryBudget(Some((number * *size as f64) as usize)))
        });
        parsed.ok_or_else(|| {
            format!("a memory budget of {text:?}: should be none or a size, such as 512MiB")
        })
    }
}

impl fmt::Display for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else { return f.write_str("none") };
        let whole = |(_, size): &&(&str, u64)| bytes > 0 && (bytes as u64).is_multiple_of(*size);
        let (unit, size) = UNITS.iter().find(whole).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", bytes as u64 / size)
    }
}

impl TryFrom<String> for MemoryBudget {
    type Error = String;

    fn try_from(text: String) -> Result<MemoryBudget, String> {
        text.parse()
    }
}

impl From<MemoryBudget> for String {
    fn from(budget: MemoryBudget) -> String {
        budget.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        let read = |text: &str| text.parse::<MemoryBudget>().map(|budget| budget.0);
        assert_eq!(read("none"), Ok(None));
        assert_eq!(read("512MiB"), Ok(Some(512 << 20)));
        assert_eq!(read("1.5 GiB"), Ok(Some(3 << 29)));
        assert_eq!(read("0B"), Ok(Some(0)));
        assert_eq!(read("3kB"), Ok(Some(3000)));
        for bytes in [0, 1, 999, 1000, 1024, 5 << 20, (5 << 20) + 1, 3_000_000_000] {
            let text = MemoryBudget(Some(bytes)).to_string();
            assert_eq!(read(&text), Ok(Some(bytes)), "{text}");
        }
        assert_eq!(MemoryBudget(Some(3 << 29)).to_string(), "1536MiB");
        for wrong in ["", "512", "MiB", "-1MiB", "1 mib", "infB", "nanMiB", "1e"] {
            let line = read(wrong).unwrap_err();
            assert!(line.contains("512MiB") && line.lines().count() == 1, "{line}");
        }
    }
}
