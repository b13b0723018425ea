"""RegDB: ten splits by lists of names, and what a list may get wrong."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdreid_bench.data.card import SplitCounts
from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.datasets.regdb import RegDB
from mdreid_bench.data.items import Items, Role
from mdreid_bench.data.marker import MARKER
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.synthetic import plans
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from protocols.evaluation import evaluate
from protocols.modality import R, T
from protocols.ranking import rank
from protocols.suites import resolve
from tests.cli.running import environment, in_process
from tests.data.trees import check_dataset, names
from tests.protocols import official


def write_lists(folder: Path, scale: str) -> None:
    for path, text in RegDB().lists("full" if scale == "full" else "tiny").items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drawn copy of four persons with two images by each sensor, which passes for real."""
    monkeypatch.setattr(plans, "_regdb_size", lambda _: (4, 2))
    made = generate(tmp_path, "regdb", "tiny", 0, Silent())
    (made / MARKER).unlink()
    return made


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def refusal(folder: Path, split: str = "1") -> str:
    with pytest.raises(DataError) as caught:
        open_dataset("regdb", folder.parent, Silent(), split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_split_has_the_published_counts(tmp_path: Path) -> None:
    write_lists(tmp_path, "full")
    known, paths = RegDB(), names(RegDB().plan("full"))
    trained = {(tmp_path / f"idx/train_visible_{split}.txt").read_text() for split in known.splits}
    assert len(trained) == len(known.splits) == 10
    assert all(sorted(known.named(tmp_path, split)) == sorted(paths) for split in known.splits)
    for split in ("1", "10"):
        scan = known.scan(paths, known.assignment(tmp_path, split))
        assert scan.misnamed == ()
        train = [item for item in scan.items if item.roles == Role.TRAIN]
        test = [item for item in scan.items if item.roles == Role.QUERY | Role.GALLERY]
        persons = [frozenset(item.identity for item in part) for part in (train, test)]
        sides = (len(train), len(persons[0])), (len(test), len(persons[1]))
        assert SplitCounts(*sides[0], *sides[1], *sides[1]) == known.card.counts
        assert not persons[0] & persons[1]
        assert Counter((item.sensors, item.camera) for item in test) == {(R, 0): 2060, (T, 1): 2060}
        assert set(Counter((item.identity, item.camera) for item in test).values()) == {10}


def test_both_directions_leave_nothing_out(folder: Path) -> None:
    test = open_dataset("regdb", folder.parent, Silent(), "2").test
    for name, asked, offered in (("R-to-T", 0, 1), ("T-to-R", 1, 0)):
        (setting,) = resolve([name])
        (trial,) = RegDB().trials(test, setting)
        assert set(test.labels.camera[trial.query]) == {asked}
        assert set(test.labels.camera[trial.gallery]) == {offered}
        assert len(trial.query) == len(trial.gallery) == 4


def test_the_folder_and_the_lists_decide(folder: Path) -> None:
    index = open_dataset("regdb", folder.parent, Silent(), "3")
    assert (index.split, index.card.default_protocols) == ("3", ("R-to-T", "T-to-R"))
    listed = (folder / "idx/test_thermal_3.txt").read_text().split()[::2]
    assert sorted(listed) == sorted(images[T] for images in index.test.images if T in images)
    with Image.open(folder / listed[0]) as image:
        assert (image.format, image.size) == ("BMP", (128, 256))
    assert index.test_fingerprint != open_dataset("regdb", folder.parent, Silent(), "2").test_fingerprint
    scan = RegDB().scan(
        ["Thermal/7/male_back_v_00001_7.bmp", "Visible/7/male_back_v_00001_8.bmp"], lambda _: Role.TRAIN
    )
    assert [fault.what for fault in scan.misnamed] == [
        "file in the folder of the other sensor",
        "file in the folder of another person",
    ]
    assert Items.of(scan.items).names.tolist() == []


def test_images_that_a_list_names_and_that_are_missing_stop_a_run(folder: Path) -> None:
    lost = (folder / "idx/test_thermal_1.txt").read_text().split()[0]
    (folder / lost).unlink()
    assert "(missing file: 1), repair the files and run again, or use them as they are" in refusal(folder)
    (finding,) = [f for f in check_dataset("regdb", folder.parent, Silent()).findings if f.kind is Kind.MISSING]
    assert (finding.path, finding.what) == (lost, "file is missing, which idx/test_thermal_1.txt names")
    done = in_process("check", "--dataset", "regdb", "--data-root", str(folder.parent), env=environment())
    assert done.returncode == 3
    index = open_dataset("regdb", folder.parent, Silent(), "1", incomplete=True)
    assert (len(index.test), index.findings["missing file"]) == (7, 1)


def test_an_identity_in_train_and_test_stops_a_run(folder: Path) -> None:
    for sensor in ("visible", "thermal"):
        shutil.copy(folder / f"idx/test_{sensor}_1.txt", folder / f"idx/train_{sensor}_1.txt")
    assert "identity in train and test: 2" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: edit(file, " 0\n", "\n"), "line 1, is not a path and a label; restore the list."),
        (lambda file: edit(file, " 1\n", " 0\n"), "but it is that of person"),
        (lambda file: file.write_bytes(b"\xff\xfe"), "is no text; restore it."),
        (lambda file: file.unlink(), "There is no list"),
    ],
)
def test_a_damaged_list_is_told_in_a_sentence(folder: Path, change: object, said: str) -> None:
    assert callable(change)
    change(folder / "idx/train_visible_2.txt")
    message = refusal(folder, "2")
    assert said in message
    assert "idx/train_visible_2.txt" in message
    assert open_dataset("regdb", folder.parent, Silent(), "1").split == "1"


