"""Per-query values round-trip exactly; damaged files are clean errors."""

import math
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.storage.hashes import content_hash
from protocols.evaluation import PerQuery
from tests.results.factory import query_values


def test_round_trip_bit_for_bit(tmp_path: Path) -> None:
    values, path = query_values(), tmp_path / "x.npz"
    found = QueryValues.read(path, values.write(path))
    for name in ("names", "identities", "trials"):
        assert getattr(found, name).tolist() == getattr(values, name).tolist()
    for field in fields(PerQuery):
        before, after = getattr(values.metrics, field.name), getattr(found.metrics, field.name)
        assert after.dtype == before.dtype
        np.testing.assert_array_equal(after, before)


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no per-query values"):
        QueryValues.read(tmp_path / "x.npz", "ab" * 16)


def test_any_other_byte_is_noticed_by_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    digest = query_values().write(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        for content in (whole[:length], whole[:length] + bytes([whole[length] ^ 1]) + whole[length + 1 :]):
            path.unlink()  # another inode, because a change within a tick of the clock need not change the time
            path.write_bytes(content)
            with pytest.raises(DataError, match="are not those of the record beside them"):
                QueryValues.read(path, digest)
    with pytest.raises(DataError, match="are not those of the record"):
        QueryValues.read(path, None)


def test_values_at_another_place_are_refused_whatever_the_record_says(tmp_path: Path) -> None:
    own, other = (tmp_path / "run" / "full" / name for name in ("R-to-R.npz", "N-to-N.npz"))
    query_values().write(own)
    shutil.copy(own, other)
    with pytest.raises(DataError, match=r"N-to-N\.npz belongs to run/full/R-to-R\.npz; run or score the cell again"):
        QueryValues.read(other, content_hash(other))


def test_arrays_of_different_length_are_refused(tmp_path: Path) -> None:
    values = query_values()
    with pytest.raises(ValueError, match="differ in length"):
        replace(values, names=values.names[:-1]).write(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["names", "identities", "trial", "ap", "positives"])
def test_values_of_another_type_are_refused(tmp_path: Path, name: str) -> None:
    """As a hostile file may hold, with checksums and a digest that are right."""
    path = tmp_path / "x.npz"
    query_values().write(path)
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    for wrong in (np.array([b"x"] * 3), np.array([1j] * 3), np.array([True] * 3)):
        path.unlink()
        np.savez(path, allow_pickle=False, **arrays | {name: wrong})
        with pytest.raises(DataError, match="damaged"):
            QueryValues.read(path, content_hash(path))


def test_values_are_averaged_over_the_trials_in_which_a_query_is_valid() -> None:
    nan, values = math.nan, query_values(6)
    names = np.array(["b", "a", "c", "b", "a", "c"])
    several = replace(values, names=names, trials=np.array([0, 0, 0, 1, 1, 1]))
    assert several.first.tolist() == [0, 1, 2]
    found = several.by_query(np.array([0.5, nan, nan, 1.0, 0.25, nan]))
    np.testing.assert_array_equal(found, [0.75, 0.25, nan])
    ap = np.random.default_rng(0).random(6)
    np.testing.assert_array_equal(values.by_query(ap), ap)
