#!/usr/bin/env python3
"""Reads a folder of `carp embed` with TensorBoard's own reader, and compares map.svg with the
principal components of vectors.tsv by NumPy.

    pip install -r tools/requirements-look.txt
    carp embed runs/shapes-1 -o map; tools/read_projector.py map

Exits with 1 if a file is not what the settings say, or a point is elsewhere.
"""

import pathlib
import re
import struct
import sys

import numpy as np
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.plugins.projector.projector_plugin import _read_tensor_tsv_file

# Components have no sign of their own.
SIGNS = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
# Both coordinates are whole pixels, and so are the ends of the frame.
PIXELS = 2


def main():
    folder = pathlib.Path(sys.argv[1])
    settings = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (features,) = settings.embeddings
    vectors = np.array(_read_tensor_tsv_file(str(folder / features.tensor_path)), dtype=np.float64)
    print(f"{features.tensor_path}: {vectors.shape}")
    classes = [""] * len(vectors)
    if features.metadata_path:
        classes = (folder / features.metadata_path).read_text().splitlines()
    if len(classes) != len(vectors):
        sys.exit(f"{features.metadata_path}: {len(classes)} classes of {len(vectors)} features")
    sprite = (folder / features.sprite.image_path).read_bytes()
    size = struct.unpack(">II", sprite[16:24])
    across, down = (whole // one for whole, one in zip(size, features.sprite.single_image_dim))
    if across * down < len(vectors) or max(size) > 8192:
        sys.exit(f"{features.sprite.image_path}: {size} pixels for {len(vectors)} pictures")

    circles = re.findall(r'<circle cx="(-?\d+)" cy="(-?\d+)"', (folder / "map.svg").read_text())
    drawn = np.array(circles, dtype=np.float64)
    if len(drawn) != len(vectors):
        sys.exit(f"map.svg: {len(drawn)} points of {len(vectors)} features")
    u, s, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    farthest = min(distance(u[:, :2] * s[:2] * signs, drawn) for signs in SIGNS)
    print(f"map.svg: all {len(drawn)} points within {farthest:.2f} pixels of NumPy's")
    if farthest > PIXELS:
        sys.exit(1)


def distance(points, drawn):
    """How far the farthest point is from the nearest that is drawn, if both fill the same frame."""
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    scaled = low + (points - points.min(axis=0)) / np.ptp(points, axis=0) * (high - low)
    apart = np.linalg.norm(scaled[:, None] - drawn[None], axis=2)
    return max(apart.min(axis=1).max(), apart.min(axis=0).max())


if __name__ == "__main__":
    main()
