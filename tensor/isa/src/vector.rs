//! Numbers side by side in registers, for work that keeps many of them there: of loops over arrays,
//! the compiler would make copies in memory.

use std::ops::{Add, Mul, Neg, Sub};

/// Numbers in a vector: one register of AVX-512, two of AVX2.
pub const LANES: usize = 16;

/// As many numbers, each with the operation of the same name of an f32.
pub trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<f32, Output = Self> + Neg<Output = Self>
{
    /// Zeros.
    #[inline(always)]
    fn zero() -> Self {
        Self::load(&[0.0; LANES])
    }
    /// From memory.
    fn load(x: &[f32; LANES]) -> Self;
    /// Numbers from memory, as many as there are, and zeros.
    #[inline(always)]
    fn load_some(x: &[f32]) -> Self {
        match x.first_chunk() {
            Some(x) => Self::load(x),
            None => {
                let mut lanes = [0.0; LANES];
                lanes[..x.len()].copy_from_slice(x);
                Self::load(&lanes)
            }
        }
    }
    /// Into memory.
    fn store(self, x: &mut [f32; LANES]);
    /// Into memory, as many as there is room for.
    #[inline(always)]
    fn store_some(self, x: &mut [f32]) {
        match x.first_chunk_mut() {
            Some(x) => self.store(x),
            None => {
                let mut lanes = [0.0; LANES];
                self.store(&mut lanes);
                x.copy_from_slice(&lanes[..x.len()]);
            }
        }
    }
    /// `self * factor + term`, rounded once.
    fn mul_add(self, factor: f32, term: Self) -> Self;
    /// `columns[i][j] = rows[j * step + i]`
    #[inline(always)]
    fn transpose(rows: &[f32], step: usize, columns: &mut [[f32; LANES]; LANES]) {
        for j in 0..LANES {
            let row = &rows[j * step..][..LANES];
            columns.iter_mut().zip(row).for_each(|(column, x)| column[j] = *x);
        }
    }
}

/// In instructions that every processor has.
#[derive(Clone, Copy)]
pub struct Plain([f32; LANES]);

impl Vector for Plain {
    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Plain {
        Plain(*x)
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; LANES]) {
        *x = self.0;
    }

    #[inline(always)]
    fn mul_add(self, factor: f32, term: Plain) -> Plain {
        Plain(std::array::from_fn(|lane| self.0[lane].mul_add(factor, term.0[lane])))
    }
}

impl Add for Plain {
    type Output = Plain;

    #[inline(always)]
    fn add(self, other: Plain) -> Plain {
        Plain(std::array::from_fn(|lane| self.0[lane] + other.0[lane]))
    }
}

impl Sub for Plain {
    type Output = Plain;

    #[inline(always)]
    fn sub(self, other: Plain) -> Plain {
        Plain(std::array::from_fn(|lane| self.0[lane] - other.0[lane]))
    }
}

impl Mul<f32> for Plain {
    type Output = Plain;

    #[inline(always)]
    fn mul(self, factor: f32) -> Plain {
        Plain(self.0.map(|x| x * factor))
    }
}

impl Neg for Plain {
    type Output = Plain;

    #[inline(always)]
    fn neg(self) -> Plain {
        Plain(self.0.map(|x| -x))
    }
}

