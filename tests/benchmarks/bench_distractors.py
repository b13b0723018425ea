"""Time and memory of ranking among distractors on disk, the hash of their file counted in.

With ``MDREID_BENCH_FULL=1`` there are 1,000,000 x 2,048 float32 values (8 GB in the temporary folder) in place of
50,000 x 512. All data are random.
"""

from pathlib import Path

import numpy as np

from mdreid_bench.search.distractors import VectorFolder
from protocols.distractors import nested, rank_among
from protocols.exclusion import Exclusion
from protocols.modality import Modality
from protocols.tie_groups import Ranking
from tests.benchmarks.bench_ranking import gallery_on_disk
from tests.benchmarks.measuring import FULL, MEBIBYTE, Benchmark, require, resident_growth
from tests.protocols.cases import labels

QUERIES = 836
"""Queries and gallery items, as in RGBNT201."""


def test_distractors_on_disk(benchmark: Benchmark, tmp_path: Path) -> None:
    items, width = (1_000_000, 2048) if FULL else (50_000, 512)
    gallery_on_disk(tmp_path / "R.npy", items, width, np.float32)
    rng = np.random.default_rng(4)
    query, gallery = (labels(rng, QUERIES, 30, 4) for _ in range(2))
    asked, offered = (rng.standard_normal((QUERIES, width), dtype=np.float32) for _ in range(2))

    def work() -> list[Ranking]:
        vectors = VectorFolder(tmp_path).load(Modality.R)
        _, levels = nested(len(vectors))
        return rank_among(asked, offered, query, gallery, Exclusion.CAMERA, vectors.blocks(), levels)

    with resident_growth() as growth:
        rankings = benchmark.pedantic(work, rounds=1)
        grown = growth()
    assert rankings[-1].items.min() >= items
    what = f"{QUERIES} queries among {items:,} x {width:,} float32 distractors on disk"
    require(benchmark, f"memory added by {what}", grown / MEBIBYTE, 2048, "MiB")
    if FULL:
        require(benchmark, f"time of {what}", benchmark.stats["max"], 900, "s")
