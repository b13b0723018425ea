"""Joining results folders: everything or nothing, and no choice between different numbers."""

from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Silent
from mdreid_bench.results.merge import merge
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import RunId, Scope, Store
from mdreid_bench.results.trained import TrainingFolder
from tests.results.factory import make_record, metrics, query_values


def _write(root: Path, record: Record) -> Path:
    return _scope(root, record).write(record, query_values())


def _scope(root: Path, record: Record) -> Scope:
    return Store(root).folder(RunId.of(record)).scope(record.limit)


def _files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture
def shards(tmp_path: Path) -> tuple[Path, Path, Store]:
    """Two results folders with one cell each, and one in common."""
    first, second = tmp_path / "1", tmp_path / "2"
    _write(first, make_record(protocol="R-to-N"))
    _write(second, make_record(protocol="N-to-R", seed=3))
    for root in (first, second):
        _write(root, make_record(protocol="RNT-to-RNT"))
    return first, second, Store(tmp_path / "all")


def test_everything_of_both_is_there(shards: tuple[Path, Path, Store]) -> None:
    first, second, target = shards
    done = merge([first, second], target, Silent())
    assert (done.records, done.known) == (3, 1)
    assert _files(target.root) == _files(first) | _files(second)
    assert all(isinstance(record, Record) for _, record in target.records())


def test_merging_twice_changes_nothing(shards: tuple[Path, Path, Store]) -> None:
    first, second, target = shards
    merge([first, second], target, Silent())
    before = _files(target.root)
    done = merge([second, first], target, Silent())
    assert (done.records, done.known) == (0, 4)
    assert _files(target.root) == before


def test_another_time_and_machine_is_no_conflict(shards: tuple[Path, Path, Store]) -> None:
    first, second, target = shards
    same = make_record(protocol="RNT-to-RNT")
    elsewhere = same.provenance.model_copy(update={"cpu": "another CPU"})
    _write(second, same.model_copy(update={"provenance": elsewhere}))
    assert merge([first, second], target, Silent()).known == 1


def test_different_numbers_are_a_conflict_and_nothing_is_copied(shards: tuple[Path, Path, Store]) -> None:
    first, second, target = shards
    _write(second, make_record(protocol="RNT-to-RNT", metrics=metrics(0.41)))
    with pytest.raises(DataError, match=r"1 conflict.*RNT-to-RNT\.json differ in metrics") as caught:
        merge([first, second], target, Silent())
    assert caught.value.exit_code == 3
    assert _files(target.root) == {}


def test_a_conflict_with_what_is_there_already(shards: tuple[Path, Path, Store]) -> None:
    first, second, target = shards
    _write(target.root, make_record(protocol="R-to-N", metrics=metrics(0.1)))
    before = _files(target.root)
    with pytest.raises(DataError, match=r"R-to-N\.json differ in metrics"):
        merge([second, first], target, Silent())
    assert _files(target.root) == before


@pytest.mark.parametrize("name", ["R-to-N.json", "R-to-N.npz"])
def test_damaged_files_are_named_and_nothing_is_copied(shards: tuple[Path, Path, Store], name: str) -> None:
    first, second, target = shards
    (path,) = first.rglob(name)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=name):
        merge([first, second], target, Silent())
    assert _files(target.root) == {}


def test_complete_embeddings_and_trainings_come_along(shards: tuple[Path, Path, Store]) -> None:
    first, second, target = shards
    complete = _scope(first, make_record(protocol="R-to-N")).embeddings
    partial = _scope(second, make_record(protocol="N-to-R", seed=3)).embeddings
    for folder in (complete, partial):
        folder.mkdir()
        for name in ("R", "RNT"):
            np.save(folder / f"{name}.npy", np.zeros((2, 3)))
    (complete / "items.npz").write_bytes(b"table")
    trained = TrainingFolder(first / "trained" / "msvr310-mdreid-s0-0123456789")
    unfinished = TrainingFolder(second / "trained" / "msvr310-mdreid-s3-0123456789")
    for training in (trained, unfinished):
        training.path.mkdir(parents=True)
        training.log.write_text("{}\n")
    trained.weights.write_bytes(b"weights")
    unfinished.state.write_bytes(b"state")
    merge([first, second], target, Silent())
    found = _files(target.root)
    assert found["trained/msvr310-mdreid-s0-0123456789/weights.safetensors"] == b"weights"
    assert not [name for name in found if "s3-0123456789" in name]
    assert len([name for name in found if name.endswith(".npy")]) == 2
    assert not (_scope(target.root, make_record(protocol="N-to-R", seed=3)).embeddings).exists()


def test_two_trainings_of_one_key_are_a_conflict(shards: tuple[Path, Path, Store]) -> None:
    first, second, target = shards
    for root, content in ((first, b"one"), (second, b"two")):
        training = TrainingFolder(root / "trained" / "msvr310-mdreid-s0-0123456789")
        training.path.mkdir(parents=True)
        training.weights.write_bytes(content)
    with pytest.raises(DataError, match="hold different weights"):
        merge([first, second], target, Silent())


def test_folders_without_results_and_the_target_itself_are_refused(
    shards: tuple[Path, Path, Store], tmp_path: Path
) -> None:
    first, _, target = shards
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no results"):
        merge([first, tmp_path / "empty"], target, Silent())
    with pytest.raises(UsageError, match="folder to merge into"):
        merge([first], Store(first), Silent())
