"""What ``all`` stands for: everything that can be used; plug-ins that cannot are named, and are in nobody's way."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mdreid_bench.data import registry as datasets
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.datasets.msvr310 import MSVR310
from mdreid_bench.models import registry as methods
from tests.cli.running import Outcome, environment, in_process
from tests.data.others import Pairs, card
from tests.data.trees import plant, small_plan

PASSED_OVER = "There is no generator for Undrawn, and no folder is given; it is passed over.\n"
BROKEN = "Warning: The {} 'broken' cannot be imported: division by zero; it is left out.\n"


class Undrawn(Pairs):
    """A dataset without a synthetic copy."""

    card = card("undrawn", cameras=2, sensors=Pairs.card.sensors, layout=Pairs.card.layout)
    plan = Dataset.plan


class Unfinished(Dataset):
    """A dataset that cannot tell labels."""

    card = card("unfinished", cameras=2, sensors=Pairs.card.sensors, layout="")


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "tests.broken:THING", "")
    known = {"msvr310": datasets._REGISTERED._found["msvr310"], "broken": broken}
    own = {
        kind.card.name: EntryPoint(kind.card.name, f"{__name__}:{kind.__name__}", "")
        for kind in (Undrawn, Unfinished)
    }
    monkeypatch.setattr(datasets._REGISTERED, "_found", known | own)
    monkeypatch.setattr(methods._REGISTERED, "_found", {**methods._REGISTERED._found, "broken": broken})
    plan = small_plan("msvr310")
    monkeypatch.setattr(MSVR310, "plan", lambda *_: plan)


def call(tmp_path: Path, *arguments: str) -> Outcome:
    return in_process(*arguments, env=environment(MDREID_CACHE=str(tmp_path / "cache")))


@pytest.mark.parametrize(("kind", "names"), [("dataset", {"msvr310", "undrawn"}), ("method", {"mdreid", "random"})])
def test_lists_leave_out_what_is_broken(tmp_path: Path, kind: str, names: set[str]) -> None:
    done = call(tmp_path, "list", f"{kind}s", "--json")
    assert done.returncode == 0
    listed = {entry["name"] for entry in json.loads(done.stdout)}
    assert names <= listed
    assert "broken" not in listed
    assert BROKEN.format(kind) in done.stderr


def test_run_takes_what_there_is(tmp_path: Path) -> None:
    cells = ("--dry-run", "--preset", "tiny", "--results", str(tmp_path / "results"))
    done = call(tmp_path, "run", "--dataset", "all", *cells)
    assert done.returncode == 0
    assert "random" in done.stdout
    assert "broken" not in done.stdout
    lines = [BROKEN.format("dataset"), BROKEN.format("method"), PASSED_OVER]
    assert [done.stderr.count(line) for line in lines] == [1, 1, 1]
    assert "The dataset 'unfinished' does not define labels, as datasets must; it is left out." in done.stderr
    for named, sentence in (
        (("--dataset", "undrawn"), "There is no generator for Undrawn; pass real images with --data-root."),
        (("--dataset", "unfinished"), "The dataset 'unfinished' does not define labels, as datasets must."),
        (("--dataset", "broken"), "The dataset 'broken' cannot be imported: division by zero."),
        (("--dataset", "msvr310", "--method", "broken"), "The method 'broken' cannot be imported: division by zero."),
    ):
        refused = call(tmp_path, "run", *named, *cells)
        assert refused.returncode == 2
        assert refused.stderr.splitlines()[-1].endswith(sentence)


def test_synth_draws_what_it_can(tmp_path: Path) -> None:
    done = call(tmp_path, "synth", str(tmp_path / "data"))
    assert done.returncode == 0
    assert PASSED_OVER in done.stderr
    assert (tmp_path / "data" / "MSVR310").is_dir()
    assert call(tmp_path, "synth", str(tmp_path), "--dataset", "undrawn").returncode == 2


def test_check_has_a_table_for_each(tmp_path: Path) -> None:
    done = call(tmp_path, "check", "--dataset", "all")
    assert (done.returncode, done.stdout) == (0, "No faults in the 144 files of MSVR310, 48 items.\n")
    assert PASSED_OVER in done.stderr
    plant(tmp_path / "real", "msvr310")
    absent = call(tmp_path, "check", "--dataset", "all", "--data-root", str(tmp_path / "real"), "--json")
    assert absent.returncode == 3
    assert [tree["dataset"] for tree in json.loads(absent.stdout)] == ["msvr310"]
    assert "expected Pairs/" in absent.stderr
