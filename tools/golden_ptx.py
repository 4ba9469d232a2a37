"""Results of single PTX instructions, computed by NumPy and PyTorch from the ISA's definitions:
writes cuda-kernels/ptx-emulator/tests/ops/golden.txt, and an array as NumPy saves it.

    python tools/golden_ptx.py cuda-kernels/ptx-emulator/tests/ops/golden.txt fixtures/ptx/ramp.npy

A case is a line `instruction; | type of the result | types of the operands`, followed by a line a
row: the result's bits and the operands', in hexadecimal.
"""

import math
import sys
from fractions import Fraction

import numpy as np
import torch

random = np.random.default_rng(11)
EDGES = np.array([0, 1, 2, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF], np.uint32)
F32_EDGES = np.array(
    [0, -0.0, 1, -1, 0.5, 1e-45, 3e-39, 448, 449, 464, 465, 480, 57344, 60000, 61440, 65504, 65520, 7e4]
    + [3.4e38, -3.4e38, np.inf, -np.inf, np.nan, 0.001953125, 0.0009765625, 0.00146, 1e-5, 255.9, 256, 247.9],
    np.float32,
)


def words(count=40):
    rows = random.integers(0, 1 << 32, count, np.uint32)
    return np.concatenate([rows, random.choice(EDGES, 24)])


def floats(count=40):
    scales = np.float32(2.0) ** random.integers(-12, 18, count)
    rows = random.standard_normal(count).astype(np.float32) * scales.astype(np.float32)
    return np.concatenate([rows, F32_EDGES])


def shuffled(values):
    return random.permutation(values)


def pairs(op):
    """Applies an operation on 16-bit halves."""
    return lambda *rows: op(*[r & 0xFFFF for r in rows]) & 0xFFFF | (op(*[r >> 16 for r in rows]) & 0xFFFF) << 16


def s16(x):
    return x.astype(np.uint16).astype(np.int16).astype(np.int64)


def s32(x):
    return x.astype(np.uint32).astype(np.int32).astype(np.int64)


def bits(x):
    return x.astype(np.float32).view(np.uint32)


def nan_canonical(x):
    return np.where(np.isnan(x), np.uint32(0x7FFFFFFF), bits(x))


def tensor(x):
    return torch.from_numpy(np.ascontiguousarray(x))


def fp8(x, kind):
    """The nearest float of 8 bits; saturated, NaN as 0x7f."""
    limit = 448.0 if kind == torch.float8_e4m3fn else 57344.0
    clamped = np.clip(x.astype(np.float32), -limit, limit)
    found = tensor(clamped).to(kind).view(torch.uint8).numpy().astype(np.uint32)
    return np.where(np.isnan(x), 0x7F, found)


def from_fp8(x, kind):
    """f16 of a float of 8 bits."""
    value = tensor(x.astype(np.uint8)).view(kind).to(torch.float16)
    found = value.view(torch.int16).numpy().view(np.uint16).astype(np.uint32)
    return np.where(value.isnan().numpy(), 0x7FFF, found)


def half_bits(x):
    """f16, rounded to nearest and saturated to finite numbers."""
    with np.errstate(over="ignore"):
        found = x.astype(np.float16)
    found = np.where(np.isinf(found), np.copysign(np.float16(65504), found), found).astype(np.float16)
    return np.where(np.isnan(x), 0x7FFF, found.view(np.uint16).astype(np.uint32))


CASES = []


def case(line, out, types, rows, result):
    CASES.append(f"{line} | {out} | {' '.join(types)}")
    for found, *operands in zip(result, *rows):
        CASES.append(" ".join(f"{int(x):x}" for x in [found, *operands]))


