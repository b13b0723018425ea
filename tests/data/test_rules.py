"""One rule book for ``check`` and for trainings: what stops them, what is said and noted."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from mdreid_bench.data.check_rules import Finding, Kind
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from protocols.modality import RNT, Modality, N, R
from tests.data.trees import DATASETS, Recorder, check_dataset, paint, plant, small_plan
from tests.support import mostly_slow


def refusal(root: Path, dataset: str = "msvr310") -> str:
    """What is said by ``run``; ``check`` must know of each fault that stops it."""
    with pytest.raises(DataError) as caught:
        open_dataset(dataset, root, Silent())
    assert f"'mdreid-bench check --dataset {dataset}' lists all" in str(caught.value)
    assert any(finding.stops for finding in check_dataset(dataset, root, Silent()).findings)
    return str(caught.value)


def found(root: Path, kind: Kind, dataset: str = "msvr310") -> list[Finding]:
    return [finding for finding in check_dataset(dataset, root, Silent()).findings if finding.kind is kind]


def items(folder: Path, split: str) -> list[list[Path]]:
    """The three files of each item of a planted MSVR310."""
    return [
        [path.parents[1] / sensor / path.name for sensor in ("vis", "ni", "th")]
        for path in sorted((folder / split).glob("*/vis/*"))
    ]


def test_test_identities_in_the_training_set_stop_a_run(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    shutil.copytree(folder / "bounding_box_test", folder / "bounding_box_train", dirs_exist_ok=True)
    message = refusal(tmp_path)
    copied = len(items(folder, "bounding_box_test"))
    assert f"(identity in train and test: 2, duplicate image: {3 * copied})" in message
    assert "is in the test set too" in message


def test_a_test_item_under_another_name_in_the_training_set_stops_a_run(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    trained, tested = (items(folder, split)[3] for split in ("bounding_box_train", "bounding_box_test"))
    shutil.copy(tested[0], trained[0])
    assert [finding.stops for finding in found(tmp_path, Kind.DUPLICATE)] == [False]
    open_dataset("msvr310", tmp_path, Silent())
    for source, target in zip(tested, trained, strict=True):
        shutil.copy(source, target)
    assert "an item in train and test" in refusal(tmp_path)
    assert [finding.stops for finding in found(tmp_path, Kind.DUPLICATE)] == [True] * 3


def test_an_image_in_black_may_be_in_both_sets(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    for split in ("bounding_box_train", "bounding_box_test"):
        Image.new("RGB", (12, 8)).save(items(folder, split)[0][2])
    index = open_dataset("msvr310", tmp_path, Silent())
    assert index.findings["duplicate image"] == 1


def test_data_without_any_positive_stop_a_run(tmp_path: Path) -> None:
    """The layout of MSVR310 with a single scene, where every positive is excluded."""
    folder = tmp_path / "MSVR310"
    for split, first in (("bounding_box_train", 1), ("bounding_box_test", 101), ("query3", 101)):
        for identity in range(first, first + 2):
            for frame in range(3):
                for sensor in ("vis", "ni", "th"):
                    name = f"{identity:04d}_s000_v{frame}_{frame:03d}.jpg"
                    paint(folder / split / f"{identity:04d}" / sensor / name, (12, 8), f"{sensor} {name}")
    assert "no gallery item of its identity in another scene, as for all 6 queries" in refusal(tmp_path)
    (finding,) = found(tmp_path, Kind.POSITIVE)
    assert (finding.count, finding.stops) == (6, True)


def test_what_is_only_odd_is_said_in_one_line_and_noted(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    trained = items(folder, "bounding_box_train")
    paint(trained[0][1], (10, 6), "smaller")
    shutil.copy(trained[1][0], trained[2][0])
    lone = folder / "query3" / "0999"
    for sensor in ("vis", "ni", "th"):
        paint(lone / sensor / "0999_s001_v1_000.jpg", (12, 8), f"lone {sensor}")
    recorder = Recorder()
    index = open_dataset("msvr310", tmp_path, recorder)
    counts = {"size": 1, "query without positive": 1, "duplicate image": 1, "count": 6}
    assert index.findings == counts
    (message,) = recorder.messages
    assert "(size: 1, query without positive: 1, duplicate image: 1, count: 6)" in message
    assert "10x6 pixels, but another image of the item has 12x8" in message
    assert not any(finding.stops for finding in check_dataset("msvr310", tmp_path, Silent()).findings)


def test_a_camera_without_training_images_is_said(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    recorder = Recorder()
    for sensor in ("RGB", "NI", "TI"):
        for path in list((folder / "test" / sensor).glob("*_cam2_*")):
            path.rename(path.with_name(path.name.replace("_cam2_", "_cam4_")))
        for path in list((folder / "train_171" / sensor).glob("*_cam4_*")):
            path.unlink()
    index = open_dataset("rgbnt201", tmp_path, recorder)
    (finding,) = found(tmp_path, Kind.CAMERA, "rgbnt201")
    assert finding.count == index.findings["camera without training images"] == 10
    assert "camera 3 (from 0) took no training image" in recorder.messages[-1]


SUFFIXES = [(dataset, suffix) for dataset in DATASETS for suffix in (".JPG", ".jpeg", ".png")]


@pytest.mark.parametrize(
    ("dataset", "suffix"), mostly_slow(SUFFIXES, [case for case in SUFFIXES if ".JPG" in case or "msvr310" in case])
)
def test_other_suffixes_are_accepted(dataset: str, suffix: str, tmp_path: Path) -> None:
    folder = plant(tmp_path, dataset)
    before = open_dataset(dataset, tmp_path, Silent())
    for path in list(folder.rglob("*.jpg")):
        path.rename(path.with_suffix(suffix))
    after = open_dataset(dataset, tmp_path, Silent())
    assert after.test.names.tolist() == [name.replace(".jpg", suffix) for name in before.test.names]
    assert after.test.labels.identity.tolist() == before.test.labels.identity.tolist()
    assert after.test.sensors.tolist() == before.test.sensors.tolist()
    assert all((folder / path).exists() for images in after.train.images for path in images.values())


def test_sensors_may_differ_in_their_suffixes(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    for path in list((folder / "test" / "TI").iterdir()):
        path.rename(path.with_suffix(".png"))
    assert set(open_dataset("rgbnt201", tmp_path, Silent()).test.sensors.tolist()) == {RNT.value}
    one = sorted((folder / "test" / "RGB").iterdir())[0]
    shutil.copy(one, one.with_suffix(".png"))
    assert "another image has this name and sensor" in refusal(tmp_path, "rgbnt201")


def test_names_that_do_not_fit_are_one_finding_with_the_form(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    for path in list(folder.rglob("*.jpg")):
        path.rename(path.with_name("x" + path.name))
    number = 3 * len(small_plan("rgbnt201"))
    message = refusal(tmp_path, "rgbnt201")
    form = "{train_171,test}/{RGB,NI,TI}/IIIIII_camC_S_FF.jpg with C 1-4 and S 0 or 1"
    assert f"(name: {number}, count: 2)" in message
    assert message.count("outside the form") == 1
    assert f"name outside the form {form}, as {number - 1} other files" in message
    (finding,) = found(tmp_path, Kind.NAME, "rgbnt201")
    assert finding.count == number


def test_items_that_lack_images_are_taken_as_they_are_where_asked_for(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    whole = open_dataset("rgbnt201", tmp_path, Silent())
    first, second = sorted(path.name for path in (folder / "test" / "TI").iterdir())[:2]
    (folder / "test" / "TI" / first).unlink()
    for sensor in ("NI", "TI"):
        (folder / "test" / sensor / second).unlink()
    assert "or use them as they are with --allow-incomplete" in refusal(tmp_path, "rgbnt201")
    recorder = Recorder()
    index = open_dataset("rgbnt201", tmp_path, recorder, incomplete=True)
    assert index.findings["missing file"] == 3
    assert "missing file: 3" in recorder.messages[-1]
    assert [Modality(code) for code in index.test.sensors[:3].tolist()] == [R | N, R, RNT]
    assert index.test_fingerprint != whole.test_fingerprint
    assert index.train_fingerprint == whole.train_fingerprint
    assert (whole.card.complete, index.card.complete) == (True, False)
