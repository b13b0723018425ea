"""Per-query values round-trip exactly; damaged files are clean errors."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.results.per_query import QueryValues
from protocols.evaluation import PerQuery
from tests.results.factory import query_values


def test_round_trip_bit_for_bit(tmp_path: Path) -> None:
    values, path = query_values(), tmp_path / "x.npz"
    values.write(path)
    found = QueryValues.read(path)
    assert found.names.tolist() == values.names.tolist()
    assert found.identities.tolist() == values.identities.tolist()
    for field in fields(PerQuery):
        before, after = getattr(values.metrics, field.name), getattr(found.metrics, field.name)
        assert after.dtype == before.dtype
        np.testing.assert_array_equal(after, before)


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no per-query values"):
        QueryValues.read(tmp_path / "x.npz")


def test_every_cut_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    query_values().write(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="damaged"):
            QueryValues.read(path)


def test_a_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    path, values = tmp_path / "x.npz", query_values(40)
    values.write(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 31):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            found = QueryValues.read(path)
        except DataError:
            continue
        np.testing.assert_array_equal(found.metrics.ap, values.metrics.ap)


def test_arrays_of_different_length_are_refused(tmp_path: Path) -> None:
    values = query_values()
    uneven = QueryValues(values.names[:-1], values.identities, values.metrics)
    with pytest.raises(ValueError, match="differ in length"):
        uneven.write(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["names", "identities", "ap", "positives"])
def test_values_of_another_type_are_refused(tmp_path: Path, name: str) -> None:
    """As a hostile file may hold, with checksums that are right."""
    values = query_values()
    arrays = dict(vars(values.metrics)) | {"names": values.names, "identities": values.identities}
    for wrong in (np.array([b"x"] * 3), np.array([1j] * 3), np.array([True] * 3)):
        np.savez(tmp_path / "x.npz", allow_pickle=False, **arrays | {name: wrong})
        with pytest.raises(DataError, match="damaged"):
            QueryValues.read(tmp_path / "x.npz")
