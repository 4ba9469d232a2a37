//! Grids over settings: one thing varied after another, or all of them in all combinations.

use std::str::FromStr;

use carp::config::Config;

use crate::setting::Setting;

/// The values that one thing takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor(Vec<Setting>);

/// `KEY=VALUE,VALUE`; commas in brackets belong to a value.
impl FromStr for Factor {
    type Err = String;

    fn from_str(text: &str) -> Result<Factor, String> {
        let (key, values) = text
            .split_once('=')
            .filter(|(key, values)| !key.is_empty() && !values.is_empty())
            .ok_or("should be KEY=VALUE,VALUE,...")?;
        let setting = |value: &str| {
            let change = (key.to_owned(), value.to_owned());
            Setting::new(&format!("{key}={value}"), vec![change])
        };
        values_of(values).into_iter().map(setting).collect::<Result<_, _>>().map(Factor)
    }
}

/// The parts between commas that are in no brackets.
fn values_of(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let is_comma = |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(is_comma).map(str::trim).collect()
}

/// The base, then each value of each factor with all else as in the base.
pub fn one_at_a_time(factors: &[Factor]) -> Vec<Setting> {
    let varied = factors.iter().flat_map(|factor| factor.0.iter().cloned());
    std::iter::once(Setting::base()).chain(varied).collect()
}

/// All combinations of all factors' values.
pub fn product(factors: &[Factor]) -> Vec<Setting> {
    let mut all = vec![Setting { name: String::new(), changes: Vec::new() }];
    for Factor(values) in factors {
        let with = |one: &Setting, value: &Setting| Setting {
            name: [&one.name[..], &value.name].join(if one.name.is_empty() { "" } else { "," }),
            changes: [&one.changes[..], &value.changes].concat(),
        };
        all = all.iter().flat_map(|one| values.iter().map(move |value| with(one, value))).collect();
    }
    all
}

/// What one varies of CARP: the partition's size and whether it is drawn anew, the number of
/// prototypes, the teacher's momentum, the entropy term, views, and the embeddings' length.
pub fn of_carp(base: &Config) -> Vec<Setting> {
    let (k, size) = (base.model.prototypes, base.model.partition_size);
    let mut settings = vec![Setting::base()];
    let mut add = |name: String, changes: &[(&str, String)]| {
        let changes = changes.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        settings.push(Setting { name, changes: changes.collect() });
    };
    for size in [size / 8, size / 4, size * 4].into_iter().filter(|size| (2..k).contains(size)) {
        add(format!("partition-{size}"), &[("model.partition_size", size.to_string())]);
    }
    add("whole-softmax".to_owned(), &[("model.partition_size", k.to_string())]);
    add("fixed-partition".to_owned(), &[("model.fixed_partition", true.to_string())]);
    for k in [k / 4, k * 4].into_iter().filter(|&k| k > 1) {
        let size = size.min(k).to_string();
        let changes = [("model.partition_size", size), ("model.prototypes", k.to_string())];
        add(format!("prototypes-{k}"), &changes);
    }
    for momentum in ["0", "0.9", "0.99", "0.996", "1"] {
        let constant = ["teacher.momentum", "teacher.final_momentum"];
        add(format!("momentum-{momentum}"), &constant.map(|key| (key, momentum.to_owned())));
    }
    add("no-entropy-term".to_owned(), &[("model.entropy_term", false.to_string())]);
    for count in [0, 2, 4].into_iter().filter(|&count| count != base.views.local_count) {
        add(format!("local-views-{count}"), &[("views.local_count", count.to_string())]);
    }
    for length in [1, 10] {
        add(
            format!("embedding-length-{length}"),
            &[("model.embedding_length", length.to_string())],
        );
    }
    settings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(settings: &[Setting]) -> Vec<&str> {
        settings.iter().map(|setting| setting.name.as_str()).collect()
    }

    #[test]
    fn factors_are_varied_one_at_a_time_or_all_together() {
        let factor = |text: &str| text.parse::<Factor>();
        let two = [factor("a.b=1,2").unwrap(), factor("c=[0, 1],[2,3]").unwrap()];
        let singles = one_at_a_time(&two);
        assert_eq!(names(&singles), ["base", "a.b=1", "a.b=2", "c=[0, 1]", "c=[2,3]"]);
        let all = product(&two);
        let expected = ["a.b=1,c=[0, 1]", "a.b=1,c=[2,3]", "a.b=2,c=[0, 1]", "a.b=2,c=[2,3]"];
        assert_eq!(names(&all), expected);
        assert_eq!(all[1].described(), "a.b=1, c=[2,3]");
        for wrong in ["a", "a=", "=1", "data.path=/x", "train.epochs=5,10"] {
            assert!(factor(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_grid_of_carp_fits_every_preset() {
        for preset in ["shapes", "fashion-mnist", "cifar10", "stl10", "imagenet", "minimal"] {
            let base = Config::load(preset, &[]).unwrap();
            let settings = of_carp(&base);
            let different: BTreeSet<_> = names(&settings).into_iter().collect();
            assert_eq!(different.len(), settings.len(), "{preset}");
            for setting in &settings {
                let changed = Config::load(preset, &setting.changes).unwrap();
                assert_eq!(changed == base, setting.name == "base", "{preset}, {}", setting.name);
            }
        }
        let shapes = of_carp(&Config::load("shapes", &[]).unwrap());
        let expected = [
            "base",
            "partition-16",
            "partition-32",
            "partition-512",
            "whole-softmax",
            "fixed-partition",
            "prototypes-256",
            "prototypes-4096",
            "momentum-0",
            "momentum-0.9",
            "momentum-0.99",
            "momentum-0.996",
            "momentum-1",
            "no-entropy-term",
            "local-views-0",
            "local-views-2",
            "embedding-length-1",
            "embedding-length-10",
        ];
        assert_eq!(names(&shapes), expected);
    }
}
