"""The inputs of every parity fixture. Each case draws from its own seeded generator, so cases can
be added or changed without moving the others."""

import dataclasses
import math
import zlib

import torch

import reference

# Relative tolerances: the smallest of 1, 2, 5 x 10^k that is at least three times float32 PyTorch's
# error, over all cases of a family, including inputs perturbed by 1e-7. Not below 2e-6, where one
# ulp of `exp` would decide.
TIGHT = 2e-6
OP = 5e-6
LOSS = 1e-5
EVAL = 1e-5
NETWORK = 2e-5
DEEP = 5e-5

LOSSES = ("consistency", "entropy")


@dataclasses.dataclass
class Case:
    """One fixture: inputs in float32 (or int64), and which outputs the file keeps."""

    name: str
    kind: str
    settings: dict
    tolerance: dict
    inputs: dict
    keeps: tuple = ()

    def kept(self, outputs):
        """The outputs that the file holds: those named in `keeps`, or all."""
        return {n: t for n, t in outputs.items() if not self.keeps or n in self.keeps}


def make(name, draw, settings=None, rel=OP, tiny=1e-7, keeps=(), seed=0):
    """The case NAME, whose kind is the part before `-`; `draw` gets the case's generator."""
    rng = torch.Generator().manual_seed(zlib.crc32(name.encode()) + seed)
    return Case(
        name=name,
        kind=name.split("-")[0],
        settings=settings or {},
        tolerance={"abs": tiny, "rel": rel},
        inputs=draw(rng),
        keeps=keeps,
    )


def normal(rng, *shape):
    return torch.randn(shape, generator=rng)


def uniform(rng, low, high, *shape):
    return low + (high - low) * torch.rand(shape, generator=rng)


def cases():
    yield from convolutions()
    yield from batch_norms()
    yield from pointwise_and_pools()
    yield from linears()
    yield from losses()
    yield from embedding_losses()
    yield from optimizers()
    yield from schedules()
    yield from resnets()
    yield from steps()


def convolutions():
    # name: x [N,C,H,W], weight [O,C,kh,kw], stride, padding
    for name, x, weight, stride, padding in [
        ("3x3", (2, 5, 9, 8), (7, 5, 3, 3), 1, 1),
        ("3x3-stride2", (2, 8, 9, 10), (6, 8, 3, 3), 2, 1),
        ("1x1-stride2", (3, 6, 7, 8), (9, 6, 1, 1), 2, 0),
        ("1x1", (2, 16, 4, 4), (33, 16, 1, 1), 1, 0),
        ("7x7-stride2", (2, 3, 19, 16), (8, 3, 7, 7), 2, 3),
        ("5x5-stride3", (2, 3, 13, 12), (4, 3, 5, 5), 3, 0),
        ("3x5", (1, 4, 8, 6), (3, 4, 3, 5), 1, 2),
        ("1-pixel", (4, 8, 1, 1), (8, 8, 3, 3), 1, 1),
        ("1-channel", (3, 1, 8, 8), (1, 1, 3, 3), 1, 1),
    ]:

        def draw(rng):
            tensors = {"x": normal(rng, *x), "weight": normal(rng, *weight) / math.sqrt(weight[1])}
            height, width = (
                (size + 2 * padding - side) // stride + 1 for size, side in zip(x[2:], weight[2:])
            )
            return tensors | {"grad_y": normal(rng, x[0], weight[0], height, width)}

        yield make(f"conv2d-{name}", draw, {"stride": stride, "padding": padding})


