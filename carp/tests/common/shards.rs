//! A small run in four shards, for ranks to share.

use carp::config::Config;

/// Its settings, of which `more` changes some: two epochs on 25 images in batches of 8.
pub fn config(more: &[(&str, &str)]) -> carp::Result<Config> {
    let common = [
        ("data.train_size", "25"),
        ("data.test_size", "8"),
        ("model.width", "2"),
        ("model.hidden", "12"),
        ("model.bottleneck", "6"),
        ("model.prototypes", "8"),
        ("model.partition_size", "4"),
        ("train.batch_size", "8"),
        ("train.shards", "4"),
        ("train.epochs", "2"),
    ];
    let all = common.iter().chain(more);
    let all: Vec<_> = all.map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    Config::load("shapes", &all)
}
