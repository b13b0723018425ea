"""Time of ranking and metrics, against the time of sorting the same scores in the same run.

With ``MDREID_BENCH_FULL=1`` the gallery on disk has 1,000,000 x 2,048 values (4 GB in the temporary folder) in place
of 100,000 x 512. All data are random.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols import scoring
from protocols.bootstrap import interval
from protocols.evaluation import PerQuery, evaluate
from protocols.exclusion import Exclusion, Labels
from protocols.ranking import rank, rank_embeddings
from tests.benchmarks.measuring import FULL, MEBIBYTE, Benchmark, ratio, require, resident_growth
from tests.protocols.cases import labels

QUERIES, ITEMS, IDENTITIES, CAMERAS = 1715, 8575, 50, 8


class Problem:
    """The shape of RGBNT100 with normally distributed scores."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.scores = rng.standard_normal((QUERIES, ITEMS), dtype=np.float32)
        self.query = labels(rng, QUERIES, IDENTITIES, CAMERAS)
        self.gallery = labels(rng, ITEMS, IDENTITIES, CAMERAS)

    def sort(self) -> NDArray[np.float32]:
        return np.sort(self.scores, axis=1)

    def metrics(self, scores: NDArray[Any]) -> PerQuery:
        return evaluate(rank(scores, self.query, self.gallery, Exclusion.CAMERA))


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem()


def reference_loop(problem: Problem, rows: int) -> list[float]:
    """Average precision as evaluation scripts of the field compute it: sort all indices, then loop over queries."""
    order = np.argsort(-problem.scores[:rows], axis=1)
    matches = (problem.gallery.identity[order] == problem.query.identity[:rows, None]).astype(np.int32)
    result = []
    for row in range(rows):
        same_camera = problem.gallery.camera[order[row]] == problem.query.camera[row]
        hits = matches[row][~(same_camera & (matches[row] == 1))]
        running = hits.cumsum() / np.arange(1, len(hits) + 1.0)
        result.append(float((running * hits).sum() / hits.sum()))
    return result


def test_sort_of_the_score_matrix(benchmark: Benchmark, problem: Problem) -> None:
    benchmark(problem.sort)


@pytest.mark.parametrize("ties", ["no ties", "some ties", "ties everywhere"])
def test_metrics_from_the_score_matrix(benchmark: Benchmark, problem: Problem, ties: str) -> None:
    decimals = {"some ties": 1, "ties everywhere": 0}.get(ties)
    scores = problem.scores if decimals is None else problem.scores.round(decimals)
    benchmark(problem.metrics, scores)
    times = ratio(lambda: problem.metrics(scores), problem.sort)
    what = f"metrics of {QUERIES} x {ITEMS} scores ({ties}), against numpy.sort of the same scores"
    require(benchmark, what, times, 4, "times")


def test_reference_loop(benchmark: Benchmark, problem: Problem) -> None:
    values = benchmark.pedantic(reference_loop, args=(problem, QUERIES), rounds=2)
    exact = problem.metrics(problem.scores)
    untied = exact.tied_positives == 0
    np.testing.assert_allclose(np.array(values)[untied], exact.ap[untied], rtol=1e-9)
    times = ratio(lambda: reference_loop(problem, QUERIES), problem.sort, rounds=2)
    benchmark.extra_info["times of one sort"] = round(times, 2)


@pytest.mark.parametrize("way", ["of this processor", "of any processor"])
def test_scores_that_know_no_place(benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "of any processor":
        monkeypatch.setattr(scoring, "openblas_kernels", lambda: None)
    rng = np.random.default_rng(5)
    left = rng.standard_normal((QUERIES, 2048), dtype=np.float32)
    right = rng.standard_normal((ITEMS, 2048), dtype=np.float32)
    out = np.empty((QUERIES, ITEMS), dtype=np.float32)
    benchmark.pedantic(scoring.inner_products, args=(left, right, out), rounds=3)
    times = ratio(
        lambda: scoring.inner_products(left, right, out), lambda: np.matmul(left, right.T, out=out), rounds=3
    )
    what = f"scores of {QUERIES} x {ITEMS} x 2048 that know no place, the way {way}, against one float32 product"
    require(benchmark, what, times, 4, "times")


def test_ranking_from_embeddings(benchmark: Benchmark, problem: Problem) -> None:
    rng = np.random.default_rng(1)
    left = rng.standard_normal((QUERIES, 2048), dtype=np.float32)
    right = rng.standard_normal((ITEMS, 2048), dtype=np.float32)
    arguments = (left, right, problem.query, problem.gallery, Exclusion.CAMERA)
    benchmark.pedantic(rank_embeddings, args=arguments, rounds=3)
    times = ratio(lambda: rank_embeddings(*arguments), lambda: left @ right.T, rounds=3)
    benchmark.extra_info["times of one matrix product"] = round(times, 2)


def test_bootstrap_interval(benchmark: Benchmark, problem: Problem) -> None:
    values = np.random.default_rng(2).random(QUERIES)
    benchmark(interval, values, problem.query.identity)
    assert benchmark.stats["median"] < 0.02


def gallery_on_disk(path: Path, items: int, width: int, dtype: type[np.floating[Any]] = np.float16) -> NDArray[Any]:
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(items, width))
    rng = np.random.default_rng(3)
    for start in range(0, items, 20_000):
        stop = min(start + 20_000, items)
        stored[start:stop] = rng.standard_normal((stop - start, width), dtype=np.float32)
    stored.flush()
    del stored
    mapped: NDArray[Any] = np.load(path, mmap_mode="r")
    return mapped


def test_ranking_a_gallery_on_disk(benchmark: Benchmark, tmp_path: Path) -> None:
    items, width = (1_000_000, 2048) if FULL else (100_000, 512)
    rng = np.random.default_rng(4)
    gallery = gallery_on_disk(tmp_path / "gallery.npy", items, width)
    query = rng.standard_normal((1000, width), dtype=np.float32)
    known, others = labels(rng, items // 10, 500, CAMERAS), labels(rng, items - items // 10, 1, CAMERAS)
    identity = np.concatenate([known.identity, others.identity - 1])
    gallery_labels = Labels(identity, np.concatenate([known.camera, others.camera]), np.zeros(items, dtype=np.int64))
    arguments = (query, gallery, labels(rng, 1000, 500, CAMERAS), gallery_labels, Exclusion.CAMERA)
    with resident_growth() as growth:
        ranking = benchmark.pedantic(rank_embeddings, args=arguments, rounds=1)
        grown = growth()
    assert evaluate(ranking).summary().queries == 1000
    what = f"memory added by the metrics of 1,000 queries in {items:,} x {width:,} float16 on disk"
    require(benchmark, what, grown / MEBIBYTE, 2048, "MiB")
