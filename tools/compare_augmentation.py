"""Times decoding and augmentation on one thread here and in torchvision (Pillow), in turn.

    cargo build --release
    python tools/compare_augmentation.py [ROUNDS]

Both read the same files, made on the spot, and make the views of a preset with the same
probabilities and strengths: `photographs` (JPEGs of about 500 x 375 pixels, the imagenet preset) and
`small` (PNGs of 32 x 32, the cifar10 preset). Prints images a second, medians of ROUNDS (5), and the
ratio. On a busy machine a ratio is worthless: it looks at the load first and refuses. Needs
tools/requirements.txt.
"""

import pathlib
import random
import re
import statistics
import sys
import tempfile
import time

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torchvision import transforms as T

from comparison import ROOT, chosen, output, refuse_if_busy

IMAGES = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Of each view: side, scale, probability of blur and of solarisation.
CASES = {
    "photographs": {
        "global1": (224, (0.2, 1.0), 1.0, 0.0),
        "global2": (224, (0.2, 1.0), 0.1, 0.2),
        "local": (96, (0.05, 0.2), 0.5, 0.0),
    },
    "small": {
        "global1": (32, (0.2, 1.0), 0.0, 0.0),
        "global2": (32, (0.2, 1.0), 0.0, 0.2),
        "local": (16, (0.05, 0.2), 0.0, 0.0),
    },
}
LOCAL_VIEWS = 6


class Blur:
    def __call__(self, image):
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


class Solarise:
    def __call__(self, image):
        return ImageOps.solarize(image)


def transform(size, scale, blur, solarise):
    """As in the authors' code; what never happens is left out."""
    steps = [
        T.RandomResizedCrop(size, scale=scale, interpolation=T.InterpolationMode.BICUBIC),
        T.RandomHorizontalFlip(0.5),
        T.RandomApply([T.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
        T.RandomGrayscale(0.2),
    ]
    if blur > 0:
        steps.append(T.RandomApply([Blur()], p=blur))
    if solarise > 0:
        steps.append(T.RandomApply([Solarise()], p=solarise))
    return T.Compose([*steps, T.ToTensor(), T.Normalize(MEAN, STD)])


def settings(kinds):
    """The same for carp."""
    values = {"data.kind": "folder", "views.local_count": LOCAL_VIEWS}
    for name, (size, scale, blur, solarise) in kinds.items():
        values |= {f"views.{name}.size": size, f"views.{name}.scale": list(scale)}
        values |= {f"views.{name}.blur": blur, f"views.{name}.solarise": solarise}
        values |= {f"views.{name}.jitter": 0.8, f"views.{name}.brightness": 0.4}
        values |= {f"views.{name}.contrast": 0.4, f"views.{name}.saturation": 0.2}
        values |= {f"views.{name}.hue": 0.1, f"views.{name}.greyscale": 0.2}
    return chosen(values)


def picture(rng, height, width):
    """Smooth colours, edges and a little noise: JPEGs of a photograph's size in bytes."""
    y, x = np.mgrid[:height, :width] / height
    waves = [np.sin(rng.uniform(3, 9) * x + rng.uniform(3, 9) * y) for _ in range(3)]
    pixels = np.stack(waves, -1) * 90 + 128 + rng.normal(0, 12, (height, width, 3))
    for _ in range(12):
        top, left = rng.integers(0, height - 8), rng.integers(0, width - 8)
        bottom, right = top + rng.integers(4, height // 2), left + rng.integers(4, width // 2)
        pixels[top:bottom, left:right] += rng.uniform(-90, 90, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def write_images(case, folder):
    rng = np.random.default_rng(0)
    for i in range(IMAGES):
        if case == "photographs":
            height, width = rng.integers(350, 400), rng.integers(480, 520)
            picture(rng, height, width).save(folder / f"{i:03}.jpg", quality=90)
        else:
            picture(rng, 32, 32).save(folder / f"{i:03}.png")


def read(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def torchvision_rates(kinds, files):
    """Images a second of each row, as `carp bench augment` names them."""
    images = [read(path) for path in files]
    made = {name: transform(*kind) for name, kind in kinds.items()}
    every = [made["global1"], made["global2"]] + [made["local"]] * LOCAL_VIEWS
    rows = {"decode": lambda: [read(path) for path in files]}
    for name, transformation in made.items():
        rows[name] = lambda f=transformation: [f(image) for image in images]
    rows["image"] = lambda: [[f(image) for f in every] for image in map(read, files)]
    rates = {}
    for name, work in rows.items():
        start = time.perf_counter()
        work()
        rates[name] = len(files) / (time.perf_counter() - start)
    return rates


def carp_rates(kinds, folder):
    command = [str(ROOT / "target/release/carp"), "bench", "augment", "--data", str(folder)]
    command += ["--images", str(IMAGES), "--rounds", "1", *settings(kinds)]
    rows = re.finditer(r"^(\w+).* ([0-9.]+)$", output(command), re.M)
    return {m[1]: float(m[2]) for m in rows}


def main(rounds):
    torch.set_num_threads(1)
    for case, kinds in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            write_images(case, pathlib.Path(folder))
            files = sorted(pathlib.Path(folder).iterdir())
            own, other = [], []
            for _ in range(rounds):
                refuse_if_busy()
                own.append(carp_rates(kinds, folder))
                other.append(torchvision_rates(kinds, files))
        print(f"{case:<14}{'carp':>12}{'torchvision':>14}{'ratio':>8}")
        for row in other[0]:
            ours = statistics.median(rates[row] for rates in own)
            theirs = statistics.median(rates[row] for rates in other)
            print(f"{row:<14}{ours:>8.1f} /s{theirs:>10.1f} /s{ours / theirs:>8.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
