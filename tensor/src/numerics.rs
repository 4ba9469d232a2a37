//! What a device may round on its way to a result.

use serde::{Deserialize, Serialize};

/// How exactly a device computes. Everything but products (of convolutions, matrices and the streaming
/// loss), and what is stored between them, is always exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Numerics {
    /// All in f32, in the order of [`crate::order`]: the same bits on every device.
    #[default]
    Exact,
    /// Products on a GPU's tensor cores, from operands rounded to 10 bits of mantissa.
    Tf32,
    /// The same from operands rounded to 7 bits, and what convolutions read and write stored so, as are
    /// the streaming loss's logits.
    Bf16,
}

impl Numerics {
    /// All of them.
    pub const ALL: [Numerics; 3] = [Numerics::Exact, Numerics::Tf32, Numerics::Bf16];

    /// Name in settings and tables.
    pub fn name(self) -> &'static str {
        match self {
            Numerics::Exact => "exact",
            Numerics::Tf32 => "tf32",
            Numerics::Bf16 => "bf16",
        }
    }
}
