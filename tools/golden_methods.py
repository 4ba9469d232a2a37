"""Generates the fixture for five training steps of each compared method.

    python tools/golden_methods.py fixtures/methods.safetensors

It also holds the densities that PCL's formula gives some clusters, by NumPy.

Each method trains a tiny ResNet, in float64, from its definition: networks, which view passes
through which, the loss, where the teacher moves, what is kept from step to step. Views, weights and
random choices are numbers that the test makes, too (`noise`), so the file holds only settings, what
the method keeps before and after the steps, losses, and two numbers per tensor of the networks: its
length, and its product with noise.
"""

import copy
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

import reference

BATCH, SIDE, IMAGES = 12, 12, 24
STEPS, STEPS_PER_EPOCH = 5, 2
MOMENTUM, TEACHER = 0.9, 0.9
WIDTH, HIDDEN, DIM, PROTOTYPES = 2, 12, 6, 5
DECAY, ETA = 1e-3, 0.02


def noise(key, count):
    """`count` numbers in [-1, 1), each a hash of its place and the key; float32's values."""
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1)
        x = x + np.uint32(key) * np.uint32(0x85EBCA77)
        for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
            x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
        x = x ^ (x >> np.uint32(15))
    return torch.from_numpy((x / 2.0**31 - 1).astype(np.float32)).double()


def view(step, number, side):
    return noise(16 * step + number, BATCH * 3 * side * side).reshape(BATCH, 3, side, side)


def seen(step):
    """The images of a step: all of them in two."""
    return [2 * row + step % STEPS_PER_EPOCH for row in range(BATCH)]


def unit(x):
    return F.normalize(x, dim=-1)


def mlp(widths, norm=True, act=nn.ReLU, biases=True, last_bias=True):
    layers = []
    for inputs, outputs in zip(widths, widths[1:-1]):
        layers += [nn.Linear(inputs, outputs, bias=biases)]
        layers += [nn.BatchNorm1d(outputs)] if norm else []
        layers += [act()]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:], bias=last_bias))


def cross_entropy(target, logits):
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()