def batch_norms():
    # name: shape, training, eps, momentum, mean of x
    for name, shape, training, eps, momentum, mean, rel in [
        ("train", (4, 7, 5, 6), True, 1e-5, 0.1, 0.0, OP),
        ("train-rows", (9, 13), True, 1e-5, 0.1, 0.0, OP),
        ("train-two-rows", (2, 5), True, 1e-3, 0.3, 0.0, OP),
        ("train-offset", (4, 6, 4, 4), True, 1e-5, 0.1, 30.0, 1e-5),
        ("train-constant", (2, 3, 4, 4), True, 1e-2, 1.0, 0.0, OP),
        ("eval", (2, 7, 3, 4), False, 1e-3, 0.1, 0.0, OP),
        ("eval-rows", (6, 16), False, 1e-5, 0.1, 0.0, OP),
    ]:
        channels = shape[1]

        def draw(rng):
            spread = 1 + torch.arange(channels) / 4
            x = mean + spread.view(1, -1, *[1] * (len(shape) - 2)) * normal(rng, *shape)
            if name == "train-constant":
                x[:, 0] = 0.5
            return {
                "x": x,
                "weight": uniform(rng, 0.5, 1.5, channels),
                "bias": normal(rng, channels) / 4,
                "running_mean": mean + normal(rng, channels),
                "running_var": uniform(rng, 0.5, 2.0, channels),
                "grad_y": normal(rng, *shape),
            }

        settings = {"eps": eps, "momentum": momentum, "training": training}
        yield make(f"batch_norm-{name}", draw, settings, rel)


