"""Everything that has to be seen on a GPU, in one call of less than eight minutes: ``make gpu-check``.

``python -m tests.gpu.check`` prints a table and writes a page of docs, :data:`PAGE`; names of groups after it
leave out the others, and the page. Each group runs in a process of its own, so that an error of the card ends no
other. It exits with 1 when a line fails; where there is no GPU it says so and exits with 0.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mdreid_bench.cli.console import Console
from mdreid_bench.processes.device import pick_device
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.table import Column, Table
from tests.gpu import choices, methods, processes, speed
from tests.gpu.frame import TINY, Bench, Check, Line, Sizes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance-gpu.md"
GROUPS: dict[str, Callable[[Sizes], Sequence[tuple[str, Check]]]] = {
    "speed": lambda _: speed.checks(),
    "methods": lambda sizes: methods.checks(sizes.methods),
    "choices": lambda _: choices.checks(),
    "processes": lambda _: processes.checks(),
    "compiled": lambda sizes: choices.compiled() if sizes.compiled else (),
}
SECONDS = {"speed": 100, "methods": 170, "choices": 60, "processes": 120, "compiled": 200}
"""What each group may take, within what is left of the whole."""
WHOLE = 460
"""Seconds that all may take together; the rest of eight minutes is for the start and the page."""
NOT_RUN = "not run: time"
PREFACE = """# Performance on a GPU

Made by `make gpu-check` from its own measurements; do not edit. Times are the fastest of several that take turns.
Weights are random, images random or synthetic. A share of the peak is that of the rate of one large bf16 product.
"""


def perform(checks: Sequence[tuple[str, Check]], bench: Bench) -> Iterator[tuple[str, Line]]:
    """Yield the lines of checks, each with the name of its check; one that raises has a line that fails."""
    for number, (name, check) in enumerate(checks):
        own = bench.folder / str(number)
        own.mkdir()
        try:
            for line in check(Bench(bench.device, bench.sizes, own)):
                yield name, line
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            sentence = next(filter(None, map(str.strip, str(error).splitlines())), last.line)
            shown = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {sentence}"
            yield name, Line(name, shown, "no error", "FAIL")


def inside(group: str, device: str, sizes: Sizes, into: Path) -> None:
    """Perform a group and append what it finds to a file, line by line, with a mark where each check begins."""
    checks = GROUPS[group](sizes)
    with TemporaryDirectory() as folder, into.open("a", encoding="utf-8") as file:
        os.environ["MDREID_CACHE"] = str(Path(folder) / "cache")
        for name, check in checks:
            file.write(json.dumps({"begun": name}) + "\n")
            file.flush()
            place = Path(folder) / name.replace(" ", "-")
            place.mkdir()
            for _, line in perform([(name, check)], Bench(pick_device(device), sizes, place)):
                file.write(json.dumps(asdict(line)) + "\n")
                file.flush()


def apart(group: str, arguments: Sequence[str], sizes: Sizes, seconds: float) -> list[Line]:
    """Perform a group in a process of its own, which is ended when its time is over, and return its lines."""
    names = [name for name, _ in GROUPS[group](sizes)]
    if seconds < 1:
        return [Line(name, NOT_RUN, "to be run", "FAIL") for name in names]
    with TemporaryDirectory() as folder:
        into = Path(folder) / "found.jsonl"
        command = [sys.executable, "-m", "tests.gpu.check", group, "--inside", str(into), *arguments]
        job = subprocess.Popen(command, start_new_session=True)
        late = False
        try:
            job.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
                job.wait()
        found = [json.loads(text) for text in into.read_text(encoding="utf-8").splitlines()] if into.exists() else []
    begun = [entry["begun"] for entry in found if "begun" in entry]
    lines = [Line(**entry) for entry in found if "begun" not in entry]
    if late or job.returncode:
        why = f"ended after {seconds:.0f} s" if late else f"its process ended with {job.returncode}"
        lines.append(Line(begun[-1] if begun else group, why, "to end by itself", "FAIL"))
    why = NOT_RUN if late else "not run: the process of its group had ended"
    return lines + [Line(name, why, "to be run", "FAIL") for name in names if name not in begun]


def table(lines: Sequence[Line]) -> Table:
    """Return one row for each line: measured, required, pass or fail."""
    columns = (Column("what"), Column("measured"), Column("required"), Column("verdict"))
    rows = tuple((line.what, line.measured, line.required, line.verdict) for line in lines)
    return Table(title="Checks on a GPU", columns=columns, rows=rows)


def hardware(device: torch.device) -> str:
    """Describe the card and what drives it."""
    card = "no GPU: the figures mean nothing"
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        card = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    python = ".".join(map(str, sys.version_info[:3]))
    others = f"{os.cpu_count()} processors, Python {python}, torch {torch.__version__}"
    return f"{card}; {others}. Measured on {date.today()}."


def page(lines: Sequence[Line], device: torch.device, seconds: float) -> str:
    """Return the whole page."""
    failed = sum(line.verdict == "FAIL" for line in lines)
    said = f"{hardware(device)} {len(lines)} lines in {seconds:.0f} s, {failed} of which failed."
    return "\n\n".join((PREFACE.strip(), said, render_markdown(table(lines)).strip())) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Check everything, print a table, write the page; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.check", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"some of {', '.join(GROUPS)}; all without any")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu shows how the script works")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, whose figures mean nothing")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page goes")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.groups if name not in GROUPS]:
        parser.error(f"there is no group {unknown[0]!r}; the groups are {', '.join(GROUPS)}.")
    sizes, console = TINY if given.tiny else Sizes(), Console()
    if given.device == "cuda" and not torch.cuda.is_available():
        console.message(
            "There is no CUDA device that torch can use here, so nothing was checked and no page written."
        )
        return 0
    if given.inside is not None:
        inside(given.groups[0], given.device, sizes, given.inside)
        return 0
    start, lines = time.monotonic(), list[Line]()
    passed_on = ["--device", given.device, *(["--tiny"] if given.tiny else [])]
    try:
        for group in given.groups or GROUPS:
            left = WHOLE - (time.monotonic() - start)
            found = apart(group, passed_on, sizes, min(SECONDS[group], left))
            failed = sum(line.verdict == "FAIL" for line in found)
            console.message(
                f"{time.monotonic() - start:.0f} s: {group}, {len(found)} lines, {failed} of which failed"
            )
            lines += found
    except KeyboardInterrupt:
        return 130
    console.table(table(lines))
    if not given.groups:
        given.page.write_text(page(lines, pick_device(given.device), time.monotonic() - start), encoding="utf-8")
        console.result(given.page)
    return 1 if any(line.verdict == "FAIL" for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
