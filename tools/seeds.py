"""Generates fuzz/seeds: a few small files of every kind that is read from strangers.

    python tools/seeds.py fuzz/seeds

Needs NumPy and Pillow, which come with tools/requirements.txt; what fixtures/ and the presets have
already is copied.
"""

import gzip
import io
import json
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
OUT = Path(sys.argv[1])


def write(path, content):
    path = OUT / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def copy(kind, *patterns, most=1 << 13, whole=False):
    """Copies files, cut to `most` bytes, or only those that are not larger."""
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            if not whole or path.stat().st_size <= most:
                write(f"{kind}/{path.name}", path.read_bytes()[:most])


def images():
    grey = np.arange(15, dtype=np.uint8).reshape(3, 5) * 16
    colour = np.stack([grey, grey[::-1], 255 - grey], axis=2)
    for end in ["png", "bmp", "gif", "jpg", "ppm", "qoi", "tga", "tiff", "webp", "ico"]:
        file = io.BytesIO()
        kind = {"jpg": "jpeg"}.get(end, end)
        try:
            Image.fromarray(colour).save(file, kind)
        except (KeyError, OSError):
            continue
        write(f"image/{end}", file.getvalue())
    file = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16) * 257).save(file, "png")
    write("image/png16", file.getvalue())


def idx():
    images = struct.pack(">4I", 0x803, 3, 2, 3) + bytes(range(18))
    for name, content in [("images", images), ("labels", struct.pack(">2I", 0x801, 1) + b"\7")]:
        write(f"idx/{name}", content)
        write(f"idx/{name}.gz", gzip.compress(content, mtime=0))


def pickles():
    copy("pickle", "fixtures/data/*.pkl")
    data = np.zeros((2, 3072), np.uint8)
    names = [f"class {i}" for i in range(100)]
    for protocol in [0, 2, 4]:
        for name, value in [("batch", {"data": data, "fine_labels": [3, 99]}),
                            ("meta", {"fine_label_names": names})]:
            write(f"cifar/{name}_{protocol}", pickle.dumps(value, protocol))


def checkpoints():
    copy("pth", "fixtures/weights/hostile.pth", "fixtures/weights/beside*.pth", most=1 << 14)
    with zipfile.ZipFile(ROOT / "fixtures/weights/carp.pth") as whole:
        names = [name for name in whole.namelist() if "/data/" not in name]
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as small:
            for name in names:
                small.writestr(zipfile.ZipInfo(name), whole.read(name))
        write("pth/objects.pth", file.getvalue())
    header = {"__metadata__": {"a": "b"},
              "x": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
              "y": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]}}
    text = json.dumps(header).encode()
    write("safetensors/two", struct.pack("<Q", len(text)) + text + bytes(32))


