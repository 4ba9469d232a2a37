"""Generates fixtures/weights: checkpoints as PyTorch and the published methods write them.

Usage: python tools/golden_weights.py OUT_FOLDER

Each file holds one small ResNet under the names and in the nesting of some method. What PyTorch
computes with it is in expected.safetensors: `FILE.images` [N,H,W,C] and for each layer
`FILE.LAYER`, its output for those images averaged over the pixels, in float64 rounded to float32
(with the weights as the file's type rounds them), and `FILE.multi_scale`. patches.safetensors has
images, and means over the features of their patches. hostile.pth tries to run a program.
beside.pth and beside_legacy.pth hold a few numbers of every type and layout beside objects of all
sorts; beside_deflated.pth is the former, zipped again.
"""

import argparse
import collections
import datetime
import enum
import os
import pathlib
import sys
import zipfile

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms.functional as vision
from PIL import Image
from safetensors.torch import save_file

from reference import ResNet

LAYERS = ["conv1", "maxpool", "layer1", "layer2.0", "layer2", "layer3", "layer4", "avgpool"]


def network(seed, arch, stem, width, in_channels, dtype):
    """A ResNet with non-trivial batch norm statistics; numbers rounded to `dtype`."""
    torch.manual_seed(seed)
    net = ResNet(arch, stem, width, in_channels)
    for name, tensor in net.state_dict().items():
        if name.endswith("running_mean") or name.endswith("bias"):
            tensor.normal_(0, 0.2)
        elif name.endswith("running_var") or tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5)
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.to(dtype))
    return net.eval()


def expected(net, in_channels):
    """Images and every layer's output for them, averaged over the pixels."""
    torch.manual_seed(in_channels)
    images = torch.randn(2, in_channels, 33, 41)
    net = net.double()
    outputs = {}
    x = net.relu(net.bn1(net.conv1(images.double())))
    outputs["conv1"] = x
    x = net.maxpool(x)
    outputs["maxpool"] = x
    for stage in range(1, 5):
        for index, block in enumerate(getattr(net, f"layer{stage}")):
            x = block(x)
            outputs[f"layer{stage}.{index}"] = x
        outputs[f"layer{stage}"] = x
    outputs = {name: outputs.get(name, x).mean(dim=(2, 3)).float().detach() for name in LAYERS}
    outputs["multi_scale"] = multi_scale(net, images)
    return {"images": images.permute(0, 2, 3, 1).contiguous()} | outputs


def multi_scale(net, images):
    """The mean of the features at scales 1, 1/sqrt(2), 1/2, scaled to length 1."""
    with torch.no_grad():
        features = 0
        for scale in [1, 1 / 2**0.5, 1 / 2]:
            smaller = images
            if scale != 1:
                smaller = F.interpolate(images, scale_factor=scale, mode="bilinear")
            features = features + net(smaller.double()) / 3
        return F.normalize(features).float()


def patches(net):
    """Images `image.N` [H,W,3], and for G x G patches of a share of the short side the mean of their
    features, `features.N.G.SHARE`; for the whole image the means of G x G cells of layer1's map,
    `cells.N.G`."""
    rng = np.random.default_rng(14)
    results = {}
    for number, (height, width) in enumerate([(40, 57), (90, 71)]):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        results[f"image.{number}"] = torch.from_numpy(pixels)
        for count, share in [(1, 1.0), (1, 0.8), (2, 0.5), (3, 0.4), (4, 0.75)]:
            crops = patches_of(Image.fromarray(pixels), count, share)
            with torch.no_grad():
                features = net(torch.stack(crops).double()).mean(0).float()
            results[f"features.{number}.{count}.{share}"] = features
        [crop] = patches_of(Image.fromarray(pixels), 1, 1.0)
        with torch.no_grad():
            x = net.maxpool(net.relu(net.bn1(net.conv1(crop[None].double()))))
            side = net.layer1(x)[0].permute(1, 2, 0)
        for count, window in [(2, 4), (3, 4), (4, 2), (8, 1)]:
            step = len(side) // count
            places = [slice(i * step, i * step + window) for i in range(count)]
            cells = [side[rows, columns].mean((0, 1)) for rows in places for columns in places]
            results[f"cells.{number}.{count}"] = torch.cat(cells).float()
    return results


