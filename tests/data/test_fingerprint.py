"""What a fingerprint depends on, and what is remembered between two openings."""

import os
import shutil
from pathlib import Path

import pytest

from mdreid_bench.data import fingerprint as module
from mdreid_bench.data.images import InspectedImage
from mdreid_bench.data.items import Item, Role
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from protocols.modality import RNT, D, N, R, T
from tests.data.trees import DATASETS, Recorder, paint, plant


def prints(dataset: str, root: Path) -> tuple[str, str]:
    index = open_dataset(dataset, root, Silent())
    return index.train_fingerprint, index.test_fingerprint


def memory(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "images").iterdir()
    return path


def test_golden() -> None:
    """The value of the first version: stored runs are found by it, so it must never change."""
    facts = {path: InspectedImage(f"{i:032x}", 4, 3) for i, path in enumerate(("R/b", "N/b", "T/b", "s"))}
    both = Item("0002.jpg", 2, 1, 7, Role.QUERY | Role.GALLERY, {R: "R/b", N: "N/b", T: "T/b"})
    strip = Item("0001.jpg", 1, 0, 0, Role.GALLERY, dict.fromkeys(RNT, "s"))
    assert module.fingerprint([both, strip], facts, RNT) == "062fc90133a6efb3922b73b550e60060"
    assert module.fingerprint([both, strip], facts, RNT | D) != module.fingerprint([both, strip], facts, RNT)


@pytest.mark.parametrize("dataset", DATASETS)
def test_place_and_time_do_not_matter(dataset: str, tmp_path: Path) -> None:
    folder = plant(tmp_path / "a", dataset)
    before = prints(dataset, tmp_path / "a")
    shutil.copytree(folder, tmp_path / "b" / folder.name, copy_function=shutil.copyfile)
    for path in (tmp_path / "b").rglob("*.jpg"):
        os.utime(path, (1, 1))
    assert prints(dataset, tmp_path / "b") == before
    assert before[0] != before[1]


def test_content_matters_for_its_own_split(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    train, test = prints("rgbnt201", tmp_path)
    paint(sorted((folder / "test/TI").iterdir())[2], (12, 8), "another")
    changed = prints("rgbnt201", tmp_path)
    assert changed[0] == train
    assert changed[1] != test


def test_labels_and_sensors_matter(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    before = prints("rgbnt201", tmp_path)[1]
    name = sorted(path.name for path in (folder / "test/RGB").iterdir())[0]
    for sensor in ("RGB", "NI", "TI"):
        (folder / "test" / sensor / name).rename(folder / "test" / sensor / name.replace("cam1", "cam3"))
    relabelled = prints("rgbnt201", tmp_path)[1]
    (folder / "test/RGB").rename(folder / "test/x")
    (folder / "test/NI").rename(folder / "test/RGB")
    (folder / "test/x").rename(folder / "test/NI")
    assert len({before, relabelled, prints("rgbnt201", tmp_path)[1]}) == 3


def test_a_query_removed_changes_the_test_fingerprint(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt100")
    before = prints("rgbnt100", tmp_path)
    sorted((folder / "rgbir/query").iterdir())[0].unlink()
    after = prints("rgbnt100", tmp_path)
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_unchanged_images_are_not_read_again(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    first, second, third = Recorder(), Recorder(), Recorder()
    open_dataset("rgbnt201", tmp_path, first)
    open_dataset("rgbnt201", tmp_path, second)
    changed = sorted((folder / "test/NI").iterdir())[0]
    paint(changed, (12, 8), "new")
    os.utime(changed, (1, 1))
    open_dataset("rgbnt201", tmp_path, third)
    assert first.totals == [108]
    assert first.done == 108
    assert second.totals == []
    assert third.totals == [1]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 2, "files": {}}', b'{"version": 1, "files": {"a": [1]}}']
)
def test_damaged_memory_is_made_again(content: bytes, tmp_path: Path) -> None:
    plant(tmp_path, "msvr310")
    before = prints("msvr310", tmp_path)
    good = memory(tmp_path).read_bytes()
    memory(tmp_path).write_bytes(content)
    assert prints("msvr310", tmp_path) == before
    assert memory(tmp_path).read_bytes() == good


def test_unwritable_cache_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "msvr310")
    (tmp_path / "blocked").touch()
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "blocked"))
    assert prints("msvr310", tmp_path) == prints("msvr310", tmp_path)


def test_faults_are_found_again_at_the_second_opening(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    bad = sorted((folder / "bounding_box_test").rglob("*.jpg"))[0]
    bad.write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(DataError, match=r"1 fault.*not an image"):
            open_dataset("msvr310", tmp_path, Silent())


def test_interruption_stops_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "msvr310")

    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "inspect_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_dataset("msvr310", tmp_path, Silent())
