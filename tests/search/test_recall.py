"""What an approximate index finds, against a literal search, and how it is reported."""

from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.errors import UsageError
from mdreid_bench.search.recall import recall, recall_table
from mdreid_bench.search.vectors import faiss_index
from tests.cli.running import in_process
from tests.evaluation.stored import WIDTH, store

pytest.importorskip("faiss")


def literal(queries: np.ndarray, items: np.ndarray, ids: np.ndarray, k: int) -> list[float]:
    scores = queries @ items.T
    least = [sorted(row, reverse=True)[k - 1] for row in scores]
    return [sum(row[i] >= low for i in found[:k]) / k for row, low, found in zip(scores, least, ids, strict=True)]


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_recall_is_that_of_a_literal_search_where_scores_are_tied(factory: str) -> None:
    rng = np.random.default_rng(0)
    items = rng.integers(-2, 3, size=(400, 6)).astype(np.float32)
    queries = rng.integers(-2, 3, size=(20, 6)).astype(np.float32)
    blocks = [items[:150], items[150:]]
    index = faiss_index(iter(blocks), items, 400, factory)
    found = recall(index, factory, queries, np.arange(20), lambda: blocks)
    _, ids = index.search(queries, 10)
    for place, k in enumerate((1, 10)):
        np.testing.assert_allclose(found.found[:, place], literal(queries, items, ids, k))
    if factory == "Flat":
        assert found.found.min() == 1
    else:
        probed = faiss_index(iter(blocks), items, 400, factory, probes=8)
        all_lists = recall(probed, factory, queries, np.arange(20), lambda: blocks)
        assert all_lists.found.min() == 1 > found.found.mean()
    row = found.row()
    assert row["recall@10_low"] <= row["recall@10"] <= row["recall@10_high"]
    assert row["recall@10_chance"] == 2.5
    assert recall_table("t", [found]).rows[0][:2] == (factory, "400")


@pytest.mark.parametrize("factory", ["IVF4,PQ2x4", "OPQ2,IVF4,PQ2x4"])
def test_quantised_vectors_find_what_they_find_as_faiss_trains_them_at_length(factory: str) -> None:
    faiss = pytest.importorskip("faiss")
    items = np.random.default_rng(0).standard_normal((400, 6), dtype=np.float32)
    quick = faiss_index([items], items, 400, factory)
    long = faiss.index_factory(6, factory, faiss.METRIC_INNER_PRODUCT)
    trained = [faiss.downcast_index(faiss.extract_index_ivf(index)).do_polysemous_training for index in (quick, long)]
    assert trained == [False, True]
    long.train(items)
    long.add(items)
    for ours, theirs in zip(quick.search(items, 10), long.search(items, 10), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_faiss_cannot_make_is_refused() -> None:
    items = np.ones((20, 6), dtype=np.float32)
    with pytest.raises(UsageError, match="cannot make the index 'IVF4,PQ5'"):
        faiss_index([items], items, 20, "IVF4,PQ5")
    with pytest.raises(UsageError, match="cannot make the index 'Flat'"):
        faiss_index([items], items, 20, "Flat", probes=3)


def test_score_searches_the_largest_gallery(tmp_path: Path) -> None:
    store(tmp_path / "results")
    (tmp_path / "crowd").mkdir()
    np.save(tmp_path / "crowd" / "NT.npy", np.random.default_rng(3).standard_normal((500, WIDTH), dtype=np.float32))
    command = ("score", "--run", "msvr310-mdreid", "--protocol", "R-to-NT", "--results", str(tmp_path / "results"))
    given = (*command, "--distractors", str(tmp_path / "crowd"), "--factory", "Flat", "--factory", "IVF4,PQ2x4")
    done = in_process(*given, "--probes", "2", env={"COLUMNS": "220"})
    assert done.returncode == 2  # an exact index has no lists
    done = in_process(*given, env={"COLUMNS": "220"})
    assert done.returncode == 0, done.stderr
    assert "Approximate search, R-to-NT of msvr310-mdreid" in done.stdout
    assert "100.0 [100.0, 100.0]" in done.stdout
    alone = in_process(*command, "--factory", "Flat", env={"COLUMNS": "220"})
    assert (alone.returncode, "--factory goes with --distractors" in alone.stderr) == (2, True)
