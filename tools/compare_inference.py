"""Times a batch of features here and in PyTorch, in turn, and prints the ratio of the medians.

    cargo build --release
    python tools/compare_inference.py [ROUNDS]

ResNet-18 of width 64 with the cifar stem, 64 images of 32 x 32, and ResNet-50 with the imagenet stem,
64 images of 64 x 64; two threads; PyTorch in eval mode without gradients, with channels-last images.
Each round is the median of 5 batches. On a busy machine a ratio is worthless: it looks at the load
first and refuses. Needs tools/requirements.txt.
"""

import re
import statistics
import sys

import torch

import reference
from comparison import ROOT, chosen, median_seconds, output, processor, refuse_if_busy

BATCHES = 5
IMAGES = 64
THREADS = 2
# Architecture, stem, side of the images.
CASES = [("resnet18", "cifar", 32), ("resnet50", "imagenet", 64)]


def carp_seconds(arch, stem, size):
    """With batch norm as layers, and folded."""
    settings = {"model.arch": arch, "model.stem": stem, "model.width": 64}
    settings |= {"knn.size": size, "knn.resize": size, "knn.batch_size": IMAGES}
    command = [str(ROOT / "target/release/carp"), "bench", "inference"]
    command += ["--threads", str(THREADS), "--rounds", str(BATCHES)]
    text = output(command + chosen(settings))
    rows = ("batch norm as layers", "folded")
    return [float(re.search(rf"^{row} +([0-9.]+) ms", text, re.M)[1]) / 1e3 for row in rows]


def torch_seconds(network, images):
    with torch.no_grad():
        return median_seconds(lambda: network(images), BATCHES)


def main(rounds):
    torch.set_num_threads(THREADS)
    print(f"{IMAGES} images on {processor()}")
    for arch, stem, size in CASES:
        layout = torch.channels_last
        network = reference.ResNet(arch, stem, 64, 3).eval().to(memory_format=layout)
        images = torch.randn(IMAGES, 3, size, size).to(memory_format=layout)
        own, other = [], []
        for _ in range(rounds):
            refuse_if_busy()
            own.append(carp_seconds(arch, stem, size))
            other.append(torch_seconds(network, images))
        layers, folded = (statistics.median(times) for times in zip(*own))
        theirs = statistics.median(other)
        print(f"{arch} {size} x {size}: carp {folded:.3f} s ({IMAGES / folded:.0f} images/s), ", end="")
        print(f"with batch norm as layers {layers:.3f} s, PyTorch {theirs:.3f} s: ", end="")
        print(f"{folded / theirs:.2f} of PyTorch's")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
