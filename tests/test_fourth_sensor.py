"""docs/fourth-sensor.md works as it is printed: a package with a dataset of four sensors, through to its report."""

import re
import shlex
import sys
import tomllib
from importlib.metadata import EntryPoint
from itertools import product
from pathlib import Path

import pytest

from mdreid_bench.data import registry
from mdreid_bench.report.grid import grid_tables
from mdreid_bench.report.groups import group_records
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from tests.cli.running import Outcome, environment, in_process
from tests.report.test_render import drawn

TEXT = (Path(__file__).parents[1] / "docs" / "fourth-sensor.md").read_text(encoding="utf-8")
QUICK = shlex.split(
    "--seed 1 --epochs 1 --batch-size 8 --set batch.instances=2 --set trunk.pretrained=null --set image.size=[32,32]"
)
SIDES = ("R", "N", "T", "D", "RN", "RT", "RD", "NT", "ND", "TD", "RNT", "RND", "RTD", "NTD", "RNTD")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


COMMANDS = [shlex.split(line)[1:] for line in block("sh").splitlines() if line.startswith("mdreid-bench ")]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the two files of the package out, and register what its project file names."""
    for language in ("toml", "python"):
        code = block(language)
        name = code.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code, encoding="utf-8")
    project = tomllib.loads((tmp_path / "depth-yard" / "pyproject.toml").read_text(encoding="utf-8"))
    monkeypatch.syspath_prepend(tmp_path / "depth-yard")
    monkeypatch.delitem(sys.modules, "depth_yard", raising=False)
    found = dict(registry._REGISTERED._found)
    for name, target in project["project"]["entry-points"][registry.GROUP].items():
        found[name] = EntryPoint(name, target, registry.GROUP)
    monkeypatch.setattr(registry._REGISTERED, "_found", found)
    return tmp_path


def call(root: Path, words: list[str], *more: str) -> Outcome:
    places = ("--results", str(root / "results")) if words[0] in ("run", "report") else ()
    own = environment(MDREID_CACHE=str(root / "cache"))
    done = in_process(*words, *more, *places, env=own)
    assert done.returncode == 0, done.stderr
    return done


def test_the_dataset_is_listed_with_its_suites_and_its_plan(root: Path) -> None:
    listed, run, _, _, suites = COMMANDS
    assert "depth-yard" in call(root, listed).stdout
    counts = dict(re.findall(r"^(\S+) +([0-9]+) ", call(root, suites).stdout, re.MULTILINE))
    told = {"all": "225", "matched": "15", "mismatched": "210", "missing": "14"}
    assert {name: counts[name] for name in told} == told
    plan = call(root, run, "--dry-run", *QUICK).stdout
    assert [re.split(" {2,}", row)[5] for row in plan.splitlines() if row.startswith("DepthYard ")] == ["225", "225"]


@pytest.mark.slow
def test_the_commands_of_the_page_train_score_and_report(root: Path) -> None:
    _, run, again, report, _ = COMMANDS
    assert "450 done" in call(root, run, *QUICK).stderr
    assert "2 reused" in call(root, again, *QUICK).stderr
    call(root, report, "--out", str(root / "tables"))
    grid = (root / "tables" / "grid.csv").read_text(encoding="utf-8")
    assert grid.count("RNTD") >= 2 * 15
    page = (root / "tables" / "report.html").read_text(encoding="utf-8")
    fragments = sorted((root / "tables" / "latex").glob("grid-heat-map-*.tex"))
    assert len(fragments) == 2
    for side in SIDES:
        assert all(f'"{side}-to-{other}"' in page for other in SIDES)
        assert all(f"{side} &" in fragment.read_text(encoding="utf-8") for fragment in fragments)
    assert (root / "tables" / "report.md").exists()
    records = [record for _, record in Store(root / "results").records() if isinstance(record, Record)]
    for table, width in product(grid_tables(group_records(records)[0]), (80, 160)):
        printed = drawn(table, width)
        assert max(map(len, printed.splitlines())) <= width
        rows = re.findall(r"^([RNTD]{1,4})((?: +[0-9.]+)+)$", printed, re.MULTILINE)
        parts = len(rows) // len(SIDES)
        assert [query for query, _ in rows] == [*SIDES] * parts
        assert sum(len(cells.split()) for _, cells in rows) == 15 * 15
