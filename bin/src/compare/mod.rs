//! `carp compare` and `carp ablate`: several settings, trained with one budget each, in one table.

mod picture;
mod screen;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use carp::config::Config;
use carp::error::{Error, Result};
use carp::method::MethodConfig;
use clap::Args;
use comparison::budget::Budget;
use comparison::compare::{Event, compare as run_all, with_held_out};
use comparison::evaluate::TestedOn;
use comparison::grid::{Factor, of_carp, one_at_a_time, product};
use comparison::plan::Request;
use comparison::report::Report;
use comparison::setting::Setting;
use comparison::table::markdown;
use datasets::DataConfig;
use files::check_output_folder;

use self::screen::Screen;
use crate::config_args::ConfigArgs;
use crate::device::DeviceArgs;
use crate::print::{print, say};
use crate::run_memory::check_run;
use crate::stop::{Ending, Stop};
use crate::threads::on_threads;

/// Points of a curve after the start, about.
const MEASUREMENTS: usize = 8;

#[derive(Args)]
pub struct CompareArgs {
    /// A setting to compare, such as wide:model.width=32,train.batch_size=64; NAME alone changes
    /// nothing. Repeatable.
    #[arg(long = "run", value_name = "NAME:KEY=VALUE")]
    runs: Vec<Setting>,
    /// Methods to compare: short for --run NAME:method.name=NAME.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    methods: Vec<String>,
    #[command(flatten)]
    shared: SharedArgs,
}

#[derive(Args)]
pub struct AblateArgs {
    /// Vary this setting instead of the built-in grid, which is CARP's; commas separate values. Repeatable.
    #[arg(long = "grid", value_name = "KEY=VALUES")]
    grid: Vec<Factor>,
    /// All combinations of the --grid settings, instead of one varied at a time.
    #[arg(long, requires = "grid")]
    product: bool,
    #[command(flatten)]
    shared: SharedArgs,
}

/// What both commands take.
#[derive(Args)]
struct SharedArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Epochs of each run [default: train.steps if that is set, or the preset's].
    #[arg(long, value_name = "N", conflicts_with_all = ["seconds", "passes"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Seconds of training of each run: a number of steps, from the time of a few before it and of the work
    /// before an epoch.
    #[arg(long, value_name = "S", conflicts_with = "passes")]
    #[arg(allow_hyphen_values = true)]
    seconds: Option<f64>,
    /// Images through the network in each run: each view, those of the teacher, and those seen before an
    /// epoch.
    #[arg(long, value_name = "N")]
    passes: Option<u64>,
    /// Runs of each setting, with one seed after another.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Training images that are kept out of training and tested on [default: a tenth].
    #[arg(long, value_name = "N")]
    held_out: Option<usize>,
    /// Test on the test set, once the settings are chosen; the runs are the same.
    #[arg(long)]
    test: bool,
    /// Folder of the comparison: the same command goes on where it was stopped [default:
    /// runs/compare or runs/ablate].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let methods = args.methods.iter().map(|name| Setting::method(name));
    let methods = methods.collect::<std::result::Result<Vec<_>, _>>().map_err(Error::usage)?;
    let settings = [&args.runs[..], &methods].concat();
    if settings.is_empty() {
        let detail = "nothing to compare: give --methods NAME,... or --run NAME:KEY=VALUE,...";
        return Err(Error::usage(detail));
    }
    let base = args.shared.config.load()?;
    let request = args.shared.request(&base, settings, MEASUREMENTS)?;
    run(&args.shared, "runs/compare", (&base, &request), picture::draw_curves)
}

pub fn ablate(args: &AblateArgs) -> Result<ExitCode> {
    let base = args.shared.config.load()?;
    let settings = match (&args.grid[..], args.product) {
        ([], _) if base.method != MethodConfig::Carp => {
            let name = base.method.name();
            let detail = format!("the built-in grid is CARP's: give {name} one, --grid KEY=VALUES");
            return Err(Error::usage(detail));
        }
        ([], _) => of_carp(&base),
        (factors, false) => one_at_a_time(factors),
        (factors, true) => product(factors),
    };
    let request = args.shared.request(&base, settings, 0)?;
    run(&args.shared, "runs/ablate", (&base, &request), picture::draw_bars)
}

impl SharedArgs {
    fn request(
        &self,
        base: &Config,
        settings: Vec<Setting>,
        measurements: usize,
    ) -> Result<Request> {
        let held_out = self.held_out.unwrap_or(base.data.held_out);
        let data = DataConfig { held_out, ..base.data.clone() };
        let held_out = with_held_out(&data, base.seed)?.held_out;
        let config = |setting: Setting| {
            let mut config = self
                .config
                .load_with(&setting.changes)
                .map_err(|error| Error::usage(format!("setting {}: {error}", setting.name)))?;
            config.data.held_out = held_out;
            if config.train.numerics != base.train.numerics {
                let detail = "one comparison, one train.numerics: give it with --set";
                return Err(Error::usage(format!("setting {}: {detail}", setting.name)));
            }
            // Built-in images are counted before they are drawn.
            if let Some(size) = config.data.size_unopened()? {
                check_run(&config, &size, 1, &self.device.name().with(config.train.numerics))?;
            }
            Ok((setting, config))
        };
        let settings = settings.into_iter().map(config).collect::<Result<_>>()?;
        let budget = match (self.epochs, self.seconds, self.passes) {
            (None, Some(seconds), _) if seconds > 0.0 && seconds.is_finite() => {
                Budget::Seconds(seconds)
            }
            (None, Some(seconds), _) => {
                return Err(Error::usage(format!("--seconds {seconds}: should be above 0")));
            }
            (None, None, Some(passes)) => Budget::Passes(passes),
            (Some(epochs), ..) => Budget::Epochs(epochs as usize),
            _ if base.train.steps > 0 => Budget::Steps(base.train.steps),
            _ => Budget::Epochs(base.train.epochs),
        };
        Ok(Request { settings, budget, seeds: self.seeds, measurements })
    }
}

fn run(
    args: &SharedArgs,
    default: &str,
    (base, request): (&Config, &Request),
    draw: impl FnOnce(&Path, &Report) -> Result<()>,
) -> Result<ExitCode> {
    let folder = args.out.as_deref().unwrap_or(Path::new(default));
    check_output_folder(folder)?;
    let device = &args.device.open_with(base.train.numerics)?;
    let tested_on = if args.test { TestedOn::Test } else { TestedOn::HeldOut };
    let stop = Stop::new(Ending::AtOnce {
        line: "stopped before the first step: there is nothing to save".to_owned(),
        is_saved: false,
    });
    stop.on_signals()?;
    let mut screen = Screen::new(&stop);
    let report = on_threads(base.train.threads, || {
        let show = &mut |event: Event| screen.show(event);
        run_all((request, tested_on), folder, device, &|| stop.is_asked(), show)
    });
    screen.finish();
    let Some(report) = report? else {
        stop.tell("stopped; the same command goes on from here");
        return Ok(stop.exit_code());
    };
    print(&markdown(&report));
    let picture = report.file(folder, "svg");
    draw(&picture, &report)?;
    let [json, table] = ["json", "md"].map(|kind| report.file(folder, kind).display().to_string());
    say!("\nwrote {table}, {json}, {} and .png", picture.display());
    Ok(ExitCode::SUCCESS)
}
