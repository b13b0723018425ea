"""SYSU-MM01: counts, drawn galleries, evaluation as released, and what lists and files of draws may get wrong."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from mdreid_bench.data import registry
from mdreid_bench.data.card import SplitCounts
from mdreid_bench.data.check_rules import count_findings
from mdreid_bench.data.datasets.sysu_mm01 import SYSUMM01
from mdreid_bench.data.items import Items, Role
from mdreid_bench.data.marker import MARKER
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.synthetic import plans
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.data.synthetic.plan import Scale
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from protocols.evaluation import evaluate, mean_of_trials
from protocols.exclusion import Exclusion
from protocols.modality import N, R
from protocols.ranking import rank
from protocols.relevance import Relevance
from protocols.suites import Setting, resolve
from protocols.trial import Trial
from tests.cli.running import environment, in_process
from tests.data.trees import names
from tests.protocols import official

ROOT = Path(__file__).resolve().parents[2]
MODES = {name: words for name, words in SYSUMM01.card.modes.items() if "agw" in words}


def setting(mode: str = "", protocol: str = "N-to-R") -> Setting:
    (found,) = resolve([f"{protocol}@{mode}" if mode else protocol])
    return found


def write_lists(folder: Path, scale: Scale) -> None:
    for path, text in SYSUMM01().lists(scale).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def named(folder: Path, scale: Scale) -> tuple[Items, Items]:
    """The training and the test items of a copy that consists of names and lists alone."""
    write_lists(folder, scale)
    found = SYSUMM01().scan(names(SYSUMM01().plan(scale)), SYSUMM01().assignment(folder, None))
    assert found.misnamed == ()
    assert count_findings(SYSUMM01(), found.items, compare=scale == "full") == []
    train, test = ([item for item in found.items if role in item.roles] for role in (Role.TRAIN, Role.QUERY))
    return Items.of(train), Items.of(test)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Items, Items]:
    return named(tmp_path_factory.mktemp("full"), "full")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Items:
    return named(tmp_path_factory.mktemp("tiny"), "tiny")[1]


def test_the_published_counts(full: tuple[Items, Items]) -> None:
    train, test = full
    sides = (len(train), train.identities), (len(test), test.identities)
    assert SplitCounts(*sides[0], *sides[1], *sides[1]) == SYSUMM01.card.counts
    assert not set(train.labels.identity) & set(test.labels.identity)
    assert [int((train.sensors == sensor.value).sum()) for sensor in (R, N)] == [22258, 11909]
    persons = [len(set(test.labels.identity[test.labels.camera == camera])) for camera in range(6)]
    assert persons == [56, 56, 93, 94, 95, 96]
    assert SYSUMM01.card.test_cameras == (1374, 1565, 1883, 1918, 1918, 1920)


@pytest.mark.parametrize(
    ("mode", "gallery", "invalid"),
    [("", 301, 0), ("multi", 3010, 0), ("indoor", 112, 1595), ("indoor-multi", 1120, 1595)],
)
def test_sizes_of_the_galleries_and_queries_without_positive(
    full: tuple[Items, Items], mode: str, gallery: int, invalid: int
) -> None:
    _, test = full
    trials = SYSUMM01().trials(test, setting(mode))
    assert [(len(trial.query), len(trial.gallery)) for trial in trials] == [(3803, gallery)] * 10
    assert len({trial.gallery.tobytes() for trial in trials}) == 10
    for trial in trials[::9]:
        sides = test.labels.take(trial.query), test.labels.take(trial.gallery)
        positives = Relevance(*sides, SYSUMM01.card.exclusion).positives
        assert int((positives == 0).sum()) == invalid
    assert set(test.labels.camera[trials[0].query]) == {2, 5}
    assert set(test.labels.camera[trials[0].gallery]) == ({0, 1} if "indoor" in mode else {0, 1, 3, 4})


def released_gallery(folders: dict[str, list[str]], cameras: list[str], persons: list[int], trial: int) -> list[str]:
    """What AGW's ``process_gallery_sysu`` lists, with the files by folder instead of a disk."""
    random.seed(trial)
    files = []
    for person in sorted(f"{number:04d}" for number in persons):
        for camera in cameras:
            if f"{camera}/{person}" in folders:
                files.append(random.choice(sorted(folders[f"{camera}/{person}"])))
    return files


@pytest.mark.parametrize(("mode", "cameras"), [("", [1, 2, 4, 5]), ("indoor", [1, 2])])
def test_the_draws_are_those_of_the_released_code(full: tuple[Items, Items], mode: str, cameras: list[int]) -> None:
    _, test = full
    folders: dict[str, list[str]] = {}
    for name in random.Random(1).sample(test.names.tolist(), len(test)):
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    persons = sorted(set(test.labels.identity.tolist()), reverse=True)
    for trial, found in enumerate(SYSUMM01().trials(test, setting(mode))):
        drawn = released_gallery(folders, [f"cam{camera}" for camera in cameras], persons, trial)
        assert sorted(drawn) == test.names[found.gallery].tolist()


