//! Devices by name: a card, or the emulator.

#[cfg(not(any(feature = "cuda", feature = "cust")))]
use tensor::Error;
use tensor::{Backend, Result};

use crate::Gpu;
use crate::driver::Driver;
use crate::drivers::emulator::Emulator;

/// A backend on the card of this number, with an arena of `elements` elements; with 0 elements one
/// that can be asked for sizes of scratch memory alone.
///
/// # Errors
/// No such card, no driver, too little memory, or a program that was built without either.
pub fn cuda(ordinal: usize, elements: usize) -> Result<Box<dyn Backend>> {
    on_driver(elements, || open(ordinal))
}

/// A backend on the emulator without its sanitizer, as [`cuda`].
///
/// # Errors
/// Too little memory.
pub fn emulate(elements: usize) -> Result<Box<dyn Backend>> {
    on_driver(elements, || Ok(Box::new(Emulator::new())))
}

/// A backend on a driver that is opened only if the backend is to run anything.
///
/// # Errors
/// Those of `open`; too little memory.
pub fn on_driver(
    elements: usize,
    open: impl FnOnce() -> Result<Box<dyn Driver>>,
) -> Result<Box<dyn Backend>> {
    Ok(Box::new(if elements == 0 { Gpu::sizes() } else { Gpu::new(open()?, elements)? }))
}

/// The driver of a card: cudarc's if it was built in, else cust's.
///
/// # Errors
/// As [`cuda`].
pub fn open(ordinal: usize) -> Result<Box<dyn Driver>> {
    #[cfg(feature = "cuda")]
    return Ok(Box::new(crate::drivers::cudarc::Cudarc::new(ordinal)?));
    #[cfg(all(feature = "cust", not(feature = "cuda")))]
    return Ok(Box::new(crate::drivers::cust::Cust::new(ordinal)?));
    #[cfg(not(any(feature = "cuda", feature = "cust")))]
    Err(Error::setting(
        "device",
        format!("cuda:{ordinal}: built without it; build with --features cuda"),
    ))
}
