"""Tables as CSV with a line for each number, unrounded, with its provenance."""

import csv
import io
from collections.abc import Iterable

from mdreid_bench.report.table import Cell, Emphasis, Missing, Number, Table, shown
from mdreid_bench.wording import printable

_FIELDS = ("group", "column", "value", "spread", "low", "high", "rank", "missing", "note", "provenance")
_RANKS = {Emphasis.NONE: "", Emphasis.BEST: "best", Emphasis.SECOND: "second"}


def render_csv(tables: Iterable[Table]) -> str:
    """Return the numbers of tables that name their rows alike.

    Columns: title of the table; the headings of its columns of text; then group and title of the number's column,
    value, standard deviation over seeds, both ends of the 95 % interval, whether it is the best or the second,
    why it is missing, its note, and where it comes from.
    """
    tables = list(tables)
    names = dict.fromkeys(column.heading for table in tables for column in table.columns if not column.numeric)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["table", *names, *_FIELDS], lineterminator="\n")
    writer.writeheader()
    for table in tables:
        writer.writerows({key: printable(value) for key, value in line.items()} for line in _lines(table))
    return stream.getvalue()


def _lines(table: Table) -> Iterable[dict[str, str]]:
    for row in table.rows:
        cells = list(zip(table.columns, row, strict=True))
        labels = {column.heading: _text(cell) for column, cell in cells if not column.numeric}
        for column, cell in cells:
            if column.numeric:
                place = {"table": table.title, "group": column.group, "column": column.title}
                yield place | labels | _values(cell)


def _text(cell: Cell) -> str:
    return "" if isinstance(cell, Missing) else shown(cell)


def _values(cell: Cell) -> dict[str, str]:
    if isinstance(cell, Missing):
        return {"missing": cell.reason}
    if not isinstance(cell, Number):
        return {"value": _text(cell)}
    low, high = cell.interval or ("", "")
    return {
        "value": repr(cell.value),
        "spread": "" if cell.spread is None else repr(cell.spread),
        "low": str(low),
        "high": str(high),
        "rank": _RANKS[cell.emphasis],
        "note": cell.note,
        "provenance": cell.origin,
    }
