"""Generates fixtures/eval/*.safetensors: evaluations of small synthetic features by other programs.

Usage: python tools/golden_eval.py OUT_DIR

k-NN, the SVMs and the clustering scores come from scikit-learn, k-means from faiss and
scikit-learn; retrieval and copy detection are written out here from their published descriptions.
Needs tools/requirements-eval.txt.
"""

import json
import pathlib
import sys

import faiss
import numpy as np
from safetensors.numpy import save_file
from scipy.optimize import linear_sum_assignment
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


def clouds(rng, centres, labels, spread):
    """Normal clouds around the centres of their labels."""
    noise = rng.standard_normal((len(labels), centres.shape[1]))
    return (centres[labels] + spread * noise).astype(np.float32)


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def knn(rng):
    centres = rng.standard_normal((7, 24))
    labels, test_labels = rng.integers(0, 7, 500), rng.integers(0, 7, 200)
    train, test = (clouds(rng, centres, y, 1.5) for y in (labels, test_labels))
    tensors = {"features": train, "labels": labels, "test": test, "test_labels": test_labels}
    for k in (1, 10, 60, 200):
        votes = KNeighborsClassifier(
            k,
            metric="cosine",
            algorithm="brute",
            weights=lambda distance: np.exp((1 - distance) / 0.07),
        )
        votes.fit(train.astype(np.float64), labels)
        shares = votes.predict_proba(test.astype(np.float64))
        tensors[f"predictions.{k}"] = votes.predict(test.astype(np.float64))
        tensors[f"first_five.{k}"] = np.argsort(-shares, axis=1, kind="stable")[:, :5]
        # The order of classes without votes is only ours.
        tensors[f"voted.{k}"] = (shares > 0).sum(1)
    return tensors


