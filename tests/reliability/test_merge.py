"""Joining results folders: everything or nothing, and no choice between different numbers."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.progress import Silent
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.results.store import Scope, Store
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.runs.merge import merge
from mdreid_bench.weights.checkpoint import save_weights
from protocols.protocol import Protocol
from tests.evaluation.stored import store
from tests.results.factory import make_record, metrics, query_values


def _write(root: Path, record: Record) -> Path:
    scope = _scope(root, record)
    scope.write(record, query_values())
    return scope.record_path(record.protocol)


def _scope(root: Path, record: Record) -> Scope:
    return Store(root).folder(record).scope(record.limit)


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


def _trained(root: Path, name: str, value: float) -> TrainingFolder:
    folder = TrainingFolder(root / "trained" / name)
    linear = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(linear.weight, value)
    save_weights(folder.weights, linear, {})
    folder.log.write_text('{"epoch": 1}\n')
    return folder


NAME = "msvr310-mdreid-s0-0123456789"


def test_complete_embeddings_and_trainings_come_along(shards: tuple[Path, Path, Store]) -> None:
    first, second, target = shards
    complete = store(first, seed=5)
    CellScorer(complete.facts, complete.scope)(complete.table, Protocol.parse("R-to-N"))
    partial = _scope(second, make_record(protocol="N-to-R", seed=3)).embeddings
    partial.mkdir()
    for name in ("R", "RNT"):
        np.save(partial / f"{name}.npy", np.zeros((2, 3)))
    trained = _trained(first, NAME, 1)
    unfinished = TrainingFolder(second / "trained" / "msvr310-mdreid-s3-0123456789")
    unfinished.path.mkdir(parents=True)
    unfinished.log.write_text("{}\n")
    unfinished.state.write_bytes(b"state")
    merge([first, second], target, Silent())
    found = _files(target.root)
    assert found[f"trained/{NAME}/weights.safetensors"] == trained.weights.read_bytes()
    assert not [name for name in found if "s3-0123456789" in name]
    assert len([name for name in found if name.endswith(".npy")]) == 7
    assert {name: found[name] for name in _files(first)} == _files(first)
    assert not (_scope(target.root, make_record(protocol="N-to-R", seed=3)).embeddings).exists()


def test_two_trainings_of_one_key_are_a_conflict(shards: tuple[Path, Path, Store]) -> None:
    first, second, target = shards
    for root, value in ((first, 1), (second, 2)):
        _trained(root, NAME, value)
    with pytest.raises(DataError, match="hold different weights"):
        merge([first, second], target, Silent())
    assert _files(target.root) == {}


@pytest.mark.parametrize(
    "kind", ["run.json", "config.yaml", "R-to-N.json", "R-to-N.npz", "items.npz", "NT.npy", "weights"]
)
@pytest.mark.parametrize("how", ["one byte", "another run's"])
def test_nothing_is_copied_that_is_damaged_or_belongs_to_something_else(tmp_path: Path, kind: str, how: str) -> None:
    source, target = tmp_path / "from", Store(tmp_path / "to")
    for seed in (1, 2):
        stored = store(source, seed, seed=seed)
        CellScorer(stored.facts, stored.scope)(stored.table, Protocol.parse("R-to-N"))
        _trained(source, f"msvr310-mdreid-s{seed}-0123456789", seed)
    own, other = sorted(source.rglob(f"{kind}*"))
    content = bytearray(own.read_bytes())
    content[len(content) // 3] ^= 1
    own.write_bytes(content if how == "one byte" else other.read_bytes())
    with pytest.raises(DataError, match="Nothing was merged because of") as caught:
        merge([source], target, Silent())
    assert str(own) in str(caught.value)
    assert _files(target.root) == {}


@pytest.mark.parametrize("log", ["", '{"epoch": 1', '{"epoch": 2}\n', "7\n", '{"epoch": 1}\n{"epoch": 1}\n'])
def test_a_log_that_is_not_complete_is_named(shards: tuple[Path, Path, Store], log: str) -> None:
    first, _, target = shards
    _trained(first, NAME, 1).log.write_text(log)
    with pytest.raises(DataError, match=r"1 conflict.*log\.jsonl is not the complete log of a training"):
        merge([first], target, Silent())
    assert _files(target.root) == {}


def test_embeddings_by_other_weights_are_a_conflict(tmp_path: Path) -> None:
    """Two trainings of one key need not end alike on two machines, and nothing but the bytes tells them apart."""
    source, target = tmp_path / "from", Store(tmp_path / "to")
    stored = store(source)
    CellScorer(stored.facts, stored.scope)(stored.table, Protocol.parse("R-to-N"))
    assert stored.facts.training is not None
    weights = _trained(source, stored.facts.training, 1).weights
    stored.folder.write_items(replace(stored.table, trained=content_hash(weights)))
    assert merge([source], Store(tmp_path / "whole"), Silent()).records == 1
    weights.unlink()
    assert merge([source], Store(tmp_path / "weights-gone"), Silent()).records == 1
    _trained(source, stored.facts.training, 2)
    with pytest.raises(DataError, match="were not made with the weights"):
        merge([source], target, Silent())
    assert _files(target.root) == {}


def test_a_file_that_changes_while_it_is_copied_is_noticed(
    shards: tuple[Path, Path, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, target = shards

    def cut(origin: Path, copy: Path) -> None:
        copy.write_bytes(origin.read_bytes()[:-1])

    monkeypatch.setattr(shutil, "copyfile", cut)
    with pytest.raises(DataError, match="changed while it was copied"):
        merge([first], target, Silent())
    assert _files(target.root) == {}


def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_merged(
    shards: tuple[Path, Path, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, target = shards
    closed = _scope(second, make_record(protocol="N-to-R", seed=3)).path.parent
    original = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self == closed:
            raise PermissionError(13, "Permission denied", str(self))
        return original(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    done = merge([first, second], target, Silent())
    assert done.unreadable == [f"{closed} cannot be read (Permission denied)"]
    assert done.records == 2


def test_folders_without_results_and_the_target_itself_are_refused(
    shards: tuple[Path, Path, Store], tmp_path: Path
) -> None:
    first, _, target = shards
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no results"):
        merge([first, tmp_path / "empty"], target, Silent())
    with pytest.raises(UsageError, match="folder to merge into"):
        merge([first], Store(first), Silent())
