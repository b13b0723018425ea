"""Tables for the terminal."""

from rich import box
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from mdreid_bench.report.render.fitting import Fitted, fit, headings, texts
from mdreid_bench.report.table import Cell, Emphasis, Number, Table
from mdreid_bench.wording import printable

_STYLES = {Emphasis.NONE: "", Emphasis.BEST: "bold", Emphasis.SECOND: "underline"}


def render_rich(table: Table, room: int | None = None) -> Group:
    """Return the table with title and caption above and the notes below.

    Every text is a :class:`rich.text.Text`, so nothing in it is taken for markup. ``room`` is how many columns of
    text there are; see :func:`mdreid_bench.report.render.fitting.fit`.
    """
    drawn: list[Text | RichTable | str] = []
    for part in fit(table, room):
        above = [Text(printable(part.table.title), style="bold")]
        if part.table.caption:
            above.append(Text(printable(part.table.caption), style="italic"))
        below = [Text(printable(note), style="dim") for note in part.table.notes()]
        drawn += [*([""] if drawn else []), *above, "", _grid(part), *([""] if below else []), *below]
    return Group(*drawn)


def _grid(part: Fitted) -> RichTable:
    table, markers = part.table, part.table.marks()
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column, heading, width in zip(table.columns, headings(table), part.widths, strict=True):
        grid.add_column(Text(heading), justify="right" if column.numeric else "left", width=width, overflow="fold")
    for index, row in enumerate(table.rows):
        if index in table.rules:
            grid.add_section()
        grid.add_row(*(_cell(cell, markers) for cell in row))
    return grid


def _cell(cell: Cell, markers: dict[str, str]) -> Text:
    value, rest = texts(cell, markers)
    style = _STYLES[cell.emphasis] if isinstance(cell, Number) else ""
    return Text.assemble((value, style), rest)
