//! The built-in presets and recipes.

/// Presets: name and content.
pub const PRESETS: [(&str, &str); 18] = [
    ("shapes", include_str!("../../presets/shapes.toml")),
    ("fashion-mnist", include_str!("../../presets/fashion-mnist.toml")),
    ("cifar10", include_str!("../../presets/cifar10.toml")),
    ("stl10", include_str!("../../presets/stl10.toml")),
    ("folder", include_str!("../../presets/folder.toml")),
    ("imagenet", include_str!("../../presets/imagenet.toml")),
    ("minimal", include_str!("../../presets/minimal.toml")),
    ("imagenet-barlow-twins", include_str!("../../presets/imagenet/barlow-twins.toml")),
    ("imagenet-vicreg", include_str!("../../presets/imagenet/vicreg.toml")),
    ("imagenet-moco-v3", include_str!("../../presets/imagenet/moco-v3.toml")),
    ("imagenet-dino", include_str!("../../presets/imagenet/dino.toml")),
    ("imagenet-swav", include_str!("../../presets/imagenet/swav.toml")),
    ("imagenet-deepcluster-v2", include_str!("../../presets/imagenet/deepcluster-v2.toml")),
    ("imagenet-sela-v2", include_str!("../../presets/imagenet/sela-v2.toml")),
    ("imagenet-pcl-v2", include_str!("../../presets/imagenet/pcl-v2.toml")),
    ("imagenet-infomin", include_str!("../../presets/imagenet/infomin.toml")),
    ("imagenet-obow", include_str!("../../presets/imagenet/obow.toml")),
    ("imagenet-triplet", include_str!("../../presets/imagenet/triplet.toml")),
];

/// What each method changes in a preset for small images.
const RECIPES: [(&str, &str); 11] = [
    ("barlow-twins", include_str!("../../presets/recipes/barlow-twins.toml")),
    ("vicreg", include_str!("../../presets/recipes/vicreg.toml")),
    ("moco-v3", include_str!("../../presets/recipes/moco-v3.toml")),
    ("dino", include_str!("../../presets/recipes/dino.toml")),
    ("swav", include_str!("../../presets/recipes/swav.toml")),
    ("deepcluster-v2", include_str!("../../presets/recipes/deepcluster-v2.toml")),
    ("sela-v2", include_str!("../../presets/recipes/sela-v2.toml")),
    ("pcl-v2", include_str!("../../presets/recipes/pcl-v2.toml")),
    ("infomin", include_str!("../../presets/recipes/infomin.toml")),
    ("obow", include_str!("../../presets/recipes/obow.toml")),
    ("triplet", include_str!("../../presets/recipes/triplet.toml")),
];

/// The recipe of a method; CARP's are the presets themselves.
pub fn recipe(method: &str) -> &'static str {
    RECIPES.iter().find(|(name, _)| *name == method).map_or("", |(_, text)| text)
}
