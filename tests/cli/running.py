"""Running the command line inside the tests, as a user's shell would see it."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

START = "from mdreid_bench.cli.app import main; main()"
CARDS_ALONE = (
    "from mdreid_bench.models.registry import _REGISTERED\n"
    "found = {name: entry for name, entry in _REGISTERED._found.items() if 'card' in entry.module}\n"
    "_REGISTERED._found = found\n"
)
"""Code that leaves out methods whose entry point is their class, as of a method in one file; they import torch."""


def environment(**extra: str) -> dict[str, str]:
    """Return this environment without what changes the look of the output, 80 columns wide."""
    looks = ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "NO_COLOR", "TERMINAL_WIDTH")
    kept = {name: value for name, value in os.environ.items() if name not in looks and not name.startswith("MDREID_")}
    return kept | {"COLUMNS": "80", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"} | extra


def mdreid_bench(*arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run ``mdreid-bench`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", START, *arguments],
        env=dict(env or environment()),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@dataclass(frozen=True)
class Outcome:
    """What a call of the command line left behind."""

    returncode: int
    stdout: str
    stderr: str


def in_process(*arguments: str, env: Mapping[str, str]) -> Outcome:
    """Run ``mdreid-bench`` in this process, which spares the import of torch; ``env`` is laid over ours."""
    from mdreid_bench.cli.app import app

    result = CliRunner().invoke(app, list(arguments), env=dict(env), prog_name="mdreid-bench")
    return Outcome(result.exit_code, result.stdout, result.stderr)


def report_texts(call: Callable[..., Outcome], suite: str, out: Path) -> dict[str, str]:
    """Let ``report`` write a suite in every form by a call of the command line; return the text files by name."""
    done = call("report", "--suite", suite, "--latex", "--markdown", "--csv", "--html", "--out", str(out))
    assert done.returncode == 0, done.stderr
    files = [path for path in out.rglob("*") if path.is_file() and path.suffix != ".png"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    assert {"main.tex", f"{suite}.csv", "report.md", "report.html", "results.csv"} <= texts.keys()
    return texts