def record(name, header, **tensors):
    """An audit record of one tensor per keyword, `in_x_0` for `in.x.0` and `in_grad__y` for `in.grad_y`."""
    entries, data = {"__metadata__": {"carp.audit": json.dumps(header)}}, b""
    for key, array in tensors.items():
        array = np.asarray(array)
        array = array.astype("<i8" if array.dtype.kind == "i" else "<f4")
        tensor = key.replace("__", " ").replace("_", ".").replace(" ", "_")
        entries[tensor] = {
            "dtype": "I64" if array.dtype.kind == "i" else "F32", "shape": array.shape,
            "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    write(f"audit/{name}.safetensors", struct.pack("<Q", len(text)) + text + data)


def op(name, kernel, **tensors):
    header = {"kind": "op", "settings": {"kernel": kernel, "layer": "a"},
              "tolerance": {"abs": 0, "rel": 0}}
    record(f"op-{name}", header, **tensors)


def audits():
    """Records of every kind that is small; ops, and some with sizes and indices that no step has."""
    copy("audit", "fixtures/audit/*.safetensors", most=2100, whole=True)
    x = np.linspace(-1, 1, 24)
    for name, low, high in [("clamp", -0.5, 0.5), ("clamp-none", 1, 0)]:
        op(name, {"Clamp": {"low": low, "high": high}}, in_x_0=x, out_y_0=x)
    for name, ranges in [("lars", [0, 10, 16, 24]), ("lars-back", [10, 20, 0, 10])]:
        op(name, {"Lars": {"momentum": 0.9, "eta": 0.001, "tensors": 2}}, in_x_0=x, in_x_1=[0.1],
           in_x_2=[0.1], in_x_3=ranges, in_y_0=x, in_y_1=x, out_y_0=x, out_y_1=x)
    conv = {"n": 2, "h": 4, "w": 3, "c": 1, "o": 2, "r": 2, "s": 2, "algorithm": "Direct"}
    for name, stride, padding, places in [("", 1, 0, 6), ("-stride", 100000, 0, 1),
                                          ("-padding", 10**9, 10**9, 9)]:
        conv.update(stride=stride, padding=padding)
        y = np.zeros(2 * 2 * places)
        op(f"conv2d{name}", {"Conv2d": conv}, in_x_0=x, in_x_1=x[:8], out_y_0=y)
        op(f"grad-input{name}", {"Conv2dGradInput": conv}, in_x_0=y, in_x_1=x[:8], out_y_0=x)
        op(f"grad-weight{name}", {"Conv2dGradWeight": conv}, in_x_0=x, in_x_1=y, out_y_0=x[:8])
    for name, index in [("", [3, 0, 1]), ("-twice", [3, 3, 1])]:
        op(f"columns{name}", {"GatherColumnsBackward": {"columns": 4}}, in_x_0=x[:18],
           in_x_1=index, out_y_0=x)
    header = {"kind": "conv2d", "tolerance": {"abs": 0, "rel": 0}}
    for stride, padding in [(100000, 0), (10**9, 10**9), (1, 10**6)]:
        header["settings"] = {"stride": stride, "padding": padding}
        record(f"conv2d-{stride}-{padding}", header, in_x=x.reshape(2, 1, 4, 3),
               in_weight=x[:8].reshape(2, 1, 2, 2), in_grad__y=np.zeros((2, 2, 1, 1)),
               out_grad__x=x.reshape(2, 1, 4, 3))
    header = {"kind": "avg_pool2d", "tolerance": {"abs": 0, "rel": 0},
              "settings": {"kernel": 2**40, "stride": 1, "padding": 2**39}}
    record("pool", header, in_x=x.reshape(2, 1, 4, 3), out_y=x)


def indices():
    copy("mat", "fixtures/data/*.mat")
    write("stl/three", bytes([3, 1, 10, 2]))
    write("gtsrb_csv/rows", "Filename;Width;Roi.X1;ClassId\na.ppm;24;5;0\r\n\"b.ppm\";24;5;42\n")
    write("inat_json/three", json.dumps({
        "info": {"year": 2018},
        "images": [{"id": 7, "file_name": "a/b.jpg", "width": 24}, {"id": 9, "file_name": "c"}],
        "categories": [{"id": 1, "name": "1"}, {"id": 0, "name": "0"}],
        "annotations": [{"id": 1, "image_id": 9, "category_id": 0},
                        {"id": 2, "image_id": 7, "category_id": 1}]}))
    write("voc_xml/two", """<?xml version="1.0"?>
<annotation a="b"><folder>VOC2007</folder><!-- two -->
<object><name>dog</name><difficult>0</difficult><part><name>head</name></part></object>
<object><name>cat</name><pose/><difficult>1</difficult></object></annotation>
""")


if __name__ == "__main__":
    images()
    idx()
    pickles()
    checkpoints()
    audits()
    indices()
    copy("preset", "carp/presets/*.toml")
    copy("ptx", "cuda-kernels/ptx-emulator/tests/mutants/*.ptx", most=1 << 12)
