"""Times k-NN and k-means here and in faiss, in turn, and prints medians, their ratio and peak memory.

    cargo build --release
    python tools/compare_eval.py [ROUNDS]

10,000 features of 512 numbers against 60,000 with k = 200: the whole command `carp eval knn`, files
read and classes voted for, against the search alone of faiss's IndexFlatIP over features already
scaled. 60,000 features into 10 clusters, one start of 100 iterations: the whole command
`carp eval kmeans` against the training alone of faiss's Kmeans. Two threads each. On a busy machine a
ratio is worthless: it looks at the load first and refuses. Needs tools/requirements-eval.txt.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import faiss
import numpy as np
from safetensors.numpy import save_file

from comparison import ROOT, refuse_if_busy

CARP = str(ROOT / "target/release/carp")
DIM, CLASSES, K = 512, 10, 200


def features(rng, rows, path):
    """Weak clouds: k-means has not converged after 100 iterations."""
    labels = rng.integers(0, CLASSES, rows)
    centres = np.random.default_rng(1).standard_normal((CLASSES, DIM)) * 0.05
    x = (centres[labels] + rng.standard_normal((rows, DIM))).astype(np.float32)
    save_file({"features": x, "labels": labels}, path)
    return x


# A process starts with its parent's peak memory: this small one goes in between.
RUN = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
seconds = time.perf_counter() - start
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def command(*words):
    """Seconds, peak memory in MiB and the JSON result of one carp command."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        words = [CARP, "eval", *map(str, words), "--threads", "2", "--json", file.name]
        run = [sys.executable, "-c", RUN, *words]
        output = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        seconds, peak = map(float, output.split())
        return seconds, peak, json.loads(pathlib.Path(file.name).read_text())


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def report(name, own, other, peak, size):
    own, other = statistics.median(own), statistics.median(other)
    print(f"{name:<8} carp {own:.2f} s, faiss {other:.2f} s: {own / other:.2f} of its time;", end=" ")
    print(f"peak {peak:.0f} MiB, {peak / size:.2f} of the features' {size:.0f} MiB")


def main(rounds):
    faiss.omp_set_num_threads(2)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        train, test = (pathlib.Path(folder) / f"{name}.safetensors" for name in ("train", "test"))
        bank, queries = features(rng, 60000, train), features(rng, 10000, test)
        unit_bank, unit_queries = bank.copy(), queries.copy()
        faiss.normalize_L2(unit_bank)
        faiss.normalize_L2(unit_queries)
        index = faiss.IndexFlatIP(DIM)
        index.add(unit_bank)
        knn = ["knn", "--features", train, "--test-features", test, "--k", K]
        kmeans = ["kmeans", "--features", train, "--clusters", CLASSES, "--starts", 1]
        kmeans += ["--iterations", 100, "--max-points-per-centroid", 0, "--no-standardize"]
        times = {name: ([], []) for name in ("k-NN", "k-means")}
        peaks = {name: 0.0 for name in times}
        for _ in range(rounds):
            refuse_if_busy()
            for name, words in (("k-NN", knn), ("k-means", kmeans)):
                seconds, peak, result = command(*words)
                times[name][0].append(seconds)
                peaks[name] = max(peaks[name], peak)
            times["k-NN"][1].append(timed(lambda: index.search(unit_queries, K)))
            settings = dict(niter=100, nredo=1, spherical=True, max_points_per_centroid=10**9)
            other = faiss.Kmeans(DIM, CLASSES, **settings)
            times["k-means"][1].append(timed(lambda: other.train(bank)))
        sizes = {"k-NN": bank.nbytes + queries.nbytes, "k-means": bank.nbytes}
        print(f"{rounds} rounds in turn, two threads, load {os.getloadavg()[0]:.1f}")
        for name, (own, faiss_times) in times.items():
            report(name, own, faiss_times, peaks[name], sizes[name] / 2**20)
        print(f"k-means: {result['best_start_iterations']} iterations;", end=" ")
        products = (bank @ other.centroids.T).max(1).astype(np.float64).sum()
        print(f"sum of inner products {-result['objective']:.1f}, faiss {products:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
