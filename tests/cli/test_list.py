"""``mdreid-bench list``."""

import json

import pytest
from typer.testing import CliRunner, Result

from mdreid_bench.cli.app import app
from mdreid_bench.config import presets
from mdreid_bench.data import registry as datasets
from mdreid_bench.models import registry as methods
from protocols.protocol import ALL_PROTOCOLS
from protocols.suites import SUITES
from tests.cli.running import environment

NAMES = {
    "methods": list(methods.names()),
    "datasets": list(datasets.names()),
    "protocols": [str(protocol) for protocol in ALL_PROTOCOLS],
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


def test_json_keeps_types() -> None:
    by_name = {entry["name"]: entry for entry in json.loads(run("protocols", "--json").stdout)}
    assert by_name["R-to-NT"] == {"name": "R-to-NT", "query": "R", "gallery": "NT", "matched": False}
    suites = {entry["name"]: entry for entry in json.loads(run("suites", "--json").stdout)}
    assert suites["all"]["protocols"] == NAMES["protocols"]
    assert suites["all"]["count"] == 49


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