def test_multi_shot_takes_ten_of_each_person_and_camera(full: tuple[Items, Items]) -> None:
    _, test = full
    first, second = SYSUMM01().trials(test, setting("multi"))[:2]
    places = np.stack([test.labels.identity[first.gallery], test.labels.camera[first.gallery]], axis=1)
    assert set(np.unique(places, axis=0, return_counts=True)[1]) == {10}
    assert len(set(first.gallery)) == 3010
    assert set(first.gallery) != set(second.gallery)


def literal(items: Items, trial: Trial, scores: NDArray[np.float64]) -> official.Result:
    sides = items.labels.take(trial.query), items.labels.take(trial.gallery)
    identity, camera = ([getattr(side, name) for side in sides] for name in ("identity", "camera"))
    return official.sysu(-scores, *identity, *(found + 1 for found in camera))


@pytest.mark.parametrize("mode", MODES)
def test_evaluates_as_the_released_code(tiny: Items, mode: str) -> None:
    rng = np.random.default_rng(len(mode))
    ours, theirs = [], []
    for trial in SYSUMM01().trials(tiny, setting(mode)):
        scores = rng.standard_normal((len(trial.query), len(trial.gallery)))
        sides = tiny.labels.take(trial.query), tiny.labels.take(trial.gallery)
        ours.append(evaluate(rank(scores, *sides, SYSUMM01.card.exclusion, cmc="identities")))
        theirs.append(literal(tiny, trial, scores))
    found = mean_of_trials(ours)
    assert found.left_out == (57 if "indoor" in mode else 0)
    assert found.mAP == pytest.approx(np.mean([one.mean_average_precision for one in theirs]), abs=1e-9)
    assert found.mINP == pytest.approx(np.mean([one.mean_inverse_negative_penalty for one in theirs]), abs=1e-9)
    for k, value in ((1, found.rank1), (5, found.rank5), (10, found.rank10), (20, found.rank20)):
        assert value == pytest.approx(np.mean([one.cmc[k - 1] for one in theirs]), abs=1e-9)


def permutations(items: Items, rows: int = 10, seed: int = 3) -> list[list[NDArray[np.int64]]]:
    """Random tables by camera and person, as the published file has them; empty where a camera saw nobody."""
    rng = np.random.default_rng(seed)
    label = items.labels
    cells = []
    for camera in range(6):
        counts = [int(((label.camera == camera) & (label.identity == person)).sum()) for person in range(1, 65)]
        cells.append([np.array([rng.permutation(n) + 1 for _ in range(rows)]).reshape(rows, n) for n in counts])
    return cells


def write_permutations(folder: Path, cells: list[list[NDArray[np.int64]]]) -> None:
    outer = np.empty((6, 1), dtype=object)
    for camera, persons in enumerate(cells):
        inner = np.empty((len(persons), 1), dtype=object)
        for person, table in enumerate(persons):
            inner[person, 0] = table.astype(np.float64) if table.size else np.zeros((0, 0))
        outer[camera, 0] = inner
    savemat(folder / "exp/rand_perm_cam.mat", {"rand_perm_cam": outer})


SEARCHES: dict[str, dict[str, Any]] = {
    "matlab": {"gallery_cameras": [1, 2, 4, 5], "shots": 1},
    "indoor-matlab": {"gallery_cameras": [1, 2], "shots": 1},
    "multi-matlab": {"gallery_cameras": [1, 2, 4, 5], "shots": 2},
    "indoor-multi-matlab": {"gallery_cameras": [1, 2], "shots": 2},
}


