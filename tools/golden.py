"""Generates the parity fixtures: small recorded PyTorch computations that `carp audit` replays.

    python tools/golden.py fixtures/audit [PREFIX]

Every kind of the format in docs/audit.md has one function here that computes its outputs with
PyTorch from its inputs and settings. It runs twice on the same float32 inputs: in float64, rounded
to float32 for the file, and in float32. The float32 run has to stay within a third of the file's
tolerance, or the script stops. Seeds are fixed: two runs write the same bytes.
"""

import math
import pathlib
import sys
import zlib

import torch
import torch.nn.functional as F

import reference
from audit_format import save
from golden_cases import cases

MARGIN = 3
KINK_MARGIN = 2e-6
"""Minimum distance of a ReLU's input from 0: nearer, rounding decides whether a gradient passes."""


def with_grad(tensor):
    return tensor.detach().clone().requires_grad_(True)


def backward(y, inputs, **leaves):
    """y and the gradient of <y, grad_y> by each of the named leaves."""
    grads = torch.autograd.grad(y, list(leaves.values()), inputs["grad_y"])
    return {"y": y} | {f"grad_{name}": grad for name, grad in zip(leaves, grads)}


def conv2d(inputs, stride, padding):
    x, weight = with_grad(inputs["x"]), with_grad(inputs["weight"])
    y = F.conv2d(x, weight, stride=stride, padding=padding)
    return backward(y, inputs, x=x, weight=weight)


def batch_norm(inputs, eps, momentum, training):
    x, weight, bias = (with_grad(inputs[name]) for name in ("x", "weight", "bias"))
    mean, var = inputs["running_mean"].clone(), inputs["running_var"].clone()
    y = F.batch_norm(x, mean, var, weight, bias, training, momentum, eps)
    statistics = {"running_mean": mean, "running_var": var}
    return backward(y, inputs, x=x, weight=weight, bias=bias) | statistics


def gelu(inputs):
    x = with_grad(inputs["x"])
    return backward(F.gelu(x), inputs, x=x)


def relu(inputs):
    x = with_grad(inputs["x"])
    return backward(F.relu(x), inputs, x=x)


def max_pool2d(inputs, kernel, stride, padding):
    x = with_grad(inputs["x"])
    return backward(F.max_pool2d(x, kernel, stride, padding), inputs, x=x)


def avg_pool2d(inputs, kernel, stride, padding):
    x = with_grad(inputs["x"])
    return backward(F.avg_pool2d(x, kernel, stride, padding), inputs, x=x)


def linear(inputs):
    x, weight, bias = (with_grad(inputs[name]) for name in ("x", "weight", "bias"))
    return backward(F.linear(x, weight, bias), inputs, x=x, weight=weight, bias=bias)


def weight_norm_linear(inputs):
    x, weight_v = with_grad(inputs["x"]), with_grad(inputs["weight_v"])
    return backward(reference.weight_norm_linear(x, weight_v), inputs, x=x, weight_v=weight_v)


def carp_loss(inputs, partition_size):
    student, teacher = with_grad(inputs["student"]), inputs["teacher"]
    far_from_clamps(student, teacher, inputs["permutation"], partition_size)
    losses = reference.carp_loss(student, teacher, inputs["permutation"], partition_size)
    (grad,) = torch.autograd.grad(sum(losses), student)
    return {"consistency": losses[0], "entropy": losses[1], "grad_student": grad}


def far_from_clamps(student, teacher, permutation, partition_size):
    """Refuses inputs where rounding would decide whether a clamp is active."""
    if student.dtype != torch.float64 or partition_size == 1:
        return
    with torch.no_grad():
        p = reference.partition(student, permutation, partition_size)
        q = reference.partition(teacher, permutation, partition_size)
        d, m = reference.agreement(p, q), reference.block_means(p, q)
    values = torch.cat([d.flatten(), m.flatten()])
    low = (values / reference.EPS - 1).abs().min()
    rest = (1 - values).abs()
    high = rest[rest > 1e-12]
    if low < 1e-2 or (len(high) and high.min() < 2e-6):
        raise ValueError("a probability lies too near to a clamp")


def carp_loss_embeddings(inputs, partition_size, variant):
    """The variant sets how the replay computes the loss; the numbers are the same."""
    student, prototypes = with_grad(inputs["student"]), with_grad(inputs["student_prototypes"])
    logits = reference.weight_norm_linear(student, prototypes)
    teacher = reference.weight_norm_linear(inputs["teacher"], inputs["teacher_prototypes"])
    losses = reference.carp_loss(logits, teacher, inputs["permutation"], partition_size)
    grads = torch.autograd.grad(sum(losses), [student, prototypes])
    return {
        "consistency": losses[0],
        "entropy": losses[1],
        "grad_student": grads[0],
        "grad_student_prototypes": grads[1],
    }


def run_optimizer(inputs, make, lr):
    param = with_grad(inputs["param"])
    steps = make([param])
    for rate, grad in zip(lr, inputs["grads"], strict=True):
        steps.param_groups[0]["lr"] = rate
        param.grad = grad.clone()
        steps.step()
    return {"param": param}


def lars(inputs, lr, **settings):
    return run_optimizer(inputs, lambda params: reference.Lars(params, 0.0, **settings), lr)


def sgd(inputs, lr, **settings):
    return run_optimizer(inputs, lambda params: torch.optim.SGD(params, 0.0, **settings), lr)


def adamw(inputs, lr, **settings):
    return run_optimizer(inputs, lambda params: torch.optim.AdamW(params, 0.0, **settings), lr)


