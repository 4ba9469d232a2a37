//! A driver as a device, and the driver of a GPU.

#[cfg(not(any(feature = "cuda", feature = "cust")))]
use tensor::Error;
use tensor::geometry::Conv2d;
use tensor::{Backend, Device, Halves, Kernel, Numerics, Result, Shape};

use crate::driver::Driver;
use crate::{Gpu, launch};

/// Any driver, opened by a function once per arena, and how exactly it computes.
pub struct OnDriver<F>(pub F, pub Numerics);

impl<F: Fn() -> Result<Box<dyn Driver>> + Send + Sync> Device for OnDriver<F> {
    fn workspace(&self, kernel: &Kernel) -> usize {
        launch::workspace(kernel, self.1)
    }

    fn halves(&self, kernel: &Kernel) -> &'static [Halves] {
        launch::halves(kernel, self.1)
    }

    fn sums(&self, conv: Conv2d) -> Shape {
        launch::sums(conv, self.1)
    }

    fn copies_beside(&self) -> bool {
        true
    }

    fn gradient_sums(&self, conv: Conv2d) -> Shape {
        launch::gradient_sums(conv, self.1)
    }

    fn open(&self, elements: usize) -> Result<Box<dyn Backend>> {
        Ok(Box::new(Gpu::new(self.0()?, elements, self.1)?))
    }
}

/// The driver of a GPU: cudarc's if built in, else cust's.
///
/// # Errors
/// No such GPU, no driver, or a program built without either.
pub fn driver(ordinal: usize) -> Result<Box<dyn Driver>> {
    #[cfg(feature = "cuda")]
    return Ok(Box::new(crate::drivers::cudarc::Cudarc::new(ordinal)?));
    #[cfg(all(feature = "cust", not(feature = "cuda")))]
    return Ok(Box::new(crate::drivers::cust::Cust::new(ordinal)?));
    #[cfg(not(any(feature = "cuda", feature = "cust")))]
    Err(Error::setting(
        "device",
        format!("cuda:{ordinal}: built without GPU support; build with --features cuda"),
    ))
}
