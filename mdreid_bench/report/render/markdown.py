"""Tables as Markdown, as GitHub draws it."""

import re

from tabulate import tabulate

from mdreid_bench.report.table import Cell, Emphasis, Number, Table, remark, shown
from mdreid_bench.wording import printable

_MARKS = {Emphasis.NONE: "{}", Emphasis.BEST: "**{}**", Emphasis.SECOND: "<u>{}</u>"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$])")


def render_markdown(table: Table) -> str:
    """Return the table under its title, with the caption above and the notes below; ends with a newline."""
    markers = table.marks()
    body = tabulate(
        [[_cell(cell, markers) for cell in row] for row in table.rows],
        headers=[escape(column.heading) for column in table.columns],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["right" if column.numeric else "left" for column in table.columns],
    )
    parts = [f"### {escape(table.title)}"]
    if table.caption:
        parts.append(escape(table.caption))
    parts.append(body)
    parts.extend(escape(note) for note in table.notes())
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return the text so that Markdown and HTML in it are shown, not obeyed."""
    return _SPECIAL.sub(r"\\\1", printable(text))


def _cell(cell: Cell, markers: dict[str, str]) -> str:
    mark = f" ({markers[remark(cell)]})" if remark(cell) else ""
    if isinstance(cell, Number):
        return _MARKS[cell.emphasis].format(cell.text) + cell.suffix + mark
    return escape(shown(cell)) + mark
