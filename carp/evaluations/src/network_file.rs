//! The source of a network: a run folder, a checkpoint, or third-party weights.

use std::path::Path;

use carp::checkpoint::open_weights;
use carp::config::Config;
use carp::error::{Error, Result};
use carp::kept_checkpoints::checkpoint_of;
use carp::method::MethodConfig;
use carp::nn::ResNetConfig;
use carp::views::EvalTransform;
use datasets::Filter;
use weights::WeightsFile;

use crate::backbone::{Backbone, Candidate, Match, candidates, choose, compare, read};
use crate::network_role::Role;

/// Which network of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkName {
    /// What the method's authors evaluate; of third-party weights the teacher, if there is one.
    Auto,
    /// The teacher, if there is one.
    Teacher,
    /// The student.
    Student,
    /// The same network with its initial weights.
    Untrained,
    /// None: raw pixels are the features.
    Pixels,
}

impl NetworkName {
    /// All of them.
    pub const ALL: [NetworkName; 5] = [
        NetworkName::Auto,
        NetworkName::Teacher,
        NetworkName::Student,
        NetworkName::Untrained,
        NetworkName::Pixels,
    ];

    /// Name in commands.
    pub fn name(self) -> &'static str {
        match self {
            NetworkName::Auto => "auto",
            NetworkName::Teacher => "teacher",
            NetworkName::Student => "student",
            NetworkName::Untrained => "untrained",
            NetworkName::Pixels => "pixels",
        }
    }

    /// The one that a method's authors evaluate.
    pub fn evaluated(method: &MethodConfig) -> NetworkName {
        if method.evaluates_teacher() { NetworkName::Teacher } else { NetworkName::Student }
    }

    /// What [`NetworkName::Auto`] is in a file with these settings; other names are what they are.
    fn resolved(self, config: Option<&Config>) -> NetworkName {
        match (self, config) {
            (NetworkName::Auto, Some(config)) => NetworkName::evaluated(&config.method),
            (NetworkName::Auto, None) => NetworkName::Teacher,
            _ => self,
        }
    }

    /// How the transformed pixels become its input, in words.
    pub fn scaling(self, transform: &EvalTransform) -> String {
        match self {
            NetworkName::Pixels => "numbers from 0 to 1".to_owned(),
            _ => transform.standardisation(),
        }
    }
}

/// The settings of the run that wrote a file, if this program did.
///
/// # Errors
/// Invalid settings.
pub fn config_of(file: &WeightsFile) -> Result<Option<Config>> {
    let text = file.metadata("carp.config");
    text.map(|text| Config::parse(text, &file.path().display().to_string())).transpose()
}

/// Chooses a network among those of a file, which was written with these settings if they are known; under
/// `prefix` if that is given.
///
/// # Errors
/// None found.
pub fn chosen(
    file: &WeightsFile,
    config: Option<&Config>,
    name: NetworkName,
    prefix: Option<&str>,
) -> Result<Candidate> {
    // Third-party weights may be one network without a role, and some methods have no teacher: the
    // teacher is what there is.
    let role = match (name.resolved(config), config) {
        (NetworkName::Student, _) => Some(Role::Student),
        (_, Some(config)) if config.method.has_teacher() => Some(Role::Teacher),
        _ => None,
    };
    choose(file, role.filter(|_| prefix.is_none()), prefix)
}

/// An open checkpoint.
pub struct NetworkFile {
    file: WeightsFile,
    config: Option<Config>,
    prefix: Option<String>,
}

impl NetworkFile {
    /// Opens a run folder, a checkpoint of this program, or a weights file in any format that
    /// [`WeightsFile`] supports. `prefix` locates the network if it is not detected.
    ///
    /// # Errors
    /// Those of [`open_weights`], or invalid run settings.
    pub fn open(path: &Path, prefix: Option<&str>) -> Result<NetworkFile> {
        let path = checkpoint_of(path);
        let file = open_weights(&path)?;
        let config = config_of(&file)?;
        Ok(NetworkFile { file, config, prefix: prefix.map(str::to_owned) })
    }