def schedule(inputs, base, final, steps, warmup_steps, warmup_start):
    return {"values": reference.cosine_schedule(base, final, steps, warmup_steps, warmup_start)}


def resnet(inputs, arch, stem, width, in_channels, training):
    model = reference.ResNet(arch, stem, width, in_channels).to(inputs["x"].dtype)
    model.load_state_dict({name[2:]: w for name, w in inputs.items() if name.startswith("w.")})
    model.train(training)
    y = model(inputs["x"])
    y.backward(inputs["grad_y"])
    outputs = {"y": y}
    outputs |= {f"grad.{name}": w.grad for name, w in model.named_parameters()}
    return outputs | {f"buffer.{name}": b for name, b in model.named_buffers()}


def carp_step(inputs, **settings):
    student = reference.network(settings).to(inputs["view.0.0"].dtype)
    prefix = "student."
    state = {n.removeprefix(prefix): w for n, w in inputs.items() if n.startswith(prefix)}
    student.load_state_dict(state)
    trainer = reference.Trainer(student, settings)
    history = []
    for step, (lr, momentum) in enumerate(zip(settings["lr"], settings["teacher_momentum"])):
        views = [v for name, v in inputs.items() if name.startswith(f"view.{step}.")]
        history.append(trainer.step(views, inputs[f"permutation.{step}"], lr, momentum))
    outputs = dict(zip(("loss", "consistency", "entropy"), map(torch.stack, zip(*history))))
    outputs |= {f"student.{name}": w for name, w in trainer.student.state_dict().items()}
    return outputs | {f"teacher.{name}": w for name, w in trainer.teacher.state_dict().items()}


COMPUTE = {
    function.__name__: function
    for function in (
        conv2d, batch_norm, gelu, relu, max_pool2d, avg_pool2d, linear, weight_norm_linear,
        carp_loss, carp_loss_embeddings, lars, sgd, adamw, schedule, resnet, carp_step,
    )
}  # fmt: skip


class Kinks:
    """Watches every ReLU module: the minimum distance of an input from 0 in float64."""

    def __init__(self):
        self.least = math.inf
        torch.nn.modules.module.register_module_forward_pre_hook(self.look)

    def look(self, module, args):
        if isinstance(module, torch.nn.ReLU) and args[0].dtype == torch.float64:
            self.least = min(self.least, args[0].detach().abs().min().item())


def error(got, want, tolerance):
    """The largest |got - want| relative to the tolerance."""
    want = want.detach().double()
    allowed = tolerance["abs"] + tolerance["rel"] * want.abs().max()
    return ((got.detach().double() - want).abs().max() / allowed).item()


def evaluate(case):
    """The float64 outputs that the file keeps, and the worst float32 error with its tensor."""
    compute = COMPUTE[case.kind]
    double = {n: t.double() if t.is_floating_point() else t for n, t in case.inputs.items()}
    want = compute(double, **case.settings)
    got = compute(case.inputs, **case.settings)
    want = case.kept(want)
    errors = {name: error(got[name], value, case.tolerance) for name, value in want.items()}
    worst = max(errors, key=errors.get)
    return want, errors[worst], worst


def compare_with_torchvision():
    """Our ResNet against torchvision's, if installed: equal names, output, gradients."""
    try:
        import torchvision
    except ImportError:
        print("torchvision is not installed: ResNet not compared")
        return
    for arch in reference.ARCHITECTURES:
        torch.manual_seed(0)
        theirs = getattr(torchvision.models, arch)().double()
        theirs.fc = torch.nn.Identity()
        ours = reference.ResNet(arch, "imagenet", 64, 3).double()
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(2, 3, 40, 40, dtype=torch.float64)
        for model in (ours, theirs):
            model(x).square().sum().backward()
        for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, msg=lambda text: f"{arch} {name}: {text}")
        for (name, a), b in zip(ours.named_buffers(), theirs.buffers(), strict=True):
            torch.testing.assert_close(a, b, msg=lambda text: f"{arch} {name}: {text}")
        print(f"{arch} equals torchvision's")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    out_dir = pathlib.Path(sys.argv[1])
    prefix = sys.argv[2] if len(sys.argv) == 3 else ""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    kinks = Kinks()
    total = 0
    print("file | bytes | abs | rel | float32's worst error over tolerance | in | ReLU's margin")
    for case in cases():
        if not case.name.startswith(prefix):
            continue
        kinks.least = math.inf
        torch.manual_seed(zlib.crc32(case.name.encode()))
        want, worst, where = evaluate(case)
        if worst > 1 / MARGIN:
            sys.exit(f"{case.name}: float32 has {worst:.2f} of the tolerance in {where}")
        if kinks.least < KINK_MARGIN and case.kind == "resnet":
            sys.exit(f"{case.name}: a ReLU's input is {kinks.least:.1e} from 0, change the seed")
        out_dir.mkdir(parents=True, exist_ok=True)
        path = out_dir / f"{case.name}.safetensors"
        save(path, case.kind, case.settings, case.tolerance, case.inputs, want)
        total += path.stat().st_size
        row = [case.name, path.stat().st_size, case.tolerance["abs"], case.tolerance["rel"]]
        row += [f"{worst:.3f}", where, f"{kinks.least:.1e}" if kinks.least < math.inf else "-"]
        print(*row, sep=" | ")
    print(f"{total} bytes")
    if not prefix:
        compare_with_torchvision()


if __name__ == "__main__":
    main()
