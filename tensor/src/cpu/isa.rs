//! The instruction sets that the microkernel is written for, one of which is chosen when a device is
//! opened: the widest that the processor has, or the one that the environment variable `CARP_ISA`
//! names. All give the same bits.

mod vector;

use self::vector::Plain;
#[cfg(target_arch = "x86_64")]
use self::vector::{Avx2, Avx512};
pub use self::vector::{LANES, Vector, prefetch};
use crate::{Error, Result};

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Whatever the program was compiled for.
    Portable,
    /// x86-64 with vectors of 8 numbers and fused multiply-add.
    Avx2,
    /// x86-64 with vectors of 16 numbers and twice as many registers.
    Avx512,
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
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
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
    pub fn chosen() -> Result<Isa> {
        std::env::var_os("CARP_ISA")
            .map_or(Ok(Isa::widest()), |name| Isa::named(&name.to_string_lossy()))
    }

    /// This processor has what the whole program was compiled for: `.cargo/config.toml` names AVX2, FMA
    /// and others on x86-64. Uses no instruction of theirs.
    #[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
    pub fn program_runs() -> bool {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        // Asks the processor; `is_x86_feature_detected` would repeat what the compiler was told.
        #[allow(unused_unsafe, reason = "unsafe until Rust 1.94")]
        // SAFETY: every x86-64 has the instruction; leaf 7 is read where the processor has it.
        let (basic, extended, more) = unsafe {
            let most = __cpuid(0).eax;
            (
                __cpuid(1).ecx,
                if most < 7 { 0 } else { __cpuid_count(7, 0).ebx },
                __cpuid(0x8000_0001).ecx,
            )
        };
        let has = |register: u32, bits: &[u32]| bits.iter().all(|bit| register >> bit & 1 == 1);
        // FMA, MOVBE, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT.
        has(basic, &[12, 22, 27, 28, 29]) && has(extended, &[3, 5, 8]) && has(more, &[5])
    }

    /// The program was compiled for every processor of its kind.
    #[cfg(not(all(target_arch = "x86_64", target_feature = "avx2")))]
    pub fn program_runs() -> bool {
        true
    }

    /// The program was compiled without AVX2 and FMA, which this processor has: loops outside the
    /// microkernel take several times as long, for the same bits.
    pub fn program_is_slow() -> bool {
        cfg!(all(target_arch = "x86_64", not(target_feature = "fma"))) && Isa::Avx2.is_available()
    }

    /// Does the work with this instruction set.
    ///
    /// # Panics
    /// If the processor lacks it.
    pub fn run(self, work: impl Vectorised) {
        assert!(self.is_available(), "this processor has no {self:?}");
        match self {
            // SAFETY: the assert above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { run_avx512(work) },
            // SAFETY: the assert above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { run_avx2(work) },
            _ => work.run::<Plain>(),
        }
    }

    fn named(name: &str) -> Result<Isa> {
        Isa::available().find(|isa| isa.name() == name).ok_or_else(|| {
            let here: Vec<_> = Isa::available().map(Isa::name).collect();
            let here = here.join(", ");
            Error::device(format!("CARP_ISA is {name:?}; this processor has {here}"))
        })
    }
}

/// Work that is compiled anew for each instruction set. (Of a closure the compiler would make one
/// function for all of them.)
pub trait Vectorised {
    /// Does it; `#[inline(always)]`, as are all functions with loops or vectors that it calls.
    fn run<V: Vector>(self);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl")]
fn run_avx512(work: impl Vectorised) {
    work.run::<Avx512>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(work: impl Vectorised) {
    work.run::<Avx2>();
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
