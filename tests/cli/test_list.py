"""``mdreid-bench list``."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from mdreid_bench.cli.app import app
from mdreid_bench.config import presets
from mdreid_bench.data import registry as datasets
from mdreid_bench.models import registry as methods
from protocols.modality import RNT, Modality
from protocols.protocol import protocols_of
from protocols.suites import SUITES
from tests.cli.running import environment, mdreid_bench

ROOT = Path(__file__).resolve().parents[2]

NAMES = {
    "methods": list(methods.names()),
    "datasets": list(datasets.names()),
    "protocols": [str(protocol) for protocol in protocols_of(RNT)],
    "suites": list(SUITES),
    "presets": list(presets.names()),
}


def run(*arguments: str) -> Result:
    return CliRunner(env=environment()).invoke(app, ["list", *arguments])


@pytest.mark.parametrize("kind", NAMES)
def test_json_has_every_name_once(kind: str) -> None:
    done = run(kind, "--json")
    assert done.exit_code == 0
    assert done.stderr == ""
    assert [entry["name"] for entry in json.loads(done.stdout)] == NAMES[kind]


@pytest.mark.parametrize("kind", NAMES)
def test_the_table_has_a_line_for_every_name(kind: str) -> None:
    done = run(kind)
    assert done.exit_code == 0
    first_words = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    assert set(NAMES[kind]) <= set(first_words)


def test_a_suite_that_cannot_be_used_is_left_out_with_a_warning(tmp_path: Path) -> None:
    """As methods and datasets are: a broken package keeps nobody from the others."""
    package = tmp_path / "toybox-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: toybox\nVersion: 1\n")
    suites = {"absent": "no.such.module:suite", "broken": "tests.broken:suite", "number": "math:pi"}
    suites |= {"typed": "math:sqrt", "sound": "protocols.protocol:protocols_of"}
    entries = "\n".join(f"{name} = {value}" for name, value in suites.items())
    (package / "entry_points.txt").write_text(f"[mdreid_bench.suites]\n{entries}\n")
    env = environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")]))
    done = mdreid_bench("list", "suites", "--json", env=env)
    assert done.returncode == 0, done.stderr
    assert [entry["name"] for entry in json.loads(done.stdout)] == [*NAMES["suites"], "sound"]
    told = " ".join(done.stderr.split())
    assert told.count("it is left out.") == 4
    absent = "The suite 'absent' of the package toybox cannot be imported"
    assert f"{absent}: No module named 'no'; it is left out." in told
    assert "The suite 'number' of the package toybox is no function that returns protocols" in told
    done = mdreid_bench("show-config", "--method", "random", "--dataset", "msvr310", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    done = mdreid_bench("run", "--dataset", "msvr310", "--protocol", "absent", env=env)
    assert done.returncode == 2
    assert absent in " ".join(done.stderr.split())


def test_json_keeps_types() -> None:
    by_name = {entry["name"]: entry for entry in json.loads(run("protocols", "--json").stdout)}
    assert by_name["R-to-NT"] == {"name": "R-to-NT", "query": "R", "gallery": "NT", "matched": False}
    suites = {entry["name"]: entry for entry in json.loads(run("suites", "--json").stdout)}
    assert suites["all"]["protocols"] == NAMES["protocols"]
    assert suites["all"]["count"] == 49


def test_json_says_how_to_cite_a_dataset_and_on_which_terms_it_may_be_used() -> None:
    by_name = {entry["name"]: entry for entry in json.loads(run("datasets", "--json").stdout)}
    assert by_name["msvr310"]["bibtex"].startswith("@article{zheng2023msvr310,")
    assert "no licence is stated" in by_name["msvr310"]["licence"]
    assert "bibtex" not in run("datasets").stdout


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset called Pairs of RGB and thermal images among the registered ones."""
    card = replace(datasets.get("msvr310").card, name="Pairs", sensors=Modality.R | Modality.T, default_protocols=())
    monkeypatch.setattr(datasets, "names", lambda: ("Pairs",))
    monkeypatch.setattr(datasets, "get", lambda name: {"Pairs": SimpleNamespace(card=card)}[name])


@pytest.mark.usefixtures("pairs")
def test_protocols_and_suites_follow_the_sensors_of_a_dataset() -> None:
    protocols = json.loads(run("protocols", "--dataset", "pairs", "--json").stdout)
    assert [entry["name"] for entry in protocols] == [
        f"{q}-to-{g}" for q in ("R", "T", "RT") for g in ("R", "T", "RT")
    ]
    suites = {entry["name"]: entry for entry in json.loads(run("suites", "--dataset", "Pairs", "--json").stdout)}
    assert suites["missing"]["protocols"] == ["R-to-R", "T-to-T"]
    assert suites["ablation"]["protocols"] == ["RT-to-RT"]
    assert "paper-matched" not in suites


@pytest.mark.usefixtures("pairs")
def test_a_dataset_of_the_wrong_list_or_name_exits_2() -> None:
    for arguments, message in (
        (("methods", "--dataset", "pairs"), "goes with list protocols and list suites alone"),
        (("suites", "--dataset", "pears"), "Did you mean 'Pairs'?"),
    ):
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert message in done.stderr


def test_long_lists_are_shortened_in_tables_only() -> None:
    line = next(line for line in run("suites").stdout.splitlines() if line.startswith("all "))
    assert line.rstrip().endswith("R-to-NT, ..., RNT-to-RNT")


def test_an_unknown_kind_exits_2_with_the_valid_ones_and_the_nearest() -> None:
    done = run("method")
    assert done.exit_code == 2
    assert "Did you mean 'methods'?" in done.stderr
    assert "methods, datasets, protocols, suites, presets" in done.stderr


@pytest.mark.parametrize("kind", ["methods", "datasets"])
def test_json_says_what_to_cite_and_tables_stay_narrow(kind: str) -> None:
    assert all(entry["paper"] for entry in json.loads(run(kind, "--json").stdout))
    assert "paper" not in run(kind).stdout.splitlines()[2]
