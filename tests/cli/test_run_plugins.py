"""``mdreid-bench run`` and what follows it on datasets of four sensors, of two, and of one sensor an item."""

import json
import re
from pathlib import Path

import pytest

from mdreid_bench.models import registry
from tests.cli.running import Outcome, environment, in_process
from tests.data.others import register

QUICK = (
    *("--preset", "tiny", "--seed", "1", "--epochs", "1", "--batch-size", "8", "--set", "batch.instances=2"),
    *("--set", "trunk.pretrained=null", "--set", "image.size=[32, 32]"),
)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Caller":
    register(monkeypatch)
    return Caller(tmp_path)


class Caller:
    """Runs commands on one results folder, with synthetic copies of the datasets."""

    def __init__(self, root: Path) -> None:
        self.root, self.results = root, root / "results"
        self.environment = environment(MDREID_CACHE=str(root / "cache"))

    def __call__(self, *arguments: str) -> Outcome:
        done = in_process(*arguments, "--results", str(self.results), env=self.environment)
        assert done.returncode == 0, done.stderr
        return done

    def run(self, dataset: str, *arguments: str) -> Outcome:
        return self("run", "--dataset", dataset, *arguments, *QUICK)

    def protocols(self, run: str) -> set[str]:
        return {path.stem for path in self.results.glob(f"runs/{run}*/full/*.json")}


FOUR = ("--method", "mdreid", "--method", "single-classifier")


def test_four_sensors_are_trained_and_embedded_in_every_subset(call: Caller) -> None:
    plan = call.run("quads", *FOUR, "--protocol", "all", "--dry-run").stdout
    assert [re.split(" {2,}", row)[5] for row in plan.splitlines() if row.startswith("Quads ")] == ["225", "225"]
    chosen = ("D-to-R", "RNTD-to-RNTD", "NT-to-RD", "RNT-to-RNT")
    done = call.run("quads", *FOUR, *(part for name in chosen for part in ("--protocol", name)))
    assert "8 done" in done.stderr
    for method in ("mdreid", "single-classifier"):
        assert call.protocols(f"quads-{method}") == set(chosen)
        assert len(list(call.results.glob(f"runs/quads-{method}*/full/embeddings/*.npy"))) == 15


@pytest.mark.slow
def test_four_sensors_make_225_protocols(call: Caller) -> None:
    assert "450 done" in call.run("quads", *FOUR, "--protocol", "all").stderr
    call("report", "--no-published", "--csv", "--out", str(call.root / "tables"))
    grid = (call.root / "tables" / "grid.csv").read_text(encoding="utf-8")
    assert grid.count("RNTD") >= 2 * 15


def test_two_sensors_are_trained_scored_and_searched(call: Caller) -> None:
    call.run("pairs", "--method", "mdreid", "--protocol", "all")
    assert call.protocols("pairs-mdreid") == {f"{q}-to-{g}" for q in ("R", "T", "RT") for g in ("R", "T", "RT")}
    call("score", "--run", "pairs-mdreid", "--protocol", "mixed")
    (images,) = call.root.glob("cache/synthetic/*/Pairs/test")
    gallery = call.root / "gallery"
    for folder, sensor in (("RGB", "rgb"), ("TI", "thermal")):
        (gallery / folder).mkdir(parents=True)
        for path in sorted((images / sensor).iterdir())[:6]:
            (gallery / folder / path.name).write_bytes(path.read_bytes())
    call("index", str(gallery), str(call.root / "index"), "--run", "pairs-mdreid")
    query = next(path for path in sorted((gallery / "TI").iterdir()))
    found = call("search", str(call.root / "index"), "--image", f"T={query}", "--top", "3", "--json")
    hits = json.loads(found.stdout)["hits"]
    assert len(hits) == 3
    assert {hit["sensors"] for hit in hits} == {"RT"}


@pytest.mark.slow
def test_every_method_that_can_trains_on_one_sensor_an_item(call: Caller) -> None:
    """The features of three branches are of all sensors of an item, and what adapts them clusters these."""
    whole = {"three-branch", "fusion-clustering", "man"}
    able = set(registry.names()) - whole
    assert f"{2 * len(able)} done, 0 skipped, 0 failed, {2 * len(whole)} not applicable" in call.run("lone").stderr
    assert {path.name.rsplit("-tiny-", 1)[0] for path in call.results.glob("runs/*")} == {f"lone-{n}" for n in able}


def test_one_sensor_an_item_is_evaluated_both_ways(call: Caller) -> None:
    small = ("--set", "trunk.pretrained=null", "--set", "image.size=[32, 32]")
    done = call.run("lone", "--method", "mdreid", "--method", "mun", "--method", "random", *small)
    assert "6 done" in done.stderr
    for method in ("mdreid", "mun", "random"):
        assert call.protocols(f"lone-{method}") == {"T-to-R", "R-to-T"}
    assert not list(call.results.glob("runs/*/decoupling.json"))  # no item has the parts of both sensors
    record = json.loads(next(call.results.glob("runs/lone-random*/full/T-to-R.json")).read_text(encoding="utf-8"))
    assert (record["counts"]["queries"], record["counts"]["gallery"]) == (12, 24)
