"""Makes docs/performance.md from the output of the benchmarks, and shows which requirements are met.

``python -m tests.benchmarks.report BENCHMARK.json [PAGE]`` exits with 1 when one is not met.
"""

import json
import sys
from pathlib import Path
from typing import Any

from mdreid_bench.cli.console import Console
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.table import Column, Table
from tests.benchmarks.measuring import REQUIRED, met

PREFACE = """# Performance

Made by `make bench` from its own measurements; do not edit. Ratios are of times taken in turns within one run, so
they carry over to other machines; seconds are those of the machine named below. All data are random or synthetic.
"""


def requirements(output: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every requirement that a benchmark noted, in the order of the benchmarks."""
    return [entry for bench in output["benchmarks"] for entry in bench["extra_info"].get(REQUIRED, [])]


def verdicts(output: dict[str, Any]) -> Table:
    """Return one row for each requirement: measured, allowed, pass or fail."""
    rows = [
        (
            entry["what"],
            f"{_number(entry['measured'])} {entry['unit']}",
            f"{'at least' if entry['least'] else 'at most'} {_number(entry['limit'])} {entry['unit']}",
            "pass" if met(entry) else "FAIL",
        )
        for entry in requirements(output)
    ]
    columns = (Column("what"), Column("measured", numeric=True), Column("required", numeric=True), Column("verdict"))
    return Table(title="Requirements", columns=columns, rows=tuple(rows))


def timings(output: dict[str, Any]) -> Table:
    """Return one row for each benchmark: fastest and median time."""
    rows = []
    for bench in output["benchmarks"]:
        others = {name: value for name, value in bench["extra_info"].items() if name != REQUIRED}
        notes = ", ".join(f"{name}: {value}" for name, value in others.items())
        stats = bench["stats"]
        name = bench["name"].removeprefix("test_").replace("_", " ")
        rows.append((name, _seconds(stats["min"]), _seconds(stats["median"]), str(stats["rounds"]), notes))
    columns = (
        Column("benchmark"),
        *(Column(title, numeric=True) for title in ("fastest", "median", "rounds")),
        Column("also measured"),
    )
    return Table(title="Times", columns=columns, rows=tuple(rows))


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
        parts.append(
            "The gallery on disk is smaller than the full 1,000,000 x 2,048; MDREID_BENCH_FULL=1 takes that."
        )
    parts += [render_markdown(verdicts(output)), render_markdown(timings(output))]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main(arguments: list[str]) -> int:
    """Read the output, show the verdicts, write the page if one is named; return the exit code."""
    output = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    console = Console()
    console.table(verdicts(output))
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
