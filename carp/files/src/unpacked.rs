//! How much a compressed file may hold, and reading no more.

use std::io::{self, Read};

/// Bytes unpacked for each compressed one: several times what real data gives; the format's own
/// limit is a thousand.
const RATIO: u64 = 32;

/// The most bytes that `packed` compressed ones may unpack to: a small file must not ask for
/// gigabytes. Up to `always` a file may hold nothing but zeros.
pub fn most_unpacked(packed: u64, always: u64) -> u64 {
    always.saturating_add(packed.saturating_mul(RATIO))
}

/// All bytes of `from`, to its end; none if there are more than `most`.
///
/// # Errors
/// As [`Read::read_to_end`].
pub fn read_at_most(from: impl Read, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    // One more than wanted, so that the end is reached and a checksum there compared.
    from.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}