def integers():
    a, b, c = words(), words(), words()
    two = [a, b]
    case("add.u16x2 d, a, b;", "u32", ["u32"] * 2, two, pairs(lambda x, y: x + y)(a, b))
    case("add.s16x2 d, a, b;", "u32", ["u32"] * 2, two, pairs(lambda x, y: x + y)(a, b))
    case("min.u16x2 d, a, b;", "u32", ["u32"] * 2, two, pairs(np.minimum)(a, b))
    case("max.u16x2 d, a, b;", "u32", ["u32"] * 2, two, pairs(np.maximum)(a, b))
    signed = lambda op: pairs(lambda x, y: op(s16(x), s16(y)) & 0xFFFF)
    case("min.s16x2 d, a, b;", "u32", ["u32"] * 2, two, signed(np.minimum)(a, b))
    case("max.s16x2 d, a, b;", "u32", ["u32"] * 2, two, signed(np.maximum)(a, b))
    relu = lambda op: signed(lambda x, y: np.maximum(op(x, y), 0))
    case("min.relu.s16x2 d, a, b;", "u32", ["u32"] * 2, two, relu(np.minimum)(a, b))
    case("max.relu.s16x2 d, a, b;", "u32", ["u32"] * 2, two, relu(np.maximum)(a, b))
    of = lambda op: np.maximum(op(s32(a), s32(b)), 0)
    case("min.relu.s32 d, a, b;", "s32", ["s32"] * 2, two, of(np.minimum))
    case("max.relu.s32 d, a, b;", "s32", ["s32"] * 2, two, of(np.maximum))
    low = lambda x: s32(x << np.uint32(8)) >> 8
    product = ((low(a) * low(b)) >> 16).astype(np.int32).astype(np.int64)
    total = np.clip(product + s32(c), -(1 << 31), (1 << 31) - 1) & 0xFFFFFFFF
    case("mad24.hi.sat.s32 d, a, b, c;", "s32", ["s32"] * 3, [a, b, c], total)
    q = random.integers(0, 2, len(a))
    parity = a ^ b ^ c
    text = "{ .reg .b32 r; lop3.or.b32 r|p, a, b, c, 0x96, e; selp.b32 d, r, 77, p; }"
    text = ".reg .pred p; " + text
    wanted = np.where((parity != 0) | (q != 0), parity, 77)
    case(text, "u32", ["u32"] * 3 + ["pred"], [a, b, c, q], wanted)
    wanted = np.where((parity != 0) & (q == 0), parity, 77)
    case(text.replace("lop3.or", "lop3.and").replace("e;", "!e;"), "u32", ["u32"] * 3 + ["pred"], [a, b, c, q], wanted)
    for name, least, most in [("u16", 0, 65535), ("s16", -32768, 32767)]:
        x, y = [np.clip(s32(v), least, most) & 0xFFFF for v in (a, b)]
        case(f"cvt.pack.sat.{name}.s32 d, a, b;", "u32", ["s32"] * 2, two, x << 16 | y)
    small = (a % 1024).astype(np.int64) - 512
    for name, least, most in [("u8", 0, 255), ("s8", -128, 127)]:
        x, y = [np.clip(v, least, most) & 0xFF for v in (small, s32(b))]
        wanted = (c.astype(np.uint64) << np.uint64(16)) & np.uint64(0xFFFFFFFF)
        rows = [small & 0xFFFFFFFF, b, c]
        case(f"cvt.pack.sat.{name}.s32.b32 d, a, b, c;", "u32", ["s32", "s32", "u32"], rows, wanted | (x << 8 | y).astype(np.uint64))


def float_cases():
    a, b, c = floats(), shuffled(floats()), shuffled(floats())
    some_nan = np.isnan(a) | np.isnan(b)
    sign = (bits(a) ^ bits(b)) & np.uint32(0x80000000)
    for name, op in [("min", np.minimum), ("max", np.maximum)]:
        size = bits(op(np.abs(a), np.abs(b))) & np.uint32(0x7FFFFFFF) | sign
        wanted = np.where(some_nan, np.uint32(0x7FFFFFFF), size)
        case(f"{name}.NaN.xorsign.abs.f32 d, a, b;", "f32", ["f32"] * 2, [bits(a), bits(b)], wanted)
        quiet = np.fmin if name == "min" else np.fmax
        rows = [bits(a), bits(b), bits(c)]
        keep = ~((a == 0) & (b == 0) | (a == 0) & (c == 0) | (b == 0) & (c == 0))
        rows3 = [row[keep] for row in rows]
        three = nan_canonical(quiet(quiet(a, b), c))[keep]
        case(f"{name}.f32 d, a, b, c;", "f32", ["f32"] * 3, rows3, three)
        three = nan_canonical(op(op(a, b), c))[keep]
        case(f"{name}.NaN.f32 d, a, b, c;", "f32", ["f32"] * 3, rows3, three)
        three = nan_canonical(quiet(quiet(np.abs(a), np.abs(b)), np.abs(c)))[keep]
        case(f"{name}.abs.f32 d, a, b, c;", "f32", ["f32"] * 3, rows3, three)


