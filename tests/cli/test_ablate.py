"""``mdreid-bench ablate`` as a user's shell sees it, on a small planted tree."""

import re
from pathlib import Path

import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.models.mdreid.ablation import ROWS
from mdreid_bench.results.store import Store
from mdreid_bench.runs import execute
from mdreid_bench.training.train import Trainer
from protocols.suites import suite
from tests.cli.running import environment, in_process
from tests.data.trees import plant

SMALL = (
    "--set", "trunk.pretrained=null", "--set", "trunk.layers=2", "--set", "image.size=[32, 32]",
    "--set", "batch.size=4", "--set", "batch.instances=2", "--epochs", "1", "--device", "cpu", "--preset", "tiny",
)  # fmt: skip
SETTINGS = tuple(map(str, suite("ablation")))


class Place:
    """A data root with a small planted RGBNT201 and MSVR310, a cache and a results folder."""

    def __init__(self, base: Path) -> None:
        self.data, self.results = base / "data", base / "results"
        self.environment = environment(MDREID_CACHE=str(base / "cache"), OMP_NUM_THREADS="1")
        for dataset in ("rgbnt201", "msvr310"):
            plant(self.data, dataset)

    def call(self, command: str, *arguments: str, results: Path | None = None) -> tuple[int, str, str]:
        """Call a command and return exit code, stdout and stderr."""
        common = ("--data-root", str(self.data), "--results", str(results or self.results), *SMALL)
        done = in_process(command, *arguments, *common, env=self.environment)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where the five rows and the components have been measured once."""
    found = Place(tmp_path_factory.mktemp("ablate"))
    code, out, err = found.call("ablate", "--components")
    assert code == 0, err
    assert "Plan: 7 runs, 42 cells (42 new, 0 cached)" in err
    assert len(list(found.results.glob("trained/*/weights.safetensors"))) == 5
    (found.results.parent / "first.txt").write_text(out)
    return found


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it an error to train or to extract."""

    def never(*_: object) -> None:
        raise AssertionError("done twice")

    monkeypatch.setattr(execute, "extract", never)
    monkeypatch.setattr(execute, "Trainer", never)


def body(out: str, label: str) -> list[str]:
    """Return the numbers of the first table row with a label."""
    (line, *_) = [line for line in out.splitlines() if line.startswith(f"{label}  ")]
    return line.removeprefix(label).split()


@pytest.mark.usefixtures("untrained")
def test_the_second_call_reuses_everything(place: Place) -> None:
    code, out, err = place.call("ablate", "--components")
    assert code == 0, err
    assert "(0 new, 42 cached)" in err
    assert out == (place.results.parent / "first.txt").read_text()
    assert out.splitlines()[-1] == str(place.results / "runs")


@pytest.mark.usefixtures("untrained")
def test_rows_are_runs_of_the_run_command(place: Place) -> None:
    named = ("--method", "mdreid", "--method", "single-classifier", "--dataset", "rgbnt201")
    code, _, err = place.call("run", *named, "--protocol", "ablation")
    assert code == 0, err
    assert "(0 new, 12 cached)" in err
    off = ("--set", "options.orthogonality_weight=0", "--set", "options.discrepancy_weight=0")
    code, _, err = place.call("run", "--method", "mdreid", "--dataset", "rgbnt201", "--protocol", "ablation", *off)
    assert code == 0, err
    assert "(0 new, 6 cached)" in err


def test_the_table_shows_the_mean_and_each_setting(place: Place) -> None:
    out = (place.results.parent / "first.txt").read_text()
    records = [record for _, record in Store(place.results).records() if not isinstance(record, str)]
    for row in ROWS.rows:
        own = {r.protocol: r.metrics for r in records if row.fits(r.method, r.options)}
        assert set(own) == set(SETTINGS)
        values = [100 * v for name in SETTINGS for v in (own[name].mAP, own[name].rank1)]
        means = [sum(values[metric::2]) / len(SETTINGS) for metric in (0, 1)]
        assert body(out, row.label) == [f"{value:.1f}" for value in (*means, *values)]
    for label in ("specific only", "shared only", "both", "chance"):
        assert len(body(out, label)) == 2 + 2 * len(SETTINGS)
    assert "where the sensors of both sides are disjoint, they score chance" in out
    assert "One seed: differences" in out
    gain = float(body(out, "MDL + ROL + KDL")[0]) - float(body(out, "MDL")[0])
    (told,) = re.findall(r"MDL \+ ROL \+ KDL against MDL: ([+-]?[\d.]+) mAP \[", " ".join(out.split()))
    assert float(told) == pytest.approx(gain, abs=0.11)
    assert "RGBNT201" in out
    assert "synthetic" not in out


