//! Finds a ResNet with torchvision's names among the tensors of a file: under which prefix, which
//! variant, and what is missing or unused.

use autograd::Graph;
use carp::error::{Error, Result};
use carp::layout;
use carp::nn::{Arch, Params, ResNet, ResNetConfig, Stem};
use weights::{StoredTensor, WeightsFile};

use crate::network_role::{Role, roles};

/// A backbone's settings and weights.
#[derive(Clone, Debug)]
pub struct Backbone {
    /// Which ResNet.
    pub config: ResNetConfig,
    /// Pairs of torchvision's names and numbers in this project's layout.
    pub tensors: Vec<(String, Vec<f32>)>,
}

impl Backbone {
    /// The initial backbone of a run with this seed.
    pub fn untrained(config: &ResNetConfig, seed: u64) -> Backbone {
        let (mut graph, mut params) = (Graph::new(), Params::new(false));
        ResNet::new(&mut graph, &mut params, config);
        let tensors = params.all().iter().enumerate().map(|(index, param)| {
            let info = graph.info(param.value);
            (info.name.clone(), params.initial(index, info.shape.elements(), seed))
        });
        Backbone { config: *config, tensors: tensors.collect() }
    }
}

/// How the layers are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// conv1, bn1, layer1 to layer4.
    Torchvision,
    /// 0, 1, 4 to 7: the children of torchvision's network in a Sequential.
    Sequential,
}

impl Naming {
    /// The tensor's name after the prefix.
    fn given(self, name: &str) -> String {
        let Naming::Sequential = self else { return name.to_owned() };
        let (first, rest) = name.split_once('.').expect("a layer and a tensor");
        let number = match first {
            "conv1" => "0",
            "bn1" => "1",
            "layer1" => "4",
            "layer2" => "5",
            "layer3" => "6",
            _ => "7",
        };
        format!("{number}.{rest}")
    }
}

/// A network in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Prefix of torchvision's names.
    pub prefix: String,
    /// Student or teacher, where the prefixes tell.
    pub role: Option<Role>,
    naming: Naming,
}

/// All backbones in a file, in file order.
pub fn candidates(file: &WeightsFile) -> Vec<Candidate> {
    let mut found = Vec::new();
    for tensor in file.tensors() {
        for naming in [Naming::Torchvision, Naming::Sequential] {
            let first = naming.given("conv1.weight");
            let Some(prefix) = tensor.name.strip_suffix(&first) else { continue };
            let has = |name: &str| file.find(&(prefix.to_owned() + &naming.given(name))).is_some();
            let is_whole = prefix.is_empty() || prefix.ends_with('.');
            if is_whole && has("bn1.running_mean") && has("layer1.0.conv1.weight") {
                found.push(Candidate { prefix: prefix.to_owned(), role: None, naming });
            }
        }
    }
    let prefixes: Vec<&str> = found.iter().map(|candidate| &candidate.prefix[..]).collect();
    let roles = roles(&prefixes);
    for (candidate, role) in found.iter_mut().zip(roles) {
        candidate.role = role;
    }
    found
}

/// The backbone that is meant: of `role`, or of exactly this prefix. Without either the teacher, or
/// else the first network there is.
///
/// # Errors
/// None at all, or none with this role or prefix: lists those found.
pub fn choose(file: &WeightsFile, role: Option<Role>, prefix: Option<&str>) -> Result<Candidate> {
    let all = candidates(file);
    let refuse = |detail: String| Err(Error::data(file.path(), detail));
    if all.is_empty() && file.tensors().is_empty() {
        let classes = file.classes().iter().take(3).map(String::as_str).collect::<Vec<_>>();
        let beside = match &classes[..] {
            [] => String::new(),
            classes => format!(", but objects of {}", classes.join(", ")),
        };
        return refuse(format!(
            "no tensors in it{beside}; save the weights alone: torch.save(model.state_dict(), FILE)"
        ));
    }
    if all.is_empty() {
        return refuse(
            "no ResNet in it: no conv1.weight with bn1 and layer1 under any prefix".to_owned(),
        );
    }
    let prefixes: Vec<&str> = all.iter().map(|candidate| candidate.prefix.as_str()).collect();
    let listed = format!("{prefixes:?}");
    if let Some(prefix) = prefix {
        let same = |candidate: &&Candidate| {
            candidate.prefix.trim_end_matches('.') == prefix.trim_end_matches('.')
        };
        return match all.iter().find(same) {
            Some(candidate) => Ok(candidate.clone()),
            None => refuse(format!("no ResNet under {prefix:?}, only under {listed}")),
        };
    }
    let wanted = role.unwrap_or(Role::Teacher);
    let rank = |candidate: &Candidate| match candidate.role {
        Some(own) if own == wanted => 0,
        None => 1,
        Some(_) => 2,
    };
    let best = all.iter().min_by_key(|candidate| rank(candidate)).expect("not empty");
    if role.is_some() && rank(best) == 2 {
        return refuse(format!("no {} in it, only a ResNet under {listed}", wanted.name()));
    }
    Ok(best.clone())
}

/// The chosen backbone's tensors in a file.
pub struct Match {
    /// The ResNet that the shapes match.
    pub config: ResNetConfig,
    /// Torchvision's name, name in the file; in this project's order.
    pub tensors: Vec<(String, String)>,
    /// Names missing from the file.
    pub missing: Vec<String>,
    /// Names below the prefix that the ResNet does not use, such as `fc.weight`.
    pub left_over: Vec<String>,
    /// Number of tensors outside the prefix.
    pub elsewhere: usize,
}

