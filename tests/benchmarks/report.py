"""Makes docs/performance.md from the output of the benchmarks, and shows which requirements are met.

``python -m tests.benchmarks.report BENCHMARK.json [PAGE]`` exits with 1 when one is not met.
"""

import json
import sys
from pathlib import Path
from typing import Any

from mdreid_bench.cli.console import Console
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.table import Cell, Column, Label, Missing, Table
from tests.benchmarks.measuring import PEER, REQUIRED, met

PREFACE = """# Performance

Made by `make bench` from its own measurements; do not edit. Ratios are of times taken in turns within one run, so
they carry over to other machines; seconds are those of the machine named below. All data are random or synthetic.
"""


def requirements(output: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every requirement that a benchmark noted, in the order of the benchmarks."""
    return [entry for bench in output["benchmarks"] for entry in bench["extra_info"].get(REQUIRED, [])]


def verdicts(output: dict[str, Any]) -> Table:
    """Return one row for each requirement: measured, allowed, pass or fail."""
    rows = [(entry["what"], *verdict(entry)) for entry in requirements(output)]
    columns = (Column("what"), Column("measured", numeric=True), Column("required", numeric=True), Column("verdict"))
    return Table(title="Requirements", columns=columns, rows=tuple(rows))


def verdict(entry: dict[str, Any]) -> tuple[str, str, str]:
    """Return what was measured, what is required, and whether that is met."""
    side, unit = "at least" if entry["least"] else "at most", entry["unit"]
    required = f"{side} {_number(entry['limit'])} {unit}"
    return f"{_number(entry['measured'])} {unit}", required, "pass" if met(entry) else "FAIL"


def timings(output: dict[str, Any]) -> Table:
    """Return one row for each benchmark of ours: fastest and median time."""
    rows = []
    for bench in output["benchmarks"]:
        if PEER not in bench["extra_info"]:
            stats = bench["stats"]
            times = (_seconds(stats["min"]), _seconds(stats["median"]), str(stats["rounds"]))
            rows.append((spelt(bench["name"]), *times))
    columns = (Column("benchmark"), *(Column(title, numeric=True) for title in ("fastest", "median", "rounds")))
    return Table(title="Times", columns=columns, rows=tuple(rows))


def further(output: dict[str, Any]) -> Table:
    """Return one row for each figure without a limit; a benchmark is named beside its first."""
    rows = []
    for bench in output["benchmarks"]:
        name = spelt(bench["name"])
        for what, value in bench["extra_info"].items():
            if what not in (REQUIRED, PEER):
                rows.append((name, what, str(value)))
                name = ""
    columns = (Column("benchmark"), Column("what"), Column("measured", numeric=True))
    return Table(title="Also measured", columns=columns, rows=tuple(rows))


def peers(output: dict[str, Any]) -> Table:
    """Return one row for each ranker of another package: its time and ours by turns, and whether figures agree."""
    found = [bench["extra_info"][PEER] for bench in output["benchmarks"] if PEER in bench["extra_info"]]
    titles = ("seconds", "ours", "times ours")
    columns = (Column("peer"), Column("from"), *(Column(t, numeric=True) for t in titles), Column("apart by"))
    return Table(
        title="Other packages",
        caption="mAP and Rank-1 of 1,715 queries among 8,575 items by turns in one run; the fastest times of each.",
        footnotes=(
            "Ours and what starts from vectors take several processors; numpy.sort and the other rankers take one.",
        ),
        columns=columns,
        rows=tuple(map(_peer, found)),
    )


def _peer(found: dict[str, Any]) -> tuple[Cell, ...]:
    start = Label(found["start"], found["computes"])
    if "missing" in found:
        return (found["name"], start, *[Missing(f"{found['name']}: {found['missing']}.")] * 4)
    times = [f"{found['seconds']:.3g}", f"{found['ours']:.3g}", f"{found['seconds'] / found['ours']:.3g}"]
    named = zip(("mAP", "Rank-1"), found.get("apart", ()), strict=False)
    apart = ", ".join(f"{name} {value:.0e}" if value else f"{name} equal" for name, value in named)
    return (found["name"], start, *times, apart)


def spelt(name: str) -> str:
    """Return the name of a benchmark as text."""
    words, _, case = name.removeprefix("test_").partition("[")
    return words.replace("_", " ") + (f" ({case.removesuffix(']')})" if case else "")


def hardware(output: dict[str, Any]) -> str:
    """Describe the machine and how busy it was."""
    info = output["machine_info"]
    versions = ", ".join(f"{name} {number}" for name, number in info["versions"].items())
    load = ", ".join(f"{value:.1f}" for value in info["load"])
    return (
        f"{info['cpu'].get('brand_raw', info['machine'])}, {info['cores']} cores, {info['memory'] / 2**30:.0f} GiB; "
        f"{info['system']}, Python {info['python_version']}, {versions}. "
        f"Load average before the start (1, 5, 15 min): {load}. Measured on {output['datetime'][:10]}."
    )


def page(output: dict[str, Any]) -> str:
    """Return the whole page."""
    parts = [PREFACE, hardware(output)]
    if not output["machine_info"]["full"]:
        parts.append("Galleries on disk are smaller than the full 1,000,000 x 2,048; MDREID_BENCH_FULL=1 takes that.")
    tables = (make(output) for make in (verdicts, peers, timings, further))
    parts += [render_markdown(table) for table in tables if table.rows]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main(arguments: list[str]) -> int:
    """Read the output, show the verdicts, write the page if one is named; return the exit code."""
    output = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    console = Console()
    for table in (peers(output), verdicts(output)):
        if table.rows:
            console.table(table)
    if len(arguments) > 1:
        path = Path(arguments[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(output), encoding="utf-8")
        console.result(path)
    return 0 if all(map(met, requirements(output))) else 1


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _seconds(value: float) -> str:
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
