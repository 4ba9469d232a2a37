//! A comparison with everything decided before its first run.

use std::collections::BTreeSet;
use std::path::Path;

use carp::config::Config;
use carp::error::{Error, Result};
use carp::learner::Device;
use datasets::{DataConfig, Splits};
use files::write_atomically;
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::cost::Cost;
use crate::setting::Setting;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is compared, each with all its settings.
    pub settings: Vec<(Setting, Config)>,
    /// What each gets.
    pub budget: Budget,
    /// Runs of each setting, with its seed and those after it.
    pub seeds: u64,
    /// About how often a run's k-NN accuracy is measured after the start, for its curve; 0 measures
    /// it at the end only.
    pub measurements: usize,
}

/// A setting with its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The setting.
    pub setting: Setting,
    /// Steps of a run.
    pub steps: usize,
    /// Steps in one pass over the data.
    pub steps_per_epoch: usize,
    /// Images that a run puts through a backbone.
    pub passes: u64,
    /// Bytes of the step's arena.
    pub planned_peak_bytes: usize,
    /// All settings of its first run.
    #[serde(with = "text")]
    pub config: Config,
}

/// `plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What each setting gets.
    pub budget: Budget,
    /// In the order in which they were first asked for.
    pub settings: Vec<Planned>,
}

impl Plan {
    /// Plans what is asked for, in its order. What `folder` has a plan of keeps it; the rest is
    /// planned and added.
    ///
    /// # Errors
    /// Two settings of one name, settings that do not fit together or to the data, or others than
    /// those that `folder` has by this name. I/O errors.
    pub fn make(
        request: &Request,
        folder: &Path,
        device: Device,
        show: &mut dyn FnMut(&Setting),
    ) -> Result<Plan> {
        let path = folder.join("plan.json");
        let mut known =
            Plan::read(&path)?.unwrap_or(Plan { budget: request.budget, settings: vec![] });
        if known.budget != request.budget {
            let (is, was) = (request.budget, known.budget);
            let detail =
                format!("was begun with a budget of {was}, not {is}: choose another --out");
            return Err(Error::usage(format!("{}: {detail}", folder.display())));
        }
        check_names(&request.settings)?;
        let (mut costs, mut opened) = (Vec::new(), None);
        for (setting, config) in &request.settings {
            let planned =
                known.settings.iter().find(|planned| planned.setting.name == setting.name);
            match planned {
                Some(planned) => check_same(planned, config, folder)?,
                None => {
                    let splits = open(config, &mut opened)?;
                    costs.push((setting, config, Cost::planned(config, splits, device)?));
                }
            }
        }
        // Timed once all of them are known to run.
        for (setting, config, cost) in costs {
            show(setting);
            let cost = match request.budget {
                Budget::Seconds(seconds) => cost.timed(config, seconds, device)?,
                _ => cost,
            };
            known.settings.push(planned(setting, config, request, &cost));
        }
        let json = serde_json::to_string_pretty(&known).expect("plain numbers and names") + "\n";
        std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
        write_atomically(&path, json.as_bytes())?;
        let asked = |(setting, _): &(Setting, Config)| {
            let found = known.settings.iter().find(|planned| planned.setting.name == setting.name);
            found.expect("just planned").clone()
        };
        let settings = request.settings.iter().map(asked).collect();
        Ok(Plan { settings, ..known })
    }

    fn read(path: &Path) -> Result<Option<Plan>> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| Error::data(path, error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::io(path, source)),
        }
    }
}

/// Fails if two settings have one name.
fn check_names(settings: &[(Setting, Config)]) -> Result<()> {
    let mut names = BTreeSet::new();
    match settings.iter().find(|(setting, _)| !names.insert(&setting.name)) {
        Some((twice, _)) => Err(Error::usage(format!("two settings are called {}", twice.name))),
        None => Ok(()),
    }
}

/// Opens the data of a run, unless they are those that were opened last.
fn open<'a>(
    config: &Config,
    last: &'a mut Option<(DataConfig, u64, Splits)>,
) -> Result<&'a Splits> {
    if last.as_ref().is_none_or(|(data, seed, _)| (data, *seed) != (&config.data, config.seed)) {
        *last = Some((config.data.clone(), config.seed, config.data.open(config.seed)?));
    }
    let (_, _, splits) = last.as_ref().expect("just opened");
    Ok(splits)
}

/// Fails if a planned setting is not what is asked for now.
fn check_same(planned: &Planned, config: &Config, folder: &Path) -> Result<()> {
    let mut was = planned.config.clone();
    // Decided by the plan.
    was.train.steps = config.train.steps;
    was.knn.every_epochs = config.knn.every_epochs;
    match was.differing_keys(config).first() {
        None => Ok(()),
        Some(key) => {
            let name = &planned.setting.name;
            let detail = format!("has {name} with another {key}: choose another --out");
            Err(Error::usage(format!("{}: {detail}", folder.display())))
        }
    }
}

fn planned(setting: &Setting, config: &Config, request: &Request, cost: &Cost) -> Planned {
    let steps = request.budget.steps(cost);
    let mut config = config.clone();
    config.train.steps = steps;
    config.knn.every_epochs = match request.measurements {
        0 => 0,
        measurements => (steps / cost.steps_per_epoch).div_ceil(measurements),
    };
    Planned {
        setting: setting.clone(),
        steps,
        steps_per_epoch: cost.steps_per_epoch,
        passes: cost.passes(steps),
        planned_peak_bytes: cost.bytes,
        config,
    }
}

/// Settings as TOML within JSON.
mod text {
    use carp::config::Config;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(config: &Config, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&config.to_toml())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Config, D::Error> {
        Config::parse(&String::deserialize(input)?, "config").map_err(D::Error::custom)
    }
}
