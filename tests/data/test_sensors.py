"""Datasets with other sensors: two, four, and one an item."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdreid_bench.data import loading
from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.feeding import collate
from mdreid_bench.data.fingerprint import fingerprint
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Role
from mdreid_bench.data.loading import TrainingImages
from mdreid_bench.data.location import resolve_data_root
from mdreid_bench.data.marker import MARKER
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.data.synthetic.write import write_frame
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Silent
from protocols.modality import RNT, D, Modality, R, T
from protocols.names import UnknownNameError
from protocols.suites import resolve
from tests.data.others import TEST, TRAIN, Listed, Lone, Pairs, Quads, register
from tests.data.trees import check_dataset, faults, paint
from tests.support import small_config


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)


def opened(name: str, root: Path) -> DatasetIndex:
    generate(root, name, "tiny", 0, Silent())
    return open_dataset(name, root, Silent())


@pytest.mark.parametrize(("name", "images"), [("pairs", 2 * 4), ("quads", 1 * 4), ("lone", 1 * 6)])
def test_they_generate_open_and_have_no_faults(name: str, images: int, tmp_path: Path) -> None:
    index = opened(name, tmp_path)
    report = check_dataset(name, tmp_path, Silent())
    assert report.findings == ()
    assert len(report.paths) == images * (len(TRAIN) + len(TEST))
    assert index.sensors == index.card.sensors
    assert (index.train.identities, index.test.identities) == (len(TRAIN), len(TEST))
    held = {Modality(code) for code in index.test.sensors.tolist()}
    assert held == ({R, T} if name == "lone" else {index.sensors})
    assert index.test.query.tolist() == index.test.gallery.tolist() == list(range(len(index.test)))


@pytest.mark.parametrize("name", ["pairs", "quads", "lone"])
def test_every_sensor_is_read_from_its_own_place(name: str, tmp_path: Path) -> None:
    index = opened(name, tmp_path)
    for images in (index.train.images[0], index.test.images[-1]):
        read = index.read(images)
        assert list(read) == list(images)
        assert {image.size for image in read.values()} == {(256, 128)}
        pixels = {sensor: np.asarray(image).astype(int) for sensor, image in read.items()}
        colourful = {sensor for sensor, grey in pixels.items() if np.ptp(grey, axis=2).mean() > 2}
        assert colourful == {R} & set(images)
        assert len({grey.tobytes() for grey in pixels.values()}) == len(images)


def test_depth_changes_no_other_sensor(tmp_path: Path) -> None:
    """The first item of the four-sensor dataset, drawn with and without depth."""
    (frame, *_) = Quads().plan("tiny")
    (tmp_path / "train").mkdir()
    write_frame(tmp_path, "vehicle", "quads", 0, frame)
    index = opened("quads", tmp_path / "all")
    four = index.read(dict.fromkeys(index.sensors, frame.paths[0]))
    write_frame(tmp_path, "vehicle", "quads", 0, replace(frame, sensors=RNT))
    three = replace(index, root=tmp_path, facts={}).read(dict.fromkeys(RNT, frame.paths[0]))
    assert list(four) == [*three, D]
    for sensor in three:
        difference = np.abs(np.asarray(four[sensor]).astype(int) - np.asarray(three[sensor]).astype(int))
        assert difference[:, 16:-16].max() <= 8  # blocks of JPEG at the borders may differ


def test_trials_hold_the_items_that_have_the_sensors(tmp_path: Path) -> None:
    lone = opened("lone", tmp_path)
    sizes = {"T-to-R": (2 * len(TEST), 4 * len(TEST)), "R-to-T": (4 * len(TEST), 2 * len(TEST)), "RT-to-RT": (0, 0)}
    for setting in resolve(sizes, lone.sensors):
        (trial,) = Lone().trials(lone.test, setting)
        assert (len(trial.query), len(trial.gallery)) == sizes[str(setting)]
    pairs = opened("pairs", tmp_path)
    (setting,) = resolve(pairs.card.default_protocols, pairs.sensors)
    assert str(setting) == "RT-to-RT"
    (trial,) = Pairs().trials(pairs.test, setting)
    assert trial.query.tolist() == trial.gallery.tolist() == list(range(len(pairs.test)))


@pytest.mark.parametrize("name", ["pairs", "quads"])
def test_batches_hold_the_sensors_of_the_dataset(name: str, tmp_path: Path) -> None:
    index, config = opened(name, tmp_path), small_config("mdreid")
    training, testing = TrainingImages([index], config, index.sensors), loading.TestImages(index, config)
    first, again = (collate([training[0, 0, 0], training[3, 0, 1]]) for _ in range(2))
    assert list(first.images) == list(index.sensors)
    assert first.rows.tolist() == [0, 3]
    assert torch.equal(first.pixels, again.pixels)
    assert torch.equal(first.noise, again.noise)
    shown = collate([testing[row] for row in range(2)]).images
    assert {tuple(tensor.shape) for tensor in shown.values()} == {(2, 3, *config.image_size)}


def test_items_of_different_sensors_are_no_batch(tmp_path: Path) -> None:
    index = opened("lone", tmp_path)
    testing = loading.TestImages(index, small_config("mdreid"))
    own = [int(np.flatnonzero(index.test.sensors == sensor.value)[0]) for sensor in (R, T)]
    assert [list(testing[row].pixels) for row in own] == [[R], [T]]
    with pytest.raises(ValueError, match="the same sensors"):
        collate([testing[row] for row in own])


def test_one_lost_file_is_one_fault(tmp_path: Path) -> None:
    opened("pairs", tmp_path)
    lost = tmp_path / "Pairs" / "test" / "thermal" / "0011_c1_0.jpg"
    lost.unlink()
    with pytest.raises(DataError, match=r"1 fault.*test/thermal/0011_c1_0\.jpg: file is missing"):
        open_dataset("pairs", tmp_path, Silent())
    (finding,) = check_dataset("pairs", tmp_path, Silent()).findings
    assert (finding.kind, finding.path) == (Kind.MISSING, "test/thermal/0011_c1_0.jpg")


def test_an_item_may_lack_sensors_where_the_card_says_so() -> None:
    scan = Lone().scan(["train/cam1/0001/0.jpg", "train/cam3/0001/0.jpg"])
    assert [(item.name, item.sensors, item.camera) for item in scan.items] == [
        ("cam1/0001/0.jpg", R, 0),
        ("cam3/0001/0.jpg", T, 2),
    ]
    assert faults(scan) == ()


def test_two_images_of_one_name_and_sensor_are_a_fault() -> None:
    class Careless(Lone):
        """Its two RGB cameras are taken for one item."""

        def item(self, match: re.Match[str]) -> str:
            return f"{match['role']}/{match['identity']}"

    class Short(Lone):
        """Its names leave the camera out."""

        grammar = re.compile(
            r"(?P<role>train|test)/(?P<sensor>cam(?P<camera>[123]))/(?P<file>(?P<identity>\d{4})/\d\.jpg)"
        )

    paths = ["train/cam1/0001/0.jpg", "train/cam2/0001/0.jpg"]
    for kind in (Careless, Short):
        scan = kind().scan(paths)
        assert [(fault.path, fault.what) for fault in faults(scan)] == [
            (paths[1], "another image has this name and sensor")
        ]
        assert [item.images for item in scan.items] == [{R: paths[0]}]


def test_sensors_that_the_card_does_not_name_are_refused() -> None:
    with pytest.raises(UsageError, match="'pairs' has files of R, but its card says RT"):
        type("Wrong", (Pairs,), {"sensors": {"rgb": R}})


def test_the_fingerprint_knows_the_sensor_of_a_lone_image(tmp_path: Path) -> None:
    prints = set()
    for place in ("cam2", "cam3"):
        root = tmp_path / place
        for role, identities in (("train", TRAIN), ("test", TEST)):
            for identity in identities:
                paint(root / "Lone" / role / place / f"{identity:04d}" / "0.jpg", (12, 8), str(identity))
        reading = check_dataset("lone", root, Silent())
        prints.add(fingerprint(reading.scan.items, reading.facts, R | T))
    assert len(prints) == 2


def test_a_dataset_may_have_nothing_to_train_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(tmp_path, "pairs", "tiny", 0, Silent())
    shutil.rmtree(tmp_path / "Pairs" / "train")
    (tmp_path / "Pairs" / MARKER).unlink()
    with pytest.raises(DataError, match="lacks train"):
        open_dataset("pairs", tmp_path, Silent())
    monkeypatch.setattr(Pairs, "roles", {"test": Role.QUERY | Role.GALLERY})
    index = open_dataset("pairs", tmp_path, Silent())
    assert (len(index.train), index.train.identities, index.test.identities) == (0, 0, len(TEST))


def test_a_split_is_chosen_before_training(tmp_path: Path) -> None:
    for identity in (1, 2, 3, 4):
        for camera in (1, 3):
            paint(tmp_path / f"Listed/images/cam{camera}/{identity:04d}/0.jpg", (12, 8), f"{identity} {camera}")
    (tmp_path / "Listed" / "train_1.txt").write_text("0001,0002")
    (tmp_path / "Listed" / "train_2.txt").write_text("0003,0004")
    first, second = (open_dataset("listed", tmp_path, Silent(), split) for split in (None, "2"))
    assert (first.split, second.split) == ("1", "2")
    assert set(first.train.labels.identity.tolist()) == set(second.test.labels.identity.tolist()) == {1, 2}
    assert first.train_fingerprint != second.train_fingerprint
    assert {Role(code) for code in first.test.roles.tolist()} == {Role.QUERY | Role.GALLERY}
    with pytest.raises(UnknownNameError, match="split of Listed"):
        open_dataset("listed", tmp_path, Silent(), "3")
    assert Listed.splits == ("1", "2")
    with pytest.raises(UnknownNameError, match="split of MSVR310"):
        open_dataset("msvr310", tmp_path, Silent(), "1")


def test_a_dataset_without_a_generator_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Listed, "plan", Dataset.plan)
        with pytest.raises(UsageError, match=r"no generator for Listed; pass real images with --data-root"):
            resolve_data_root(None, "listed", Silent())
    assert not (tmp_path / "cache").exists()
