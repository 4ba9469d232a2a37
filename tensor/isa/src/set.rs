//! The instruction sets.

use std::sync::LazyLock;

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// What every processor of its kind has; on x86-64 vectors of 4 numbers, and no fused multiply-add.
    Portable,
    /// x86-64 with vectors of 8 numbers and fused multiply-add.
    Avx2,
    /// x86-64 with vectors of 16 numbers and twice as many registers.
    Avx512,
}

/// `CARP_ISA` names no instruction set that this processor has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CARP_ISA is {name:?}; this processor has {here}")]
pub struct Unavailable {
    name: String,
    here: String,
}

impl Isa {
    /// All of them, from narrow to wide.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// Name in `CARP_ISA` and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// This processor has it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Isa::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
            }
        }
    }

    /// This processor has it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Isa::Portable
    }

    /// Those that this processor has, from narrow to wide.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The widest that this processor has.
    pub fn widest() -> Isa {
        Isa::available().last().unwrap_or(Isa::Portable)
    }

    /// The one that `CARP_ISA` names, else the widest.
    ///
    /// # Errors
    /// A name that is unknown, or one that this processor does not have.
    pub fn chosen() -> Result<Isa, Unavailable> {
        std::env::var_os("CARP_ISA")
            .map_or(Ok(Isa::widest()), |name| Isa::named(&name.to_string_lossy()))
    }

    /// The one that `CARP_ISA` names if this processor has it, else the widest.
    pub fn preferred() -> Isa {
        static PREFERRED: LazyLock<Isa> =
            LazyLock::new(|| Isa::chosen().unwrap_or_else(|_| Isa::widest()));
        *PREFERRED
    }

    fn named(name: &str) -> Result<Isa, Unavailable> {
        Isa::available().find(|isa| isa.name() == name).ok_or_else(|| {
            let here: Vec<_> = Isa::available().map(Isa::name).collect();
            Unavailable { name: name.to_owned(), here: here.join(", ") }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_and_mistakes_name_the_choices() {
        for isa in Isa::available() {
            assert_eq!(Isa::named(isa.name()), Ok(isa));
        }
        let error = Isa::named("avx9").unwrap_err().to_string();
        assert!(error.starts_with("CARP_ISA is \"avx9\"; this processor has portable"), "{error}");
    }
}
