"""LLCM: counts, drawn galleries, both readings of one direction, evaluation as released."""

import random
import re
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.data.card import SplitCounts
from mdreid_bench.data.datasets.llcm import LLCM
from mdreid_bench.data.items import Items, Role
from mdreid_bench.data.marker import MARKER
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.synthetic import plans
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.data.synthetic.plan import Scale
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from protocols.evaluation import evaluate, mean_of_trials
from protocols.modality import N, R
from protocols.ranking import rank
from protocols.suites import resolve
from protocols.trial import Trial
from tests.data.trees import names
from tests.protocols import official


def named(folder: Path, scale: Scale) -> tuple[Items, Items]:
    """The training and the test items of a copy that consists of names and lists alone."""
    for path, text in LLCM().lists(scale).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    paths = names(LLCM().plan(scale))
    assert set(LLCM().named(folder, None)) == {path for path in paths if not path.startswith("test_")}
    found = LLCM().scan(paths, LLCM().assignment(folder, None))
    assert found.misnamed == ()
    train, test = ([item for item in found.items if role in item.roles] for role in (Role.TRAIN, Role.QUERY))
    return Items.of(train), Items.of(test)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Items:
    return named(tmp_path_factory.mktemp("tiny"), "tiny")[1]


def trials(items: Items, protocol: str) -> tuple[Trial, ...]:
    (setting,) = resolve([protocol])
    return LLCM().trials(items, setting)


def test_the_published_counts(tmp_path: Path) -> None:
    train, test = named(tmp_path, "full")
    sides = (len(train), train.identities), (len(test), test.identities)
    assert SplitCounts(*sides[0], *sides[1], *sides[1]) == LLCM.card.counts
    for items, counts in ((train, [16946, 13975]), (test, [8680, 7166])):
        assert [int((items.sensors == sensor.value).sum()) for sensor in (R, N)] == counts
    assert not set(train.labels.identity) & set(test.labels.identity)


@pytest.mark.parametrize(
    ("protocol", "letters"), [("N-to-R", "vis"), ("R-to-N", "nir"), ("N-to-R@transposed", "nir")]
)
def test_the_draws_are_those_of_the_released_code(tiny: Items, protocol: str, letters: str) -> None:
    folders: dict[str, list[str]] = {}
    for name in tiny.names.tolist():
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    cameras = range(1, 10) if letters == "vis" else (1, 2, 4, 5, 6, 7, 8, 9)
    for number, trial in enumerate(trials(tiny, protocol)):
        random.seed(number)
        drawn = []
        for person in sorted(set(tiny.labels.identity.tolist())):
            for camera in cameras:
                if files := folders.get(f"test_{letters}/cam{camera}/{person:04d}"):
                    drawn.append(random.choice(sorted(files)))
        found, other = (trial.gallery, trial.query) if "@" not in protocol else (trial.query, trial.gallery)
        assert tiny.names[found].tolist() == sorted(drawn)
        assert len(other) == int((tiny.sensors != tiny.sensors[found[0]]).sum())


@pytest.mark.parametrize("protocol", ["N-to-R", "R-to-N", "N-to-R@transposed"])
def test_evaluates_as_the_released_code(tiny: Items, protocol: str) -> None:
    rng = np.random.default_rng(3)
    ours, theirs = [], []
    for trial in trials(tiny, protocol):
        scores = rng.standard_normal((len(trial.query), len(trial.gallery)))
        sides = tiny.labels.take(trial.query), tiny.labels.take(trial.gallery)
        ours.append(evaluate(rank(scores, *sides, LLCM.card.exclusion, cmc=LLCM.card.cmc)))
        labels = (getattr(side, name) for name in ("identity", "camera") for side in sides)
        theirs.append(official.llcm(-scores, *labels))
    found = mean_of_trials(ours)
    assert found.mAP == pytest.approx(np.mean([one.mean_average_precision for one in theirs]), abs=1e-9)
    assert found.mINP == pytest.approx(np.mean([one.mean_inverse_negative_penalty for one in theirs]), abs=1e-9)
    for k, value in ((1, found.rank1), (5, found.rank5), (10, found.rank10), (20, found.rank20)):
        assert value == pytest.approx(np.mean([one.cmc[k - 1] for one in theirs]), abs=1e-9)


@pytest.mark.parametrize("fault", ["person in both", "lost image", "wrong list", "no camera"])
def test_faults_are_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    visits = [(use, s, p, 1 + (s == N), 1) for use, p in (("train", 1), ("test", 2), ("test", 3)) for s in (R, N)]
    monkeypatch.setattr(plans, "_llcm_visits", lambda _: visits)
    folder = generate(tmp_path, "llcm", "tiny", 0, Silent())
    (folder / MARKER).unlink()
    image = next((folder / "vis").rglob("*.jpg"))
    if fault == "person in both":
        (folder / "test_vis/cam1/0001").mkdir()
        image.rename(folder / "test_vis/cam1/0001" / image.name)
        (folder / "idx/test_id.txt").write_text("1,2,3\n")
        (folder / "idx/train_vis.txt").write_text("\n")
    elif fault == "lost image":
        image.unlink()
    elif fault == "wrong list":
        (folder / "idx/test_id.txt").write_text("2 3\n")
    else:
        image.rename(image.with_name("image.jpg"))
        (folder / "idx/train_vis.txt").write_text("vis/0001/image.jpg 0\n")
    said = {
        "person in both": "identity in train and test: 1",
        "lost image": "missing file: 1",
        "wrong list": "is no list of numbers between commas",
        "no camera": "name without a camera from 1 to 9",
    }
    with pytest.raises(DataError, match=re.escape(said[fault])):
        open_dataset("llcm", tmp_path, Silent())
