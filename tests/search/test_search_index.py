"""The FAISS index against the exact ranking, and on disk."""

import builtins
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mdreid_bench.data.items import Items
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.search.gallery import seen
from mdreid_bench.search.search_index import Hit, SearchIndex
from mdreid_bench.search.vectors import require_faiss
from protocols.calibration import Calibration
from protocols.modality import RNT, subsets
from protocols.scoring import inner_products


def build(vectors: NDArray[np.float32], **options: Any) -> SearchIndex:
    paths = [dict.fromkeys(subsets(RNT)[row % len(subsets(RNT))], Path("a.jpg")) for row in range(len(vectors))]
    items = Items.of(seen(f"{row:03d}", images) for row, images in enumerate(paths))
    return SearchIndex.build(vectors, items, run="a-run", weights=None, **options)


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
    assert found == [Hit(1, "003", subsets(RNT)[3], 1.0)]


def test_writing_and_reading_gives_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    built = build(rng.standard_normal((30, 8)).astype(np.float32))
    query = rng.standard_normal(8).astype(np.float32)
    built.write(tmp_path / "new" / "index")
    read = SearchIndex.read(tmp_path / "new" / "index")
    assert (read.run, read.weights, read.factory) == (built.run, built.weights, built.factory)
    assert listed(read.search(query, 7)) == listed(built.search(query, 7))
    build(rng.standard_normal((5, 8)).astype(np.float32)).write(tmp_path / "new" / "index")
    assert len(SearchIndex.read(tmp_path / "new" / "index").names) == 5


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
    with pytest.raises(UsageError, match="holds something else"):
        build(np.eye(3, dtype=np.float32)).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_is_no_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no complete index"):
        SearchIndex.read(tmp_path / "nothing")
    built = build(np.eye(3, dtype=np.float32))
    for kind in ("vectors", "items", "index"):
        built.write(tmp_path / kind)
        (path,) = (tmp_path / kind).glob(f"{kind}*")
        path.write_bytes(b"damaged")
        with pytest.raises(DataError, match="is damaged"):
            SearchIndex.read(tmp_path / kind)


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_old_index_stays_until_the_new_one_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation that changes a folder fails in turn, as on a full disk."""
    old, new = build(np.eye(3, dtype=np.float32)), build(np.eye(4, dtype=np.float32))
    old.write(tmp_path / "i")
    before = _content(tmp_path / "i")
    tried = 0
    for name in ("replace", "rename", "fsync"):
        original = getattr(os, name)
        for allowed in range(8):
            left = [allowed]

            def failing(*arguments: Any, left: list[int] = left, original: Any = original, **more: Any) -> Any:
                if not left[0]:
                    raise OSError(errno.ENOSPC, "No space left on device")
                left[0] -= 1
                return original(*arguments, **more)

            monkeypatch.setattr(os, name, failing)
            try:
                new.write(tmp_path / "i")
                failed = ""
            except DataError as error:
                failed = str(error)
            monkeypatch.undo()
            tried += "No space left on device" in failed
            assert len(SearchIndex.read(tmp_path / "i").names) in ((3, 4) if failed else (4,))
            old.write(tmp_path / "i")
            assert _content(tmp_path / "i") == before
    assert tried > 8


def test_a_file_that_faiss_did_not_write_whole_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(np.eye(3, dtype=np.float32)).write(tmp_path / "i")
    before, faiss = _content(tmp_path / "i"), require_faiss()
    original = faiss.write_index

    def cut(vectors: Any, path: str) -> None:
        original(vectors, path)
        os.truncate(path, os.path.getsize(path) - 5)

    monkeypatch.setattr(faiss, "write_index", cut)
    with pytest.raises(DataError, match=r"vectors-new\.faiss was not written whole"):
        build(np.eye(4, dtype=np.float32)).write(tmp_path / "i")
    assert _content(tmp_path / "i") == before


def test_files_of_another_index_are_refused(tmp_path: Path) -> None:
    for number in (3, 4):
        build(np.eye(number, dtype=np.float32)).write(tmp_path / str(number))
    for kind in ("vectors", "items"):
        (own,), (other,) = ((tmp_path / str(number)).glob(f"{kind}*") for number in (3, 4))
        before = own.read_bytes()
        own.write_bytes(other.read_bytes())
        with pytest.raises(DataError, match="is damaged"):
            SearchIndex.read(tmp_path / "3")
        own.write_bytes(before)
    SearchIndex.read(tmp_path / "3")


def test_without_faiss_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "faiss":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError, match=r"pip install 'mdreid-bench\[search\]'"):
        build(np.eye(3, dtype=np.float32))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 50))
def test_a_calibrated_index_ranks_as_calibrated_scores_do(seed: int, items: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    gallery = rng.integers(-3, 4, size=(items, 6)).astype(np.float32)
    query = rng.integers(-3, 4, size=6).astype(np.float32)
    vectors = {s: rng.integers(-3, 4, size=(20, 6)).astype(np.float32) / len(s) for s in subsets(RNT)}
    measured = Calibration.estimate(vectors, rng.integers(4, size=20))
    built = build(gallery, calibration=StoredCalibration.of(measured, "w", 20))
    for sensors in (subsets(RNT)[0], RNT):
        asked, scores = np.array([sensors.value], dtype=np.uint8), np.empty((1, items), dtype=np.float32)
        inner_products(query[None], gallery, out=scores)
        wanted = scores.astype(np.float64)
        adjust = measured.between(asked, built.sensors)
        if adjust is not None:
            adjust(0, 1, scores, wanted)
        rows = np.argsort(-wanted[0], kind="stable")[:k]
        found = built.search(query, k, sensors)
        assert [hit.score for hit in found] == wanted[0][rows].tolist()
        last = wanted[0][rows[-1]]
        certain = [f"{row:03d}" for row in rows if wanted[0][row] > last or k >= items]
        assert [hit.name for hit in found][: len(certain)] == certain


def test_a_calibrated_index_is_read_as_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pairs = {(q, g): (0.25, 2.0) for q in subsets(RNT) for g in subsets(RNT)[:6]}
    stored = StoredCalibration.of(Calibration.of(pairs), "w", 20)
    built = build(rng.standard_normal((6, 8)).astype(np.float32), calibration=stored)
    query = rng.standard_normal(8).astype(np.float32)
    built.write(tmp_path / "index")
    read = SearchIndex.read(tmp_path / "index")
    assert read.calibration == stored
    assert len(list((tmp_path / "index").glob("vectors-*"))) == 6
    assert listed(read.search(query, 9, RNT)) == listed(built.search(query, 9, RNT))
    whole = build(rng.standard_normal((7, 8)).astype(np.float32), calibration=stored)
    with pytest.raises(DataError, match="--calibration none"):
        whole.search(query, 3, RNT)
    build(rng.standard_normal((7, 8)).astype(np.float32)).write(tmp_path / "index")
    assert len(list((tmp_path / "index").glob("vectors-*"))) == 1
