"""How far jobs are, as a picture for a terminal, a line for a pipe and a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from mdreid_bench.report.table import Column, Table
from mdreid_bench.wording import printable

Kind = Literal["failed", "running", "queued", "done", "not submitted"]
_STYLES: dict[Kind, str] = {"failed": "red", "running": "cyan", "queued": "", "done": "green", "not submitted": "dim"}
"""The kinds, in the order in which they are shown where there is no room for all, and how they look."""
_DETAIL, _GAPS = len("about 23 h 59 min left…"), 3 * len("  ")
"""Columns that a detail has at least, and those between the parts of a line."""


@dataclass(frozen=True)
class Status:
    """How far a task is.

    Attributes:
        title: of its runs.
        job: number of its job; may be empty.
        detail: such as the epoch, or what it waits for.
    """

    title: str
    kind: Kind
    job: str = ""
    detail: str = ""


def headline(found: Sequence[Status]) -> str:
    """Say how many tasks are in which state."""
    counts = {kind: sum(one.kind == kind for one in found) for kind in _STYLES}
    return f"Jobs: {', '.join(f'{number} {kind}' for kind, number in counts.items() if number)}."


def picture(found: Sequence[Status], width: int, rows: int) -> Text:
    """Draw a line for each task, the most interesting ones first where ``rows`` are too few for all.

    A title that is too long lacks its middle, because its end tells it from others; a detail lacks its end.
    """
    kinds = list(_STYLES)
    room = max(rows - 2, 1)
    first = sorted(found, key=lambda one: kinds.index(one.kind))[: room if len(found) <= room else room - 1]
    shown = [one for one in found if any(one is other for other in first)]
    job, kind = max(len(one.job) for one in shown), max(len(one.kind) for one in shown)
    title = min(max(len(printable(one.title)) for one in shown), max(width - job - kind - _GAPS - _DETAIL, 20))
    lines = [Text(headline(found), style="bold")]
    for one in shown:
        name = printable(one.title)
        if (cut := len(name) - title) > 0:
            name = f"{name[: title // 2]}…{name[title // 2 + 1 + cut :]}"
        state = f"{one.kind:{kind}}", _STYLES[one.kind]
        line = Text.assemble(f"{name:{title}}  {one.job:{job}}  ", state, f"  {printable(one.detail)}")
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    if left := len(found) - len(shown):
        lines.append(Text(f"and {left} more", style="dim"))
    return Text("\n").join(lines)


def job_table(found: Sequence[Status]) -> Table:
    """Return one row for each task."""
    rows = tuple((one.title, one.job or "—", one.kind, one.detail or "—") for one in found)
    return Table(title="Jobs", columns=tuple(map(Column, ("run", "job", "state", "how far"))), rows=rows)