    /// The checkpoint's file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The settings of the run, if this program wrote the file.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// What [`NetworkName::Auto`] is in this file; other names are what they are.
    pub fn resolved(&self, name: NetworkName) -> NetworkName {
        name.resolved(self.config.as_ref())
    }

    /// Chooses the network among those of the file.
    fn chosen(&self, name: NetworkName) -> Result<Candidate> {
        chosen(&self.file, self.config.as_ref(), name, self.prefix.as_deref())
    }

    /// Locates the network in the file.
    ///
    /// # Errors
    /// None found, or unknown shapes.
    pub fn find(&self, name: NetworkName) -> Result<(Candidate, Match)> {
        let chosen = self.chosen(name)?;
        let mut found = compare(&self.file, &chosen)?;
        if let Some(config) = &self.config {
            found.config.zero_init_residual = config.model.zero_init_residual;
        }
        Ok((chosen, found))
    }

    /// The network in words: architecture, width, channels, and where it is in the file.
    ///
    /// # Errors
    /// Those of [`NetworkFile::find`].
    pub fn described(&self, name: NetworkName) -> Result<String> {
        let (chosen, found) = self.find(name)?;
        let ResNetConfig { arch, width, in_channels, .. } = found.config;
        let (arch, prefix) = (arch.name(), chosen.prefix);
        Ok(format!("{arch} of width {width} for {in_channels} channels under {prefix:?}"))
    }

    /// One line on the other networks of the file, if there are any: which one was taken, and how to
    /// take another, with the options of the command for student and teacher.
    ///
    /// # Errors
    /// Those of [`NetworkFile::find`].
    pub fn passed_over(
        &self,
        name: NetworkName,
        option: impl Fn(Role) -> &'static str,
    ) -> Result<Option<String>> {
        let chosen = self.chosen(name)?;
        let others = candidates(&self.file).into_iter().filter(|other| *other != chosen);
        let others: Vec<String> = others
            .map(|Candidate { prefix, role, .. }| match role {
                Some(role) if chosen.role != Some(role) => {
                    format!("{} under {prefix:?} ignored: {} takes it", role.name(), option(role))
                }
                _ => format!("network under {prefix:?} ignored: --prefix takes it"),
            })
            .collect();
        if others.is_empty() {
            return Ok(None);
        }
        let role = chosen.role.map_or("network", Role::name);
        Ok(Some(format!("{role} found under {:?}; {}", chosen.prefix, others.join("; "))))
    }

    /// The network, with settings inferred from its shapes.
    ///
    /// # Errors
    /// Those of [`NetworkFile::find`]; missing tensors; [`NetworkName::Pixels`], which is not a
    /// network.
    pub fn backbone(&mut self, name: NetworkName) -> Result<Backbone> {
        let (_, found) = self.find(name)?;
        match name {
            NetworkName::Pixels => {
                Err(Error::usage("pixels are not a network: there are no weights".to_owned()))
            }
            NetworkName::Untrained => {
                let seed = self.config.as_ref().map_or(0, |config| config.seed);
                Ok(Backbone::untrained(&found.config, seed))
            }
            NetworkName::Auto | NetworkName::Teacher | NetworkName::Student => {
                read(&mut self.file, &found)
            }
        }
    }

    /// The settings of any of the checkpoint's networks.
    ///
    /// # Errors
    /// Those of [`NetworkFile::find`].
    pub fn resnet(&self) -> Result<ResNetConfig> {
        Ok(self.find(NetworkName::Auto)?.1.config)
    }

    /// The image preprocessing: that of the run's k-NN, or "256/224" for third-party weights.
    ///
    /// # Errors
    /// Those of [`NetworkFile::find`].
    pub fn transform(&self) -> Result<EvalTransform> {
        match &self.config {
            Some(config) => Ok(config.eval_transform()),
            None => Ok(EvalTransform::imagenet(Filter::Bicubic, self.resnet()?.in_channels)),
        }
    }
}