def patches_of(image, count, share, size=32):
    """Crops of the resized image, evenly spaced from edge to edge; a single one in the middle."""
    image = vision.resize(image, round(size / share), vision.InterpolationMode.BICUBIC)

    def first(length):
        room = length - size
        return [room / 2] if count == 1 else np.linspace(0, room, count)

    crops = []
    for top in np.rint(first(image.height)).astype(int):
        for left in np.rint(first(image.width)).astype(int):
            crop = image.crop((left, top, left + size, top + size))
            mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            crops.append(vision.normalize(vision.to_tensor(crop), mean, std))
    return crops


def state(net, dtype, prefix=""):
    """The state dict with a prefix, numbers in `dtype`."""
    return {
        prefix + name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in net.state_dict().items()
    }


def torchvision(net, path):
    """Plain names with the classifier, an OrderedDict with its _metadata."""
    net.fc = torch.nn.Linear(net.features, 10)
    torch.save(net.float().state_dict(), path)


def carp(net, path):
    """The authors' checkpoint: student, teacher, optimizer, settings, scaler."""
    head = {"module.head.last_layer.weight_g": torch.ones(4, 1)}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    sum(p.sum() for p in net.parameters()).backward()
    optimizer.step()
    other = network(99, "resnet18", "imagenet", 1, 3, torch.float16)
    args = argparse.Namespace(arch="resnet50", output_dir=pathlib.PosixPath("/x"), lr=[0.1, 0.2])
    save = {
        "student": state(other, torch.float16, "module.backbone.") | head,
        "teacher": None,
        "optimizer": optimizer.state_dict(),
        "epoch": 100,
        "args": args,
        "best": np.float64(75.3),
        "fp16_scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 7},
    }
    fresh = network(SEEDS["carp.pth"], "resnet18", "imagenet", 1, 3, torch.float16)
    save["teacher"] = state(fresh, torch.float16, "module.backbone.") | head
    torch.save(save, path)


def moco_v3(net, path):
    """Query and key encoder in one state dict, bfloat16."""
    other = network(98, "resnet18", "imagenet", 1, 3, torch.bfloat16)
    tensors = state(net, torch.bfloat16, "module.base_encoder.")
    tensors |= state(other, torch.bfloat16, "module.momentum_encoder.")
    tensors["module.base_encoder.fc.0.weight"] = torch.zeros(4, 8, dtype=torch.bfloat16)
    torch.save({"epoch": 1000, "arch": "resnet50", "state_dict": tensors}, path)


