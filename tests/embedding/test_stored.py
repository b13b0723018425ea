"""Stored embeddings: the rows that a setting asks for, and what is said of files that cannot be used."""

from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.errors import DataError
from protocols.mixed import MixedAvailability
from protocols.modality import SUBSETS, Modality, R
from protocols.protocol import Protocol, Side
from tests.evaluation.stored import ITEMS, store

SIDES: tuple[Side, ...] = ("query", "gallery")


def test_items_come_back_as_they_were_written(tmp_path: Path) -> None:
    for limit in (None, 30):
        stored = store(tmp_path, limit=limit)
        read = stored.folder.read_items()
        assert read.names.tolist() == stored.items.names.tolist()
        for name in ("identity", "camera", "scene"):
            assert np.array_equal(getattr(read.labels, name), getattr(stored.items.labels, name))
        assert np.array_equal(read.query, stored.items.query)
        assert np.array_equal(read.gallery, stored.items.gallery)
        assert (str(read.exclusion), read.limit) == ("camera", limit)
        assert read.test_fingerprint == stored.items.test_fingerprint


def test_a_protocol_takes_both_sides_from_its_matrices(tmp_path: Path) -> None:
    stored = store(tmp_path)
    protocol = Protocol.parse("R-to-NT")
    for side, subset in zip(SIDES, (protocol.query, protocol.gallery), strict=True):
        found = stored.folder.vectors(stored.items, protocol, side)
        assert np.array_equal(found, stored.matrices[subset][stored.items.rows(side)])


@pytest.mark.parametrize("side", SIDES)
def test_mixed_availability_takes_each_row_from_the_matrix_of_its_own_subset(tmp_path: Path, side: Side) -> None:
    stored = store(tmp_path)
    setting = MixedAvailability(0.4, seed=3)
    found = stored.folder.vectors(stored.items, setting, side)
    rows = stored.items.rows(side)
    codes = setting.subsets(side, stored.items.names[rows].tolist())
    assert len(set(codes.tolist())) > 2
    for place, (row, code) in enumerate(zip(rows, codes, strict=True)):
        assert np.array_equal(found[place], stored.matrices[Modality(int(code))][row])


def test_missing_embeddings_are_an_error(tmp_path: Path) -> None:
    stored = store(tmp_path)
    stored.folder.items_file.unlink()
    with pytest.raises(DataError, match="no stored embeddings"):
        stored.folder.read_items()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"text"])
def test_damaged_files_are_an_error(tmp_path: Path, content: bytes) -> None:
    stored = store(tmp_path)
    stored.folder.matrix(R).write_bytes(content)
    stored.folder.items_file.write_bytes(content)
    with pytest.raises(DataError, match="missing or damaged"):
        stored.folder.vectors(stored.items, Protocol(R, R), "query")
    with pytest.raises(DataError, match="missing or damaged"):
        stored.folder.read_items()


@pytest.mark.parametrize("change", [lambda m: m[:-1], lambda m: m.astype(np.float64), lambda m: m[0]])
def test_matrices_of_another_shape_or_type_are_an_error(tmp_path: Path, change: object) -> None:
    assert callable(change)
    stored = store(tmp_path)
    for subset in SUBSETS:
        np.save(stored.folder.matrix(subset), change(stored.matrices[subset]))
    with pytest.raises(DataError, match="missing or damaged"):
        stored.folder.vectors(stored.items, Protocol(R, R), "gallery")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("query", [0, 99]),
        ("gallery", [-1]),
        ("gallery", [0.5]),
        ("query", [[0, 1]]),
        ("camera", [0]),
        ("identity", ["a"] * ITEMS),
        ("names", [["a"] * ITEMS]),
    ],
)
def test_tables_that_cannot_be_are_an_error(tmp_path: Path, name: str, values: list[object]) -> None:
    """As a hostile file may hold, with checksums that are right."""
    folder = store(tmp_path).folder
    with np.load(folder.items_file, allow_pickle=False) as stored:
        arrays = dict(stored)
    np.savez(folder.items_file, allow_pickle=False, **arrays | {name: np.array(values)})
    with pytest.raises(DataError, match="missing or damaged"):
        folder.read_items()
