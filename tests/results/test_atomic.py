"""A file is the old one or the new one, never a part."""

import os
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.results.storage import atomic


def test_writes_what_it_was_given_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    atomic.write_json(path, {"é": [1, 0.5]})
    assert path.read_text(encoding="utf-8") == '{\n  "é": [\n    1,\n    0.5\n  ]\n}\n'
    assert os.listdir(path.parent) == ["b.json"]


def test_text_and_bytes_replace_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    atomic.write_bytes(path, b"old and longer")
    atomic.write_text(path, "new\n")
    assert path.read_bytes() == b"new\n"


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "ours", "")
    (tmp_path / "usual").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_failure_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def half() -> None:
        with atomic.replacing(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_the_temporary_file_lies_beside_the_target_and_is_hidden(tmp_path: Path) -> None:
    with atomic.replacing(tmp_path / "x.npz") as temporary:
        temporary.write_text("")
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".x.npz.")
        assert temporary.suffix == ".tmp"


def test_refusal_by_the_file_system_is_a_data_error_that_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "x"
    with pytest.raises(DataError, match=f"Cannot write {target}"):
        atomic.write_text(target, "")


def test_nan_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "x", [float("nan")])
    assert os.listdir(tmp_path) == []


def test_arrays_round_trip_and_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    atomic.write_npz(path, {"a": np.arange(3), "names": np.array(["p", "qq"])})
    with np.load(path, allow_pickle=False) as stored:
        assert stored["a"].tolist() == [0, 1, 2]
        assert stored["names"].tolist() == ["p", "qq"]
    with pytest.raises(ValueError, match="'bad'"):
        atomic.write_npz(path, {"bad": np.array([{}])})
    assert os.listdir(tmp_path) == ["x.npz"]


def test_a_folder_is_on_the_disk_before_it_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    original = os.fsync
    monkeypatch.setattr(os, "sync", lambda: done.append(f"sync {(tmp_path / 'new').exists()}"))

    def fsync(descriptor: int) -> None:
        assert os.path.samestat(os.fstat(descriptor), tmp_path.stat())
        done.append(f"entry {(tmp_path / 'new' / 'a').exists()}")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary" / "a").touch()
    atomic.move_folder(tmp_path / "temporary", tmp_path / "new")
    assert done == ["sync False", "entry True"]
