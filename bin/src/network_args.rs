//! Arguments that choose a network.

use std::path::Path;

use carp::error::{Error, Result};
use carp::views::EvalTransform;
use clap::Args;
use clap::builder::TypedValueParser;
use evaluations::features::{Encoder, Layer};
use evaluations::network_file::{NetworkFile, NetworkName};
use evaluations::network_role::Role;
use evaluations::trained::TrainedBackbone;

use crate::device::DeviceArgs;
use crate::limits::{UNITS, within};
use crate::machine_memory::check_fits;
use crate::one_of::one_of;
use crate::patch_args::PatchArgs;
use crate::print::say;
use crate::run_path::check_checkpoint;

/// A network in a checkpoint, and where it runs.
#[derive(Args, Clone)]
pub struct NetworkArgs {
    /// Which network in it: `auto` is the one that the method's authors evaluate, or the teacher of
    /// third-party weights; `pixels` uses raw pixels as features.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = network_name())]
    pub network: NetworkName,
    /// Prefix of torchvision's names, if it is not detected.
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    #[command(flatten)]
    pub patches: PatchArgs,
    /// Divide the last feature map into G x G cells, whose means are the features [default: the mean of
    /// the whole map].
    #[arg(long, value_name = "G", default_value_t = 1, hide_default_value = true)]
    #[arg(conflicts_with = "patches")]
    pub grid: usize,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Parses the name of a network.
pub fn network_name() -> impl TypedValueParser<Value = NetworkName> {
    one_of(NetworkName::ALL, NetworkName::name)
}

impl NetworkArgs {
    /// Opens a checkpoint, and prints which network in it is taken.
    ///
    /// # Errors
    /// Patches out of range, a path that leads nowhere, and those of [`NetworkFile::open`] and
    /// [`NetworkFile::find`].
    pub fn open(&self, checkpoint: &Path) -> Result<NetworkFile> {
        self.patches.grid()?;
        check_checkpoint(checkpoint)?;
        let file = NetworkFile::open(checkpoint, self.prefix.as_deref())?;
        tell(&file, self.network, network_option)?;
        Ok(file)
    }

    /// The network up to a layer, or the pixels, ready to take images or their patches.
    ///
    /// # Errors
    /// A network that cannot be read, a device that is not there, cells that the map does not have, or
    /// cells or patches of pixels.
    pub fn encoder(
        &self,
        file: &mut NetworkFile,
        transform: EvalTransform,
        layer: &str,
        batch: usize,
    ) -> Result<Encoder> {
        let encoder = if self.network == NetworkName::Pixels {
            if self.grid != 1 {
                return Err(Error::usage("--network pixels: raw pixels have no --grid".to_owned()));
            }
            Encoder::of_pixels(transform)
        } else {
            let (backbone, layer) =
                (file.backbone(self.network)?, Layer { name: layer, grid: self.grid });
            Encoder::new(&backbone, transform, layer, batch, self.device.open()?)?
        };
        self.patches.over(encoder)
    }

    /// Whether the features are of patches or cells: made once, from images that do not change.
    pub fn are_made_once(&self) -> bool {
        self.patches.patches.is_some() || self.grid != 1
    }

    /// The network, for protocols that make its features themselves.
    ///
    /// # Errors
    /// Raw pixels, patches or cells; a network that cannot be read, or a device that is not there.
    pub fn trained(
        &self,
        file: &mut NetworkFile,
        transform: EvalTransform,
    ) -> Result<TrainedBackbone<'_>> {
        if self.are_made_once() {
            let detail = "--patches and --grid are for features that are made once: this protocol \
                          shows the network images of its own";
            return Err(Error::usage(detail.to_owned()));
        }
        let batch = batch_size(file, None)?;
        TrainedBackbone::new(file, self.network, transform, batch, self.device.open()?)
    }
}

/// Fails if this machine has not the memory for the features of so many images.
///
/// # Errors
/// As above.
pub fn check_features(encoder: &Encoder, images: usize) -> Result<()> {
    let bytes = images.saturating_mul(encoder.dim()).saturating_mul(size_of::<f32>());
    Ok(check_fits(bytes, || format!("for the features of {images} images; take smaller or fewer"))?)
}

/// Images per batch: the number given, or else that of the run's own k-NN.
///
/// # Errors
/// A batch of 0 images, or of more than memory can be planned for.
pub fn batch_size(file: &NetworkFile, given: Option<usize>) -> Result<usize> {
    let batch = given.unwrap_or(file.config().map_or(64, |config| config.knn.batch_size));
    within("--batch-size", batch, 1..=UNITS)?;
    Ok(batch)
}

/// How `--network` takes the network of a role.
pub fn network_option(role: Role) -> &'static str {
    match role {
        Role::Student => "--network student",
        Role::Teacher => "--network teacher",
    }
}

/// Prints which network was found, and which others were not taken; `option` tells how to take the
/// network of a role.
///
/// # Errors
/// Those of [`NetworkFile::find`].
pub fn tell(
    file: &NetworkFile,
    network: NetworkName,
    option: impl Fn(Role) -> &'static str,
) -> Result<()> {
    let path = file.path().display();
    if network == NetworkName::Pixels {
        say!("{path}: no network, raw pixels");
        return Ok(());
    }
    let how = if network == NetworkName::Untrained { ", with new weights" } else { "" };
    say!("{path}: {}{how}", file.described(network)?);
    if let Some(line) = file.passed_over(network, option)? {
        say!("{line}");
    }
    Ok(())
}
