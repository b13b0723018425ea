"""Time until the command line answers: lists, help, and runs of which everything is stored."""

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.measuring import Benchmark, require, seconds
from tests.cli.running import START, environment

LISTS = ("methods", "datasets", "protocols", "suites", "presets")
METHODS = ("mdreid", "single-classifier", "top-reid", "editor", "clip-zero-shot", "random")
CELLS, SLICE = 60, ("--dataset", "msvr310", "--method", "random", "--protocol", "RNT-to-RNT")
TO_LIST, TO_FIND, ROUNDS = 1.0, 2.0, 3


def answered(folder: Path, *arguments: str) -> str:
    """Call the command line in a process of its own, and return what it says."""
    done = subprocess.run(
        [sys.executable, "-c", START, *arguments],
        env=environment(MDREID_CACHE=str(folder / "cache"), MDREID_RESULTS=str(folder / "results")),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


def fastest(folder: Path, *arguments: str) -> float:
    """Return the least seconds that a call takes."""
    return min(seconds(lambda: answered(folder, *arguments)) for _ in range(ROUNDS))


def test_help_and_lists(benchmark: Benchmark, tmp_path: Path) -> None:
    calls = [("--help",), ("run", "--help"), *(("list", kind) for kind in LISTS)]
    taken = {" ".join(call): fastest(tmp_path, *call) for call in calls}
    benchmark.pedantic(lambda: answered(tmp_path, "list", "methods"), rounds=1)
    slowest = max(taken, key=lambda call: taken[call])
    require(benchmark, f"lists and help pages, the slowest ({slowest})", taken[slowest], TO_LIST, "s")


def test_run_that_finds_everything_stored(benchmark: Benchmark, tmp_path: Path) -> None:
    """Six methods under the overview of two synthetic datasets, whatever they have learned, and one cell of these."""
    small = ("--preset", "tiny", "--epochs", "1", "--set", "image.size=[32, 32]", "--set", "trunk.pretrained=null")
    datasets = ("--dataset", "rgbnt100", "--dataset", "msvr310")
    methods = [part for method in METHODS for part in ("--method", method)]
    many, one = ("run", *small, *datasets, *methods, "--protocol", "overview"), ("run", *small, *SLICE)
    assert f"0 reused, {CELLS} done" in answered(tmp_path, *many)
    assert f"{CELLS} reused, 0 done" in answered(tmp_path, *many)
    benchmark.pedantic(lambda: answered(tmp_path, *many), rounds=1)
    for name, call in ((f"run that finds {CELLS} cells stored", many), ("run that finds one cell stored", one)):
        require(benchmark, name, fastest(tmp_path, *call), TO_FIND, "s")
