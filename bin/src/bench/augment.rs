//! `carp bench augment`: how many images a second one thread decodes and turns into views.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use carp::error::Result;
use carp::views::Views;
use clap::Args;
use datasets::Image;
use tensor::random::{Purpose, Stream};

use super::contender::Contender;
use super::race::race;
use crate::config_args::ConfigArgs;
use crate::print::print;

#[derive(Args)]
pub struct AugmentArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Images in a round, at most: the first ones of the data.
    #[arg(long, value_name = "N")]
    #[arg(default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
    /// Rounds; each runs every row once, and the median is reported.
    #[arg(long, value_name = "N")]
    #[arg(default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

pub fn run(args: &AugmentArgs) -> Result<ExitCode> {
    let mut config = args.config.load()?;
    // Every image is read from its file each time.
    config.data.cache_mib = 0;
    let data = config.data.open(config.seed)?.pretrain;
    let count = data.len().min(args.images as usize);
    let images: Arc<[Arc<Image>]> =
        (0..count).map(|i| data.image(i)).collect::<files::Result<_>>()?;
    let all = config.views.views();
    let mut contenders = Vec::new();
    if data.file(0).is_some() {
        let read = Arc::clone(&data);
        let decode = move || (0..count).try_for_each(|i| Ok(read.image(i).map(drop)?));
        contenders.push(contender("decode".to_owned(), decode));
    }
    for (name, kind) in ["global1", "global2", "local"].into_iter().zip(&all.kinds) {
        let name = format!("{name}, {0} x {0}", kind.size);
        let views = Views { kinds: vec![kind.clone()], patches: None, ..all.clone() };
        let images = Arc::clone(&images);
        let mut make = maker(views, data.channels());
        contenders.push(contender(name, move || {
            images.iter().for_each(|image| make(image));
            Ok(())
        }));
    }
    let name = format!("image to all {} views", all.sizes().len());
    let mut make = maker(all, data.channels());
    contenders.push(contender(name, move || {
        (0..count).try_for_each(|i| {
            make(&*data.image(i)?);
            Ok(())
        })
    }));
    let mut text = format!("{:<24}{:>14}\n", "one thread", "images/s");
    for measured in race(&mut contenders, args.rounds as usize)? {
        let _ = writeln!(text, "{:<24}{:>14.1}", measured.name, count as f64 / measured.seconds);
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn contender(name: String, run: impl FnMut() -> Result<()> + Send + 'static) -> Contender {
    Contender { name, flops: 0, made: 0, moved: 0, peak: 0, run: Box::new(run) }
}

/// Makes the views of one image after another in the same memory.
fn maker(views: Views, channels: usize) -> impl FnMut(&Image) {
    let mut scratch = views.scratch();
    let sizes = views.sizes();
    let mut made: Vec<_> = sizes.iter().map(|size| vec![0.0; size * size * channels]).collect();
    let mut images = 0;
    move |image| {
        let mut stream = Stream::new(0, Purpose::Views, 0, images);
        images += 1;
        let mut slices: Vec<&mut [f32]> = made.iter_mut().map(|view| &mut view[..]).collect();
        views.make(image, &mut stream, &mut slices, &mut scratch);
    }
}