def moco_v2(net, path):
    """PyTorch before 1.6, float64; all numbers in one storage, convolutions channels last."""
    tensors = state(net, torch.float64, "module.encoder_q.")
    flat = torch.cat([t.flatten().double() for t in tensors.values()])
    start = 0
    for name, tensor in tensors.items():
        part = flat[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
        if tensor.dim() == 4:
            tensors[name] = part.contiguous(memory_format=torch.channels_last)
        elif tensor.dim() == 1:
            tensors[name] = torch.nn.Parameter(part) if name.endswith("bias") else part
    torch.save({"state_dict": tensors}, path, _use_new_zipfile_serialization=False)


def sequential(net, path):
    """The children of a ResNet in a Sequential: numbers instead of names."""
    numbers = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    renamed = {}
    for name, tensor in state(net, torch.float32, "").items():
        first, rest = name.split(".", 1)
        renamed[f"backbone.{numbers[first]}.{rest}"] = tensor.contiguous()
    save_file(renamed, path)


def bottleneck(net, path):
    """A ResNet-50 for small grey images, float16."""
    save_file(state(net, torch.float16, "encoder."), path)


FILES = {
    "torchvision.pth": (torchvision, "resnet18", "imagenet", 4, 3, torch.float32),
    "carp.pth": (carp, "resnet18", "imagenet", 1, 3, torch.float16),
    "moco_v3.pth": (moco_v3, "resnet18", "imagenet", 1, 3, torch.bfloat16),
    "moco_v2.pth.tar": (moco_v2, "resnet18", "imagenet", 1, 3, torch.float64),
    "sequential.safetensors": (sequential, "resnet34", "imagenet", 1, 3, torch.float32),
    "bottleneck.safetensors": (bottleneck, "resnet50", "cifar", 1, 1, torch.float16),
}
SEEDS = {name: seed for seed, name in enumerate(FILES)}


Point = collections.namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = 1


class Callback:
    """As Lightning and mmengine save them: an object with tensors of its own."""

    def __init__(self):
        self.best = torch.ones(1)


def objects():
    """What programs store beside the weights."""
    return {
        "callbacks": {"checkpoint": Callback()},
        "hyper_parameters": argparse.Namespace(lr=0.1, when=datetime.datetime(2023, 12, 10)),
        "random": np.random.default_rng(0),
        "numbers": [np.zeros(0), np.arange(3), np.float32(1), 2**200, 1 + 2j],
        "bytes": [b"", b"\xff", bytearray(), bytearray(b"\xff")],
        "others": [Color.RED, Point(1, torch.zeros(1)), datetime.date(2023, 12, 10), Ellipsis],
    }


def tensors():
    """A tensor of each type, 0 to 3 where it can be, and of each layout."""
    numbers = torch.arange(4)
    names = "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 int64 int32 int16 int8"
    names += " uint64 uint32 uint16 uint8 complex64"
    found = {name: numbers.to(getattr(torch, name)) for name in names.split()}
    found["bool"] = numbers > 1
    floats = torch.arange(6.0).view(2, 3)
    found["transposed"] = floats.t()
    found["part"] = floats[:, 1:]
    found["expanded"] = torch.tensor([[7.0], [8.0]]).expand(2, 3)
    found["empty"] = torch.zeros(0, 3)
    found["sparse"] = floats.to_sparse()
    found["sparse_rows"] = floats.to_sparse_csr()
    found["quantized"] = torch.quantize_per_tensor(floats, 0.5, 0, torch.qint8)
    found["attributed"] = torch.nn.Parameter(floats)
    found["attributed"].weight_decay = 0.0
    found["attributed_tensor"] = torch.arange(6.0)
    found["attributed_tensor"].note = Color.RED
    return found


def beside(folder):
    both = objects() | {"state_dict": tensors()}
    torch.save(both, folder / "beside.pth")
    torch.save(both, folder / "beside_legacy.pth", _use_new_zipfile_serialization=False)
    with (
        zipfile.ZipFile(folder / "beside.pth") as stored,
        zipfile.ZipFile(folder / "beside_deflated.pth", "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for entry in stored.infolist():
            fixed = zipfile.ZipInfo(entry.filename)
            fixed.compress_type = zipfile.ZIP_DEFLATED
            deflated.writestr(fixed, stored.read(entry))


class Hostile:
    """Unpickling this would run a program."""

    def __reduce__(self):
        return os.system, ("echo this file has run a program",)


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, (write, arch, stem, width, in_channels, dtype) in FILES.items():
        net = network(SEEDS[name], arch, stem, width, in_channels, dtype)
        for key, value in expected(net, in_channels).items():
            results[f"{name}.{key}"] = value
        if name == "torchvision.pth":
            save_file(patches(net), folder / "patches.safetensors")
        write(net, folder / name)
    save_file(results, folder / "expected.safetensors")
    weights = {"conv1.weight": torch.zeros(2)}
    torch.save({"state_dict": weights, "args": Hostile()}, folder / "hostile.pth")
    beside(folder)


if __name__ == "__main__":
    main(sys.argv[1])