def info_nce(q, k, queue, temperature):
    logits = torch.cat([(q * k).sum(dim=1, keepdim=True), q @ queue.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


class Larc(torch.optim.SGD):
    """NVIDIA Apex's LARC around SGD: gradient and decay, both scaled by the tensor's trust, which solo-learn
    clips."""

    def __init__(self, groups, lr, momentum, clip):
        super().__init__(groups, lr=lr, momentum=momentum)
        self.clip = clip

    @torch.no_grad()
    def step(self):
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            decay, group["weight_decay"] = group["weight_decay"], 0.0
            for w in group["params"]:
                if w.grad is None:
                    continue
                length, of_grad = w.norm(), w.grad.norm()
                if group["scaled"] and length != 0 and of_grad != 0:
                    trust = ETA * length / (of_grad + length * decay + 1e-8)
                    if self.clip:
                        trust = min(trust / group["lr"], 1)
                    w.grad = (w.grad + decay * w) * trust
        super().step()
        for group, decay in zip(self.param_groups, decays):
            group["weight_decay"] = decay


class Method:
    """A method: subclasses say what differs. Their settings are those of the Rust program."""

    settings = {}
    fixture = None
    """Its name in the file, if it is not the method's."""
    sides = 2 * [SIDE]
    optimizer = "sgd"
    lr = 0.01
    """Small enough that float32's rounding stays small over five steps."""
    teacher_moves = None
    """`between` the student's and the teacher's forward passes, or `after` the optimizer."""
    shared = ["backbone", "head"]
    """The modules that the teacher has."""

    def __init__(self):
        self.features = 8 * WIDTH
        self.student = nn.ModuleDict({"backbone": self.backbone()})
        self.student["head"] = nn.ModuleDict()
        self.kept = {}
        self.build()
        self.student = self.student.double().train()
        fill(self.student)
        self.teacher = None
        if self.teacher_moves:
            parts = {name: self.student[name] for name in self.shared}
            self.teacher = copy.deepcopy(nn.ModuleDict(parts)).requires_grad_(False)

    def backbone(self):
        return reference.ResNet("resnet18", "cifar", WIDTH, 3)

    def build(self):
        raise NotImplementedError

    def loss(self, views, step):
        raise NotImplementedError

    def frozen(self, step):
        """Weights without a gradient in this step."""
        return []

    def embed(self, network, x):
        return network["head"]["mlp"](network["backbone"](x))

    @torch.no_grad()
    def move_teacher(self):
        for name in self.shared:
            pairs = zip(self.teacher[name].parameters(), self.student[name].parameters())
            for t, s in pairs:
                t.mul_(TEACHER).add_(s, alpha=1 - TEACHER)

    def train(self):
        scale = self.settings.get("optimizer.vector_lr", 1.0)
        decay = self.settings.get("optimizer.weight_decay", DECAY)
        weights = list(self.student.parameters())
        vectors = self.optimizer == "larc" and self.settings["optimizer.scale_vectors"] == "true"
        groups = [
            dict(params=[w for w in weights if w.ndim > 1], weight_decay=decay, lr=self.lr),
            dict(params=[w for w in weights if w.ndim <= 1], weight_decay=0.0, lr=scale * self.lr),
        ]
        if vectors or self.settings.get("optimizer.decay_vectors") == "true":
            groups[1]["weight_decay"] = decay
        if self.optimizer == "larc":
            for group, scaled in zip(groups, [True, vectors]):
                group["scaled"] = scaled
            clip = self.settings["optimizer.clip_trust"] == "true"
            optimizer = Larc(groups, self.lr, MOMENTUM, clip)
        elif self.optimizer == "lars":
            optimizer = reference.Lars(groups, self.lr, MOMENTUM, 0.0, ETA)
        else:
            optimizer = torch.optim.SGD(groups, lr=self.lr, momentum=MOMENTUM)
        losses = []
        for step in range(STEPS):
            views = [view(step, number, side) for number, side in enumerate(self.sides)]
            loss = self.loss(views, step)
            optimizer.zero_grad()
            loss.backward()
            if "optimizer.clip_norm" in self.settings:
                for w in weights:
                    most = self.settings["optimizer.clip_norm"]
                    w.grad.mul_(min(1.0, most / (w.grad.norm().item() + 1e-6)))
            for w in self.frozen(step):
                w.grad = None
            optimizer.step()
            if self.teacher_moves == "after":
                self.move_teacher()
            losses.append(loss.detach())
        return torch.stack(losses)


@torch.no_grad()
def fill(network):
    """Weights of noise, in the order of their names."""
    for place, (name, w) in enumerate(sorted(network.named_parameters())):
        x = noise(1000 + place, w.numel()).reshape(w.shape)
        if w.ndim > 1:
            w.copy_(x * math.sqrt(3 * w.shape[0] / w.numel()))
        else:
            w.copy_(x * 0.2 + (1.0 if name.endswith("weight") else 0.0))


class BarlowTwins(Method):
    settings = {"method.name": "barlow-twins", "optimizer.vector_lr": 0.5}
    optimizer = "lars"

    def build(self):
        widths = [self.features] + 3 * [HIDDEN]
        self.student["head"]["mlp"] = mlp(widths, biases=False, last_bias=False)

    def loss(self, views, step):
        z = [self.embed(self.student, x) for x in views]
        x, y = [F.batch_norm(z, None, None, training=True) for z in z]
        c = x.T @ y / BATCH
        on = (c.diagonal() - 1).square().sum()
        return on + 0.0051 * (c.square().sum() - c.diagonal().square().sum())


class VicReg(Method):
    settings = {"method.name": "vicreg"}

    def build(self):
        self.student["head"]["mlp"] = mlp([self.features] + 3 * [HIDDEN], last_bias=False)

    def loss(self, views, step):
        x, y = [self.embed(self.student, x) for x in views]
        loss = 25 * (x - y).square().mean()
        for z in (x, y):
            deviation = (z.var(dim=0) + 1e-4).sqrt()
            cov = torch.cov(z.T)
            off = cov.square().sum() - cov.diagonal().square().sum()
            loss = loss + 25 * F.relu(1 - deviation).mean() / 2 + off / HIDDEN
        return loss


class MocoV3(Method):
    settings = {"method.name": "moco-v3", "method.temperature": 0.2}
    optimizer = "lars"
    teacher_moves = "between"

    def build(self):
        layers = dict(biases=False, last_bias=False)
        self.student["head"]["mlp"] = mlp([self.features, HIDDEN, DIM], **layers)
        self.student["predictor"] = mlp([DIM, HIDDEN, DIM], **layers)

    def projected(self, network, x):
        return F.batch_norm(self.embed(network, x), None, None, training=True)

    def loss(self, views, step):
        predictor = self.student["predictor"]
        q1, q2 = [unit(predictor(self.projected(self.student, x))) for x in views]
        self.move_teacher()
        with torch.no_grad():
            k1, k2 = [unit(self.projected(self.teacher, x)) for x in views]
        own = torch.arange(BATCH)
        one_way = lambda q, k: 2 * 0.2 * F.cross_entropy(q @ k.T / 0.2, own)
        return one_way(q1, k2) + one_way(q2, k1)


class Dino(Method):
    settings = {
        "method.name": "dino",
        "method.batch_norm": "false",
        "method.frozen_epochs": 1,
        "method.teacher_temperature": 0.07,
        "method.temperature_epochs": 3,
        "optimizer.clip_norm": 0.05,
        "views.local_count": 1,
    }
    sides = 3 * [SIDE]
    teacher_moves = "after"

    def build(self):
        widths = [self.features, HIDDEN, HIDDEN, DIM]
        self.student["head"]["mlp"] = mlp(widths, norm=False, act=nn.GELU)
        self.student["head"]["last_layer"] = reference.WeightNormLinear(DIM, PROTOTYPES)
        self.kept["centre"] = 0.1 * noise(2000, PROTOTYPES)

    def scores(self, network, views):
        z = unit(self.embed(network, torch.cat(views)))
        return network["head"]["last_layer"](z)

    def loss(self, views, step):
        with torch.no_grad():
            t = self.scores(self.teacher, views[:2])
        s = self.scores(self.student, views).unflatten(0, (3, BATCH))
        # In the first three epochs; the fifth step is in the third.
        temperature = np.linspace(0.04, 0.07, 3)[step // STEPS_PER_EPOCH]
        q = ((t - self.kept["centre"]) / temperature).softmax(dim=1).unflatten(0, (2, BATCH))
        pairs = [(i, v) for i in range(2) for v in range(3) if i != v]
        loss = sum(cross_entropy(q[i], s[v] / 0.1) for i, v in pairs) / len(pairs)
        self.kept["centre"] = 0.9 * self.kept["centre"] + 0.1 * t.mean(dim=0)
        return loss

    def frozen(self, step):
        last = self.student["head"]["last_layer"].weight_v
        return [last] if step < STEPS_PER_EPOCH else []


class WithPrototypes(Method):
    """SwAV's network."""

    lr = 0.001
    sides = 3 * [SIDE]

    def build(self):
        self.student["head"]["mlp"] = mlp([self.features, HIDDEN, DIM])

    @torch.no_grad()
    def project(self, prototypes):
        prototypes.weight.copy_(unit(prototypes.weight))


class Swav(WithPrototypes):
    optimizer = "larc"
    lr = 0.1
    settings = {
        "optimizer.clip_trust": "false",
        "optimizer.scale_vectors": "true",
        "method.name": "swav",
        "method.queue": 24,
        "method.queue_from_epoch": 0,
        "views.local_count": 1,
    }

    def build(self):
        super().build()
        self.student["prototypes"] = nn.Linear(DIM, PROTOTYPES, bias=False)
        for number in range(2):
            self.kept[f"queue.{number}"] = unit(noise(2000 + number, 24 * DIM).reshape(24, DIM))

    def codes(self, scores):
        q = (scores / 0.05).exp()
        for _ in range(3):
            q = q / q.sum(dim=0, keepdim=True)
            q = q / q.sum(dim=1, keepdim=True)
        return q[-BATCH:]

    def loss(self, views, step):
        prototypes = self.student["prototypes"]
        self.project(prototypes)
        z = unit(self.embed(self.student, torch.cat(views))).unflatten(0, (3, BATCH))
        scores = [prototypes(z) for z in z]
        loss = 0
        for a in range(2):
            queue = self.kept[f"queue.{a}"]
            with torch.no_grad():
                # The queue is full after two steps.
                earlier = [prototypes(queue)] if step >= 2 else []
                code = self.codes(torch.cat(earlier + [scores[a]]))
            losses = [cross_entropy(code, scores[v] / 0.1) for v in range(3) if v != a]
            loss = loss + sum(losses) / 4
            self.kept[f"queue.{a}"] = torch.cat([z[a].detach(), queue])[:24]
        return loss

    def frozen(self, step):
        return [self.student["prototypes"].weight] if step < STEPS_PER_EPOCH else []


class Clustered(WithPrototypes):
    """Labels are given; memories are filled."""

    heads = 2

    def build(self):
        super().build()
        places = torch.arange(self.heads * IMAGES)
        labels = (noise(2100, len(places)) * 1000).long() % PROTOTYPES
        # Each seventh image was not seen.
        self.kept["labels"] = torch.where(places % 7 == 3, -1, labels).double()
        self.kept["images"] = torch.zeros(IMAGES).double()
        for number in range(2):
            self.kept[f"memory.{number}"] = torch.zeros(IMAGES, DIM).double()

    def prototypes(self, head):
        raise NotImplementedError

    def loss(self, views, step):
        z = unit(self.embed(self.student, torch.cat(views)))
        labels = self.kept["labels"].long().reshape(self.heads, IMAGES)[:, seen(step)]
        loss = 0
        for head in range(self.heads):
            scores = z @ self.prototypes(head).T / 0.1
            target = labels[head].repeat(3)
            loss = loss + F.cross_entropy(scores, target, ignore_index=-1) / self.heads
        first = step % STEPS_PER_EPOCH * BATCH
        for number in range(2):
            rows = z[number * BATCH : (number + 1) * BATCH].detach()
            self.kept[f"memory.{number}"][first : first + BATCH] = rows
        self.kept["images"][first : first + BATCH] = torch.tensor(seen(step)).double()
        return loss


class DeepClusterV2(Clustered):
    optimizer = "larc"
    lr = 0.002
    settings = {
        "method.name": "deepcluster-v2",
        "method.heads": 2,
        "optimizer.clip_trust": "true",
        "optimizer.scale_vectors": "false",
        "views.local_count": 1,
    }

    def build(self):
        super().build()
        for head in range(self.heads):
            centroids = noise(2000 + head, PROTOTYPES * DIM).reshape(PROTOTYPES, DIM)
            self.kept[f"centroids.{head}"] = unit(centroids)

    def prototypes(self, head):
        return self.kept[f"centroids.{head}"]


class SelaV2(Clustered):
    settings = {"method.name": "sela-v2", "method.heads": 2, "views.local_count": 1}

    def build(self):
        super().build()
        linears = [nn.Linear(DIM, PROTOTYPES, bias=False) for _ in range(self.heads)]
        self.student["prototypes"] = nn.ModuleList(linears)

    def prototypes(self, head):
        self.project(self.student["prototypes"][head])
        return self.student["prototypes"][head].weight


class Contrast(Method):
    """MoCo v2's networks and queue."""

    def build(self):
        self.student["head"]["mlp"] = mlp([self.features, HIDDEN, DIM], norm=False)
        self.kept["queue"] = unit(noise(2000, 24 * DIM).reshape(24, DIM))

    def query_and_key(self, views):
        q = unit(self.embed(self.student, views[0]))
        with torch.no_grad():
            k = unit(self.embed(self.teacher, views[1]))
        return q, k

    def push(self, k):
        self.kept["queue"] = torch.cat([k, self.kept["queue"]])[:24]


class InfoMin(Contrast):
    settings = {"method.name": "infomin", "method.queue": 24}
    teacher_moves = "after"

    def loss(self, views, step):
        q, k = self.query_and_key(views)
        loss = info_nce(q, k, self.kept["queue"], 0.15)
        self.push(k)
        return loss


class DecayedVectors(InfoMin):
    settings = InfoMin.settings | {
        "optimizer.weight_decay": 0.5,
        "optimizer.decay_vectors": "true",
    }
    fixture = "infomin-decayed-vectors"


class Jigsaw(InfoMin):
    settings = InfoMin.settings | {
        "views.patch_count": 4,
        "views.patch_grid": 2,
        "views.patch_crop": 20,
        "views.patch_shift": 0,
        "views.patch.size": 10,
    }
    fixture = "infomin-jigsaw"
    sides = [SIDE, SIDE] + 4 * [10]

    def build(self):
        super().build()
        patch = mlp([self.features, HIDDEN, DIM], norm=False)
        self.student["jigsaw"] = nn.ModuleDict({"patch": patch, "whole": mlp([4 * DIM, DIM])})

    def loss(self, views, step):
        q, k = self.query_and_key(views)
        jigsaw = self.student["jigsaw"]
        patches = torch.stack(views[2:], dim=1).flatten(0, 1)
        z = jigsaw["patch"](self.student["backbone"](patches))
        j = unit(jigsaw["whole"](z.reshape(BATCH, 4 * DIM)))
        queue = self.kept["queue"]
        loss = (info_nce(q, k, queue, 0.15) + info_nce(j, k, queue, 0.15)) / 2
        self.push(k)
        return loss


class PclV2(Contrast):
    settings = {
        "method.name": "pcl-v2",
        "method.queue": 24,
        "method.clusters": [16, 18],
        "method.negatives": 4,
        "method.from_epoch": 1,
    }
    teacher_moves = "between"

    def build(self):
        super().build()
        for number, clusters in enumerate(self.settings["method.clusters"]):
            centroids = noise(2010 + number, clusters * DIM).reshape(clusters, DIM)
            labels = torch.arange(IMAGES) * 5 % (clusters - 4)
            self.kept[f"centroids.{number}"] = unit(centroids)
            self.kept[f"densities.{number}"] = 0.2 + 0.1 * noise(2020 + number, clusters)[:, None]
            self.kept[f"labels.{number}"] = labels.double()

    def loss(self, views, step):
        self.move_teacher()
        q, k = self.query_and_key(views)
        loss = info_nce(q, k, self.kept["queue"], 0.2)
        numbers = range(2) if step >= STEPS_PER_EPOCH else ()
        for number in numbers:
            labels = self.kept[f"labels.{number}"][seen(step)].long()
            clusters = self.settings["method.clusters"][number]
            # The last four clusters have no image.
            columns = torch.cat([labels, torch.arange(clusters - 4, clusters)])
            logits = q @ self.kept[f"centroids.{number}"][columns].T
            logits = logits / self.kept[f"densities.{number}"][columns, 0]
            loss = loss + F.cross_entropy(logits, torch.arange(BATCH)) / 2
        self.push(k)
        return loss


class Obow(Method):
    settings = {
        "method.name": "obow",
        "method.words": 24,
        "method.layers": '["layer1", "layer2"]',
        "method.inv_delta": 15.0,
        "method.kappa": 8.0,
        "views.local_count": 2,
        "views.local.size": 10,
    }
    sides = [SIDE, SIDE, 10, 10]
    teacher_moves = "between"

    def build(self):
        self.student["predictor"] = nn.ModuleList()
        for level, channels in enumerate([WIDTH, 2 * WIDTH]):
            widths = [channels, 2 * self.features, self.features]
            self.student["predictor"].append(mlp(widths, biases=False))
            words = noise(2000 + level, 24 * channels).reshape(24, -1)
            self.kept[f"words.{level}"] = F.relu(words)
            self.kept[f"mean_distance.{level}"] = torch.tensor([0.5]).double()

    def loss(self, views, step):
        f = [self.student["backbone"](views[1])]
        f += self.student["backbone"](torch.cat(views[2:])).split(BATCH)
        self.move_teacher()
        with torch.no_grad():
            b = self.teacher["backbone"]
            first = b.layer1(b.relu(b.bn1(b.conv1(views[0]))))
            levels = [first, b.layer2(first)]
        losses = [self.level(level, maps, f, step) for level, maps in enumerate(levels)]
        return sum(losses) / 2

    def level(self, level, maps, f, step):
        words = self.kept[f"words.{level}"]
        with torch.no_grad():
            maps = maps[:, :, 1:-1, 1:-1]
            x = maps.flatten(2).transpose(1, 2)
            d = (x[:, :, None] - words).square().sum(dim=-1)
            mean = 0.99 * self.kept[f"mean_distance.{level}"] + 0.01 * d.min(dim=-1).values.mean()
            code = (-(15 / mean) * d).softmax(dim=-1)
            bow = code.max(dim=1).values
            bow = bow / bow.sum(dim=1, keepdim=True)
            averages = F.avg_pool2d(maps, 3, stride=1).flatten(2)
            places = [(row + 3 * step) % averages.shape[2] for row in range(BATCH)]
            new = averages[torch.arange(BATCH), :, places]
        weights = unit(self.student["predictor"][level](unit(words)))
        kl = lambda f: F.kl_div((8 * f @ weights.T).log_softmax(dim=1), bow, reduction="batchmean")
        self.kept[f"words.{level}"] = torch.cat([new, words])[:24]
        self.kept[f"mean_distance.{level}"] = mean
        return kl(f[0]) + (kl(f[1]) + kl(f[2])) / 2


class Triplet(Method):
    settings = {"method.name": "triplet"}
    teacher_moves = "after"

    def build(self):
        self.student["head"]["mlp"] = mlp([self.features, HIDDEN, DIM])
        self.student["predictor"] = mlp([DIM, HIDDEN, DIM])

    def loss(self, views, step):
        p = [unit(self.student["predictor"](self.embed(self.student, x))) for x in views]
        with torch.no_grad():
            t = [unit(self.embed(self.teacher, x)) for x in views]
        return self.one_way(p[0], t[1]) + self.one_way(p[1], t[0])

    def one_way(self, p, t):
        d = -2 * p @ t.T
        others = d.masked_fill(torch.eye(BATCH, dtype=torch.bool), math.inf)
        hard = others.sort(dim=1).values[:, 1:10].mean(dim=1)
        return F.relu(100 + 2 * d.diagonal() - hard).mean()


COMMON = {
    "data.train_size": IMAGES,
    "model.width": WIDTH,
    "model.hidden": HIDDEN,
    "model.bottleneck": DIM,
    "model.prototypes": PROTOTYPES,
    "model.partition_size": PROTOTYPES,
    "optimizer.eta": ETA,
    "optimizer.momentum": MOMENTUM,
    "optimizer.vector_lr": 1.0,
    "train.batch_size": BATCH,
    "views.global1.size": SIDE,
    "views.global2.size": SIDE,
    "views.local.size": SIDE,
}


def sketch(network, role):
    """Lengths and products with noise of all tensors, in the order of their names."""
    numbers = []
    for place, (_, w) in enumerate(sorted(network.named_parameters())):
        w = w.detach().flatten()
        x = noise(3000 + place, len(w))
        numbers.append(torch.stack([w.norm(), w @ x]))
    return {role: torch.stack(numbers)}


def densities():
    """phi of clusters of noise, of which one has a single point and one has none: PCL's formula."""
    points, dim, temperature = 60, 5, 0.2
    x = noise(4000, points * dim).reshape(points, dim).numpy()
    centroids = noise(4001, 7 * dim).reshape(7, dim).numpy() / 2
    distances = np.square(x[:, None] - centroids).sum(axis=2)
    distances[:, 5:] += 100
    distances[3, 5] = 0
    labels = distances.argmin(axis=1)
    phi = np.zeros(7)
    counts = np.bincount(labels, minlength=7)
    for cluster in np.flatnonzero(counts > 1):
        d = np.linalg.norm(x[labels == cluster] - centroids[cluster], axis=1)
        phi[cluster] = d.mean() / np.log(len(d) + 10)
    phi[counts <= 1] = phi.max()
    phi = phi.clip(np.percentile(phi, 10), np.percentile(phi, 90))
    phi = temperature * phi / phi.mean()
    found = {"points": x, "centroids": centroids, "labels": labels, "phi": phi}
    return {f"densities.{key}": torch.tensor(value) for key, value in found.items()}


def main(path):
    tensors, metadata = {}, {}
    more = [Swav, DeepClusterV2, SelaV2, InfoMin, DecayedVectors, Jigsaw, PclV2]
    for kind in Method.__subclasses__() + more:
        if "method.name" not in kind.settings:
            continue
        torch.manual_seed(0)
        method = kind()
        name = kind.fixture or kind.settings["method.name"]
        kept = {f"before.{key}": value.clone() for key, value in method.kept.items()}
        found = {"loss": method.train()}
        found |= kept | {f"after.{key}": value for key, value in method.kept.items()}
        found |= sketch(method.student, "student")
        if method.teacher is not None:
            found |= sketch(method.teacher, "teacher")
        settings = {"views.local_count": 0, "optimizer.name": kind.optimizer}
        settings["optimizer.base_lr"] = kind.lr
        settings = COMMON | settings | kind.settings
        name_first = sorted(settings.items(), key=lambda item: item[0] != "method.name")
        metadata[name] = "\n".join(f"{key}={value}" for key, value in name_first)
        tensors |= {f"{name}.{key}": x.float().contiguous() for key, x in found.items()}
        print(name, found["loss"].tolist())
    tensors |= {key: x.float() for key, x in densities().items()}
    save_file(tensors, path, metadata)


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    main(sys.argv[1])
