"""``run --missing``: several rates in one command, what cannot be trained then, and the curve in a report."""

import re
from pathlib import Path

import pytest

from mdreid_bench.results.store import Store
from tests.cli.running import Outcome, environment, in_process
from tests.data.others import register

QUICK = (
    *("--dataset", "pairs", "--preset", "tiny", "--seed", "1", "--epochs", "1", "--batch-size", "8"),
    *("--set", "batch.instances=2", "--set", "image.size=[32, 32]"),
    *("--set", "trunk.pretrained=null", "--set", "trunk.layers=2"),
)
RATES = ("--missing", "0", "--missing", "0.6")


def call(root: Path, *arguments: str) -> Outcome:
    own = environment(MDREID_CACHE=str(root / "cache"), COLUMNS="200")
    return in_process(*arguments, "--results", str(root / "results"), env=own)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    root = tmp_path_factory.mktemp("missing")
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        named = (
            "--method",
            "single-classifier",
            "--method",
            "random",
            "--protocol",
            "R-to-R",
            "--protocol",
            "R-to-T",
        )
        done = call(root, "run", *named, *RATES, *QUICK)
    assert done.returncode == 0, done.stderr
    return root, done


def test_a_run_for_each_rate_and_one_of_what_does_not_train(measured: tuple[Path, Outcome]) -> None:
    root, done = measured
    records = [record for _, record in Store(root / "results").records() if not isinstance(record, str)]
    found = sorted((r.method, r.missing) for r in records if r.protocol == "R-to-T")
    assert found == [("random", 0.0), ("single-classifier", 0.0), ("single-classifier", 0.6)]
    by_rate = {r.missing: r for r in records if (r.method, r.protocol) == ("single-classifier", "R-to-T")}
    assert "data" not in by_rate[0.0].config_overrides
    assert by_rate[0.6].config_overrides["data"] == {"missing": 0.6}
    assert by_rate[0.0].run_key != by_rate[0.6].run_key
    assert "0.6 of the sensors lost in training" in done.stdout
    for kind in ("matched", "mismatched"):
        (table,) = re.findall(
            rf"mAP by rate of lost sensors, {kind} protocols.*?\n\n(.*?)\n\n", done.stdout, re.DOTALL
        )
        assert [row.split()[0] for row in table.splitlines()[2:]] == ["0", "0.6"]
        assert "chance" in table


def test_the_rate_of_zero_is_the_run_without_the_option(
    measured: tuple[Path, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch)
    done = call(measured[0], "run", "--method", "single-classifier", "--protocol", "R-to-T", *QUICK)
    assert "1 reused" in done.stderr


def test_the_report_has_the_curves(measured: tuple[Path, Outcome]) -> None:
    root, _ = measured
    done = call(root, "report", "--suite", "lost-sensors", "--markdown", "--out", str(root / "tables"))
    assert done.returncode == 0, done.stderr
    page = (root / "tables" / "report.md").read_text(encoding="utf-8")
    assert page.count("mAP by rate of lost sensors") >= 4  # two tables, two pictures
    assert len(list((root / "tables").glob("map-by-rate-of-lost-sensors-*.svg"))) == 2


def test_a_method_that_needs_all_sensors_is_not_applicable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)
    plan = call(tmp_path, "run", "--method", "man", "--missing", "0.3", "--dry-run", *QUICK).stdout
    (row,) = (re.split(" {2,}", line) for line in plan.splitlines() if line.startswith("Pairs "))
    assert row[1:3] == ["MAN", "0.3"]
    assert "it guesses identities from the features of all sensors of an item" in " ".join(plan.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--missing", "1"), "--missing takes a rate of at least 0 and below 1, such as 0.3, not '1'."),
        (("--missing", "x"), "--missing takes a number, not 'x'."),
        (("--set", "data.missing=1"), "The configuration key data.missing takes a number below 1, not 1."),
        (("--set", "data.missing=0.3", "--missing", "0"), "data.missing and --missing are the same setting"),
        (("--missing", "0.3", "--weights", "none.pth"), "--weights trains nothing, so --missing has no use"),
    ],
)
def test_rates_out_of_range_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    register(monkeypatch)
    done = call(tmp_path, "run", "--method", "mdreid", *arguments, *QUICK)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