def test_a_drawn_copy_that_lost_a_list_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_regdb_size", lambda _: (4, 2))
    made = generate(tmp_path, "regdb", "tiny", 0, Silent())
    edit(made / "idx/train_visible_2.txt", " 0\n", " 10\n")
    edit(made / "idx/train_visible_2.txt", " 0\n", " 10\n")
    edit(made / "idx/train_thermal_2.txt", " 0\n", " 10\n")
    edit(made / "idx/train_thermal_2.txt", " 0\n", " 10\n")
    (finding,) = check_dataset("regdb", tmp_path, Silent()).findings
    assert finding.path == MARKER
    assert generate(tmp_path, "regdb", "tiny", 0, Silent(), repair=True) == made
    assert check_dataset("regdb", tmp_path, Silent()).findings == ()


def test_check_takes_splits(folder: Path) -> None:
    root, env = ("--data-root", str(folder.parent)), environment(COLUMNS="200")
    done = in_process("check", "--dataset", "regdb", *root, "--split", "1", "--split", "4", env=env)
    assert done.returncode == 3
    assert [f"RegDB (split {split}): what is wrong" in done.stdout for split in "1245"] == [True, False, True, False]
    assert "8 images instead of 4120" in done.stdout
    for name, said in (("regdb", "Unknown split of RegDB '11'"), ("msvr310", "leave it out")):
        done = in_process("check", "--dataset", name, *root, "--split", "11", env=env)
        assert (done.returncode, said in done.stderr) == (2, True)


@pytest.mark.parametrize("direction", ["R-to-T", "T-to-R"])
def test_evaluates_as_the_released_code(direction: str) -> None:
    known = RegDB()
    listed = [
        f"{part}/{person}/male_back_{part[0].lower()}_0000{frame}_{person}.bmp"
        for part in ("Visible", "Thermal")
        for person in range(1, 13)
        for frame in range(4)
    ]
    test = Items.of(known.scan(listed, lambda _: Role.QUERY | Role.GALLERY).items)
    (setting,) = resolve([direction])
    (trial,) = known.trials(test, setting)
    scores = np.random.default_rng(7).standard_normal((48, 48))
    sides = test.labels.take(trial.query), test.labels.take(trial.gallery)
    found = evaluate(rank(scores, *sides, known.card.exclusion, cmc=known.card.cmc)).summary()
    theirs = official.regdb(-scores, sides[0].identity, sides[1].identity)
    assert (found.queries, found.left_out) == (48, 0)
    assert found.mAP == pytest.approx(theirs.mean_average_precision, abs=1e-9)
    assert found.mINP == pytest.approx(theirs.mean_inverse_negative_penalty, abs=1e-9)
    for k, value in ((1, found.rank1), (5, found.rank5), (10, found.rank10), (20, found.rank20)):
        assert value == pytest.approx(theirs.cmc[k - 1], abs=1e-9)
