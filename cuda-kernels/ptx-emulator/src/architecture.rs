//! What a launch may ask of a card, by its compute capability.
//!
//! Source: CUDA C++ Programming Guide 12.9, table "Technical Specifications per Compute Capability".

/// Bytes of shared memory, static and dynamic, that a block gets on any card without asking.
pub(super) const SHARED_WITHOUT_ASKING: u64 = 48 << 10;
/// Threads of a block.
pub(super) const MAX_THREADS: u64 = 1024;
/// The same along z.
pub(super) const MAX_THREADS_Z: u32 = 64;
/// Registers of a block.
pub(super) const MAX_REGISTERS: u64 = 65_536;
/// Blocks of a grid along x, y and z.
pub(super) const MAX_GRID: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];

/// A compute capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    /// Its name: `sm_80`.
    pub name: &'static str,
    /// Bytes of shared memory that a block can have if the host asks.
    pub shared_opt_in: u32,
}

const fn of(name: &'static str, kib: u32) -> Architecture {
    Architecture { name, shared_opt_in: kib << 10 }
}

impl Architecture {
    /// All since Ampere.
    pub const ALL: [Architecture; 9] = [
        of("sm_80", 163),
        of("sm_86", 99),
        of("sm_87", 163),
        of("sm_89", 99),
        of("sm_90", 227),
        of("sm_100", 227),
        of("sm_103", 227),
        of("sm_120", 99),
        of("sm_121", 99),
    ];
    /// One with as little as any: what fits it, fits every card since Ampere.
    pub const LEAST: Architecture = of("sm_86", 99);

    /// The architecture of this name, with or without a suffix such as `a`.
    pub fn from_name(name: &str) -> Option<Architecture> {
        let name = name.trim_end_matches(|end: char| end.is_ascii_lowercase());
        Architecture::ALL.into_iter().find(|known| known.name == name)
    }
}
