"""Distractors on disk: time and memory of an exact ranking, the hash of their file counted in, and indexes of FAISS.

With ``MDREID_BENCH_FULL=1`` there are 1,000,000 x 2,048 float32 values (8 GB in the temporary folder) in place of
50,000 x 512; an index that keeps them as they are takes as much memory. All data are random.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mdreid_bench.search.distractors import VectorFolder
from mdreid_bench.search.recall import TOP, recall
from mdreid_bench.search.vectors import faiss_index
from protocols.distractors import nested, rank_among
from protocols.exclusion import Exclusion
from protocols.modality import Modality
from protocols.tie_groups import Ranking
from tests.benchmarks.bench_ranking import gallery_on_disk
from tests.benchmarks.measuring import FULL, MEBIBYTE, Benchmark, require, resident_growth
from tests.protocols.cases import labels

QUERIES = 836
"""Queries and gallery items, as in RGBNT201."""
ITEMS, WIDTH = (1_000_000, 2048) if FULL else (50_000, 512)
IN_A_CLUSTER, NOISE = 50, 0.7
"""Vectors around one centre of length 1, and how far from it they are; two of them have a cosine of about 0.67."""
TRAINED_ON, PROBES = 50_000 if FULL else 10_000, 16
"""Vectors that an index is trained on (of full sizes, as many as in ``score``), and lists that a query looks into."""


def test_distractors_on_disk(benchmark: Benchmark, tmp_path: Path) -> None:
    gallery_on_disk(tmp_path / "R.npy", ITEMS, WIDTH, np.float32)
    rng = np.random.default_rng(4)
    query, gallery = (labels(rng, QUERIES, 30, 4) for _ in range(2))
    asked, offered = (rng.standard_normal((QUERIES, WIDTH), dtype=np.float32) for _ in range(2))

    def work() -> list[Ranking]:
        vectors = VectorFolder(tmp_path).load(Modality.R)
        _, levels = nested(len(vectors))
        return rank_among(asked, offered, query, gallery, Exclusion.CAMERA, vectors.blocks(), levels)

    with resident_growth() as growth:
        rankings = benchmark.pedantic(work, rounds=1)
        grown = growth()
    assert rankings[-1].items.min() >= ITEMS
    what = f"{QUERIES} queries among {ITEMS:,} x {WIDTH:,} float32 distractors on disk"
    require(benchmark, f"memory added by {what}", grown / MEBIBYTE, 2048, "MiB")
    if FULL:
        require(benchmark, f"time of {what}", benchmark.stats["max"], 900, "s")


class Clusters:
    """Vectors of unit length around random centres, written to a folder of vectors; and queries around the same.

    Without centres they point anywhere, and then no index that looks into a part of them can find the nearest.
    """

    def __init__(self, folder: Path, clustered: bool) -> None:
        rng = np.random.default_rng(7)
        self.centres = np.zeros((ITEMS // IN_A_CLUSTER, WIDTH), dtype=np.float32)
        if clustered:
            self.centres = self.around(rng, np.zeros_like(self.centres))
        stored = np.lib.format.open_memmap(folder / "R.npy", mode="w+", dtype=np.float32, shape=(ITEMS, WIDTH))
        for start in range(0, ITEMS, 20_000):
            part = stored[start : start + 20_000]
            part[:] = self.around(rng, self.centres[rng.integers(len(self.centres), size=len(part))])
        stored.flush()
        self.identity = rng.integers(len(self.centres), size=QUERIES)
        self.queries = self.around(rng, self.centres[self.identity])
        self.vectors = VectorFolder(folder).load(Modality.R)

    @staticmethod
    def around(rng: np.random.Generator, centres: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a vector of unit length around each centre, (n, E)."""
        found = centres + np.float32(NOISE / WIDTH**0.5) * rng.standard_normal(centres.shape, dtype=np.float32)
        result: NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
        return result


@pytest.fixture(scope="module")
def clusters(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    pytest.importorskip("faiss")
    folder = tmp_path_factory.mktemp("clusters")
    yield Clusters(folder, request.param == "clustered")
    (folder / "R.npy").unlink()


@pytest.mark.parametrize(
    ("clusters", "factory"),
    [("clustered", "IVF1024,Flat"), ("clustered", "IVF1024,PQ64"), ("uniform", "IVF1024,Flat")],
    indirect=["clusters"],
)
def test_index_of_distractors(benchmark: Benchmark, clusters: Clusters, factory: str) -> None:
    """What ``score --distractors --factory --probes`` does with its largest gallery."""
    rows = np.sort(np.random.default_rng(8).choice(ITEMS, TRAINED_ON, replace=False))
    sample, vectors = clusters.vectors.matrix[rows], clusters.vectors
    index = benchmark.pedantic(lambda: faiss_index(vectors.blocks(), sample, ITEMS, factory, PROBES), rounds=1)
    found = recall(index, factory, clusters.queries, clusters.identity, vectors.blocks).row()
    assert found["recall@1"] > found["recall@1_chance"]
    for k in TOP:
        low, high = (found[f"recall@{k}_{end}"] for end in ("low", "high"))
        benchmark.extra_info[f"recall@{k} in %"] = f"{found[f'recall@{k}']:.1f} [{low:.1f}, {high:.1f}]"
    benchmark.extra_info["queries a second"] = round(found["queries_per_second"])
    benchmark.extra_info["of the exact search"] = round(found["exact_queries_per_second"], 1)
