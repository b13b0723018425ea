"""Time of ``report --latex`` over the records of five methods, all protocols, three datasets and three seeds."""

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.measuring import Benchmark, require, seconds
from tests.cli.running import START, environment
from tests.report.fakes import DATASETS, put, study

METHODS = ("mdreid", "single-classifier", "top-reid", "editor", "clip-zero-shot")
RECORDS, ALLOWED, ROUNDS = 2205, 3.0, 3


def test_report_as_latex(benchmark: Benchmark, tmp_path: Path) -> None:
    assert len(put(tmp_path, study(METHODS, DATASETS, ["all"], seeds=(0, 1, 2)))) == RECORDS
    command = [sys.executable, "-c", START, "report", "--latex", "--results", str(tmp_path)]

    def work() -> None:
        subprocess.run(
            [*command, "--out", str(tmp_path / "tables")], env=environment(), check=True, capture_output=True
        )

    benchmark.pedantic(work, rounds=1)
    fastest = min(seconds(work) for _ in range(ROUNDS))
    require(benchmark, f"report --latex over {RECORDS} records", fastest, ALLOWED, "s")
