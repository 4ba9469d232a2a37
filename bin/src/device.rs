//! `--device`: where the kernels run.

use std::str::FromStr;

use carp::error::Result;
use tensor::Cpu;
use clap::Args;
use cuda_kernels::device;
use tensor::Backend;

#[derive(Args, Clone, Copy)]
pub struct DeviceArgs {
    /// Where the kernels run: cpu, a GPU (cuda:0, cuda:1, ...), or emulate: the GPU's kernels,
    /// executed on the CPU.
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

impl DeviceName {
    /// A backend with so many elements.
    fn backend(self, elements: usize) -> tensor::Result<Box<dyn Backend>> {
        match self {
            DeviceName::Cpu => cpu(elements),
            DeviceName::Cuda(ordinal) => device::cuda(ordinal, elements),
            DeviceName::Emulate => device::emulate(elements),
        }
    }
}

impl DeviceArgs {
    /// The CPU, where nobody was asked.
    pub const CPU: DeviceArgs = DeviceArgs { device: DeviceName::Cpu };

    /// The device, as the library wants it.
    ///
    /// # Errors
    /// A GPU that is not there.
    pub fn open(
        &self,
    ) -> Result<impl Fn(usize) -> tensor::Result<Box<dyn Backend>> + Clone + Send + Sync + 'static>
    {
        let name = self.device;
        if let DeviceName::Cuda(ordinal) = name {
            device::open(ordinal)?;
        }
        Ok(move |elements| name.backend(elements))
    }

    /// A backend to ask for sizes of scratch memory; no GPU is needed.
    pub fn sizes(&self) -> Result<Box<dyn Backend>> {
        Ok(self.device.backend(0)?)
    }

    /// Which one.
    pub fn name(&self) -> DeviceName {
        self.device
    }
}
