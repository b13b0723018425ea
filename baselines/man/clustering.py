"""Pseudo-labels: K-means of every kind of feature, aligned to those of the fused one, and what they agree on."""

import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.man.card import Algorithm
from mdreid_bench.errors import UsageError

Labels = NDArray[np.int64]
Features = NDArray[np.float32]

_ITERATIONS = 100
_FAISS_ITERATIONS = 25
_MINI_BATCH = 2048
_MINI_PASSES = 5
_PICKED_FROM = 3
"""Rows from which a centre is picked, for each of the centres."""


def kmeans(features: Features, clusters: int, seed: int, algorithm: Algorithm = "lloyd", restarts: int = 1) -> Labels:
    """Return the cluster 0..clusters-1 of each row of ``features`` (n, D), as (n,).

    Args:
        algorithm: all begin with k-means++ (Arthur and Vassilvitskii 2007). ``lloyd`` and ``minibatch`` (Sculley
            2010) are those of scikit-learn; ``faiss`` is the first again, with a fixed number of iterations.
        restarts: of which the one with the least sum of squared distances is kept.

    Raises:
        UsageError: for faiss where it is not installed.
    """
    runs = (_once(features, clusters, seed + restart, algorithm) for restart in range(restarts))
    return min(runs, key=lambda run: run[0])[1]


def _once(features: Features, clusters: int, seed: int, algorithm: Algorithm) -> tuple[float, Labels]:
    """Return the sum of squared distances to the centres, and the labels."""
    if algorithm == "faiss":
        return _faiss(features, clusters, seed)
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    common: dict[str, Any] = {"n_clusters": clusters, "n_init": 1, "random_state": seed % 2**32}
    if algorithm == "lloyd":
        model = KMeans(max_iter=_ITERATIONS, **common)
    else:
        first = _first_centres(features, clusters, seed)
        model = MiniBatchKMeans(init=first, max_iter=_MINI_PASSES, batch_size=_MINI_BATCH, **common)
    with warnings.catch_warnings():
        # Fewer different rows than clusters leave some of them empty, which is no fault here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels: Labels = model.fit_predict(features).astype(np.int64)
    return float(model.inertia_), labels


def _faiss(features: Features, clusters: int, seed: int) -> tuple[float, Labels]:
    try:
        import faiss
    except ImportError:
        raise UsageError(
            "options.clustering=faiss needs faiss; install it with 'pip install mdreid-bench[search]', or choose "
            "minibatch."
        ) from None
    rows = np.ascontiguousarray(features, dtype=np.float32)
    size = {"min_points_per_centroid": 1, "max_points_per_centroid": len(rows)}
    model = faiss.Kmeans(rows.shape[1], clusters, niter=_FAISS_ITERATIONS, seed=seed % 2**31, **size)
    model.train(rows, init_centroids=_first_centres(rows, clusters, seed))
    distances, nearest = model.index.search(rows, 1)
    return float(distances.sum()), nearest[:, 0].astype(np.int64)


def _first_centres(features: Features, clusters: int, seed: int) -> Features:
    """Return the rows (clusters, D) that k-means++ picks, one candidate at a time, from a random part of many rows.

    That of scikit-learn tries several candidates and computes in double precision, which takes minutes for hundreds
    of clusters of thousands of values.
    """
    rng = np.random.default_rng(seed)
    part = features[rng.permutation(len(features))[: _PICKED_FROM * clusters]]
    norms = np.square(part).sum(axis=1)
    nearest, picked = np.full(len(part), np.inf), [int(rng.integers(len(part)))]
    while len(picked) < clusters:
        row = picked[-1]
        nearest = np.minimum(nearest, np.maximum(norms + norms[row] - 2 * (part @ part[row]), 0))
        nearest[row] = 0
        total = nearest.sum()
        picked.append(int(rng.choice(len(part), p=nearest / total if total > 0 else None)))
    return part[picked]


def aligned(labels: Labels, reference: Labels, clusters: int) -> Labels:
    """Return labels (n,) renamed one to one, so that as few items as possible differ from the reference (n,).

    The cost of naming cluster j of the labels i is the number of items that are in one of the two clusters alone
    (MAN, Section 3.2.3); the assignment of least total cost is that of the Hungarian algorithm.
    """
    from scipy.optimize import linear_sum_assignment

    common = np.zeros((clusters, clusters), dtype=np.int64)
    np.add.at(common, (reference, labels), 1)
    cost = common.sum(axis=1)[:, None] + common.sum(axis=0)[None, :] - 2 * common
    rows, columns = linear_sum_assignment(cost)
    names = np.empty(clusters, dtype=np.int64)
    names[columns] = rows
    renamed: Labels = names[labels]
    return renamed


def consistency(labels: Mapping[str, Labels]) -> NDArray[np.float64]:
    """Return (n,) the share of pairs of kinds of features whose aligned labels agree (MAN, Eq. 5)."""
    pairs = list(combinations(labels.values(), 2))
    agreed: NDArray[np.float64] = np.mean([first == second for first, second in pairs], axis=0)
    return agreed


def nearest_to_centres(features: Features, labels: Labels, each: int) -> NDArray[np.bool_]:
    """Return (n,) which rows of ``features`` (n, D) are among the ``each`` nearest to the mean of their cluster."""
    chosen = np.zeros(len(features), dtype=np.bool_)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        distances = np.linalg.norm(features[rows] - features[rows].mean(axis=0), axis=1)
        chosen[rows[np.argsort(distances, kind="stable")[:each]]] = True
    return chosen