/// The vector of an instruction set, in as many registers as it takes.
#[cfg(target_arch = "x86_64")]
macro_rules! in_registers {
    ($name:ident, $feature:literal, [$register:ident; $count:literal],
     $load:ident, $store:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $fmadd:ident,
     { $($more:tt)* }) => {
        #[doc = concat!("In registers of ", $feature, ".")]
        #[derive(Clone, Copy)]
        pub struct $name([arch::$register; $count]);

        // SAFETY, of all blocks here: only functions for this instruction set name the type, which run where
        // the processor has it; `load` and `store` reach as far as their array.
        impl Vector for $name {
            #[inline(always)]
            fn load(x: &[f32; LANES]) -> $name {
                // SAFETY: see above.
                unsafe {
                    let mut y = [arch::$splat(0.0); $count];
                    for (i, y) in y.iter_mut().enumerate() {
                        *y = arch::$load(x.as_ptr().add(i * (LANES / $count)));
                    }
                    $name(y)
                }
            }

            #[inline(always)]
            fn store(self, x: &mut [f32; LANES]) {
                for (i, register) in self.0.into_iter().enumerate() {
                    // SAFETY: see above.
                    unsafe { arch::$store(x.as_mut_ptr().add(i * (LANES / $count)), register) };
                }
            }

            #[inline(always)]
            fn mul_add(mut self, factor: f32, term: $name) -> $name {
                for (y, term) in self.0.iter_mut().zip(term.0) {
                    // SAFETY: see above.
                    *y = unsafe { arch::$fmadd(*y, arch::$splat(factor), term) };
                }
                self
            }

            $($more)*
        }

        impl Add for $name {
            type Output = $name;

            #[inline(always)]
            fn add(mut self, other: $name) -> $name {
                for (y, other) in self.0.iter_mut().zip(other.0) {
                    // SAFETY: see above.
                    *y = unsafe { arch::$add(*y, other) };
                }
                self
            }
        }

        impl Sub for $name {
            type Output = $name;

            #[inline(always)]
            fn sub(mut self, other: $name) -> $name {
                for (y, other) in self.0.iter_mut().zip(other.0) {
                    // SAFETY: see above.
                    *y = unsafe { arch::$sub(*y, other) };
                }
                self
            }
        }

        impl Mul<f32> for $name {
            type Output = $name;

            #[inline(always)]
            fn mul(mut self, factor: f32) -> $name {
                for y in &mut self.0 {
                    // SAFETY: see above.
                    *y = unsafe { arch::$mul(*y, arch::$splat(factor)) };
                }
                self
            }
        }

        impl Neg for $name {
            type Output = $name;

            #[inline(always)]
            fn neg(self) -> $name {
                self * -1.0
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as arch;

#[cfg(target_arch = "x86_64")]
in_registers!(
    Avx2,
    "AVX2",
    [__m256; 2],
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    {}
);

#[cfg(target_arch = "x86_64")]
in_registers!(
    Avx512,
    "AVX-512",
    [__m512; 1],
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    {
        #[inline(always)]
        fn transpose(rows: &[f32], step: usize, columns: &mut [[f32; LANES]; LANES]) {
            let mut square = [Avx512::zero(); LANES];
            for (j, row) in square.iter_mut().enumerate() {
                *row = Avx512::load_some(&rows[j * step..][..LANES]);
            }
            // Of row and column as one binary number, a round turns the highest digit into the lowest.
            for _ in 0..LANES.ilog2() {
                let (first, second) = square.split_at(LANES / 2);
                let mut next = square;
                for (pair, (a, b)) in next.chunks_exact_mut(2).zip(first.iter().zip(second)) {
                    // SAFETY: see above.
                    pair.copy_from_slice(&unsafe { interleave(*a, *b) });
                }
                square = next;
            }
            for (column, square) in columns.iter_mut().zip(square) {
                square.store(column);
            }
        }
    }
);

/// Numbers of both in turn: of their first halves, and of their second.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn interleave(a: Avx512, b: Avx512) -> [Avx512; 2] {
    let first = arch::_mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let second = arch::_mm512_add_epi32(first, arch::_mm512_set1_epi32(8));
    let pick = |from| Avx512([arch::_mm512_permutex2var_ps(a.0[0], from, b.0[0])]);
    [pick(first), pick(second)]
}

/// Asks for memory that will be read soon, which is then on its way while other work goes on.
#[inline(always)]
pub fn prefetch(x: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in x.chunks(LANES) {
        // SAFETY: a hint, which changes nothing.
        unsafe { arch::_mm_prefetch::<{ arch::_MM_HINT_T0 }>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = x;
}