def conversions():
    a, b = floats(), shuffled(floats())
    rows = [bits(a), bits(b)]
    kinds = [("e4m3x2", torch.float8_e4m3fn), ("e5m2x2", torch.float8_e5m2)]
    halves = np.concatenate([random.integers(0, 1 << 32, 60, np.uint32), EDGES])
    upper, lower = [v.astype(np.uint16).view(np.float16) for v in (halves >> 16, halves & 0xFFFF)]
    every = np.arange(65536, dtype=np.uint32)[::257] ^ np.uint32(0x5A)
    for name, kind in kinds:
        case(f"cvt.rn.satfinite.{name}.f32 d, a, b;", "u16", ["f32"] * 2, rows, fp8(a, kind) << 8 | fp8(b, kind))
        positive = [np.where(v < 0, np.float32(0), v) for v in (a, b)]
        found = fp8(positive[0], kind) << 8 | fp8(positive[1], kind)
        keep = ~(np.signbit(a) & (a == 0) | np.signbit(b) & (b == 0))
        case(f"cvt.rn.satfinite.relu.{name}.f32 d, a, b;", "u16", ["f32"] * 2, [r[keep] for r in rows], found[keep])
        case(f"cvt.rn.satfinite.{name}.f16x2 d, a;", "u16", ["u32"], [halves], fp8(upper, kind) << 8 | fp8(lower, kind))
        case(f"cvt.rn.f16x2.{name} d, a;", "u32", ["u16"], [every], from_fp8(every >> 8, kind) << 16 | from_fp8(every & 0xFF, kind))
    case("cvt.rn.satfinite.f16x2.f32 d, a, b;", "u32", ["f32"] * 2, rows, half_bits(a) << 16 | half_bits(b))


def comparisons():
    a, b = [random.standard_normal(120).astype(np.float16) for _ in range(2)]
    a[::7], b[::11], b[::5] = np.nan, np.nan, a[::5]
    q = random.integers(0, 2, 60)
    low, high = [(x[:60], x[60:]) for x in (a, b)]
    pair = lambda x: x[1].view(np.uint16).astype(np.uint32) << 16 | x[0].view(np.uint16)
    rows = [pair(low), pair(high)]
    for name, op in [("lt", np.less), ("ge", np.greater_equal), ("eq", np.equal)]:
        low_holds, high_holds = op(low[0], high[0]), op(low[1], high[1])
        one = lambda holds, value: np.where(holds, value, 0).astype(np.uint32)
        case(f"set.{name}.f16x2.f16x2 d, a, b;", "u32", ["u32"] * 2, rows, one(high_holds, 0x3C00) << 16 | one(low_holds, 0x3C00))
        case(f"set.{name}.u32.f16x2 d, a, b;", "u32", ["u32"] * 2, rows, one(high_holds, 0xFFFF) << 16 | one(low_holds, 0xFFFF))
        text = f".reg .pred p0, p1; .reg .b32 x; setp.{name}.and.f16x2 p0|p1, a, b, c; selp.u32 d, 1, 0, p0; selp.u32 x, 2, 0, p1; or.b32 d, d, x;"
        case(text, "u32", ["u32"] * 2 + ["pred"], [*rows, q], one(low_holds & (q == 1), 1) | one(high_holds & (q == 1), 2))