@pytest.mark.parametrize("mode", SEARCHES)
def test_features_are_scored_as_by_the_evaluation_in_matlab(
    tmp_path: Path, tiny: Items, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the page on datasets tells it, on features by path; of three images, a multi-shot gallery has two."""
    for module in ("mdreid_bench.data.draws", "mdreid_bench.data.datasets.sysu_mm01"):
        monkeypatch.setattr(f"{module}.SHOTS", 2)
    rng = np.random.default_rng(0)
    features = {name: rng.standard_normal(8) for name in tiny.names.tolist()}
    cells = [
        [
            np.array([features[n] for n in sorted(features) if n.startswith(f"cam{camera}/{person:04d}/")])
            for person in range(1, 65)
        ]
        for camera in range(1, 7)
    ]
    drawn = permutations(tiny)
    expected = official.matlab(cells, drawn, list(range(41, 65)), **SEARCHES[mode])
    write_lists(tmp_path, "tiny")
    write_permutations(tmp_path, drawn)
    page = (ROOT / "docs/methods/datasets.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    variables: dict[str, Any] = {"folder": tmp_path, "features": features, "protocol": f"N-to-R@{mode}"}
    exec(code, variables)
    found = variables["figures"]
    assert found.mAP == pytest.approx(expected.mean_average_precision, abs=1e-9)
    for k, value in ((1, found.rank1), (5, found.rank5), (10, found.rank10), (20, found.rank20)):
        assert value == pytest.approx(expected.cmc[:k][-1], abs=1e-9)


def test_a_query_sees_nothing_of_the_other_camera_in_its_room() -> None:
    hides = SYSUMM01.card.exclusion.hides(np.arange(6), np.arange(6))
    assert np.argwhere(hides).tolist() == [[1, 2], [2, 1]]
    assert Exclusion.parse(str(SYSUMM01.card.exclusion)) == SYSUMM01.card.exclusion


def test_other_directions_are_drawn_too(tiny: Items) -> None:
    for mode, cameras in (("", {2, 5}), ("indoor", {2})):
        trials = SYSUMM01().trials(tiny, setting(mode, "R-to-N"))
        assert all(set(tiny.labels.camera[trial.gallery]) == cameras for trial in trials)
        assert set(tiny.labels.camera[trials[0].query]) == {0, 1, 3, 4}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drawn copy of three persons, two of whom are tested; cameras 1 to 3 see two images of each."""
    monkeypatch.setattr(
        plans,
        "_sysu_visits",
        lambda _: ([(1, c, 1) for c in range(1, 7)], [(p, c, 2) for p in (2, 3) for c in (1, 3)]),
    )
    made = generate(tmp_path, "sysu-mm01", "tiny", 0, Silent())
    (made / MARKER).unlink()
    (made / "exp/train_id.txt").write_text("1\n")
    (made / "exp/val_id.txt").write_text("\n")
    return made


def test_draws_without_their_file_and_modes_without_meaning(folder: Path) -> None:
    common = ("run", "--dataset", "sysu-mm01", "--method", "random", "--data-root", str(folder.parent), "--preset")
    env = environment(MDREID_CACHE=str(folder.parent / "cache"), COLUMNS="200")
    results = ("tiny", "--results", str(folder.parent / "results"))
    done = in_process(*common, *results, "--protocol", "N-to-R@matlab", env=env)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == (
        "Error: The draws matlab of N-to-R@matlab need the file exp/rand_perm_cam.mat, which is not in the folder of "
        "SYSU-MM01; put it there, or leave out '-matlab'."
    )
    done = in_process(*common, *results, "--protocol", "N-to-R@outdoor", env=env)
    assert done.returncode == 2
    assert "No dataset can serve N-to-R@outdoor: SYSU-MM01 has no mode 'outdoor', only indoor, multi," in done.stderr


def test_files_of_draws_of_another_shape_are_refused(folder: Path) -> None:
    index = open_dataset("sysu-mm01", folder.parent, Silent())
    right = permutations(index.test)
    write_permutations(folder, right)
    with_file = open_dataset("sysu-mm01", folder.parent, Silent())
    assert with_file.test_fingerprint != index.test_fingerprint
    assert with_file.train_fingerprint == index.train_fingerprint
    drawn = with_file.test.names[SYSUMM01().trials(with_file.test, setting("matlab"))[4].gallery].tolist()
    assert drawn == [f"cam1/{person:04d}/{right[0][person - 1][4, 0]:04d}.jpg" for person in (2, 3)]
    doubled = [[np.repeat(table[:, :1], table.shape[1], axis=1) for table in cells] for cells in right]
    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: write_permutations(folder, permutations(index.test, rows=9)), "not a table of 9 x 2; take the file"),
        (
            lambda: write_permutations(folder, doubled),
            "must hold 10 permutations of the 2 images of person 2 in camera 1",
        ),
        (lambda: savemat(folder / "exp/rand_perm_cam.mat", {"other": np.ones(3)}), "holds no cells rand_perm_cam"),
        (lambda: (folder / "exp/rand_perm_cam.mat").write_bytes(b"no MATLAB"), "holds no cells rand_perm_cam"),
    ]
    for change, said in changes:
        change()
        with pytest.raises(DataError, match=re.escape(said)) as caught:
            open_dataset("sysu-mm01", folder.parent, Silent())
        assert caught.value.exit_code == 3
        assert "\n" not in str(caught.value)
        assert "exp/rand_perm_cam.mat" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2", "identity in train and test: 1"),
        ("1;2", "is no list of numbers between commas"),
        (None, "There is no list"),
    ],
)
def test_wrong_lists_are_refused(folder: Path, text: str | None, said: str) -> None:
    file = folder / "exp/val_id.txt"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(DataError, match=re.escape(said)):
        open_dataset("sysu-mm01", folder.parent, Silent())


def test_it_is_registered_and_listed() -> None:
    assert registry.get("sysu-mm01").card.default_protocols == ("N-to-R", "N-to-R@indoor")
    done = in_process("list", "protocols", "--dataset", "sysu-mm01", env=environment(COLUMNS="200"))
    assert done.returncode == 0
    for mode, words in SYSUMM01.card.modes.items():
        assert any(f"{setting(mode)} " in line and words in line for line in done.stdout.splitlines())
