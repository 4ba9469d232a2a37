//! `--device`: where the kernels run.

use std::str::FromStr;

use carp::error::Result;
use clap::Args;
use cuda_kernels::Driver;
use cuda_kernels::device::{OnDriver, driver};
use cuda_kernels::drivers::emulator::Emulator;
use tensor::geometry::Conv2d;
use tensor::{Backend, Cpu, Device, Error, Halves, Kernel, Numerics, Shape};

use crate::machine_memory::check_fits;

#[derive(Args, Clone, Copy)]
pub struct DeviceArgs {
    /// Where the kernels run: cpu, a GPU (cuda:0, cuda:1, ...), or emulate (the GPU kernels,
    /// emulated on the CPU).
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: DeviceName,
}

/// A device by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    Cpu,
    Cuda(usize),
    Emulate,
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<DeviceName, String> {
        match (name, name.strip_prefix("cuda:").and_then(|number| number.parse().ok())) {
            ("cpu", _) => Ok(DeviceName::Cpu),
            ("emulate", _) => Ok(DeviceName::Emulate),
            ("cuda", _) => Ok(DeviceName::Cuda(0)),
            (_, Some(number)) => Ok(DeviceName::Cuda(number)),
            _ => Err("should be cpu, cuda:0 or emulate".to_owned()),
        }
    }
}

impl Device for DeviceName {
    fn workspace(&self, kernel: &Kernel) -> usize {
        self.with(Numerics::Exact).workspace(kernel)
    }

    fn open(&self, elements: usize) -> tensor::Result<Box<dyn Backend>> {
        self.with(Numerics::Exact).open(elements)
    }
}

impl DeviceName {
    /// The device with these numerics.
    pub fn with(self, numerics: Numerics) -> NumericDevice {
        NumericDevice { device: self, numerics }
    }
}

/// A device and how exactly it computes.
#[derive(Clone, Copy)]
pub struct NumericDevice {
    device: DeviceName,
    numerics: Numerics,
}

impl NumericDevice {
    /// Whether it has memory of its own.
    pub fn is_card(&self) -> bool {
        matches!(self.device, DeviceName::Cuda(_))
    }

    /// Calls `f` with the device.
    fn with<T>(&self, f: impl FnOnce(&dyn Device) -> T) -> T {
        match self.device {
            DeviceName::Cpu => f(&Cpu),
            DeviceName::Cuda(ordinal) => f(&OnDriver(|| driver(ordinal), self.numerics)),
            DeviceName::Emulate => {
                f(&OnDriver(|| Ok(Box::new(Emulator::new()) as Box<dyn Driver>), self.numerics))
            }
        }
    }
}

impl Device for NumericDevice {
    fn workspace(&self, kernel: &Kernel) -> usize {
        self.with(|device| device.workspace(kernel))
    }

    fn halves(&self, kernel: &Kernel) -> &'static [Halves] {
        self.with(|device| device.halves(kernel))
    }

    fn sums(&self, conv: Conv2d) -> Shape {
        self.with(|device| device.sums(conv))
    }

    fn gradient_sums(&self, conv: Conv2d) -> Shape {
        self.with(|device| device.gradient_sums(conv))
    }

    fn copies_beside(&self) -> bool {
        self.with(|device| device.copies_beside())
    }

    fn open(&self, elements: usize) -> tensor::Result<Box<dyn Backend>> {
        if !self.is_card() {
            check_fits(elements.saturating_mul(4), || "choose smaller sizes".to_owned())?;
        }
        self.with(|device| device.open(elements))
    }
}

impl DeviceArgs {
    /// The device, in the form the library takes.
    ///
    /// # Errors
    /// A GPU that is not available.
    pub fn open(&self) -> Result<&DeviceName> {
        if let DeviceName::Cuda(ordinal) = self.device {
            driver(ordinal)?;
        }
        Ok(&self.device)
    }

    /// The device with the numerics of a run.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); numerics that the device does not have.
    pub fn open_with(&self, numerics: Numerics) -> Result<NumericDevice> {
        self.open()?;
        self.with(numerics)
    }

    /// As [`open_with`](Self::open_with), of a device that need not be there: planning needs only its
    /// scratch sizes.
    ///
    /// # Errors
    /// Numerics that the device does not have.
    pub fn with(&self, numerics: Numerics) -> Result<NumericDevice> {
        if self.device == DeviceName::Cpu && numerics != Numerics::Exact {
            let detail = format!(
                "{}: the CPU computes exactly; choose --device cuda:0 or emulate",
                numerics.name()
            );
            return Err(Error::setting("train.numerics", detail).into());
        }
        Ok(self.device.with(numerics))
    }

    /// For a rank with this number on its machine: of cards, the one so many further on, so that each
    /// has one of its own.
    pub fn of_rank(self, local_rank: usize) -> DeviceArgs {
        match self.device {
            DeviceName::Cuda(first) => DeviceArgs { device: DeviceName::Cuda(first + local_rank) },
            device => DeviceArgs { device },
        }
    }

    /// Which device; it need not be available.
    pub fn name(&self) -> DeviceName {
        self.device
    }
}
