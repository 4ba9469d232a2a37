"""Times CARP's loss with its gradients here and in PyTorch, in turn, and prints the ratio of the
medians.

    cargo build --release
    python tools/compare_loss.py [ROUNDS]

From embeddings, forward and backward: B = 64, D = 256, K = 65536, N_B = 512, with 2 and with 8
views, two threads. On a busy machine a ratio is worthless: it looks at the load first and refuses.
Needs tools/requirements.txt.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time

import torch

import reference
from comparison import ROOT, refuse_if_busy

BATCH, DIM, PROTOTYPES, SIZE, THREADS = 64, 256, 65536, 512, 2


class Torch:
    """The loss as the authors' code computes it: all logits, then the partition."""

    def __init__(self, views):
        rng = torch.Generator().manual_seed(0)
        self.student = torch.randn(views, BATCH, DIM, generator=rng).requires_grad_()
        self.teacher = torch.randn(2, BATCH, DIM, generator=rng)
        self.prototypes = torch.randn(PROTOTYPES, DIM, generator=rng).requires_grad_()
        self.teacher_prototypes = self.prototypes.detach().clone()
        self.permutation = torch.randperm(PROTOTYPES, generator=rng)

    def seconds(self):
        start = time.perf_counter()
        logits = reference.weight_norm_linear(self.student, self.prototypes)
        with torch.no_grad():
            teacher = reference.weight_norm_linear(self.teacher, self.teacher_prototypes)
        sum(reference.carp_loss(logits, teacher, self.permutation, SIZE)).backward()
        self.student.grad = self.prototypes.grad = None
        return time.perf_counter() - start


def carp_seconds(views):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [ROOT / "target/release/carp", "bench", "loss", "--variants", "streaming"]
        settings = {
            "--views": views, "--batch": BATCH, "--dim": DIM, "--prototypes": PROTOTYPES,
            "--partition-size": SIZE, "--threads": THREADS, "--rounds": 3, "--json": file.name,
        }
        command += [str(word) for pair in settings.items() for word in pair]
        subprocess.run(command, check=True, capture_output=True)
        measured = json.load(file)
        return measured["streaming"]["seconds"], measured["streaming"]["peak_bytes"]


def main(rounds):
    torch.set_num_threads(THREADS)
    for views in (2, 8):
        peer = Torch(views)
        peer.seconds()
        times, own_times = [], []
        for _ in range(rounds):
            refuse_if_busy()
            times.append(peer.seconds())
            own, peak = carp_seconds(views)
            own_times.append(own)
        own, theirs = statistics.median(own_times), statistics.median(times)
        print(
            f"{views} views: carp {own:.3f} s and {peak / 2**20:.1f} MiB, PyTorch {theirs:.3f} s; "
            f"carp takes {own / theirs:.2f} of PyTorch's time (medians of {rounds})"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
