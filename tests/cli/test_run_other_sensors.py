"""``mdreid-bench run`` on a dataset of RGB and thermal images."""

import re
from pathlib import Path
from typing import ClassVar

import pytest

from mdreid_bench.data import registry
from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.items import Role
from mdreid_bench.models import registry as methods
from protocols.exclusion import Exclusion
from protocols.modality import Modality
from protocols.suites import resolve
from tests.cli.running import Outcome, environment, in_process
from tests.data.trees import paint
from tests.support import SIZE

COUNTS = {f"{part}_{what}": 4 for part in ("train", "query", "gallery") for what in ("images", "identities")}


class Pairs(Dataset):
    """Four identities seen by two cameras, each by RGB and thermal."""

    card = DatasetCard(
        name="pairs",
        title="Pairs",
        kind="person",
        paper="none",
        bibtex="",
        licence="none",
        image_size=SIZE,
        cameras=2,
        exclusion=Exclusion.CAMERA,
        counts=SplitCounts(**COUNTS),
        layout="Pairs/{train,query,gallery}/{rgb,tir}/*.jpg",
        sensors=Modality.R | Modality.T,
    )
    roles: ClassVar = {"train": Role.TRAIN, "query": Role.QUERY, "gallery": Role.GALLERY}
    sensors: ClassVar = {"rgb": Modality.R, "tir": Modality.T}
    grammar = re.compile(
        r"(?P<role>train|query|gallery)/(?P<sensor>rgb|tir)/(?P<file>(?P<identity>[0-9]{2})_c(?P<camera>[12])\.jpg)"
    )

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return identity, camera from 0, and no scene."""
        return int(match["identity"]), int(match["camera"]) - 1, 0


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for split, cameras, first in (("train", "12", 0), ("query", "1", 4), ("gallery", "2", 4)):
        for identity in range(first, first + 4):
            for camera in cameras:
                for sensor in ("rgb", "tir"):
                    path = tmp_path / "data" / "Pairs" / split / sensor / f"{identity:02}_c{camera}.jpg"
                    paint(path, (SIZE[1], SIZE[0]), str(path.relative_to(tmp_path)))
    monkeypatch.setattr(registry, "names", lambda: ("pairs",))
    monkeypatch.setattr(registry, "get", lambda name: {"pairs": Pairs()}[name])
    return tmp_path


def run(root: Path, *arguments: str) -> Outcome:
    small = ("--epochs", "1", "--batch-size", "4", "--set", "batch.instances=2", "--set", "trunk.pretrained=null")
    places = ("--data-root", str(root / "data"), "--results", str(root / "results"))
    own = environment(MDREID_CACHE=str(root / "cache"))
    return in_process("run", "--dataset", "pairs", "--preset", "tiny", *arguments, *small, *places, env=own)


@pytest.mark.parametrize(
    ("protocols", "cached", "new", "unfit"),
    [((), 0, 1, None), (("all",), 0, 9, None), (("ablation",), 0, 1, 5), (("R-to-T", "R-to-D"), 0, 1, 1)],
)
def test_the_plan_follows_the_sensors(
    root: Path, protocols: tuple[str, ...], cached: int, new: int, unfit: int | None
) -> None:
    named = [part for name in protocols for part in ("--protocol", name)]
    done = run(root, "--method", "single-classifier", "--dry-run", *named)
    assert done.returncode == 0, done.stderr
    (row,) = [re.split(" {2,}", line) for line in done.stdout.splitlines() if line.startswith("Pairs  ")]
    assert row[1] == "Single classifier"
    assert row[4:7] == [str(cached), str(new), "train, extract, score" if unfit is None else str(unfit)]
    if unfit is not None:
        assert "Not applicable: " in done.stdout
        assert "Pairs has no " in done.stdout


def test_what_cannot_be_served_is_said_and_no_failure(root: Path) -> None:
    done = run(root, "--method", "random", "--protocol", "R-to-T", "--protocol", "R-to-N")
    assert done.returncode == 0, done.stderr
    assert "1 done" in done.stderr
    assert "1 not applicable" in done.stderr
    assert "Pairs has no N" in " ".join(done.stdout.split())
    alone = run(root, "--method", "random", "--protocol", "R-to-N")
    assert (alone.returncode, "1 not applicable" in alone.stderr) == (0, True)


def test_scoring_again_follows_the_sensors_too(root: Path) -> None:
    assert run(root, "--method", "random").returncode == 0
    places = ("--results", str(root / "results"))
    done = in_process("score", "--run", "pairs-random", "--protocol", "ablation", *places, env=environment())
    assert done.returncode == 0, done.stderr
    assert "Cells: 1 reused, 0 done, 5 not applicable." in done.stderr
    default = in_process("score", "--run", "pairs-random", *places, env=environment())
    assert Path(default.stdout.splitlines()[-1]).name == "RT-to-RT.json"


def test_every_method_is_trained_and_evaluated_on_them(root: Path) -> None:
    done = run(
        root, "--protocol", "all", "--protocol", "mixed", "--rerank", "4,2,0.3", "--set", "image.size=[32, 32]"
    )
    assert done.returncode == 0, done.stderr
    settings = resolve(["all", "mixed"], Pairs.card.sensors)
    refused = [
        "no source" if card.adapts else card.refusal(setting, card.options_model().model_dump(), Pairs.card.sensors)
        for card in methods.cards().values()
        for setting in settings
    ]
    assert f"Plan: {len(methods.names())} runs, {len(refused)} cells" in done.stderr
    assert f"{refused.count(None)} done" in done.stderr
    assert f"{len(refused) - refused.count(None)} not applicable" in done.stderr
    assert "MUN compares images of one sensor" in " ".join(done.stdout.split())
    assert "re-rank" in done.stdout
    report = in_process("report", "--results", str(root / "results"), env=environment())
    assert report.returncode == 0, report.stderr
