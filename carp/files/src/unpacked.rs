//! How much a compressed file may hold.

/// Bytes unpacked for each compressed one: several times what real data gives; the format's own
/// limit is a thousand.
const RATIO: u64 = 32;

/// The most bytes that `packed` compressed ones may unpack to: a small file must not ask for
/// gigabytes. Up to `always` a file may hold nothing but zeros.
pub fn most_unpacked(packed: u64, always: u64) -> u64 {
    always.saturating_add(packed.saturating_mul(RATIO))
}
