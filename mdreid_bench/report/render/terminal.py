"""Tables for the terminal."""

from rich import box
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from mdreid_bench.report.table import Cell, Emphasis, Number, Table, remark, shown
from mdreid_bench.wording import printable

_STYLES = {Emphasis.NONE: "", Emphasis.BEST: "bold", Emphasis.SECOND: "underline"}


def render_rich(table: Table, wrap_numbers: bool = False) -> Group:
    """Return the table with title and caption above and the notes below.

    Every text is a :class:`rich.text.Text`, so nothing in it is taken for markup. ``wrap_numbers`` lets cells such as
    ``40.0 [35.0, 45.0]`` be broken over lines where the room is short.
    """
    markers = table.marks()
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column, heading in zip(table.columns, _headings(table), strict=True):
        no_wrap = column.numeric and not wrap_numbers
        grid.add_column(heading, justify="right" if column.numeric else "left", no_wrap=no_wrap, overflow="fold")
    for index, row in enumerate(table.rows):
        if index in table.rules:
            grid.add_section()
        grid.add_row(*(_cell(cell, markers) for cell in row))
    above = [Text(printable(table.title), style="bold")]
    if table.caption:
        above.append(Text(printable(table.caption), style="italic"))
    below = [Text(printable(note), style="dim") for note in table.notes()]
    return Group(*above, "", grid, *([""] if below else []), *below)


def _headings(table: Table) -> list[Text]:
    """Return the headings; the name of a group stands above its first column only."""
    headings, group = [], ""
    for column in table.columns:
        shown = "" if column.group == group else printable(column.group)
        group = column.group
        headings.append(Text(f"{shown}\n{printable(column.title)}" if group else printable(column.title)))
    return headings


def _cell(cell: Cell, markers: dict[str, str]) -> Text:
    mark = f" ({markers[remark(cell)]})" if remark(cell) else ""
    if isinstance(cell, Number):
        return Text.assemble((cell.text, _STYLES[cell.emphasis]), cell.suffix, mark)
    return Text(printable(shown(cell)) + mark)
