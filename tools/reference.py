"""CARP's training step in PyTorch: the reference for the Rust program.

Holds the ResNet with torchvision's names, the projection head, the loss over random partitions,
LARS, and one training step. Everything follows the parameters' dtype, so the same code gives the
float64 truth and the float32 result. The loss is written from its definition; gradients come from
autograd, not from the closed form.

Letters: V views, B images, K prototypes, N_B prototypes a block, P = K // N_B blocks.
"""

import copy
import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

EPS = 2.0**-23
"""Both clamps of the loss: the machine epsilon of float32."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (ResNet-18 and 34)."""

    expansion = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 and a shortcut (ResNet-50)."""

    expansion = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def shortcut(inputs, outputs, stride):
    """The identity, or a strided 1x1 convolution if the shape changes."""
    if inputs == outputs and stride == 1:
        return nn.Identity()
    conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


ARCHITECTURES = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """torchvision's ResNet without `fc`, with a width, a number of input channels and two stems.

    `imagenet`: 7x7 convolution of stride 2, BN, ReLU, 3x3 max-pool of stride 2.
    `cifar`: 3x3 convolution of stride 1, BN, ReLU.
    """

    def __init__(self, arch, stem, width, in_channels):
        super().__init__()
        block, depths = ARCHITECTURES[arch]
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(in_channels, width, 7, 2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        elif stem == "cifar":
            self.conv1 = nn.Conv2d(in_channels, width, 3, 1, padding=1, bias=False)
            self.maxpool = nn.Identity()
        else:
            raise ValueError(f"stem {stem}: not imagenet or cifar")
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        inputs = width
        for stage, depth in enumerate(depths):
            blocks = []
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(block(inputs, width << stage, stride))
                inputs = (width << stage) * block.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.features = inputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


class WeightNormLinear(nn.Module):
    """y = x w^T with w_c = v_c / |v_c|: weight norm of gain 1, without bias."""

    def __init__(self, inputs, outputs):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight_v = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))

    def forward(self, x):
        return weight_norm_linear(x, self.weight_v)


def weight_norm_linear(x, weight_v):
    """x [N,D], weight_v [K,D] -> [N,K]."""
    return F.linear(x, weight_v / weight_v.norm(dim=1, keepdim=True))


class Head(nn.Module):
    """Projection to the bottleneck, then the logits of the K prototypes."""

    def __init__(self, features, hidden, bottleneck, prototypes):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(features, hidden),
            nn.BatchNorm1d(hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        for module in self.mlp:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.last_layer = WeightNormLinear(bottleneck, prototypes)

    def forward(self, x):
        return self.last_layer(self.mlp(x))


class Network(nn.Module):
    """Backbone and head over a list of views of several sizes."""

    def __init__(self, backbone, head):
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, views):
        """Views [B,C,S,S] -> logits [V,B,K]: the backbone runs once per run of views of equal
        width, the head once on all rows."""
        groups = [list(group) for _, group in itertools.groupby(views, key=lambda x: x.shape[-1])]
        features = torch.cat([self.backbone(torch.cat(group)) for group in groups])
        return self.head(features).unflatten(0, (len(views), -1))


def network(settings):
    """The network of an audit file's or a benchmark's settings."""
    backbone = ResNet(
        settings["arch"], settings["stem"], settings["width"], settings["in_channels"]
    )
    head = Head(
        backbone.features, settings["hidden"], settings["bottleneck"], settings["prototypes"]
    )
    return Network(backbone, head)


def partition(logits, permutation, partition_size):
    """[V,B,K] -> probabilities [V,B,P,N_B], softmax inside each block. What N_B does not divide
    sits out."""
    blocks = logits.shape[-1] // partition_size
    index = permutation[: blocks * partition_size]
    return logits[..., index].unflatten(-1, (blocks, partition_size)).softmax(dim=-1)


def agreement(p, q):
    """d_ij [B,P] of each pair (student view i, teacher view j), i != j."""
    pairs = [(i, j) for i in range(p.shape[0]) for j in range(2) if i != j]
    return torch.stack([(p[i] * q[j]).sum(dim=-1) for i, j in pairs])


def block_means(p, q):
    """m [P,N_B]: the mean probability over the V B student rows and 2 B teacher rows."""
    return torch.cat([p, q]).flatten(0, 1).mean(dim=0)


def carp_loss(student, teacher, permutation, partition_size):
    """student [V,B,K], teacher [2,B,K] -> consistency, entropy (scalars; the loss is their sum)."""
    p = partition(student, permutation, partition_size)
    q = partition(teacher.detach(), permutation, partition_size)
    consistency = -agreement(p, q).clamp(EPS, 1 - EPS).log().mean()
    m = block_means(p, q)
    per_block = math.log(partition_size) + (m * m.clamp(EPS, 1 - EPS).log()).sum(dim=-1)
    return consistency, per_block.mean()


class Lars(torch.optim.Optimizer):
    """LARS with heavy-ball momentum; the learning rate stays outside the buffer.

    More than one dimension: u = g + wd w, times eta |w| / |u| where both norms are above 0.
    One dimension: u = g. Then buffer = momentum buffer + u and w -= lr buffer.
    """

    def __init__(self, params, lr, momentum, weight_decay, eta):
        defaults = dict(lr=lr, momentum=momentum, weight_decay=weight_decay, eta=eta)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                u = w.grad
                if w.ndim > 1:
                    u = u + group["weight_decay"] * w
                    w_norm, u_norm = w.norm(), u.norm()
                    if w_norm > 0 and u_norm > 0:
                        u = u * (group["eta"] * w_norm / u_norm)
                state = self.state[w]
                if "buffer" not in state:
                    state["buffer"] = torch.zeros_like(w)
                state["buffer"].mul_(group["momentum"]).add_(u)
                w.sub_(state["buffer"], alpha=group["lr"])


def optimizer(model, settings):
    """`lars` or `sgd`; only tensors of more than one dimension decay."""
    params = list(model.parameters())
    groups = [
        {"params": [w for w in params if w.ndim > 1], "weight_decay": settings["weight_decay"]},
        {"params": [w for w in params if w.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings["optimizer"] == "lars":
        return Lars(groups, 0.0, settings["momentum"], 0.0, settings["eta"])
    if settings["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=settings["momentum"])
    raise ValueError(f"optimizer {settings['optimizer']}: not lars or sgd")


class Trainer:
    """A student, its teacher and the optimizer."""

    def __init__(self, student, settings):
        self.student = student.train()
        self.teacher = copy.deepcopy(student).requires_grad_(False)
        self.optimizer = optimizer(student, settings)
        self.partition_size = settings["partition_size"]

    def step(self, views, permutation, lr, teacher_momentum):
        """One step on the views (0 and 1 are the global ones) -> loss, consistency, entropy."""
        student = self.student(views)
        with torch.no_grad():
            teacher = self.teacher(views[:2])
        consistency, entropy = carp_loss(student, teacher, permutation, self.partition_size)
        loss = consistency + entropy
        # The teacher follows the student's weights from before this step's update.
        with torch.no_grad():
            for t, s in zip(self.teacher.parameters(), self.student.parameters()):
                t.mul_(teacher_momentum).add_(s, alpha=1 - teacher_momentum)
        self.optimizer.zero_grad()
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return loss.detach(), consistency.detach(), entropy.detach()


def cosine_schedule(base, final, steps, warmup_steps, warmup_start):
    """float64 values of all steps: a linear warm-up that reaches `base`, then a half cosine over
    the rest; `final` is approached, never reached."""
    warmup = torch.linspace(warmup_start, base, warmup_steps, dtype=torch.float64)
    rest = steps - warmup_steps
    t = torch.arange(rest, dtype=torch.float64)
    cosine = final + (base - final) * (1 + torch.cos(math.pi * t / rest)) / 2
    return torch.cat([warmup, cosine])