def pointwise_and_pools():
    def wide(rng):
        edge = torch.tensor([0.0, -0.0, 1e-6, -1e-6, 8.0, -8.0, 30.0, -30.0])
        return {"x": torch.cat([edge, 2 * normal(rng, 301)]), "grad_y": normal(rng, 309)}

    yield make("gelu-wide", wide, rel=TIGHT)
    yield make("relu-wide", wide, rel=TIGHT)

    def images(rng):
        return {"x": normal(rng, 2, 3, 4, 5), "grad_y": normal(rng, 2, 3, 4, 5)}

    yield make("gelu-images", images, rel=TIGHT)
    yield make("relu-images", images, rel=TIGHT)

    # name: x, kernel, stride, padding
    for name, shape, kernel, stride, padding in [
        ("stem", (2, 5, 11, 10), 3, 2, 1),
        ("halves", (2, 3, 6, 8), 2, 2, 0),
        ("overlap", (1, 4, 7, 7), 5, 1, 2),
        ("ties", (2, 3, 9, 9), 3, 2, 1),
    ]:

        def draw(rng):
            x = normal(rng, *shape)
            if name == "ties":
                x = x.round().relu()
            height, width = ((size + 2 * padding - kernel) // stride + 1 for size in shape[2:])
            return {"x": x, "grad_y": normal(rng, *shape[:2], height, width)}

        settings = {"kernel": kernel, "stride": stride, "padding": padding}
        yield make(f"max_pool2d-{name}", draw, settings, TIGHT)
        if name != "ties":
            yield make(f"avg_pool2d-{name}", draw, settings, TIGHT)


def linears():
    # name: N, inputs, outputs
    for name, n, inputs, outputs in [("small", 5, 7, 3), ("wide", 17, 65, 40), ("row", 1, 32, 16)]:

        def draw(rng):
            return {
                "x": normal(rng, n, inputs),
                "weight": normal(rng, outputs, inputs) / math.sqrt(inputs),
                "bias": normal(rng, outputs),
                "grad_y": normal(rng, n, outputs),
            }

        def draw_weight_norm(rng):
            tensors = draw(rng)
            # Rows of different lengths: only their direction may matter.
            lengths = 10.0 ** uniform(rng, -1, 1, outputs, 1)
            return {
                "x": tensors["x"],
                "weight_v": tensors["weight"] * lengths,
                "grad_y": tensors["grad_y"],
            }

        yield make(f"linear-{name}", draw)
        yield make(f"weight_norm_linear-{name}", draw_weight_norm)


def losses():
    def gaussian(views, batch, prototypes, scale, offset=0.0):
        def draw(rng):
            return {
                "student": offset + scale * normal(rng, views, batch, prototypes),
                "teacher": offset + scale * normal(rng, 2, batch, prototypes),
                "permutation": torch.randperm(prototypes, generator=rng),
            }

        return draw

    def sharp(rng):
        """Blocks of 8. Block 0: rows certain of classes 0 to 3; block 1: all rows certain of class
        5; block 2: views agree, images differ; block 3: soft students, certain teachers."""
        views, batch, size = 4, 3, 8
        logits = normal(rng, views + 2, batch, 4, size)
        for view in range(views + 2):
            for image in range(batch):
                logits[view, image, 0, (view + image) % 4] += 60
                logits[view, image, 1, 5] += 60
                logits[view, image, 2, image] += 60
                if view >= views:
                    logits[view, image, 3, image] += 60
        permutation = torch.randperm(4 * size, generator=rng)
        placed = torch.empty(views + 2, batch, 4 * size)
        placed[..., permutation] = logits.flatten(2)
        return {"student": placed[:views], "teacher": placed[views:], "permutation": permutation}

    def equal(rng):
        """Each row constant, rows different: every probability is 1 / N_B."""
        return {
            "student": normal(rng, 3, 4, 1).expand(3, 4, 24),
            "teacher": normal(rng, 2, 4, 1).expand(2, 4, 24),
            "permutation": torch.randperm(24, generator=rng),
        }

    yield make("carp_loss-two-views", gaussian(2, 4, 24, 3.0), {"partition_size": 8}, LOSS)
    yield make("carp_loss-eight-views", gaussian(8, 3, 32, 3.0), {"partition_size": 16}, LOSS)
    yield make("carp_loss-one-image", gaussian(3, 1, 18, 3.0), {"partition_size": 6}, LOSS)
    yield make("carp_loss-remainder", gaussian(4, 3, 29, 3.0), {"partition_size": 8}, LOSS)
    yield make("carp_loss-one-block", gaussian(4, 3, 20, 3.0), {"partition_size": 20}, LOSS)
    yield make(
        "carp_loss-blocks-of-one", gaussian(3, 3, 10, 2.0), {"partition_size": 1}, LOSS, tiny=1e-8
    )
    yield make("carp_loss-sharp", sharp, {"partition_size": 8}, LOSS)
    yield make("carp_loss-offset-1e4", gaussian(4, 3, 24, 3.0, 1e4), {"partition_size": 8}, LOSS)
    yield make("carp_loss-scale-1e4", gaussian(4, 3, 24, 1e4), {"partition_size": 8}, LOSS)
    # Here the entropy is log N_B minus almost the same number, and the gradient nearly cancels.
    yield make("carp_loss-equal", equal, {"partition_size": 8}, LOSS, tiny=1e-6)
    start = gaussian(4, 4, 130, 0.02), {"partition_size": 64}
    yield make("carp_loss-start", *start, LOSS, tiny=1e-6, keeps=LOSSES)
    yield make("carp_loss-start-gradient", *start, rel=5e-5, tiny=1e-9, keeps=("grad_student",))


VARIANTS = ("unfused", "fused-softmax", "streaming", "streaming-tiled")


def embedding_losses():
    # name: views, batch, dimension, prototypes, partition size, scales of student and teacher
    for name, views, batch, dim, prototypes, size, scales in [
        ("two-views", 2, 5, 12, 32, 8, (2, 2)),
        ("eight-views", 8, 3, 8, 32, 16, (2, 2)),
        ("remainder", 4, 3, 16, 45, 10, (2, 2)),
        ("one-block", 3, 3, 8, 20, 20, (2, 2)),
        ("blocks-of-one", 3, 2, 6, 10, 1, (2, 2)),
        ("certain", 4, 3, 8, 24, 8, (60, 60)),
        ("equal-logits", 3, 4, 8, 24, 8, (0, 2)),
    ]:

        def draw(rng):
            return {
                "student": scales[0] * normal(rng, views, batch, dim),
                "teacher": scales[1] * normal(rng, 2, batch, dim),
                "student_prototypes": uniform(rng, -0.25, 0.25, prototypes, dim),
                "teacher_prototypes": uniform(rng, -0.25, 0.25, prototypes, dim),
                "permutation": torch.randperm(prototypes, generator=rng),
            }

        for variant in VARIANTS:
            settings = {"partition_size": size, "variant": variant}
            name_and_variant = f"carp_loss_embeddings-{name}-{variant}"
            yield make(name_and_variant, draw, settings, 2 * LOSS, tiny=1e-6)


def optimizers():
    steps = 6
    lr = [0.5, 0.45, 0.4, 0.3, 0.2, 0.1]
    small = [rate / 10 for rate in lr]
    lars = {"lr": lr, "momentum": 0.9, "weight_decay": 1e-2, "eta": 0.02}
    sgd = {"lr": small, "momentum": 0.9, "weight_decay": 1e-2}
    adamw = {"lr": small, "weight_decay": 0.1, "betas": [0.9, 0.99], "eps": 1e-8}

    def draw(*shape, zero=None):
        def inner(rng):
            tensors = {"param": normal(rng, *shape), "grads": normal(rng, steps, *shape)}
            if zero == "param":
                tensors["param"].zero_()
            if zero == "grads":
                tensors["grads"].zero_()
            return tensors

        return inner

    for kind, settings in [("lars", lars), ("sgd", sgd), ("adamw", adamw)]:
        yield make(f"{kind}-matrix", draw(7, 11), settings, TIGHT)
        yield make(f"{kind}-conv", draw(4, 3, 3, 3), settings, TIGHT)
        # CARP gives 1-D tensors no weight decay. LARS has that rule built in and must ignore the
        # setting; SGD and AdamW get a decay of 0.
        vector = settings if kind == "lars" else settings | {"weight_decay": 0.0}
        yield make(f"{kind}-vector", draw(13), vector, TIGHT)
    yield make("lars-zero-param", draw(5, 4, zero="param"), lars, TIGHT)
    yield make("lars-zero-grads", draw(5, 4, zero="grads"), lars, TIGHT)
    yield make("lars-no-decay", draw(5, 4), lars | {"weight_decay": 0.0}, TIGHT)


def schedules():
    # name: base, final, steps, warm-up steps, warm-up start
    for name, base, final, steps, warmup, start in [
        ("cosine", 0.45, 0.0048, 50, 0, 0.0),
        ("teacher", 0.99, 1.0, 37, 0, 0.0),
        ("warmup", 0.6, 0.006, 60, 10, 0.0),
        ("warmup-start", 4.8, 0.0, 23, 2, 0.3),
        ("constant", 1e-6, 1e-6, 8, 0, 0.0),
    ]:
        settings = {
            "base": base,
            "final": final,
            "steps": steps,
            "warmup_steps": warmup,
            "warmup_start": start,
        }
        yield make(f"schedule-{name}", lambda rng: {}, settings, rel=1e-12, tiny=1e-15)


def randomise(state, rng):
    """Weights like trained ones: nothing is 0 or 1, so that every gradient counts."""
    drawn = {}
    last = "bn3.weight" if any("bn3" in name for name in state) else "bn2.weight"
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            drawn[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            drawn[name] = uniform(rng, 0.5, 1.5, *tensor.shape)
        elif name.endswith("running_mean"):
            drawn[name] = 0.2 * normal(rng, *tensor.shape)
        elif tensor.ndim == 4:
            fan_in = tensor[0].numel()
            drawn[name] = math.sqrt(2 / fan_in) * normal(rng, *tensor.shape)
        elif tensor.ndim == 2:
            drawn[name] = normal(rng, *tensor.shape) / math.sqrt(tensor.shape[1])
        elif name.endswith(last):
            # A damped branch: on so few images undamped ones would amplify every rounding error.
            drawn[name] = uniform(rng, 0.2, 0.5, *tensor.shape)
        elif name.endswith("weight"):
            drawn[name] = uniform(rng, 0.5, 1.5, *tensor.shape)
        else:
            drawn[name] = 0.2 * normal(rng, *tensor.shape)
    return drawn


def resnets():
    # name: arch, stem, width, input channels, training, images, size, seed
    for name, arch, stem, width, channels, training, batch, size, rel, seed in [
        ("18-cifar", "resnet18", "cifar", 4, 3, True, 4, 16, NETWORK, 12),
        ("18-cifar-eval", "resnet18", "cifar", 3, 1, False, 3, 12, EVAL, 0),
        ("18-imagenet", "resnet18", "imagenet", 4, 1, True, 6, 50, NETWORK, 1),
        ("18-imagenet-eval", "resnet18", "imagenet", 3, 3, False, 2, 45, EVAL, 2),
        ("34-cifar", "resnet34", "cifar", 3, 3, True, 4, 16, NETWORK, 11),
        ("50-imagenet", "resnet50", "imagenet", 4, 1, True, 6, 64, DEEP, 10),
    ]:

        def draw(rng):
            model = reference.ResNet(arch, stem, width, channels)
            weights = randomise(model.state_dict(), rng)
            return {
                "x": normal(rng, batch, channels, size, size),
                "grad_y": normal(rng, batch, model.features),
            } | {f"w.{key}": value for key, value in weights.items()}

        settings = {
            "arch": arch,
            "stem": stem,
            "width": width,
            "in_channels": channels,
            "training": training,
        }
        yield make(f"resnet-{name}", draw, settings, rel, tiny=1e-6, seed=seed)


def training_settings(**changes):
    settings = {
        "arch": "resnet18",
        "stem": "cifar",
        "width": 4,
        "in_channels": 3,
        "training": True,
        "hidden": 16,
        "bottleneck": 8,
        "prototypes": 40,
        "partition_size": 8,
        "optimizer": "lars",
        "lr": [1.0, 0.8, 0.6],
        "teacher_momentum": [0.9, 0.95, 0.975],
        "weight_decay": 1e-3,
        "momentum": 0.9,
        "eta": 0.01,
    }
    return settings | changes


def training(name, settings, batch, sizes, noise, **options):
    """Views of each step: noisy cut-outs of one fixed set of smooth images, so that there is
    something to learn."""

    def draw(rng):
        weights = randomise(reference.network(settings).state_dict(), rng)
        inputs = {f"student.{key}": value for key, value in weights.items()}
        coarse = normal(rng, batch, settings["in_channels"], 4, 4)
        for step in range(len(settings["lr"])):
            for view, size in enumerate(sizes):
                image = coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)
                top, left = torch.randint(33 - size, (2,), generator=rng).tolist()
                image = image[..., top : top + size, left : left + size]
                image = image + noise * normal(rng, *image.shape)
                inputs[f"view.{step}.{view}"] = image
            permutation = torch.randperm(settings["prototypes"], generator=rng)
            inputs[f"permutation.{step}"] = permutation
        return inputs

    return make(f"carp_step-{name}", draw, settings, tiny=1e-6, **options)


def steps():
    yield training("lars", training_settings(), 6, [16, 16, 8, 8], 0.5, rel=NETWORK, seed=14)
    tiny = training_settings(
        arch="resnet50",
        width=2,
        in_channels=1,
        optimizer="sgd",
        lr=[0.004, 0.003, 0.002],
        prototypes=37,
    )
    yield training("sgd", tiny, 8, [16, 16, 12], 0.5, rel=NETWORK, seed=8)
    # The batch's statistics, losses and gradients do not depend on how a program shares it out.
    shards = training_settings(width=2, shards=4)
    yield training("shards", shards, 8, [16, 16, 8], 0.5, rel=NETWORK, seed=21)
    count = 20
    curve = training_settings(
        in_channels=1,
        lr=[0.15 + 0.15 * math.cos(math.pi * t / count) for t in range(count)],
        teacher_momentum=[1 - 0.05 * (1 + math.cos(math.pi * t / count)) for t in range(count)],
    )
    yield training("curve", curve, 8, [12, 12], 0.2, rel=1e-3, seed=16, keeps=("loss", *LOSSES))
