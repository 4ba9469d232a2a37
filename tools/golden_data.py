"""Generates fixtures/data: small files in the formats of data set indices, as their authors' tools
write them (Python's pickle, SciPy's savemat), for the tests of the crates pickle and datasets.

Usage: python tools/golden_data.py OUT_FOLDER
"""

import collections
import datetime
import decimal
import enum
import functools
import io
import pickle
import sys
import types
from pathlib import Path

import numpy as np
from scipy.io import savemat
from scipy.sparse import csc_matrix


def ground_truth():
    """Ground truth in the layout of the revisited Oxford5k and Paris6k."""
    return {
        "imlist": ["all_souls_000000", "all_souls_000001", "oxford_000002", "bodleian_000003"],
        "qimlist": ["all_souls_000013", "bodleian_000107"],
        "gnd": [
            {"bbx": [2.5, 1.0, 10.5, 8.0], "easy": [0], "hard": [1], "junk": [2]},
            {"bbx": [0, 0, 12, 9], "easy": [], "hard": [3], "junk": []},
        ],
    }


def with_arrays(truth):
    """The same with NumPy's arrays and scalars in place of some lists and numbers."""
    first, second = (dict(query) for query in truth["gnd"])
    first.update(bbx=np.array(first["bbx"]), easy=np.array([0], np.int64))
    second.update(bbx=[np.float64(x) for x in second["bbx"]], hard=np.array([3], np.int32))
    return dict(truth, gnd=[first, second])


Point = collections.namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = 1


class Settings(dict):
    """A class of some program: what it makes of its elements is its own matter."""


def with_foreign(truth):
    """The same in arrays, empty ones too, beside values of classes that its readers do not know."""
    to_array = lambda numbers: np.array(numbers, np.float64)  # noqa: E731
    queries = [{key: to_array(value) for key, value in query.items()} for query in truth["gnd"]]
    settings = Settings(lr=0.1)
    settings.frozen = True
    beside = [
        np.random.default_rng(0),
        datetime.datetime(2023, 12, 10),
        Color.RED,
        Point(1, 2),
        settings,
        functools.partial(max, 1),
        1 + 2j,
        decimal.Decimal("0.1"),
        2**200,
        bytearray(b"\x00\xff"),
        bytearray(),
        b"",
        np.array([], "<M8[D]"),
        "a lone surrogate: \udc80",
        frozenset([1]),
        slice(1, 2),
    ]
    return dict(truth, gnd=queries, beside=beside)


def torch_like():
    """A pickle with the opcodes of torch.save: persistent ids, calls, an OrderedDict with state."""
    names = types.ModuleType("torch"), types.ModuleType("torch._utils")
    sys.modules["torch"], sys.modules["torch._utils"] = names
    names[0].FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    rebuild = lambda *args: args  # noqa: E731
    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    names[1]._rebuild_tensor_v2 = rebuild

    class Tensor:
        def __reduce__(self):
            hooks = collections.OrderedDict()
            return rebuild, ("STORAGE", 2, (3, 4), (4, 1), False, hooks)

    class Pickler(pickle._Pickler):
        def persistent_id(self, value):
            if isinstance(value, str) and value == "STORAGE":
                return ("storage", names[0].FloatStorage, "0", "cpu", 14)
            return None

    weights = collections.OrderedDict([("conv1.weight", Tensor()), ("fc.bias", Tensor())])
    weights._metadata = {"version": 1}
    out = io.BytesIO()
    Pickler(out, protocol=2).dump({"state_dict": weights, "epoch": 400, "big": 0x1950A86A20F9469CFC6C})
    return out.getvalue()