/// Compares the tensors under a prefix with the ResNet that their shapes match.
///
/// # Errors
/// Shapes of something other than a ResNet-18, -34 or -50: names the tensor.
pub fn compare(file: &WeightsFile, candidate: &Candidate) -> Result<Match> {
    let Candidate { prefix, naming, .. } = candidate;
    let given = |name: &str| prefix.clone() + &naming.given(name);
    for name in ["conv1.weight", "layer1.0.conv1.weight"] {
        if let Some(StoredTensor { view: Err(reason), name, .. }) = file.find(&given(name)) {
            return Err(Error::data(file.path(), format!("{name}: {reason}")));
        }
    }
    let config = detect(|name| file.find(&given(name)))
        .map_err(|detail| Error::data(file.path(), format!("under {prefix:?}: {detail}")))?;
    let (mut graph, mut params) = (Graph::new(), Params::new(false));
    ResNet::new(&mut graph, &mut params, &config);
    let (mut tensors, mut missing) = (Vec::new(), Vec::new());
    for param in params.all() {
        let info = graph.info(param.value);
        let stored = given(&info.name);
        let want = layout::pytorch_shape(&info.shape);
        match file.find(&stored) {
            None => missing.push(info.name.clone()),
            Some(StoredTensor { view: Err(reason), .. }) => {
                return Err(Error::data(file.path(), format!("{stored}: {reason}")));
            }
            Some(tensor) if tensor.shape == want => tensors.push((info.name.clone(), stored)),
            Some(tensor) => {
                let (arch, width) = (config.arch.name(), config.width);
                return Err(Error::data(
                    file.path(),
                    format!(
                        "{stored} is {:?}, should be {want:?} for a {arch} of width {width}",
                        tensor.shape
                    ),
                ));
            }
        }
    }
    let used = |name: &str| tensors.iter().any(|(_, stored)| stored == name);
    let below = |tensor: &&StoredTensor| tensor.name.starts_with(prefix.as_str());
    let left_over = file
        .tensors()
        .iter()
        .filter(below)
        .filter(|tensor| !used(&tensor.name) && !tensor.name.ends_with("num_batches_tracked"))
        .map(|tensor| tensor.name[prefix.len()..].to_owned())
        .collect();
    let elsewhere = file.tensors().len() - file.tensors().iter().filter(below).count();
    Ok(Match { config, tensors, missing, left_over, elsewhere })
}

/// Reads the weights of a match.
///
/// # Errors
/// Missing or damaged tensors; a number that is not finite, a variance below 0.
pub fn read(file: &mut WeightsFile, found: &Match) -> Result<Backbone> {
    if let Some(first) = found.missing.first() {
        let (count, arch) = (found.missing.len(), found.config.arch.name());
        let detail = format!("{count} tensors of a {arch} are missing, first {first}");
        return Err(Error::data(file.path(), detail));
    }
    let mut tensors = Vec::with_capacity(found.tensors.len());
    for (name, stored) in &found.tensors {
        let data = file.read(stored)?;
        let shape = &file.find(stored).expect("matched by name").shape;
        if let Some(at) = data.iter().position(|number| !number.is_finite()) {
            let detail = format!("element {at} of {stored} is {}", data[at]);
            return Err(Error::data(file.path(), detail));
        }
        let is_variance = name.ends_with("running_var");
        if let Some(at) = data.iter().position(|&number| is_variance && number < 0.0) {
            let detail = format!("element {at} of {stored}, a variance, is {}", data[at]);
            return Err(Error::data(file.path(), detail));
        }
        tensors.push((name.clone(), layout::from_pytorch(shape, &data)));
    }
    Ok(Backbone { config: found.config, tensors })
}

/// The ResNet that the first layers and the depth match.
fn detect<'a>(
    find: impl Fn(&str) -> Option<&'a StoredTensor>,
) -> std::result::Result<ResNetConfig, String> {
    let stem = find("conv1.weight").ok_or("no conv1.weight")?;
    let &[width, in_channels, height, kernel] = &stem.shape[..] else {
        return Err(format!("conv1.weight is {:?}, should have 4 dimensions", stem.shape));
    };
    let stem = match (height, kernel) {
        (7, 7) => Stem::ImageNet,
        (3, 3) => Stem::Cifar,
        _ => {
            return Err(format!(
                "conv1.weight is {:?}: its kernel is neither 7x7 nor 3x3",
                stem.shape
            ));
        }
    };
    if width == 0 || in_channels == 0 {
        return Err("conv1.weight is empty".to_owned());
    }
    let blocks_of = |stage: usize| {
        (0..).take_while(|b| find(&format!("layer{stage}.{b}.conv1.weight")).is_some()).count()
    };
    let blocks = [1, 2, 3, 4].map(blocks_of);
    let is_bottleneck = find("layer1.0.conv3.weight").is_some();
    let known = [Arch::ResNet18, Arch::ResNet34, Arch::ResNet50];
    let arch = known
        .into_iter()
        .find(|arch| arch.blocks() == blocks && (arch.expansion() > 1) == is_bottleneck);
    let Some(arch) = arch else {
        let kind = if is_bottleneck { "bottleneck" } else { "basic" };
        return Err(format!("{kind} blocks {blocks:?} are not a ResNet-18, -34 or -50"));
    };
    Ok(ResNetConfig { arch, stem, width, in_channels, zero_init_residual: true })
}
