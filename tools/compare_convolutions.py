"""Times every convolution of ResNet-18 and ResNet-50 with its gradients, here and in PyTorch, in turn.

    cargo build --release
    python tools/compare_convolutions.py [ROUNDS]

ResNet-18 of width 64 with the cifar stem on 64 images of 32 x 32, ResNet-50 with the imagenet stem on 16
of 64 x 64; forward and both gradients, of the first layer only that by the weight; two threads; PyTorch
with channels-last images. Each round is the median of 5 calls. On a busy machine a ratio is worthless:
it looks at the load first and refuses. Needs tools/requirements.txt.
"""

import re
import statistics
import sys

import torch

import reference
from comparison import ROOT, median_seconds, output, processor, refuse_if_busy

CALLS = 5
THREADS = 2
# Architecture, stem, images, their side.
NETWORKS = [("resnet18", "cifar", 64, 32), ("resnet50", "imagenet", 16, 64)]


def layers(arch, stem, count, size):
    """The convolutions that differ: (N, H, W, C, O, K, stride)."""
    found = {}

    def note(module, inputs, output):
        n, c, h, w = inputs[0].shape
        key = (n, h, w, c, module.out_channels, module.kernel_size[0], module.stride[0])
        found[key] = None

    network = reference.ResNet(arch, stem, 64, 3)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.randn(count, 3, size, size))
    # The images themselves need no gradient, which `carp bench conv` always computes.
    return [layer for layer in found if layer[3] != 3]


def carp_seconds(all_layers):
    command = [str(ROOT / "target/release/carp"), "bench", "conv"]
    command += ["--threads", str(THREADS), "--rounds", str(CALLS)]
    for layer in all_layers:
        command += ["--layer", ",".join(map(str, layer))]
    text = output(command)
    times = [float(ms) / 1e3 for ms in re.findall(r"gradients .* ([0-9.]+) ms", text)]
    assert len(times) == len(all_layers), text
    return times


def torch_seconds(layer):
    n, h, w, c, o, k, stride = layer
    layout = torch.channels_last
    conv = torch.nn.Conv2d(c, o, k, stride, k // 2, bias=False).to(memory_format=layout)
    x = torch.randn(n, c, h, w).to(memory_format=layout).requires_grad_()
    dy = torch.randn_like(conv(x))
    return median_seconds(lambda: torch.autograd.grad(conv(x), [x, conv.weight], dy), CALLS)


def main(rounds):
    torch.set_num_threads(THREADS)
    print(f"convolutions with gradients on {processor()}")
    every_ratio = []
    for network in NETWORKS:
        all_layers = layers(*network)
        own, other = [], []
        for _ in range(rounds):
            refuse_if_busy()
            own.append(carp_seconds(all_layers))
            other.append([torch_seconds(layer) for layer in all_layers])
        print(f"{network[0]:<12}{'N,H,W,C,O,K,stride':<32}{'carp':>10}{'PyTorch':>10}{'ratio':>8}")
        for layer, mine, theirs in zip(all_layers, zip(*own), zip(*other)):
            mine, theirs = statistics.median(mine), statistics.median(theirs)
            every_ratio.append(mine / theirs)
            name = ",".join(map(str, layer))
            print(f"{'':<12}{name:<32}{1e3 * mine:>7.2f} ms{1e3 * theirs:>7.2f} ms{mine / theirs:>8.2f}")
    print(f"median of the ratios {statistics.median(every_ratio):.2f}, largest {max(every_ratio):.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
