"""Time and memory of clustering as many items as Market1501-MM has for training, on random features."""

import numpy as np
import pytest
from numpy.typing import NDArray

from baselines.man.card import Algorithm
from baselines.man.clustering import kmeans
from tests.benchmarks.measuring import MEBIBYTE, Benchmark, require, resident_growth

ITEMS, WIDTH, CLUSTERS = 12_936, 6_144, 751


def features() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return items of unit length around random centres, and their true clusters."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, CLUSTERS, ITEMS)
    rows = rng.standard_normal((CLUSTERS, WIDTH), dtype=np.float32)[true]
    for start in range(0, ITEMS, 1000):
        part = rows[start : start + 1000]
        part += 1.5 * rng.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return rows, true


@pytest.mark.parametrize("algorithm", ["minibatch", "faiss"])
def test_clustering(benchmark: Benchmark, algorithm: Algorithm) -> None:
    if algorithm == "faiss":
        pytest.importorskip("faiss")
    with resident_growth() as growth:
        rows, true = features()
        found = benchmark.pedantic(kmeans, args=(rows, CLUSTERS, 0, algorithm), rounds=1)
        grown = growth()
    same = sum(int(np.bincount(true[found == name]).max()) for name in np.unique(found))
    benchmark.extra_info["purity"] = round(same / ITEMS, 3)
    what = f"clustering {ITEMS:,} x {WIDTH:,} values into {CLUSTERS} with {algorithm}"
    require(benchmark, f"time of {what}", benchmark.stats["max"], 60, "seconds")
    require(benchmark, f"memory added by {what}, the values included", grown / MEBIBYTE, 2048, "MiB")
