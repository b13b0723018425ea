"""The FAISS index against the exact ranking, and on disk."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.search.search_index import Hit, SearchIndex
from protocols.modality import SUBSETS


def build(vectors: NDArray[np.float32], **options: Any) -> SearchIndex:
    names = [f"{row:03d}" for row in range(len(vectors))]
    available = [SUBSETS[row % len(SUBSETS)] for row in range(len(vectors))]
    return SearchIndex.build(vectors, names, available, run="a-run", weights=None, **options)


def exact_search(gallery: NDArray[np.float32], query: NDArray[np.float32], k: int) -> tuple[Any, Any]:
    """Return the rows of the k best items, of equal ones the lower row first, and their scores."""
    scores = gallery.astype(np.float64) @ query.astype(np.float64)
    rows = np.argsort(-scores, kind="stable")[:k]
    return rows.tolist(), scores[rows].tolist()


def listed(hits: list[Hit]) -> list[tuple[str, float]]:
    return [(hit.name, hit.score) for hit in hits]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12), st.integers(1, 50))
def test_the_flat_index_ranks_exactly(seed: int, items: int, width: int, k: int) -> None:
    """Scores are equal for any k; so are the items but for ties at the end, which any of the tied may fill."""
    rng = np.random.default_rng(seed)
    gallery = rng.integers(-3, 4, size=(items, width)).astype(np.float32)
    query = rng.integers(-3, 4, size=width).astype(np.float32)
    rows, scores = exact_search(gallery, query, k)
    found = build(gallery).search(query, k)
    assert [hit.score for hit in found] == scores
    assert [hit.rank for hit in found] == list(range(1, min(k, items) + 1))
    assert all(hit.score == float(gallery[int(hit.name)] @ query) for hit in found)
    certain = [row for row, score in zip(rows, scores, strict=True) if score > scores[-1] or k >= items]
    assert [int(hit.name) for hit in found][: len(certain)] == certain


def test_real_valued_vectors_rank_exactly() -> None:
    rng = np.random.default_rng(0)
    gallery = rng.standard_normal((500, 96)).astype(np.float32)
    for query in rng.standard_normal((5, 96)).astype(np.float32):
        rows, scores = exact_search(gallery, query, 20)
        found = build(gallery).search(query, 20)
        assert [int(hit.name) for hit in found] == rows
        np.testing.assert_allclose([hit.score for hit in found], scores, rtol=1e-5, atol=1e-5)


def test_hits_know_the_sensors_of_their_item() -> None:
    found = build(np.eye(7, dtype=np.float32)).search(np.eye(7, dtype=np.float32)[3], 1)
    assert found == [Hit(1, "003", SUBSETS[3], 1.0)]


def test_writing_and_reading_gives_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    built = build(rng.standard_normal((30, 8)).astype(np.float32))
    query = rng.standard_normal(8).astype(np.float32)
    built.write(tmp_path / "new" / "index")
    read = SearchIndex.read(tmp_path / "new" / "index")
    assert read.facts == built.facts
    assert listed(read.search(query, 7)) == listed(built.search(query, 7))
    build(rng.standard_normal((5, 8)).astype(np.float32)).write(tmp_path / "new" / "index")
    assert SearchIndex.read(tmp_path / "new" / "index").facts.items == 5


def test_an_approximate_index_can_be_asked_for() -> None:
    gallery = np.random.default_rng(2).standard_normal((200, 8)).astype(np.float32)
    found = build(gallery, factory="HNSW16").search(gallery[11], 3)
    assert "011" in [hit.name for hit in found]


@pytest.mark.parametrize("factory", ["Flt", "IVF4096,Flat"])
def test_an_index_that_faiss_cannot_make_is_refused(factory: str) -> None:
    with pytest.raises(UsageError, match=f"cannot make the index '{factory}' of 3 items"):
        build(np.eye(3, dtype=np.float32), factory=factory)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty and no index"):
        build(np.eye(3, dtype=np.float32)).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_is_no_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no complete index"):
        SearchIndex.read(tmp_path / "nothing")
    built = build(np.eye(3, dtype=np.float32))
    for name in ("vectors.faiss", "items.npz", "index.json"):
        built.write(tmp_path / name)
        (tmp_path / name / name).write_bytes(b"damaged")
        with pytest.raises(DataError, match="is damaged"):
            SearchIndex.read(tmp_path / name)


def test_without_faiss_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "faiss":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError, match=r"pip install 'mdreid-bench\[search\]'"):
        build(np.eye(3, dtype=np.float32))
