"""The commands that stand beside a table in README and docs run, at a reduced size, and make a table of that form."""

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mdreid_bench.data import registry
from protocols.suites import suite
from tests.cli.running import Outcome, environment, in_process
from tests.data.trees import small_plan
from tests.report.fakes import put, study

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8").split("## Results on synthetic data\n")[1].split("\n## ")[0]
RESULTS = (ROOT / "docs" / "synthetic-results.md").read_text(encoding="utf-8")
QUICK = shlex.split("--epochs 1 --batch-size 4 --set batch.instances=2 --set trunk.pretrained=null --device cpu")
KEPT = {"--method": ("random", "single-classifier"), "--seed": ("1",)}
"""What is left of options that are repeated; where no method is named, one is."""


def commands(text: str) -> list[list[str]]:
    """Return the commands of a page, which are indented and may go on after a backslash."""
    lines = re.sub(r"\\\n\s+", "", text).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("    mdreid-bench ")]


def values(command: Sequence[str], flag: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == flag]


def reduced(command: Sequence[str]) -> list[str]:
    """Return a command that trains as one that trains quickly, and others as they are but for methods and seeds."""
    kept, skip = [], False
    for word, value in pairwise([*command, ""]):
        if word in KEPT:
            skip = True
            kept += [word, value] if value in KEPT[word] else []
        elif skip:
            skip = False
        else:
            kept.append(word)
    trains = command[0] in ("run", "ablate")
    some = ["--method", "random"] if command[0] == "run" and "--method" not in kept else []
    return [*kept, *some, *([*QUICK, "--set", "image.scale=0.25"] if trains else [])]


def carried_out(page: str, root: Path) -> list[Outcome]:
    """Carry out all commands of a page one after the other, on small synthetic sets."""
    places = ["--results", str(root / "results")]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("rgbnt201", "rgbnt100", "msvr310"):
            plan = small_plan(name)
            patch.setattr(type(registry.get(name)), "plan", lambda *_, plan=plan: plan)
        own = environment(MDREID_CACHE=str(root / "cache"))
        return [in_process(*reduced(command), *places, env=own) for command in commands(page)]


def rows(markdown: str) -> list[list[str]]:
    """Return the cells of the tables in a text, rules left out."""
    lines = (line.strip() for line in markdown.splitlines() if line.startswith("|"))
    found = ([cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines)
    return [cells for cells in found if set(cells[0]) - set(":-")]


def test_the_commands_of_readme_make_a_table(tmp_path: Path) -> None:
    done = carried_out(README, tmp_path)
    assert len(done) >= 2
    assert all(one.returncode == 0 for one in done), [one.stderr for one in done]
    (report,) = (line for line in done[-1].stdout.splitlines() if line.endswith(".md"))
    heading, *found = rows(Path(report).read_text(encoding="utf-8"))
    assert heading == rows(README)[0]
    assert list(dict.fromkeys(row[0] for row in found)) == list(dict.fromkeys(row[0] for row in rows(README)[1:]))


@pytest.mark.slow
def test_the_commands_of_the_results_page_run(tmp_path: Path) -> None:
    done = carried_out(RESULTS, tmp_path)
    assert done
    assert all(one.returncode == 0 for one in done), [one.stderr for one in done]


def test_the_table_of_readme_has_the_form_of_the_report(tmp_path: Path) -> None:
    """Columns, datasets and methods by their titles; neither figures nor the order of the methods are looked at."""
    (run,) = (command for command in commands(README) if command[0] == "run")
    (report,) = (command for command in commands(README) if command[0] == "report")
    methods, datasets, seeds = (values(run, flag) for flag in ("--method", "--dataset", "--seed"))
    (preset,), suites = values(run, "--preset"), values(run, "--protocol")
    facts: dict[str, Any] = {"preset": preset, "seeds": [*map(int, seeds)], "data_kind": "synthetic"}
    for method in methods:
        selection: dict[str, Any] = {} if method not in ("random", "clip-zero-shot") else {"selection": "none"}
        put(tmp_path / "results", study([method], datasets, suites, **facts, **selection))
    done = in_process(*report, "--results", str(tmp_path / "results"), env=environment())
    assert done.returncode == 0, done.stderr
    (page,) = (line for line in done.stdout.splitlines() if line.endswith(".md"))
    (heading, *made), (shown, *ours) = (rows(text) for text in (Path(page).read_text(encoding="utf-8"), README))
    assert heading == shown == ["dataset", "method", *map(str, suite("overview"))]
    assert sorted(row[:2] for row in made) == sorted(row[:2] for row in ours)
    assert all(re.fullmatch(r"[\d.]+[*]*( ± [\d.]+)?", cell) for row in ours for cell in row[2:])
