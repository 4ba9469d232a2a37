"""Generates the fixture for the classifiers that `carp eval linear` and `carp eval semi` train.

    python tools/golden_probe.py fixtures/probe.safetensors

PyTorch trains the same classifiers from the same weights on the same batches: cross-entropy alone,
linear probes with LARS and SGD, and a whole ResNet with a linear layer, with two learning rates.
All in float64, rounded to float32 for the file; the float32 run must agree to a third of what the
tests allow.
"""

import math
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import reference
from golden_cases import randomise

TOLERANCE = 1e-4
"""The tests' tolerance, relative to the largest element of a tensor or 1."""

CLASSES = 3
EPOCHS = 4
BATCH = 16
RATES = (0.5, 2.0)
OPTIMIZERS = {
    "lars": lambda params: reference.Lars(params, 0.0, 0.9, 0.0, 0.02),
    "sgd": lambda params: torch.optim.SGD(params, 0.0, momentum=0.9, weight_decay=1e-2),
}
FINE_TUNING = dict(arch="resnet18", stem="cifar", width=2, in_channels=1)
FINE_TUNING_RATES = ((0.02, 0.5), (0.004, 0.1))


def cross_entropy(inputs):
    logits = inputs["ce.logits"].clone().requires_grad_(True)
    losses = F.cross_entropy(logits, inputs["ce.labels"], reduction="none")
    (grad,) = torch.autograd.grad(losses, logits, inputs["ce.grad_y"])
    return {"ce.losses": losses, "ce.grad": grad}


def probes(inputs):
    """Rows of an epoch in the order given, in batches of 16: the last one has 8."""
    outputs = {}
    features, labels = inputs["probe.features"], inputs["probe.labels"]
    for name, make in OPTIMIZERS.items():
        for head, base in enumerate(RATES):
            linear = torch.nn.Linear(features.shape[1], CLASSES).to(features.dtype)
            linear.load_state_dict(
                {"weight": inputs["probe.weight"], "bias": inputs["probe.bias"]}
            )
            optimizer = make(linear.parameters())
            losses = []
            for epoch in range(EPOCHS):
                lr = base * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2
                optimizer.param_groups[0]["lr"] = lr
                for rows in inputs[f"probe.order.{epoch}"].split(BATCH):
                    loss = F.cross_entropy(linear(features[rows]), labels[rows])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.detach())
            key = f"probe.{name}.{head}"
            outputs[f"{key}.losses"] = torch.stack(losses)
            outputs[f"{key}.weight"] = linear.weight
            outputs[f"{key}.bias"] = linear.bias
    return outputs


def fine_tuning_network(dtype):
    network = reference.ResNet(**FINE_TUNING).to(dtype)
    network.fc = torch.nn.Linear(network.features, CLASSES).to(dtype)
    return network


def fine_tuning(inputs):
    network = fine_tuning_network(inputs["tune.images.0"].dtype)
    prefix = "tune.before."
    network.load_state_dict(
        {n.removeprefix(prefix): t for n, t in inputs.items() if n.startswith(prefix)}
    )
    network.train()
    backbone = [w for name, w in network.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": backbone}, {"params": network.fc.parameters()}]
    optimizer = torch.optim.SGD(groups, 0.0, momentum=0.9, weight_decay=1e-3)
    losses = []
    for step, rates in enumerate(FINE_TUNING_RATES):
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        logits = network.fc(network(inputs[f"tune.images.{step}"]))
        loss = F.cross_entropy(logits, inputs["tune.labels"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    outputs = {f"tune.after.{name}": tensor for name, tensor in network.state_dict().items()}
    return outputs | {"tune.losses": torch.stack(losses)}


def draw():
    """The inputs, all float32 or int64."""
    rng = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(*shape, generator=rng)

    def labels(count):
        return torch.randint(CLASSES, (count,), generator=rng)

    inputs = {
        "ce.logits": 3 * normal(6, 5),
        "ce.labels": torch.randint(5, (6,), generator=rng),
        "ce.grad_y": normal(6),
        "probe.labels": labels(40),
        "probe.weight": 0.01 * normal(CLASSES, 7),
        "probe.bias": torch.zeros(CLASSES),
    }
    centres = normal(CLASSES, 7)
    inputs["probe.features"] = centres[inputs["probe.labels"]] + 0.7 * normal(40, 7)
    for epoch in range(EPOCHS):
        inputs[f"probe.order.{epoch}"] = torch.randperm(40, generator=rng)
    state = randomise(fine_tuning_network(torch.float32).state_dict(), rng)
    inputs |= {f"tune.before.{name}": tensor for name, tensor in state.items()}
    inputs["tune.labels"] = labels(8)
    for step in range(len(FINE_TUNING_RATES)):
        inputs[f"tune.images.{step}"] = normal(8, FINE_TUNING["in_channels"], 10, 10)
    return inputs


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    inputs = draw()
    double = {n: t.double() if t.is_floating_point() else t for n, t in inputs.items()}
    outputs = {}
    for compute in (cross_entropy, probes, fine_tuning):
        want, got = compute(double), compute(inputs)
        for name, value in want.items():
            allowed = TOLERANCE * max(1.0, value.abs().max().item()) / 3
            error = (got[name].double() - value).abs().max().item()
            if error > allowed:
                sys.exit(f"{name}: float32 is off by {error:.1e}, more than {allowed:.1e}")
        outputs |= want
    tensors = {
        name: tensor.detach().to(torch.float32 if tensor.is_floating_point() else torch.int64)
        for name, tensor in (inputs | outputs).items()
        if not name.endswith("num_batches_tracked")
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, sys.argv[1])


if __name__ == "__main__":
    main()