def area_under_envelope(precision, recall):
    """PASCAL VOC since 2010."""
    precision = np.concatenate([[0], precision, [0]])
    recall = np.concatenate([[0], recall, [1]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return ((recall[steps + 1] - recall[steps]) * precision[steps + 1]).sum()


def eleven_points(precision, recall):
    """The PASCAL VOC 2007 devkit."""
    # In whole tenths, since recall may miss one by a rounding error.
    at = [precision[recall >= t / 10 - 1e-12].max(initial=0) for t in range(11)]
    return np.mean(at)


def precision_recall(scores, positive):
    hits = np.cumsum(positive[np.argsort(-scores, kind="stable")])
    return hits / np.arange(1, len(hits) + 1), hits / positive.sum()


def svm(rng):
    classes, dim = 6, 20
    directions = rng.standard_normal((dim, classes))

    def multi(n):
        x = rng.standard_normal((n, dim)).astype(np.float32) * rng.uniform(0.5, 2, (n, 1))
        margin = x @ directions + 2 * rng.standard_normal((n, classes)) - 3
        y = np.where(margin > 0, 1, -1)
        y[rng.random((n, classes)) < 0.06] = 0
        return x.astype(np.float32), y

    (train, labels), (test, test_labels) = multi(260), multi(300)
    tensors = {"features": train, "labels": labels, "test": test, "test_labels": test_labels}

    def scaled(x):
        return x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-5)

    for cost in (0.5, 4.0):
        for difficult in ("negative", "ignored"):
            decisions, areas, points = [], [], []
            for c in range(classes):
                y, test_y = labels[:, c], test_labels[:, c]
                used = y != 0 if difficult == "ignored" else np.full(len(y), True)
                counted = test_y != 0 if difficult == "ignored" else np.full(len(test_y), True)
                machine = LinearSVC(
                    C=cost,
                    class_weight={1: 2, -1: 1},
                    intercept_scaling=1.0,
                    penalty="l2",
                    loss="squared_hinge",
                    tol=1e-4,
                    dual=True,
                    max_iter=2000,
                    random_state=0,
                )
                machine.fit(scaled(train)[used], np.where(y[used] == 1, 1, -1))
                decision = machine.decision_function(scaled(test))
                curve = precision_recall(decision[counted], test_y[counted] == 1)
                decisions.append(decision)
                areas.append(area_under_envelope(*curve))
                points.append(eleven_points(*curve))
            name = f"{cost}.{difficult}"
            tensors[f"decisions.{name}"] = np.stack(decisions)
            tensors[f"map.{name}"] = np.array([np.mean(areas), np.mean(points)])
    return tensors


def scores(rng):
    n = 300
    zeros, singletons = np.zeros(n, int), np.arange(n)
    few, many = rng.integers(0, 5, n), rng.integers(0, 40, n)
    noisy = np.where(rng.random(n) < 0.7, few, rng.integers(0, 5, n))
    with_empty = np.array([0, 2, 3, 6, 9])[noisy]
    skewed = np.minimum(rng.geometric(0.6, n) - 1, 12)
    pairs = {
        "random": (few, many),
        "agreeing": (few, noisy),
        "equal": (few, few),
        "renamed": (few, (few + 3) % 5),
        "empty_cluster": (few, with_empty),
        "one_cluster": (few, zeros),
        "one_class": (zeros, few),
        "one_of_both": (zeros, zeros),
        "singleton_clusters": (few, singletons),
        "singleton_classes": (singletons, many),
        "singletons": (singletons, singletons[::-1]),
        "skewed": (skewed, few),
        "two_images": (np.array([0, 1]), np.array([0, 0])),
        "one_image": (np.array([3]), np.array([1])),
        "large": (rng.integers(0, 10, 20000), rng.integers(0, 13, 20000)),
        "large_agreeing": (few_large := rng.integers(0, 10, 20000), few_large // 2),
    }
    tensors = {}
    for name, (classes, clusters) in pairs.items():
        table = metrics.cluster.contingency_matrix(classes, clusters)
        rows, columns = linear_sum_assignment(-table)
        values = [
            metrics.normalized_mutual_info_score(classes, clusters),
            metrics.adjusted_mutual_info_score(classes, clusters),
            metrics.adjusted_rand_score(classes, clusters),
            metrics.fowlkes_mallows_score(classes, clusters),
            *metrics.homogeneity_completeness_v_measure(classes, clusters),
            table[rows, columns].sum() / len(classes),
        ]
        tensors[f"classes.{name}"] = classes
        tensors[f"clusters.{name}"] = clusters
        tensors[f"scores.{name}"] = np.array(values, np.float64)
    return tensors


def inertia(points, centroids):
    points, centroids = points.astype(np.float64), centroids.astype(np.float64)
    return ((points[:, None] - centroids[None]) ** 2).sum(2).min(1).sum()


def products(points, centroids):
    return (points.astype(np.float64) @ centroids.astype(np.float64).T).max(1).sum()


def kmeans(rng):
    k, dim = 8, 12
    labels = rng.integers(0, k, 1500)
    points = clouds(rng, 2 * rng.standard_normal((k, dim)), labels, 1.0)
    points = points * rng.uniform(0.2, 4, dim).astype(np.float32) + 1
    settings = dict(niter=100, nredo=10, seed=1234, max_points_per_centroid=10**9)
    euclidean = faiss.Kmeans(dim, k, **settings)
    euclidean.train(points)
    spherical = faiss.Kmeans(dim, k, spherical=True, **settings)
    spherical.train(points)
    standard = StandardScaler().fit_transform(points.astype(np.float64)).astype(np.float32)
    faiss_standard = faiss.Kmeans(dim, k, spherical=True, **settings)
    faiss_standard.train(standard)
    sklearn = KMeans(k, n_init=10, max_iter=100, tol=0, random_state=0).fit(points)
    values = [
        inertia(points, euclidean.centroids),
        products(points, spherical.centroids),
        products(standard, faiss_standard.centroids),
        inertia(points, sklearn.cluster_centers_),
    ]
    names = ["faiss_inertia", "faiss_products", "faiss_products_standardized", "sklearn_inertia"]
    tensors = {name: np.array([value]) for name, value in zip(names, values)}
    assigned = faiss_standard.index.search(standard, 1)[1][:, 0]
    tensors["faiss_nmi_standardized"] = np.array(
        [metrics.normalized_mutual_info_score(labels, assigned)]
    )
    return tensors | {"features": points, "labels": labels}


def revisited(order, easy, hard, junk, kinds):
    """One query of the revisited benchmark: AP by trapezoids, precision at 1, 5 and 10."""
    named = {"easy": easy, "hard": hard, "junk": junk}
    good = [row for kind in kinds[0] for row in named[kind]]
    bad = {row for kind in kinds[1] for row in named[kind]}
    if not good:
        return [np.nan] * 4
    left = [row for row in order if row not in bad]
    hits = [row in good for row in left]
    ap, found, before = 0.0, 0, 1.0
    for rank, hit in enumerate(hits, 1):
        found += hit
        after = found / rank
        if hit:
            ap += (before + after) / 2 / len(good)
        before = after
    last = max(rank for rank, hit in enumerate(hits, 1) if hit)
    return [ap] + [sum(hits[: min(k, last)]) / min(k, last) for k in (1, 5, 10)]


def retrieval(rng):
    n, dim = 80, 12
    centres = rng.standard_normal((5, dim))
    database = clouds(rng, centres, rng.integers(0, 5, n), 0.8)
    queries = clouds(rng, centres, np.array([0, 1, 2, 3, 4, 0, 1]), 0.8)
    tensors = {"features": database, "test": queries}
    relevance = {"easy": [], "hard": [], "junk": []}
    similarity = unit(queries.astype(np.float64)) @ unit(database.astype(np.float64)).T
    table = {"easy": [], "medium": [], "hard": []}
    # Sizes of easy, hard, junk: with none of one kind, none of two, and none at all.
    sizes = [(5, 6, 4), (3, 2, 12), (0, 4, 3), (4, 0, 5), (2, 7, 0), (0, 0, 6), (1, 1, 1)]
    for query, (e, h, j) in enumerate(sizes):
        order = np.argsort(-similarity[query], kind="stable")
        # Mostly from the front of the ranking, so that junk is interleaved with the matches.
        near = rng.permutation(np.concatenate([order[:18], rng.permutation(order[18:])[:6]]))
        easy, hard, junk = near[:e], near[e : e + h], near[e + h : e + h + j]
        for name, rows in zip(relevance, (easy, hard, junk)):
            relevance[name].append(rows.tolist())
        case = order, easy, hard, junk
        table["easy"].append(revisited(*case, (["easy"], ["junk", "hard"])))
        table["medium"].append(revisited(*case, (["easy", "hard"], ["junk"])))
        table["hard"].append(revisited(*case, (["hard"], ["junk", "easy"])))
    for name, rows in table.items():
        tensors[f"ap.{name}"] = np.array(rows)[:, 0]
        tensors[f"means.{name}"] = np.nanmean(rows, axis=0)
    return tensors, {"relevance": json.dumps(relevance)}


def copy_detection(rng):
    dim = 16
    names = [f"{2000 + i // 2}{i % 2:02}.jpg" if i < 6 else f"{2100 + i}00.jpg" for i in range(40)]
    originals = rng.standard_normal((40, dim))
    blocks = []
    queries = []
    for block, spread, count in (("strong", 1.0, 25), ("jpegqual/15", 0.3, 40)):
        chosen = rng.integers(0, 40, count) if block == "strong" else np.arange(40)
        edited = [f"{names[i][:4]}{7 + j % 3:02}.jpg" for j, i in enumerate(chosen)]
        blocks.append({"name": block, "queries": edited})
        queries.append(originals[chosen] + spread * rng.standard_normal((count, dim)))
    mix = rng.standard_normal((dim, dim)) + 2 * rng.standard_normal((1, dim))
    sets = {
        "originals": originals @ mix,
        "queries": np.concatenate(queries) @ mix,
        "distractors": rng.standard_normal((120, dim)) @ mix,
        # Rank-deficient, so that the floor of the eigenvalues matters.
        "whitening": (rng.standard_normal((200, dim - 2)) @ mix[: dim - 2]),
    }
    sets = {name: x.astype(np.float32) for name, x in sets.items()}
    x = unit(sets["whitening"].astype(np.float64))
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    values = np.maximum(values, values.max() * 1e-5)
    matrix = np.diag(values**-0.5) @ vectors.T
    tensors = dict(sets)
    for white in (False, True):
        for distracted in (False, True):
            for top in (20, 0):
                base = sets["originals"]
                if distracted:
                    base = np.concatenate([base, sets["distractors"]])
                base, asked = (unit(x.astype(np.float64)) for x in (base, sets["queries"]))
                if white:
                    base, asked = unit(base @ matrix.T), unit(asked @ matrix.T)
                means, start = [], 0
                for block in blocks:
                    aps = []
                    for row, name in enumerate(block["queries"], start):
                        order = np.argsort(-(base @ asked[row]), kind="stable")
                        good = [i for i, other in enumerate(names) if other[:4] == name[:4]]
                        aps.append(trapezoids(order[: top or None], good))
                    start += len(aps)
                    means.append(np.mean(aps))
                key = f"map.{'white' if white else 'plain'}.{'more' if distracted else 'own'}.{top}"
                tensors[key] = np.array(means)
    return tensors, {"names": json.dumps({"originals": names, "blocks": blocks})}


def trapezoids(order, good):
    ap, found, before = 0.0, 0, 1.0
    for rank, row in enumerate(order, 1):
        hit = row in good
        found += hit
        after = found / rank
        ap += hit * (before + after) / 2 / len(good)
        before = after
    return ap


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    faiss.omp_set_num_threads(1)
    for seed, make in enumerate([knn, svm, scores, kmeans, retrieval, copy_detection]):
        made = make(np.random.default_rng(seed))
        tensors, metadata = made if isinstance(made, tuple) else (made, None)
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            if tensor.dtype.kind == "i":
                is_small = tensor.min() >= 0 and tensor.max() < 256
                tensors[name] = tensor.astype(np.uint8 if is_small else np.int32)
        save_file(tensors, folder / f"{make.__name__}.safetensors", metadata=metadata)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
