"""Whole folders: what opens, what is refused and how it is said."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdreid_bench.data import decoding, loading, registry
from mdreid_bench.data.feeding import Feeder
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from protocols.modality import RNT, Modality
from protocols.names import UnknownNameError
from tests.data.trees import DATASETS, Recorder, paint, plant, small_plan
from tests.support import small_config


def refusal(dataset: str, root: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(dataset, root, Silent())
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dataset", DATASETS)
def test_opens_the_real_layout_from_both_roots(dataset: str, tmp_path: Path) -> None:
    folder = plant(tmp_path, dataset)
    index = open_dataset(dataset, tmp_path, Silent())
    assert index.root == folder
    assert not index.synthetic
    assert (index.train.identities, index.test.identities) == (4, 2)
    for items in (index.train, index.test):
        assert items.names.tolist() == sorted(set(items.names.tolist()))
        assert set(items.sensors.tolist()) == {RNT.value}
        assert all((folder / images[sensor]).is_file() for images in items.images for sensor in RNT)
    itself = open_dataset(dataset, folder, Silent())
    assert itself.test_fingerprint == index.test_fingerprint
    assert itself.train.images == index.train.images


def test_rgbnt201_uses_the_test_set_twice(tmp_path: Path) -> None:
    plant(tmp_path, "rgbnt201")
    index = open_dataset("rgbnt201", tmp_path, Silent())
    assert index.test.query.tolist() == index.test.gallery.tolist() == list(range(len(index.test)))


@pytest.mark.parametrize("dataset", ["msvr310", "rgbnt100"])
def test_copies_in_query_and_gallery_are_one_row(dataset: str, tmp_path: Path) -> None:
    plant(tmp_path, dataset)
    index = open_dataset(dataset, tmp_path, Silent())
    planned = [frame for frame in small_plan(dataset) if "bounding_box_test" in frame.paths[0]]
    assert len(index.test) == len(index.test.gallery) == len(planned)
    assert len(index.test.query) == sum(bool(frame.copy) for frame in planned)
    asked = set(index.test.names[index.test.query])
    assert asked == {frame.copy[0].rsplit("/", 1)[1] for frame in planned if frame.copy}


def test_same_name_with_other_content_is_another_row(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt100")
    before = open_dataset("rgbnt100", tmp_path, Silent())
    query = sorted((folder / "rgbir/query").iterdir())[0]
    paint(query, (768, 128), "something else")
    index = open_dataset("rgbnt100", tmp_path, Silent())
    assert len(index.test) == len(before.test) + 1
    assert len(index.test.gallery) == len(before.test.gallery)
    assert len(set(index.test.names)) == len(index.test)
    assert f"query/{query.name}" in set(index.test.names[index.test.query])
    assert query.name not in set(index.test.names[index.test.query])
    assert index.test_fingerprint != before.test_fingerprint


def test_unknown_dataset_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'msvr310'\?"):
        open_dataset("msvr31", Path("."), Silent())


def test_layout_errors_say_what_was_expected_and_found(tmp_path: Path) -> None:
    assert "found no such folder" in refusal("rgbnt201", tmp_path / "nowhere")
    assert "found an empty folder" in refusal("rgbnt201", tmp_path)
    (tmp_path / "holiday\x1b[2J").mkdir()
    message = refusal("rgbnt201", tmp_path)
    assert "expected RGBNT201/{train_171,test}/{RGB,NI,TI}/*.jpg" in message
    assert r"found holiday\x1b[2J" in message
    (tmp_path / "file").touch()
    assert "a file instead of a folder" in refusal("msvr310", tmp_path / "file")
    shutil.rmtree(plant(tmp_path, "rgbnt201") / "test" / "NI")
    assert "lacks test/NI" in refusal("rgbnt201", tmp_path)


def test_empty_split_is_refused(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    shutil.rmtree(folder / "query3")
    (folder / "query3").mkdir()
    assert "query3: no images, expected MSVR310/" in refusal("msvr310", tmp_path)


def test_all_faults_are_counted_and_ten_named(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    paths = sorted(folder.rglob("*.jpg"))
    removed, emptied, cut, text = paths[0], paths[1], paths[2], paths[3]
    removed.unlink()
    emptied.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:-6])
    text.write_text("no image")
    message = refusal("rgbnt201", tmp_path)
    assert "4 faults" in message
    for path, what in (
        (removed, "file is missing"),
        (emptied, "empty file"),
        (cut, "truncated"),
        (text, "not an image"),
    ):
        assert f"{path.relative_to(folder).as_posix()}: {what}" in message
    for i in range(20):
        (folder / "test/RGB" / f"odd{i:02d}.jpg").touch()
    for path in paths[10:20]:
        path.write_bytes(b"")
    message = refusal("rgbnt201", tmp_path)
    assert "34 faults (name: 20, missing file: 1, unreadable image: 13)" in message
    form = "{train_171,test}/{RGB,NI,TI}/IIIIII_camC_S_FF.jpg with C 1-4 and S 0 or 1"
    assert f"test/RGB/odd00.jpg: name outside the form {form}, as 19 other files" in message
    assert "'mdreid-bench check --dataset rgbnt201' lists all" in message
    assert message.count(".jpg: ") == 10
    assert message.endswith("and 5 more.")


def test_wrong_strip_is_refused(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt100")
    strip = sorted((folder / "rgbir/bounding_box_train").iterdir())[3]
    paint(strip, (767, 128), "narrow")
    message = refusal("rgbnt100", tmp_path)
    assert "1 fault" in message
    assert f"{strip.name}: strip of 767x128 pixels instead of 768x128" in message


def test_huge_images_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 12 * 8)
    folder = plant(tmp_path, "msvr310")
    big = sorted((folder / "bounding_box_train").rglob("*.jpg"))[0]
    paint(big, (13, 8), "big")
    assert "pixels" in refusal("msvr310", tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert "pixels" in refusal("msvr310", tmp_path)


def test_notes_thumbnails_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    for name in ("Thumbs.db", ".DS_Store", "readme.txt", "._000001_cam1_0_00.jpg"):
        (folder / "test/RGB" / name).write_text("x")
    assert len(open_dataset("rgbnt201", tmp_path, Silent()).test) == 20


def test_counts_other_than_the_published_are_reported(tmp_path: Path) -> None:
    plant(tmp_path, "rgbnt201")
    recorder = Recorder()
    open_dataset("rgbnt201", tmp_path, recorder)
    (message,) = recorder.messages
    assert message.startswith("RGBNT201 is not as it should be (count: 4), which is noted in the records")
    assert "train_171: 16 images instead of 3951" in message


@pytest.mark.parametrize("dataset", DATASETS)
def test_reading_gives_three_rgb_images(dataset: str, tmp_path: Path) -> None:
    folder = plant(tmp_path, dataset)
    if dataset == "rgbnt100":
        strip = np.zeros((128, 768, 3), dtype=np.uint8)
        strip[:, :256], strip[:, 256:512], strip[:, 512:] = 40, 120, 200
        for path in (folder / "rgbir/bounding_box_train").iterdir():
            Image.fromarray(strip).save(path, quality=95)
    index = open_dataset(dataset, tmp_path, Silent())
    read = index.read(index.train.images[0])
    assert list(read) == [Modality.R, Modality.N, Modality.T]
    assert {image.mode for image in read.values()} == {"RGB"}
    if dataset == "rgbnt100":
        assert {image.size for image in read.values()} == {(256, 128)}
        assert [round(float(np.asarray(image).mean())) for image in read.values()] == [40, 120, 200]
    again = index.read(index.train.images[0])
    assert all(np.array_equal(np.asarray(read[m]), np.asarray(again[m])) for m in read)


def test_image_that_vanishes_after_opening_is_an_error(tmp_path: Path) -> None:
    plant(tmp_path, "msvr310")
    index = open_dataset("msvr310", tmp_path, Silent())
    images = index.train.images[0]
    os.unlink(index.root / images[Modality.N])
    with pytest.raises(DataError, match="has changed since MSVR310 was checked"):
        index.read(images)


def test_image_that_changes_after_opening_is_an_error(tmp_path: Path) -> None:
    plant(tmp_path, "msvr310")
    index = open_dataset("msvr310", tmp_path, Silent())
    images = index.train.images[0]
    changed = index.root / images[Modality.T]
    before = changed.stat()
    paint(changed, (12, 8), "something else")
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=f"{changed.name} has changed since .* \\(other content\\)"):
        index.read(images)


def test_workers_notice_an_image_that_changes_after_opening(tmp_path: Path) -> None:
    plant(tmp_path, "msvr310")
    index, config = open_dataset("msvr310", tmp_path, Silent()), small_config("mdreid")
    rows = [list(batch) for batch in index.test.batches(4)]
    feeder = Feeder(loading.TestImages(index, config), workers=1)
    assert sum(len(loaded.rows) for loaded in feeder(rows)) == len(index.test)
    changed = index.root / index.test.images[5][Modality.N]
    paint(changed, (12, 8), "something else")
    feeder = Feeder(loading.TestImages(index, config), workers=1)
    with pytest.raises(DataError, match=f"{changed.name} has changed since"):
        list(feeder(rows))


def test_the_datasets_of_papers_are_registered_and_say_how_to_cite_them() -> None:
    own = {*DATASETS, "llcm", "regdb", "rgbnt201-141-60", "sysu-mm01"}
    assert own <= set(registry.names())
    assert all(registry.get(name).card.bibtex.startswith("@") for name in own)