def pickles(out):
    truth = ground_truth()
    for protocol in range(6):
        (out / f"gnd_{protocol}.pkl").write_bytes(pickle.dumps(truth, protocol))
    for protocol in (2, 4):
        (out / f"gnd_numpy_{protocol}.pkl").write_bytes(pickle.dumps(with_arrays(truth), protocol))
    for protocol in range(6):
        foreign = pickle.dumps(with_foreign(truth), protocol)
        (out / f"gnd_foreign_{protocol}.pkl").write_bytes(foreign)
    (out / "torch.pkl").write_bytes(torch_like())
    values = [None, True, False, -1, 255, 65536, -(2**40), 2**100, 1.5, b"\x00\xff", "h\u00e9\u20ac\n\\u"]
    values += [(), (1,), (1, 2, 3, 4), {"a": {1, 2}}, bytearray(b"xy"), frozenset([7])]
    for protocol in range(6):
        # Python writes sets and byte arrays as calls before protocol 4 and 5.
        kept = values if protocol == 5 else values[:-3] if protocol < 4 else values[:-2]
        kept = [value for value in kept if protocol >= 3 or not isinstance(value, bytes)]
        (out / f"values_{protocol}.pkl").write_bytes(pickle.dumps(kept, protocol))


def struct(fields, rows):
    """A struct array of one row, as in MATLAB."""
    array = np.empty((1, len(rows)), [(field, object) for field in fields])
    for at, row in enumerate(rows):
        array[0, at] = tuple(row)
    return array


def cells(texts):
    array = np.empty((1, len(texts)), object)
    array[0, :] = texts
    return array


def mats(out):
    """Indices of Stanford Cars, Flowers-102 and ImageNet, for a handful of images."""
    names = cells(["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Type-S 2008"])
    box = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"]
    first = np.array([[39]], np.uint8), np.array([[116]], np.uint8)
    rest = np.array([[569]], np.uint16), np.array([[375]], np.uint16)
    row = lambda label, file: [*first, *rest, np.array([[label]], np.uint8), file]  # noqa: E731
    fields = [*box, "class", "fname"]
    train = struct(fields, [row(3, "00001.jpg"), row(1, "00002.jpg"), row(2, "00003.jpg")])
    test = struct(fields, [row(2, "00001.jpg"), row(3, "00002.jpg")])
    both = struct(
        ["relative_im_path", *box, "class", "test"],
        [
            ["car_ims/000001.jpg", *first, *rest, 1, 0],
            ["car_ims/000002.jpg", *first, *rest, 3, 1],
            ["car_ims/000003.jpg", *first, *rest, 2, 0],
        ],
    )

    def save(name, arrays, **how):
        savemat(out / name, arrays, **how)
        # The header text contains the date.
        content = (out / name).read_bytes()
        (out / name).write_bytes(b"MATLAB 5.0 MAT-file".ljust(116) + content[116:])

    save("cars_meta.mat", {"class_names": names}, do_compression=True)
    save("cars_train_annos.mat", {"annotations": train}, do_compression=True)
    save("cars_test_annos_withlabels.mat", {"annotations": test})
    save("cars_annos.mat", {"annotations": both, "class_names": names}, do_compression=True)

    labels = np.array([[77, 1, 102, 5, 5, 9]], np.uint8)
    save("imagelabels.mat", {"labels": labels})
    ids = {"trnid": [[6, 1]], "valid": [[2]], "tstid": [[3, 5, 4]]}
    save("setid.mat", {name: np.array(value, np.uint16) for name, value in ids.items()})

    synsets = struct(
        ["ILSVRC2012_ID", "WNID", "words", "num_children"],
        [
            [1, "n02119789", "kit fox, Vulpes macrotis", 0],
            [2, "n02100735", "English setter", 0],
            [3, "n00001740", "entity", 2],
        ],
    )
    save("meta.mat", {"synsets": synsets.T}, do_compression=True)
    odd = {
        "numbers": np.array([[1.5, -2.0], [3.0, 4e300]]),
        "small": np.int8([[-1, 2, 3]]),
        "flags": np.array([[True, False]]),
        "empty": np.zeros((0, 0)),
        "text": "h\u00e9\u20ac",
        "nested": cells([cells(["deep"]), np.int32([[7]])]),
        "sparse": csc_matrix(np.eye(3)),
        "long": np.int64([[2**40]]),
    }
    save("odd.mat", odd)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    pickles(out)
    mats(out)
