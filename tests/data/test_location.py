"""Where images come from: option, environment, or generated."""

import os
import shutil
from pathlib import Path

import pytest

from mdreid_bench.data.location import resolve_data_root
from mdreid_bench.data.marker import MARKER, Marker, read_marker, write_marker
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.synthetic import generate as module
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from protocols.names import UnknownNameError
from tests.data.trees import Recorder, plant


def test_option_wins_over_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path / "a", "msvr310")
    plant(tmp_path / "b", "msvr310")
    monkeypatch.setenv("MDREID_DATA", str(tmp_path / "b"))
    given = resolve_data_root(tmp_path / "a", "msvr310", Silent())
    assert given.root == tmp_path / "a"
    assert given.reason == f"MSVR310: images from {tmp_path / 'a'}, given by --data-root."
    found = resolve_data_root(None, "msvr310", Silent())
    assert found.root == tmp_path / "b"
    assert "given by MDREID_DATA" in found.reason
    assert not given.synthetic
    assert not found.synthetic


@pytest.mark.usefixtures("small")
def test_without_a_root_the_data_are_generated_once(tmp_path: Path) -> None:
    first, second = Recorder(), Recorder()
    location = resolve_data_root(None, "rgbnt100", first)
    assert location.synthetic
    assert location.root.is_relative_to(tmp_path / "cache")
    assert "synthetic" in location.reason
    assert "neither --data-root nor MDREID_DATA" in location.reason
    assert first.totals == [first.done]
    assert resolve_data_root(None, "rgbnt100", second) == location
    assert second.totals == []
    assert open_dataset("rgbnt100", location.root, Silent()).synthetic


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("spoil", ["lost", "emptied", "older"])
def test_generated_data_that_are_not_whole_are_drawn_again(spoil: str) -> None:
    """Also those of a version whose marker did not say which files there were."""
    location = resolve_data_root(None, "rgbnt100", Silent())
    before = open_dataset("rgbnt100", location.root, Silent())
    files, marker = sorted(before.root.rglob("*.jpg")), read_marker(before.root)
    assert marker is not None
    if spoil == "older":
        write_marker(before.root, marker.model_copy(update={"files": None, "listing": None}))
    elif spoil == "lost":
        for path in files[:4]:
            path.unlink()
    else:
        shutil.rmtree(before.root / "rgbir")
    recorder = Recorder()
    assert resolve_data_root(None, "rgbnt100", recorder) == location
    assert recorder.messages == [f"The synthetic RGBNT100 in {before.root} has lost files and is drawn again."]
    assert read_marker(before.root) == marker
    after = open_dataset("rgbnt100", location.root, Silent())
    assert after.test_fingerprint == before.test_fingerprint
    assert [path.name for path in location.root.iterdir()] == ["RGBNT100"]


@pytest.mark.usefixtures("small")
def test_generated_data_stay_synthetic_when_given_as_a_root(tmp_path: Path) -> None:
    folder = module.generate(tmp_path / "mine", "rgbnt100", "tiny", 3, Silent())
    for root in (tmp_path / "mine", folder):
        location = resolve_data_root(root, "rgbnt100", Silent())
        assert location.synthetic
        assert "synthetic images" in location.reason
        assert open_dataset("rgbnt100", root, Silent()).synthetic


def test_damaged_marker_does_not_make_images_real(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    write_marker(folder, Marker(dataset="msvr310", scale="tiny", seed=0))
    assert open_dataset("msvr310", tmp_path, Silent()).synthetic
    (folder / MARKER).write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        open_dataset("msvr310", tmp_path, Silent())


def test_a_pipe_or_an_endless_file_is_no_marker(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    os.mkfifo(folder / MARKER)
    with pytest.raises(DataError, match="is damaged"):
        open_dataset("msvr310", tmp_path, Silent())
    (folder / MARKER).unlink()
    (folder / MARKER).symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is damaged"):
        resolve_data_root(tmp_path, "msvr310", Silent())


def test_root_without_the_dataset_and_unknown_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No RGBNT201 in .* found an empty folder"):
        resolve_data_root(tmp_path, "rgbnt201", Silent())
    with pytest.raises(UnknownNameError, match="Did you mean 'rgbnt201'"):
        resolve_data_root(None, "rgbnt-201", Silent())


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blocked").touch()
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "blocked"))
    with pytest.raises(DataError, match="MDREID_CACHE"):
        resolve_data_root(None, "msvr310", Silent())
