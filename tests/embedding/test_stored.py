"""Stored embeddings: the rows that a setting asks for, and what is said of files that cannot be used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.data import registry as datasets
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.results.store import Scope
from protocols.exclusion import Exclusion
from protocols.mixed import MixedAvailability
from protocols.modality import RNT, D, Modality, N, R, subsets
from protocols.protocol import Protocol
from protocols.suites import Setting
from tests.evaluation.stored import ITEMS, make_items, store


def test_items_come_back_as_they_were_written(tmp_path: Path) -> None:
    for limit in (None, 30):
        stored = store(tmp_path, limit=limit)
        read, wrote = stored.folder.read_items(), make_items(stored.table.test_fingerprint, limit)
        for name in ("names", "sensors", "roles", "query", "gallery"):
            assert np.array_equal(getattr(read.items, name), getattr(wrote.items, name))
        for name in ("identity", "camera", "scene"):
            assert np.array_equal(getattr(read.items.labels, name), getattr(wrote.items.labels, name))
        assert read.items.images == ()
        assert vars(replace(read, items=wrote.items, hashes={})) == vars(replace(wrote, items=wrote.items))
        assert set(read.hashes) == {str(subset) for subset in subsets(RNT)}


@pytest.mark.parametrize("setting", [Protocol.parse("R-to-NT"), MixedAvailability(0.4, seed=3)], ids=str)
def test_each_row_comes_from_the_matrix_of_its_own_sensors(tmp_path: Path, setting: Setting) -> None:
    stored = store(tmp_path)
    (trial,) = datasets.get("msvr310").trials(stored.table.items, setting)
    for rows, sensors in ((trial.query, trial.query_sensors), (trial.gallery, trial.gallery_sensors)):
        assert len(set(sensors.tolist())) == 1 if isinstance(setting, Protocol) else len(set(sensors.tolist())) > 2
        found = stored.folder.vectors(stored.table, rows, sensors)
        for place, (row, code) in enumerate(zip(rows, sensors, strict=True)):
            assert np.array_equal(found[place], stored.matrices[Modality(int(code))][row])


def test_any_sensors_have_a_matrix_for_each_subset(tmp_path: Path) -> None:
    folder = EmbeddingFolder(Scope(tmp_path / "a-run" / "full").embeddings)
    folder.path.mkdir(parents=True)
    sensors, items = R | D, make_items().items
    items = replace(items, sensors=np.full(ITEMS, R.value, dtype=np.uint8))
    table = StoredItems(items, sensors, Exclusion.NONE, "a", None)
    for number, subset in enumerate(subsets(sensors)):
        np.save(folder.matrix(subset), np.full((ITEMS, 2), number, dtype=np.float32))
    folder.write_items(table)
    read = folder.read_items()
    assert set(read.hashes) == {"R", "D", "RD"}
    assert folder.load(R | D, read)[0, 0] == 2
    with pytest.raises(DataError, match="missing or damaged"):
        folder.load(N, read)


def test_the_table_of_another_run_or_limit_and_another_matrix_are_refused(tmp_path: Path) -> None:
    own, seed, limit = store(tmp_path), store(tmp_path, 1, seed=1), store(tmp_path, 2, limit=9)
    for other in (seed, limit):
        before = own.folder.items_file.read_bytes()
        own.folder.items_file.write_bytes(other.folder.items_file.read_bytes())
        with pytest.raises(DataError, match=r"items\.npz belongs to msvr310-mdreid-tiny-s"):
            own.folder.read_items()
        own.folder.items_file.write_bytes(before)
        own.folder.matrix(R).write_bytes(other.folder.matrix(R).read_bytes())
        with pytest.raises(DataError, match=r"R\.npy are not those that belong to"):
            own.folder.load(R, own.table)


def test_missing_embeddings_are_an_error(tmp_path: Path) -> None:
    stored = store(tmp_path)
    stored.folder.items_file.unlink()
    with pytest.raises(DataError, match="no stored embeddings"):
        stored.folder.read_items()


def test_a_table_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path) -> None:
    stored = store(tmp_path)
    stored.folder.items_file.unlink()
    stored.folder.items_file.mkdir()
    with pytest.raises(DataError, match=r"items\.npz cannot be read \(not a regular file\); make it readable"):
        stored.folder.read_items()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"text"])
def test_damaged_files_are_an_error(tmp_path: Path, content: bytes) -> None:
    stored = store(tmp_path)
    stored.folder.matrix(R).write_bytes(content)
    stored.folder.items_file.write_bytes(content)
    with pytest.raises(DataError, match="missing or damaged"):
        stored.folder.load(R, replace(stored.table, hashes={"R": content_hash(stored.folder.matrix(R))}))
    with pytest.raises(DataError, match="missing or damaged"):
        stored.folder.read_items()


@pytest.mark.parametrize("change", [lambda m: m[:-1], lambda m: m.astype(np.float64), lambda m: m[0]])
def test_matrices_of_another_shape_or_type_are_an_error(tmp_path: Path, change: object) -> None:
    assert callable(change)
    stored = store(tmp_path)
    table = stored.changed(change)
    with pytest.raises(DataError, match="missing or damaged"):
        stored.folder.load(R, table)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("roles", [1]),
        ("roles", [1.5] * ITEMS),
        ("item_sensors", [8] * ITEMS),
        ("item_sensors", np.full(ITEMS, 8, dtype=np.uint8)),
        ("sensors", "X"),
        ("exclusion", "sometimes"),
        ("hash_RNT", None),
        ("camera", [0]),
        ("identity", ["a"] * ITEMS),
        ("names", [["a"] * ITEMS]),
    ],
)
def test_tables_that_cannot_be_are_an_error(tmp_path: Path, name: str, values: object) -> None:
    """As a hostile file may hold, with checksums that are right."""
    folder = store(tmp_path).folder
    with np.load(folder.items_file, allow_pickle=False) as stored:
        arrays = dict(stored)
    changed = {name: np.array(values)} if values is not None else {}
    np.savez(folder.items_file, allow_pickle=False, **{k: v for k, v in arrays.items() if k != name} | changed)
    with pytest.raises(DataError, match="missing or damaged"):
        folder.read_items()
