"""Writes and checks files of the audit format (docs/audit.md): names, dtypes and settings."""

import json
import re

import torch
from safetensors import safe_open
from safetensors.torch import save_file

RESNET = "arch stem width in_channels training"
MODEL = r"backbone\..+ head\.mlp\.[01346]\..+ head\.last_layer\.weight_v"
STATE = " ".join(rf"{net}\.{name}" for net in ("student", "teacher") for name in MODEL.split())

# kind: settings, names after `in.`, names after `out.`; names are regular expressions.
KINDS = {
    "conv2d": ("stride padding", "x weight grad_y", "y grad_x grad_weight"),
    "batch_norm": (
        "eps momentum training",
        "x weight bias running_mean running_var grad_y",
        "y grad_x grad_weight grad_bias running_mean running_var",
    ),
    "gelu": ("", "x grad_y", "y grad_x"),
    "relu": ("", "x grad_y", "y grad_x"),
    "max_pool2d": ("kernel stride padding", "x grad_y", "y grad_x"),
    "avg_pool2d": ("kernel stride padding", "x grad_y", "y grad_x"),
    "linear": ("", "x weight bias grad_y", "y grad_x grad_weight grad_bias"),
    "weight_norm_linear": ("", "x weight_v grad_y", "y grad_x grad_weight_v"),
    "carp_loss": (
        "partition_size",
        "student teacher permutation",
        "consistency entropy grad_student",
    ),
    "carp_loss_embeddings": (
        "partition_size variant",
        "student teacher student_prototypes teacher_prototypes permutation",
        "consistency entropy grad_student grad_student_prototypes",
    ),
    "lars": ("lr momentum weight_decay eta", "param grads", "param"),
    "sgd": ("lr momentum weight_decay", "param grads", "param"),
    "adamw": ("lr weight_decay betas eps", "param grads", "param"),
    "schedule": ("base final steps warmup_steps warmup_start", "", "values"),
    "resnet": (RESNET, r"x grad_y w\..+", r"y grad\..+ buffer\..+"),
    "carp_step": (
        RESNET + " hidden bottleneck prototypes partition_size optimizer lr teacher_momentum"
        " weight_decay momentum eta",
        " ".join(rf"student\.{name}" for name in MODEL.split())
        + r" view\.\d+\.\d+ permutation\.\d+",
        "loss consistency entropy " + STATE,
    ),
}

# The same for each `method` of kind method_loss, which is a setting of all.
METHODS = {
    "barlow_twins": ("lambda eps", "z1 z2", "loss grad_z1 grad_z2"),
    "vicreg": ("invariance variance covariance", "z1 z2", "loss grad_z1 grad_z2"),
    "moco_v3": ("temperature", "q1 q2 k1 k2", "loss grad_q1 grad_q2"),
    "dino": (
        "student_temperature teacher_temperature centre_momentum",
        "student teacher centre",
        "loss grad_student centre",
    ),
    "swav": ("epsilon iterations temperature", "scores", "loss grad_scores codes"),
    "deepcluster_v2": ("temperature", "z labels centroids", "loss grad_z"),
    "spherical_kmeans": ("iterations", "memory start", "labels centroids"),
    "sela_labels": ("lambda tolerance", "logits", "labels"),
    "info_nce": ("temperature", "q k queue", "loss grad_q"),
    "proto_nce": ("", "q columns densities", "loss grad_q"),
    "infomin": ("temperature beta", "q k jigsaw queue", "loss grad_q grad_jigsaw"),
    "bag_of_words": ("inv_delta momentum", "maps words mean_distance", "bows mean_distance"),
    "obow": ("kappa", "f word_weights bows", "loss grad_f"),
    "triplet": ("", "p1 p2 t1 t2", "loss grad_p1 grad_p2"),
}

INTEGERS = r".*\.num_batches_tracked|in\.permutation(\.\d+)?|(in|out)\.labels|in\.start"


def expected_dtype(kind, name):
    """The dtype of a tensor with this name."""
    if re.fullmatch(INTEGERS, name):
        return torch.int64
    return torch.float64 if kind == "schedule" else torch.float32


def save(path, kind, settings, tolerance, inputs, outputs):
    """Writes one audit file and reads it back through `check`."""
    tensors = {f"in.{name}": value for name, value in inputs.items()}
    tensors |= {f"out.{name}": value for name, value in outputs.items()}
    tensors = {
        name: value.detach().to(expected_dtype(kind, name)).contiguous().clone()
        for name, value in tensors.items()
    }
    header = {"kind": kind, "settings": settings, "tolerance": tolerance}
    save_file(tensors, path, metadata={"carp.audit": json.dumps(header)})
    check(path)


def check(path):
    """Raises ValueError if a file violates the format."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["carp.audit"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    if set(header) != {"kind", "settings", "tolerance"}:
        raise ValueError(f"{path}: header has {sorted(header)}")
    if set(header["tolerance"]) != {"abs", "rel"}:
        raise ValueError(f"{path}: tolerance has {sorted(header['tolerance'])}")
    kind = header["kind"]
    method = header["settings"].pop("method", None) if kind == "method_loss" else None
    names = METHODS[method] if method else KINDS[kind]
    settings, inputs, outputs = (part.split() for part in names)
    optional = {"shards"} if kind == "carp_step" else set()
    if set(header["settings"]) - optional != set(settings):
        raise ValueError(f"{path}: settings {sorted(header['settings'])}, not {sorted(settings)}")
    allowed = [rf"in\.{name}" for name in inputs] + [rf"out\.{name}" for name in outputs]
    for name, tensor in tensors.items():
        if not any(re.fullmatch(pattern, name) for pattern in allowed):
            raise ValueError(f"{path}: {kind} has no tensor {name}")
        if tensor.dtype != expected_dtype(kind, name):
            raise ValueError(f"{path}: {name} is {tensor.dtype}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} is not finite")
    for pattern in allowed:
        optional = pattern.startswith("out")
        if not optional and not any(re.fullmatch(pattern, name) for name in tensors):
            raise ValueError(f"{path}: {kind} without {pattern}")
    if not any(name.startswith("out.") for name in tensors):
        raise ValueError(f"{path}: nothing to compare")
