"""Makes ``docs/reliability.md``: disturbs, damages and counts, and writes down what came of it.

::

    python -m tests.reliability.report docs/reliability.md
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.progress import Silent
from tests.data.trees import check_dataset
from tests.reliability.damage import HARMLESS, NOTICED, REFUSED
from tests.reliability.disturbing import (
    Counts,
    NoMountError,
    fill_disk,
    fill_small_disk,
    kill_at_operations,
    kill_at_random,
)
from tests.reliability.foreign import BYTE, SAME, world
from tests.reliability.foreign import sweep as foreign_sweep
from tests.reliability.machine import Machine, measured
from tests.reliability.planting import Planter
from tests.reliability.sweeps import SWEEPS
from tests.reliability.test_interruption import SIZES

TEXT = Path(__file__).with_name("reliability.md.txt")
PLACES = 60
"""Bytes that are changed of each file that could belong to something else."""
PHASES = ("before training", "in training", "in extraction", "in scoring", "at the end")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; all but the first column hold numbers."""
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def kills(machine: Machine, base: Path, expected: dict[str, Any], number: int, step: int) -> str:
    """Kill runs at random and before their operations on files."""
    at_random = kill_at_random(machine, base / "random", expected, number)
    runs = at_random.pop("runs")
    before = kill_at_operations(machine, base / "operations", expected, step)
    rows = [
        ("SIGKILL at a random moment", at_random.total(), *(at_random[p] for p in PHASES), f"{runs} of {runs}"),
        (
            "SIGKILL just before an operation on a file",
            before.total(),
            *(before[p] for p in PHASES),
            f"{before.total()} of {before.total()}",
        ),
    ]
    return table(("injected", "times", *PHASES, "runs finished with the same bytes"), rows)


def disks(machine: Machine, base: Path, expected: dict[str, Any], step: int) -> str:
    """Fill disks, pretended and real ones."""
    pretended = fill_disk(machine, base / "pretended", expected, step)
    rows: list[tuple[object, ...]] = [_disk_row("every write refused from some operation on", pretended)]
    try:
        phases = Counter(fill_small_disk(machine, base, expected, size) for size in SIZES)
    except NoMountError:
        return table(("injected", "times", "exit 3", "exit 1", "exit 0", "finished with the same bytes"), rows)
    where = ", ".join(f"{count} {phase}" for phase, count in phases.items())
    rows.append((f"a disk of {', '.join(SIZES)} ({where})", len(SIZES), len(SIZES), 0, 0, len(SIZES)))
    return table(("injected", "times", "exit 3", "exit 1", "exit 0", "finished with the same bytes"), rows)


def _disk_row(name: str, counts: Counts) -> tuple[object, ...]:
    codes = (counts["exit 3"], counts["exit 1"], counts["exit 0"])
    return name, counts.total(), *codes, counts.total()


def damage(base: Path, step: int) -> str:
    """Damage stored files in every way."""
    rows = []
    for name, sweep in SWEEPS.items():
        folder = base / name.replace(" ", "-")
        folder.mkdir()
        counts = sweep(folder, step)
        by_outcome = Counter[str]()
        for outcome, count in counts.items():
            by_outcome[outcome.partition(": ")[2]] += count
        rows.append((name, counts.total(), *(by_outcome[o] for o in (REFUSED, NOTICED, HARMLESS)), 0))
    return table(("file", "damages", REFUSED, NOTICED, HARMLESS, "read wrongly"), rows)


def foreign(base: Path, offsets: int) -> str:
    """Put files in the place of others that they do not belong to, and let everything read them."""
    rows = []
    for name, kind in world(base).items():
        counts = foreign_sweep(base, kind, offsets)
        changed = sum(n for (what, _), n in counts.items() if what == BYTE)
        whole = [(what, outcome) for what, outcome in counts if what != BYTE]
        assert {outcome for _, outcome in whole} == {REFUSED}
        others = sum(counts[pair] for pair in whole)
        harmless = f"{counts[BYTE, SAME]} of {changed}"
        rows.append((name, "; ".join(kind.readers), ", ".join(kind.others), f"{others} of {others}", harmless, 0))
    columns = (
        "file",
        "read by",
        "put in its place",
        "refused",
        "one byte changed, and read the same",
        "read wrongly",
    )
    return table(columns, rows)


def bad_data(base: Path) -> str:
    """Plant faults into a full-scale dataset and list what ``check`` finds."""
    folder = generate(base, "msvr310", "full", 0, Silent())
    healthy = check_dataset("msvr310", base, Silent())
    assert healthy.findings == ()
    expected = Planter(folder).plant()
    report = check_dataset("msvr310", base, Silent())
    assert {(f.kind, f.path) for f in report.findings} == {(kind, path) for kind, path, _ in expected}
    assert len(report.findings) == len(expected)
    return table(("kind", "planted and found"), [(str(f.kind), f"`{f.path}`: {f.what}") for f in report.findings])


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description="Make docs/reliability.md.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--operations", type=int, default=1, help="every which operation on files is disturbed")
    parser.add_argument("--offsets", type=int, default=1, help="at every which offset of files there is damage")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        os.environ["MDREID_CACHE"] = str(base / "cache")
        machine = Machine(base)
        for name in ("random", "operations", "pretended", "damage", "foreign", "images"):
            (base / name).mkdir(exist_ok=True)
        code, job = machine.run(base / "undisturbed")
        assert code == 0, job.text
        expected = measured(job.results)
        parts = {
            "KILLS": kills(machine, base, expected, given.kills, given.operations),
            "DISKS": disks(machine, base, expected, given.operations),
            "OFFSETS": "every offset" if given.offsets == 1 else f"every {given.offsets}th offset",
            "DAMAGE": damage(base / "damage", given.offsets),
            "FOREIGN": foreign(base / "foreign", PLACES),
            "DATA": bad_data(base / "images"),
        }
        machine.close()
    text = TEXT.read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"<{name}>", part)
    given.path.write_text(text, encoding="utf-8")
    sys.stderr.write(f"{given.path}\n")


if __name__ == "__main__":
    main()