@pytest.mark.usefixtures("untrained")
def test_sweeps_reuse_the_rows_of_the_ablation(place: Place) -> None:
    names = ("--no-rows", "--sweep", "w1", "--values", "1.5,0")
    code, out, err = place.call("ablate", *names)
    assert code == 0, err
    first = (place.results.parent / "first.txt").read_text()
    assert body(out, "w1 = 1.5") == body(first, "MDL + ROL")
    assert body(out, "w1 = 0") == body(first, "MDL")
    assert "single classifier" not in out


def test_several_seeds_give_mean_and_spread(place: Place, tmp_path: Path) -> None:
    names = ("--no-rows", "--components", "--dataset", "msvr310", "--seed", "1", "--seed", "2")
    code, out, err = place.call("ablate", *names, results=tmp_path)
    assert code == 0, err
    assert "Plan: 6 runs" in err
    assert "MSVR310" in out
    assert body(out, "both").count("±") == 2 + 2 * len(SETTINGS)
    assert "mean ± sample standard deviation over seeds 1, 2" in out


def test_dry_run_names_rows_and_touches_nothing(place: Place) -> None:
    before = sorted(place.results.rglob("*"))
    code, out, err = place.call("ablate", "--sweep", "w2", "--components", "--seed", "9", "--dry-run")
    assert code == 0, err
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "train, extract, score" in lines["MDL + ROL + KDL, w2 = 5.25, both"]
    assert "train" not in lines["shared only"]
    assert sorted(place.results.rglob("*")) == before


def test_a_failed_row_does_not_stop_the_others(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Trainer):
        def run(self) -> None:
            if self.config.options.get("discrepancy_weight"):
                raise DataError("The disk is full.")
            super().run()

    monkeypatch.setattr(execute, "Trainer", Failing)
    code, out, err = place.call("ablate", "--no-rows", "--sweep", "w2", "--values", "0,5", results=tmp_path)
    assert code == 1
    assert err.count("Error: ") == 1
    assert body(out, "w2 = 5") == ["—", "(a)"] * (2 + 2 * len(SETTINGS))
    assert "(a) failed: The disk is full." in out
    assert body(out, "w2 = 0")[0] != "—"
    code, out, _ = place.call("ablate", "--no-rows", "--sweep", "w2", "--values", "5", results=tmp_path)
    assert (code, out) == (3, "")


def test_a_seed_that_fails_is_named_below_the_table(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Trainer):
        def run(self) -> None:
            if self.config.seed == 2:
                raise DataError("The disk is full.")
            super().run()

    monkeypatch.setattr(execute, "Trainer", Failing)
    names = ("--no-rows", "--sweep", "w1", "--values", "1", "--seed", "1", "--seed", "2")
    code, out, _ = place.call("ablate", *names, results=tmp_path)
    assert code == 1
    assert " against " not in out
    assert "w1 = 1: seed 2 is missing or incomplete, failed: The disk is full." in out
    assert "±" not in body(out, "w1 = 1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sweep", "w3"), "Unknown value of --sweep 'w3'"),
        (("--values", "1"), "name it with --sweep"),
        (("--sweep", "w1", "--sweep", "w2", "--values", "1"), "values of one sweep"),
        (("--sweep", "w1", "--values", "1,x"), "'1,x'"),
        (("--sweep", "w1", "--values", "-1"), "'-1'"),
        (("--sweep", "w1", "--values", "nan"), "'nan'"),
        (("--no-rows",), "leaves nothing to measure"),
        (("--dataset", "rgbnt20"), "Did you mean 'rgbnt201'"),
        (("--set", "options.mdl=false"), "mdl"),
        (("--sweep", "w2", "--set", "options.discrepancy_weight=5"), "set by the rows of the sweep w2"),
        (("--set", "options.rool=paper"), "options.rool"),
        (("--set", "batch.instances=3"), "multiple of batch.instances"),
    ],
)
def test_mistakes_are_one_sentence(place: Place, arguments: tuple[str, ...], message: str) -> None:
    common = ("--data-root", str(place.data), "--results", str(place.results))
    done = in_process("ablate", *arguments, *common, env=place.environment)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_fail_fast_skips_the_rest(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Trainer):
        def run(self) -> None:
            if self.config.options.get("discrepancy_weight") == 5:
                raise DataError("The disk is full.")
            super().run()

    monkeypatch.setattr(execute, "Trainer", Failing)
    names = ("--no-rows", "--sweep", "w2", "--values", "0,5,6", "--fail-fast")
    code, out, err = place.call("ablate", *names, results=tmp_path)
    assert code == 1
    assert "6 done, 6 skipped, 6 failed" in err
    assert "(b) skipped after a failure" in out