def fragments(values, m, k, per, size):
    """Registers of A [m, k] or of B transposed [8, k]: words by lane."""
    registers = []
    for part in range(m * k // 32 // per):
        for lane in range(32):
            g, t = lane // 4, lane % 4
            row, depth = g + part % (m // 8) * 8, part // (m // 8) * 4 * per + t * per
            word = sum(int(values[row, depth + at]) << (size * at) for at in range(per))
            registers.append(word)
    return np.array(registers, np.uint64).reshape(-1, 32)


def products():
    """A case whose row is a lane: `mma` with its registers as operands."""
    shapes = [("s8", "s8", 16, 32), ("u8", "s8", 16, 16), ("s8", "u8", 8, 16), ("u8", "u8", 16, 32)]
    for ty_a, ty_b, m, k in shapes:
        for saturates in (False, True):
            a, b = [random.integers(0, 256, (rows, k)) for rows in (m, 8)]
            c = random.integers(-(1 << 31), 1 << 31, (m, 8))
            value = lambda x, ty: x - 256 * (x > 127) if ty == "s8" else x
            d = value(a, ty_a) @ value(b, ty_b).T + c
            d = np.clip(d, -(1 << 31), (1 << 31) - 1) if saturates else d
            emit_product(ty_a, ty_b, "s32", m, k, saturates, fragments(a, m, k, 4, 8), fragments(b, 8, k, 4, 8), c & 0xFFFFFFFF, d & 0xFFFFFFFF)
    for kind_a, kind_b in [("e4m3", "e5m2"), ("e5m2", "e5m2"), ("e4m3", "e4m3")]:
        kinds = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}
        # Small integers: every order of the sum is exact.
        a, b = [random.integers(-8, 9, (rows, 32)).astype(np.float32) for rows in (16, 8)]
        c = random.integers(-99, 99, (16, 8)).astype(np.float32)
        d = a @ b.T + c
        a, b = [fp8(x.ravel(), kinds[k]).reshape(x.shape) for x, k in ((a, kind_a), (b, kind_b))]
        emit_product(kind_a, kind_b, "f32", 16, 32, False, fragments(a, 16, 32, 4, 8), fragments(b, 8, 32, 4, 8), bits(c), bits(d))
    a, b, c = [random.integers(-99, 99, (8, n)).astype(np.float64) for n in (4, 4, 8)]
    d = a @ b.T + c
    a, b, c, d = [x.view(np.uint64) for x in (a, b, c, d)]
    emit_product("f64", "f64", "f64", 8, 4, False, fragments(a, 8, 4, 1, 64), fragments(b, 8, 4, 1, 64), c, d)


def emit_product(ty_a, ty_b, sum_ty, m, k, saturates, a, b, c, d):
    def held(values):
        """Registers of C or D, by lane."""
        return np.array(
            [[values[l // 4 + p // 2 * 8, 2 * (l % 4) + p % 2] for l in range(32)] for p in range(m // 4)]
        )

    wide = "u64" if sum_ty == "f64" else "u32"
    load = lambda name, rows: [f"{name}{i}" for i in range(len(rows))]
    c, d = held(c), held(d)
    names = [load("a", a), load("b", b), load("c", c), load("d", d)]
    vector = lambda part: "{" + ", ".join(part) + "}"
    sat = ".satfinite" if saturates else ""
    line = f"mma.sync.aligned.m{m}n8k{k}.row.col{sat}.{sum_ty}.{ty_a}.{ty_b}.{sum_ty} {vector(names[3])}, {vector(names[0])}, {vector(names[1])}, {vector(names[2])};"
    CASES.append(f"{line} | {wide} | {' '.join(sum(names[:3], []))} | {' '.join(names[3])}")
    for lane in range(32):
        CASES.append(" ".join(f"{int(x):x}" for part in (a, b, c, d) for x in part[:, lane]))


def rounded(exact, way):
    """The double at or beside an exact number, in the direction of `way`."""
    try:
        near = float(exact)
    except OverflowError:
        near = math.inf if exact > 0 else -math.inf
    up = exact < 0 if way == "rz" else way == "rp"
    wrong = near < exact if up else near > exact
    return math.nextafter(near, math.inf if up else -math.inf) if wrong else near


def directed():
    """Doubles, among them tiny and huge ones, whose results underflow and overflow."""
    rng = np.random.default_rng(12)

    def doubles(count):
        powers = rng.choice([-1074, -1060, -1000, -540, -520, -300, 0, 1, 60, 300, 511, 970], count)
        return [math.ldexp(m, int(p)) for m, p in zip(rng.uniform(1, 2, count) * rng.choice([-1, 1], count), powers)]

    a, b, c = doubles(48), doubles(48), doubles(48)
    # Sums that almost cancel.
    c = [-x * y if i % 3 == 0 and math.isfinite(x * y) else z for i, (x, y, z) in enumerate(zip(a, b, c))]
    exact = [[Fraction(x) for x in row] for row in (a, b, c)]
    as_bits = lambda row: np.array(row, np.float64).view(np.uint64)
    for way in ["rz", "rm", "rp"]:
        for name, count, op in [
            ("add", 2, lambda x, y: x + y),
            ("mul", 2, lambda x, y: x * y),
            ("fma", 3, lambda x, y, z: x * y + z),
            ("div", 2, lambda x, y: x / y),
        ]:
            rows = [row for row in zip(*exact[:count]) if op(*row) != 0]
            operands = [as_bits([float(x) for x in column]) for column in zip(*rows)]
            line = f"{name}.{way}.f64 d, {', '.join('abc'[:count])};"
            case(line, "f64", ["f64"] * count, operands, as_bits([rounded(op(*row), way) for row in rows]))
        roots = []
        for x in map(abs, a):
            root = math.sqrt(x)
            if way == "rp" and Fraction(root) ** 2 < Fraction(x):
                root = math.nextafter(root, math.inf)
            elif way != "rp" and Fraction(root) ** 2 > Fraction(x):
                root = math.nextafter(root, 0)
            roots.append(root)
        case(f"sqrt.{way}.f64 d, a;", "f64", ["f64"], [as_bits([abs(x) for x in a])], as_bits(roots))


integers()
float_cases()
conversions()
comparisons()
products()
directed()
with open(sys.argv[1], "w") as out:
    out.write("\n".join(CASES) + "\n")
np.save(sys.argv[2], (np.arange(128, dtype=np.float32) / 4 - 7).reshape(2, 64))
