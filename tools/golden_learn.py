"""Writes the numbers that PyTorch computes for the exercises of `carp learn`, as Rust constants:

    python tools/golden_learn.py carp/learn/src/golden.rs

The loss is CARP's as in docs/method.md, 1.4 and 1.5, in float64; gradients are autograd's.
"""

import math
import sys
import textwrap

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
EPS = 2.0**-23
constants = []


def put(name, value):
    numbers = torch.as_tensor(value).detach().flatten().tolist()
    if torch.as_tensor(value).ndim == 0:
        constants.append(f"pub const {name}: f64 = {numbers[0]!r};")
    else:
        lines = textwrap.fill(", ".join(map(repr, numbers)), 100, initial_indent="    ", subsequent_indent="    ")
        constants.append(f"pub const {name}: [f64; {len(numbers)}] = [\n{lines},\n];")


def loss_of(p, q):
    """C and H of blocks: p [V, B, P, N], q [2, B, P, N]."""
    views, batch, _, size = p.shape
    pairs = [(i, j) for i in range(views) for j in range(2) if i != j]
    c = torch.stack([-(p[i] * q[j]).sum(-1).clamp(EPS, 1 - EPS).log().mean() for i, j in pairs]).mean()
    mean = torch.cat([p, q]).mean((0, 1))
    h = (math.log(size) + (mean * mean.clamp(EPS, 1 - EPS).log()).sum(-1)).mean()
    return c, h


def convolution():
    x, w = torch.randn(1, 2, 5, 4), torch.randn(3, 2, 3, 3)
    put("CONVOLUTION_X", x.permute(0, 2, 3, 1))
    put("CONVOLUTION_W", w.permute(0, 2, 3, 1))
    for name, stride in [("PADDED", 1), ("STRIDED", 2)]:
        y = torch.nn.functional.conv2d(x, w, stride=stride, padding=1)
        put(f"CONVOLUTION_{name}", y.permute(0, 2, 3, 1))


def softmax():
    x = (3 * torch.randn(3, 4)).requires_grad_()
    y, dy = x.softmax(-1), torch.randn(3, 4)
    y.backward(dy)
    for name, value in [("X", x), ("Y", y), ("DY", dy), ("DX", x.grad)]:
        put(f"SOFTMAX_{name}", value)


def loss():
    s, t = (2 * torch.randn(3, 2, 1, 5)).requires_grad_(), 2 * torch.randn(2, 2, 1, 5)
    p, q = s.softmax(-1), t.softmax(-1)
    c, h = loss_of(p, q)
    for name, value in [("P", p), ("Q", q), ("C", c), ("H", h)]:
        put(f"LOSS_{name}", value)
    put("LOSS_DC", torch.autograd.grad(c, s, retain_graph=True)[0])
    put("LOSS_DH", torch.autograd.grad(h, s)[0])


def stream():
    views, batch, dim, count, size = 3, 2, 4, 7, 3
    z, zt = (2 * torch.randn(views, batch, dim)).requires_grad_(), 2 * torch.randn(2, batch, dim)
    w, wt = torch.randn(count, dim).requires_grad_(), torch.randn(count, dim)
    order = torch.randperm(count)
    blocks = order[: count // size * size]
    p, q = ((z @ w.T), (zt @ wt.T))
    p, q = (x[..., blocks].unflatten(-1, (-1, size)).softmax(-1) for x in (p, q))
    total = sum(loss_of(p, q))
    total.backward()
    for name, value in [("Z", z), ("ZT", zt), ("W", w), ("WT", wt), ("LOSS", total), ("DZ", z.grad), ("DW", w.grad)]:
        put(f"STREAM_{name}", value)
    put("STREAM_ORDER", order.double())


def fused():
    s, t = (2 * torch.randn(3, 27).float().double()).requires_grad_(), 2 * torch.randn(3, 27).float().double()
    loss = -(s.softmax(-1) * t.softmax(-1)).sum(-1).log()
    loss.sum().backward()
    for name, value in [("S", s), ("T", t), ("LOSS", loss), ("DS", s.grad)]:
        put(f"FUSED_{name}", value)


for case in (convolution, softmax, loss, stream, fused):
    case()
head = "//! PyTorch's numbers for the exercises: tools/golden_learn.py writes this file.\n\n"
with open(sys.argv[1], "w") as file:
    file.write(head + "\n".join(constants) + "\n")
