//! A step's result as one number: two runs of which all steps' digests are the same are the same to
//! the bit.

use files::hex;
use sha2::{Digest, Sha256};

use crate::learner::Terms;

/// SHA-256, in hexadecimal, over the loss, for CARP consistency and entropy (f32, little-endian), and
/// then the SHA-256 of the weights after the step (as text, see
/// [`weights_sha256`](crate::checkpoint::weights_sha256)).
pub fn step_digest(terms: Terms, weights: &str) -> String {
    let mut digest = Sha256::new();
    let parts = terms.parts.iter().flat_map(|parts| [parts.consistency, parts.entropy]);
    for term in std::iter::once(terms.loss).chain(parts) {
        digest.update(term.to_le_bytes());
    }
    digest.update(weights);
    hex(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::LossParts;

    #[test]
    fn every_bit_counts() {
        let terms =
            |entropy| Terms { loss: 1.5, parts: Some(LossParts { consistency: 1.0, entropy }) };
        // printf '\0\0\xc0\x3f\0\0\x80\x3f\0\0\0\x3fab' | sha256sum
        let want = "61d829d5545802c62bb78c849b4038ed2110c48091ef148acd57ce1946d97285";
        assert_eq!(step_digest(terms(0.5), "ab"), want);
        assert_ne!(step_digest(terms(-0.5), "ab"), want);
        assert_ne!(step_digest(terms(0.5), "aa"), want);
    }
}
